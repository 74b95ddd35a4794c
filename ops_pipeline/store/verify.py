"""Is the ops database what this version needs? Read-only, each fault with its own reason."""

from __future__ import annotations

from dataclasses import dataclass

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Engine, inspect

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store.engine import reading
from ops_pipeline.store.migrate import current_revision, revisions
from ops_pipeline.store.schema import SCHEMA, VERSION_TABLE, metadata


@dataclass(frozen=True, slots=True)
class Verified:
    """The revision the database is at, and how many of the pipeline's tables it has."""

    revision: int
    tables: int


def verify(engine: Engine) -> Verified:
    """Return what was verified.

    Raises OpsError `missing_tables`, `unknown_revision`, `behind` or `drift`, and any reason of a connection.
    """
    names = [script.revision for script in revisions()]
    with reading(engine) as connection:
        current = current_revision(connection)
        if current is None:
            raise OpsError(Reason.MISSING_TABLES)
        if current not in names:
            raise OpsError(Reason.UNKNOWN_REVISION)
        if current != names[-1]:
            raise OpsError(Reason.BEHIND, revision=int(current), pending=len(names) - 1 - names.index(current))
        wanted = {table.name for table in metadata.sorted_tables}
        missing = wanted - set(inspect(connection).get_table_names(schema=SCHEMA))
        if missing:
            raise OpsError(Reason.MISSING_TABLES, missing_tables=len(missing))
        differences = len(_differences(connection))
        if differences:
            raise OpsError(Reason.DRIFT, differences=differences)
    return Verified(revision=int(current), tables=len(wanted))


def _differences(connection: Connection) -> list[object]:
    def is_ours(name: str | None, kind: str, parent: dict[str, str | None]) -> bool:
        if kind == "schema":
            return name == SCHEMA
        if kind == "table":
            return parent["schema_name"] == SCHEMA and name in {table.name for table in metadata.sorted_tables}
        return True

    options = {
        "version_table": VERSION_TABLE,
        "version_table_schema": SCHEMA,
        "include_schemas": True,
        "include_name": is_ours,
        "compare_type": True,
    }
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))
