"""Runs revisions on the connection that the caller passes in; never on a URL, which an error could quote."""

from alembic import context
from sqlalchemy import text

from ops_pipeline.store.schema import SCHEMA, VERSION_TABLE, metadata

connection = context.config.attributes.get("connection")
options = {
    "target_metadata": metadata,
    "version_table": VERSION_TABLE,
    "version_table_schema": SCHEMA,
    "transaction_per_migration": True,
}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", **options)
    with context.begin_transaction():
        context.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        context.run_migrations()
elif connection is None:
    context.config.print_stdout("Run migrations with: ops-pipeline db_bootstrap apply_migrations")
    raise SystemExit(1)
else:
    # Asked first: CREATE SCHEMA wants a privilege on the database even where the schema is there.
    if not connection.scalar(text("SELECT to_regnamespace(:schema) IS NOT NULL"), {"schema": SCHEMA}):
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    connection.commit()
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
