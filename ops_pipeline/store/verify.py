"""Is the ops database what this version needs? Read-only, each fault with its own reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine, text

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label, RevisionId
from ops_pipeline.store import dagster_tables
from ops_pipeline.store.compare import compare
from ops_pipeline.store.engine import reading
from ops_pipeline.store.partitions import last_partition, missing_partitions, partition_days
from ops_pipeline.store.revision_state import read_revision_state
from ops_pipeline.store.revisions import revisions
from ops_pipeline.store.schema import SCHEMA, metadata

PARTITION_HORIZON_DAYS = 7
"""So many days ahead must have their event partitions: time to notice, and to run db_bootstrap."""

_PRIVILEGES = text("""
    SELECT has_table_privilege(:name, 'SELECT'), bool_and(has_table_privilege(:name, needed))
    FROM unnest(ARRAY['INSERT', 'UPDATE', 'DELETE']) AS needed
""")
_IS_POWERFUL = text("""
    SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls
    FROM pg_roles WHERE rolname = current_user
""")
_OTHER_TABLES = text("""
    SELECT count(*)
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname NOT IN ('pg_catalog', 'information_schema', :schema)
        AND n.nspname !~ '^pg_(toast|temp)' AND NOT c.relispartition
        AND has_schema_privilege(n.oid, 'USAGE') AND has_any_column_privilege(c.oid, 'SELECT')
        AND c.oid IS DISTINCT FROM to_regclass(:relation)
        AND NOT (c.relname = ANY(:dagster)
            AND to_regclass(quote_ident(n.nspname) || '.' || :of_dagster) IS NOT NULL)
        AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
""")


# Dagster looks for tables in the first schema of the search path alone, its Alembic in all of them.
_HAS_TABLES = text("""
    SELECT bool_and(to_regclass(quote_ident(current_schema()) || '.' || name) IS NOT NULL)
    FROM unnest(CAST(:names AS text[])) AS name
""")
_HAS_OTHER_ALEMBIC = text("""
    SELECT NOT EXISTS (SELECT FROM pg_class r WHERE r.relnamespace = c.relnamespace AND r.relname = 'runs')
    FROM pg_class c WHERE c.oid = to_regclass('alembic_version')
""")


@dataclass(frozen=True, slots=True)
class Verified:
    """What was found in order."""

    revision: RevisionId
    """The revision that the database is at, which is the newest."""
    tables: int
    """How many tables of the pipeline's there are: all."""
    can_write: bool
    """Whether the role can store results, or only read them."""


def verify_tables(engine: Engine, *, limit_seconds: float | None = None) -> Verified:
    """Return what was verified about the tables.

    Raises OpsError `missing_tables`, `unknown_revision`, `behind`, `migration_edited`, `drift` or `no_privilege`, and
    any reason of a connection.
    """
    shipped = revisions()
    with reading(engine, limit_seconds=limit_seconds) as connection:
        state = read_revision_state(connection, shipped)
        if not state.applied:
            raise OpsError(Reason.MISSING_TABLES)
        newest = shipped[state.applied - 1].revision_id
        if state.edited:
            raise OpsError(Reason.MIGRATION_EDITED, revision=state.edited[0])
        if state.applied < len(shipped) or state.unrecorded:
            pending = len(shipped) - state.applied
            raise OpsError(Reason.BEHIND, revision=newest, pending=pending, unrecorded=len(state.unrecorded))
        found = compare(connection)
        if found.missing:
            raise OpsError(Reason.MISSING_TABLES, tables=found.missing)
        if found.differences:
            raise OpsError(Reason.DRIFT, tables=tuple(found.differences), differences=sum(found.differences.values()))
        names = [table.name for table in metadata.sorted_tables]
        can_write = _has_privileges(connection, names)
    return Verified(revision=newest, tables=len(names), can_write=can_write)


def _has_privileges(connection: Connection, names: Sequence[str]) -> bool:
    """Return whether the role may change the tables. Raises OpsError `no_privilege` where it may not even read."""
    held = {name: connection.execute(_PRIVILEGES, {"name": f"{SCHEMA}.{name}"}).one() for name in names}
    unreadable = tuple(Label(name) for name, (can_read, _) in held.items() if not can_read)
    if unreadable:
        raise OpsError(Reason.NO_PRIVILEGE, tables=unreadable)
    return all(can_write for _, can_write in held.values())


def verify_partitions(connection: Connection) -> date | None:
    """Return the last UTC day that has an event partition.

    Raises OpsError `missing_partitions` where one of the next `PARTITION_HORIZON_DAYS` days has none.
    """
    missing = missing_partitions(connection, partition_days()[: PARTITION_HORIZON_DAYS + 1])
    if missing:
        raise OpsError(Reason.MISSING_PARTITIONS, days=len(missing), first_day=missing[0])
    return last_partition(connection)


def has_excess_privilege(connection: Connection, relation: str) -> bool:
    """Return whether the role may do more than the pipeline needs.

    That is: be a superuser or make roles or databases, or read tables that are neither ours, nor Dagster's, nor the
    events `relation`.
    """
    if connection.scalar(_IS_POWERFUL):
        return True
    bound = {
        "schema": SCHEMA,
        "relation": relation or None,
        "dagster": list(dagster_tables.ALL),
        # Others have tables called jobs or runs, too.
        "of_dagster": dagster_tables.UNMISTAKABLE,
    }
    return bool(connection.scalar(_OTHER_TABLES, bound))


def takes_no_changes(connection: Connection) -> bool:
    """Return whether the database is a standby, or its transactions are read-only unless they say otherwise."""
    found = text("SELECT pg_is_in_recovery() OR CAST(current_setting('default_transaction_read_only') AS boolean)")
    return bool(connection.scalar(found))


def has_dagster_storage(connection: Connection) -> bool:
    """Return whether the tables that Dagster stores runs and events in are there, in the schema that it looks at."""
    return bool(connection.scalar(_HAS_TABLES, {"names": list(dagster_tables.STORAGE)}))


def check_dagster_schema(connection: Connection) -> None:
    """Raise OpsError `dagster_schema_taken` where Dagster must not make its tables.

    That is in our own schema, in none at all, and where Alembic keeps the revision of another program: Dagster's
    Alembic would take it for its own. Dagster makes its table of runs before its own revision.
    """
    schema = connection.scalar(text("SELECT current_schema()"))
    if schema in (None, SCHEMA) or connection.scalar(_HAS_OTHER_ALEMBIC):
        raise OpsError(Reason.DAGSTER_SCHEMA_TAKEN)
