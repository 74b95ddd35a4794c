"""What operators do, each operation once: the tools and the Dagster jobs are thin wrappers over this."""
