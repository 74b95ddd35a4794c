"""Is everything there that a run needs: the ops database, the events relation, Dagster's storage? Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime

from ops_pipeline.contract.days import due_day
from ops_pipeline.contract.environment import Name, first_kept_day, required_value, value
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.events.relation import find_relation
from ops_pipeline.store.day_faults import read_faults
from ops_pipeline.store.engine import engine_of, events_name, reading
from ops_pipeline.store.limits import CONNECT_TIMEOUT_SECONDS
from ops_pipeline.store.verify import (
    Verified,
    check_dagster_schema,
    has_dagster_storage,
    has_excess_privilege,
    takes_no_changes,
    verify_partitions,
    verify_tables,
)

# Of the time that is allowed, what the database gets: the rest is for saying what took so long.
_SHARE_OF_LIMIT = 0.8


@dataclass(frozen=True, slots=True)
class VerifiedDeployment:
    """What was verified."""

    ops: Verified
    partitions_until: date | None
    """The last UTC day with an event partition; None where the events are somewhere else."""
    warnings: tuple[Reason, ...]

    @property
    def access(self) -> Label:
        """What the role may do with our tables."""
        return Label("read_write" if self.ops.can_write else "read_only")

    def line(self) -> Line:
        """Return the line that says so."""
        return Line(
            LineName.DB_VERIFY,
            status=Label("ok"),
            revision=self.ops.revision,
            tables=self.ops.tables,
            partitions_until=self.partitions_until,
            access=self.access,
            warnings=self.warnings,
        )


def verify_deployment(*, needs_dagster: bool = False, limit_seconds: float | None = None) -> VerifiedDeployment:
    """Return what was verified about the databases that the environment names.

    Raises OpsError as `verify_tables`, `find_relation` and `verify_partitions` do; where DAGSTER_POSTGRES_DSN is set,
    `dagster_storage_unavailable` if it leads nowhere and `dagster_schema_taken` if it leads to no place for Dagster;
    and, only if `needs_dagster`, `dagster_storage_missing` where Dagster has no tables there. Otherwise that is a
    mere warning: its first run makes them.
    """
    limit = None if limit_seconds is None else limit_seconds * _SHARE_OF_LIMIT
    connect_seconds = CONNECT_TIMEOUT_SECONDS if limit is None else max(1, min(CONNECT_TIMEOUT_SECONDS, int(limit)))
    name = events_name()
    events, ops = (engine_of(one, connect_seconds=connect_seconds) for one in (name, Name.OPS_POSTGRES_DSN))
    verified = verify_tables(ops, limit_seconds=limit)
    with reading(events, limit_seconds=limit) as connection:
        relation = find_relation(connection, required_value(Name.OPS_EVENTS_RELATION))
        is_ours = name is Name.OPS_POSTGRES_DSN and relation == Name.OPS_EVENTS_RELATION.default
        partitions_until = verify_partitions(connection) if is_ours else None
        is_excessive = has_excess_privilege(connection, relation)
    with reading(ops, limit_seconds=limit) as connection:
        if name is not Name.OPS_POSTGRES_DSN:
            is_excessive = has_excess_privilege(connection, "") or is_excessive
        is_read_only = takes_no_changes(connection)
        faults = read_faults(connection, first_kept_day(), due_day(datetime.now(UTC)))
    warnings = [
        *([Reason.DB_READ_ONLY] if is_read_only else []),
        *([Reason.EXCESS_PRIVILEGE] if is_excessive else []),
        *(fault.reason for fault in faults),
    ]
    if value(Name.DAGSTER_POSTGRES_DSN) and not dagster_storage_exists(connect_seconds, limit):
        if needs_dagster:
            raise OpsError(Reason.DAGSTER_STORAGE_MISSING)
        warnings.append(Reason.DAGSTER_STORAGE_MISSING)
    elif needs_dagster:
        required_value(Name.DAGSTER_POSTGRES_DSN)
    return VerifiedDeployment(ops=verified, partitions_until=partitions_until, warnings=tuple(warnings))


def dagster_storage_exists(
    connect_seconds: int = CONNECT_TIMEOUT_SECONDS, limit_seconds: float | None = None
) -> bool:
    """Return whether Dagster has its tables where DAGSTER_POSTGRES_DSN says; opening its storage would make them.

    Raises OpsError `dagster_storage_unavailable`, `dagster_schema_taken`, `missing_env` or `invalid_env`.
    """
    engine = engine_of(Name.DAGSTER_POSTGRES_DSN, connect_seconds=connect_seconds)
    try:
        with reading(engine, limit_seconds=limit_seconds) as connection:
            check_dagster_schema(connection)
            return has_dagster_storage(connection)
    except Exception as error:  # noqa: BLE001 - whatever the driver raises
        failure = to_ops_error(error)
    if failure.reason is Reason.DAGSTER_SCHEMA_TAKEN:
        raise failure
    raise OpsError(Reason.DAGSTER_STORAGE_UNAVAILABLE, cause=failure.fields.get("cause", failure.reason))
