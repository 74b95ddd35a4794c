"""What the database says was applied to it: Alembic's version table, and each applied revision's digest beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect, select

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import RevisionId
from ops_pipeline.store.revisions import Revision
from ops_pipeline.store.schema import SCHEMA, VERSION_TABLE, applied_revisions

CONTEXT = {"version_table": VERSION_TABLE, "version_table_schema": SCHEMA}
"""Alembic's options that say where the version table is."""


@dataclass(frozen=True, slots=True)
class RevisionState:
    """Where a database stands among the shipped revisions."""

    applied: int
    """How many of them it has."""
    edited: tuple[RevisionId, ...]
    """The ones whose file changed after it was applied."""
    unrecorded: tuple[RevisionId, ...]
    """Of the applied, the ones whose digest the database does not hold."""


def read_revision_state(connection: Connection, shipped: Sequence[Revision]) -> RevisionState:
    """Return where the database stands. Raises OpsError `unknown_revision` for one that this version cannot know."""
    ids: list[str] = [revision.revision_id for revision in shipped]
    current = MigrationContext.configure(connection, opts=CONTEXT).get_current_heads()
    if len(current) > 1 or not set(current) <= set(ids):
        raise OpsError(Reason.UNKNOWN_REVISION)
    applied = shipped[: ids.index(current[0]) + 1] if current else []
    digests = _digests(connection)
    return RevisionState(
        applied=len(applied),
        edited=tuple(
            revision.revision_id
            for revision in shipped
            if digests.get(revision.revision_id, revision.digest) != revision.digest
        ),
        unrecorded=tuple(revision.revision_id for revision in applied if revision.revision_id not in digests),
    )


def record_statement(revision: Revision) -> str:
    """Return the statement that keeps the digest of an applied revision."""
    return (
        f"INSERT INTO {applied_revisions} (revision, digest)"  # noqa: S608 - hex digits
        f" VALUES ('{revision.revision_id}', '\\x{revision.digest.hex()}')"
        " ON CONFLICT (revision) DO UPDATE SET digest = EXCLUDED.digest, applied_at = now()"
    )


def _digests(connection: Connection) -> dict[str, bytes]:
    if not inspect(connection).has_table(applied_revisions.name, schema=SCHEMA):
        return {}
    rows = connection.execute(select(applied_revisions.c.revision, applied_revisions.c.digest))
    return {revision: bytes(digest) for revision, digest in rows}
