"""Runs revisions on the connection that the caller passes in; never on a URL, which an error could quote."""

from alembic import context
from sqlalchemy import text
from sqlalchemy.schema import CreateTable

from ops_pipeline.store.revision_state import CONTEXT, record_statement
from ops_pipeline.store.revisions import revisions
from ops_pipeline.store.schema import SCHEMA, applied_revisions, metadata

connection = context.config.attributes.get("connection")


def record(ctx, step, heads, run_args):  # noqa: ARG001 - Alembic's signature
    """Keep the digest of an applied revision, in the transaction that applies it."""
    if step.is_upgrade:
        (revision,) = (one for one in revisions() if one.revision_id == step.up_revision_id)
        ctx.execute(record_statement(revision))
    else:
        ctx.execute(f"DELETE FROM {applied_revisions} WHERE revision = '{step.up_revision_id}'")  # noqa: S608


options = {
    "target_metadata": metadata,
    "transaction_per_migration": True,
    "on_version_apply": [record],
    **CONTEXT,
}

if context.is_offline_mode():
    context.configure(dialect_name="postgresql", **options)
    with context.begin_transaction():
        # Not IF NOT EXISTS: that wants a privilege on the database even where the schema is there.
        create = f"IF to_regnamespace('{SCHEMA}') IS NULL THEN CREATE SCHEMA {SCHEMA}; END IF;"
        context.execute(f"DO $$ BEGIN {create} END $$")
        context.execute(CreateTable(applied_revisions, if_not_exists=True))
        context.run_migrations()
elif connection is None:
    context.config.print_stdout("Run migrations with: ops-pipeline db_bootstrap apply_migrations")
    raise SystemExit(1)
else:
    # Asked first: CREATE SCHEMA wants a privilege on the database even where the schema is there.
    if not connection.scalar(text("SELECT to_regnamespace(:schema) IS NOT NULL"), {"schema": SCHEMA}):
        connection.execute(text(f"CREATE SCHEMA {SCHEMA}"))
    applied_revisions.create(connection, checkfirst=True)
    connection.commit()
    context.configure(connection=connection, **options)
    with context.begin_transaction():
        context.run_migrations()
