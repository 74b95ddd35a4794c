"""How figures are shown: the operator's lines, tables for the Dagster UI, and pages."""
