"""The ops database: engine, tables, migrations, verification, what is stored in it. Imports no Dagster."""
