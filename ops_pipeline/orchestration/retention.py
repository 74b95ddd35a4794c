"""What is past its date: event partitions, counts and runs. Each day and each run goes whole, or not at all."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import dagster as dg
from sqlalchemy import Engine

from ops_pipeline.contract import environment
from ops_pipeline.contract.config import Retention, first_kept
from ops_pipeline.contract.days import last_complete_day, start_of
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.waits import retried
from ops_pipeline.orchestration.backfill import show_days
from ops_pipeline.orchestration.ownership import is_own_run
from ops_pipeline.store import partitions
from ops_pipeline.store.daily_counts import lock_days
from ops_pipeline.store.engine import ops_engine, reading, writing
from ops_pipeline.store.partitions import DropResult
from ops_pipeline.store.results import days_before, delete_days_before, read_verdict

_PARTITION = "dagster/partition"
_FINISHED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE, dg.DagsterRunStatus.CANCELED]
_RUNS_AT_ONCE = 100


class Expirable(StrEnum):
    """What is kept for a time."""

    EVENTS = "events"
    COUNTS = "counts"
    RUNS = "runs"


class RetentionMode(StrEnum):
    """Whether it is only said, or done."""

    DRY_RUN = "dry_run"
    APPLY = "apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """What is past its date, of one kind."""

    kind: Expirable
    keep_days: int
    expired: int = 0
    """Days past their date; of runs, runs."""
    oldest: date | None = None
    dropped: int = 0
    kept: int = 0
    """Days that were kept because they hold events that are not in the daily counts."""
    late: int | None = None
    """Events of days past their date that came in after the day was dropped: they are left to you."""


def retain(mode: RetentionMode) -> Iterator[Line]:
    """Yield a line for each kind that has a date, then the whole; whatever was yielded stays done.

    Raises OpsError `no_retention` where nothing is configured, `not_rolled_up` where a day had to be kept.
    """
    retention = environment.config().retention
    if not retention.is_set:
        raise OpsError(Reason.NO_RETENTION)
    found = []
    for expired in _all(ops_engine(), retention, mode):
        found.append(expired)
        yield _line(expired)
    kept = [expired for expired in found if expired.kept]
    if kept:
        raise OpsError(Reason.NOT_ROLLED_UP, days=sum(expired.kept for expired in kept), oldest=kept[0].oldest)
    by_kind = {expired.kind: expired for expired in found}
    dropped = {expired.kind: expired.dropped for expired in found}
    yield Line(
        LineName.RETENTION,
        status=Label("ok"),
        mode=mode,
        dropped=dropped.get(Expirable.EVENTS, 0),
        kept_days=by_kind[Expirable.EVENTS].keep_days if Expirable.EVENTS in by_kind else None,
        counts=dropped.get(Expirable.COUNTS, 0),
        runs=dropped.get(Expirable.RUNS, 0),
    )


def _line(one: Expired) -> Line:
    late = {} if one.late is None else {"late": one.late}
    return Line(
        LineName.RETENTION_EXPIRED,
        kind=one.kind,
        keep_days=one.keep_days,
        expired=one.expired,
        oldest=one.oldest,
        dropped=one.dropped,
        kept=one.kept,
        **late,
    )


def _all(ops: Engine, retention: Retention, mode: RetentionMode) -> Iterator[Expired]:
    from ops_pipeline.orchestration.instance import configured_instance

    last = last_complete_day()
    is_ours = environment.value(Name.OPS_EVENTS_RELATION) == Name.OPS_EVENTS_RELATION.default
    if retention.events_days is not None and is_ours and not environment.value(Name.OPS_EVENTS_DSN):
        yield _events(ops, retention.events_days, _start(last, retention.events_days), mode)
    if retention.counts_days is not None:
        yield _counts(ops, retention.counts_days, _start(last, retention.counts_days), mode)
    if retention.runs_days is not None:
        with configured_instance() as instance:
            yield _runs(instance, ops, retention.runs_days, _start(last, retention.runs_days), mode)


def _start(last: date, days: int) -> date:
    start = first_kept(last, days)
    if start is None:
        raise OpsError(Reason.INTERNAL_ERROR)
    return start


def _events(ops: Engine, keep_days: int, start: date, mode: RetentionMode) -> Expired:
    with reading(ops) as connection:
        expired = [day for day in partitions.partitioned_days(connection) if day < start]
        late = partitions.late_events(connection, start)
    drops: dict[date, DropResult] = {}
    is_dry = mode is RetentionMode.DRY_RUN
    for day in expired:
        # Day by day, so that those that went before are not forgotten.
        drop = functools.partial(_drop_day, ops, day, is_dry=is_dry)
        drops[day] = drop() if is_dry else retried(drop)
    if mode is RetentionMode.APPLY:
        with writing(ops) as connection:
            partitions.ensure_partitions(connection, partitions.partition_days())
    kept = [day for day, drop in drops.items() if drop is DropResult.NOT_COUNTED]
    return Expired(
        kind=Expirable.EVENTS,
        keep_days=keep_days,
        expired=len(expired),
        oldest=min(kept or expired, default=None),
        dropped=sum(drop is DropResult.DROPPED for drop in drops.values()),
        kept=len(kept),
        late=late,
    )


def _drop_day(ops: Engine, day: date, *, is_dry: bool) -> DropResult:
    with writing(ops) as connection:
        lock_days(connection)
        return partitions.drop_partition(connection, day, is_dry=is_dry)


def _counts(ops: Engine, keep_days: int, start: date, mode: RetentionMode) -> Expired:
    with writing(ops) as connection:
        lock_days(connection)
        expired = days_before(connection, start)
        dropped = delete_days_before(connection, start) if mode is RetentionMode.APPLY else 0
    return Expired(
        kind=Expirable.COUNTS,
        keep_days=keep_days,
        expired=len(expired),
        oldest=min(expired, default=None),
        dropped=dropped,
    )


def _runs(instance: dg.DagsterInstance, ops: Engine, keep_days: int, start: date, mode: RetentionMode) -> Expired:
    expired = list(_own_runs(instance, start))
    dropped = 0
    while mode is RetentionMode.APPLY and (runs := expired[dropped : dropped + _RUNS_AT_ONCE]):
        # Before the runs go: whatever interrupts this, no day looks as if it had never been done.
        _keep_shown(instance, ops, {run.partition for run in runs if run.partition}, start)
        for run in runs:
            instance.delete_run(run.run_id)
        dropped += len(runs)
    return Expired(
        kind=Expirable.RUNS,
        keep_days=keep_days,
        expired=len(expired),
        oldest=expired[0].created if expired else None,
        dropped=dropped,
    )


@dataclass(frozen=True, slots=True)
class _Run:
    run_id: str
    partition: str | None
    created: date


def _own_runs(instance: dg.DagsterInstance, start: date) -> Iterator[_Run]:
    """Yield our finished runs from before `start`, oldest first: not those of other code locations."""
    old = dg.RunsFilter(statuses=_FINISHED, created_before=start_of(start))
    cursor = None
    while records := instance.get_run_records(old, limit=_RUNS_AT_ONCE, cursor=cursor, ascending=True):
        for record in records:
            run = record.dagster_run
            if is_own_run(run):
                yield _Run(run.run_id, run.tags.get(_PARTITION), record.create_timestamp.date())
        cursor = records[-1].dagster_run.run_id


def _keep_shown(instance: dg.DagsterInstance, ops: Engine, days: set[str], start: date) -> None:
    """Let Dagster show days as done without a run, unless a run that stays has done them."""
    verdicts = []
    with reading(ops) as connection:
        for day in sorted(days):
            stays = dg.RunsFilter(tags={_PARTITION: day}, created_after=start_of(start))
            verdict = read_verdict(connection, date.fromisoformat(day))
            if verdict is not None and not instance.get_runs(stays, limit=1):
                verdicts.append(verdict)
    show_days(instance, verdicts)
