"""How figures are shown: the operator's lines, and tables for the Dagster UI."""
