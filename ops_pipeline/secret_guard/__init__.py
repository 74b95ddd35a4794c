"""Finding secrets and identifiers in files."""
