"""What is past its date: event partitions, counts and runs. Each day and each run goes whole, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from sqlalchemy import Engine

from ops_pipeline.contract import environment
from ops_pipeline.contract.config import Retention, first_kept
from ops_pipeline.contract.days import last_complete_day, start_of
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.words import Label
from ops_pipeline.orchestration.backfill import show_days
from ops_pipeline.store import partitions
from ops_pipeline.store.daily_counts import lock_days
from ops_pipeline.store.engine import ops_engine, reading, writing
from ops_pipeline.store.partitions import Drop
from ops_pipeline.store.results import days_before, delete_days_before, read_verdict

_PARTITION = "dagster/partition"
_RUNS_AT_ONCE = 100


class Kind(StrEnum):
    """What is kept for a time."""

    EVENTS = "events"
    COUNTS = "counts"
    RUNS = "runs"


class Mode(StrEnum):
    """Whether it is only said, or done."""

    DRY_RUN = "dry_run"
    APPLY = "apply"


@dataclass(frozen=True, slots=True, kw_only=True)
class Past:
    """What is past its date, of one kind."""

    kind: Kind
    keep_days: int
    past: int = 0
    """Days past their date; of runs, runs."""
    oldest: date | None = None
    dropped: int = 0
    held: int = 0
    """Days that were kept because they hold events that are not in the daily counts."""
    late: int | None = None
    """Events of days past their date that came in after the day was dropped: they are left to you."""


def retain(mode: Mode) -> Iterator[Line]:
    """Yield a line for each kind that has a date, then the whole; whatever was yielded stays done.

    Raises OpsError `no_retention` where nothing is configured, `not_rolled_up` where a day had to be kept.
    """
    retention = environment.config().retention
    if not retention.is_set:
        raise OpsError(Reason.NO_RETENTION)
    found = []
    for past in _all(ops_engine(), retention, mode):
        found.append(past)
        yield _line(past)
    held = [past for past in found if past.held]
    if held:
        raise OpsError(Reason.NOT_ROLLED_UP, days=sum(past.held for past in held), oldest=held[0].oldest)
    by_kind = {past.kind: past for past in found}
    dropped = {past.kind: past.dropped for past in found}
    yield Line(
        LineName.RETENTION,
        status=Label("ok"),
        mode=mode,
        dropped=dropped.get(Kind.EVENTS, 0),
        kept_days=by_kind[Kind.EVENTS].keep_days if Kind.EVENTS in by_kind else None,
        counts=dropped.get(Kind.COUNTS, 0),
        runs=dropped.get(Kind.RUNS, 0),
    )


def _line(past: Past) -> Line:
    late = {} if past.late is None else {"late": past.late}
    return Line(
        LineName.RETENTION_PAST,
        kind=past.kind,
        keep_days=past.keep_days,
        past=past.past,
        oldest=past.oldest,
        dropped=past.dropped,
        held=past.held,
        **late,
    )


def _all(ops: Engine, retention: Retention, mode: Mode) -> Iterator[Past]:
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


def _events(ops: Engine, keep_days: int, start: date, mode: Mode) -> Past:
    with reading(ops) as connection:
        past = [day for day in partitions.partitioned_days(connection) if day < start]
        late = partitions.late_events(connection, start)
    drops: dict[date, Drop] = {}
    for day in past:
        with writing(ops) as connection:
            lock_days(connection)
            drops[day] = partitions.drop_partition(connection, day, is_dry=mode is Mode.DRY_RUN)
    if mode is Mode.APPLY:
        with writing(ops) as connection:
            partitions.ensure_partitions(connection, partitions.partition_days())
    held = [day for day, drop in drops.items() if drop is Drop.HELD]
    return Past(
        kind=Kind.EVENTS,
        keep_days=keep_days,
        past=len(past),
        oldest=min(held or past, default=None),
        dropped=sum(drop is Drop.DROPPED for drop in drops.values()),
        held=len(held),
        late=late,
    )


def _counts(ops: Engine, keep_days: int, start: date, mode: Mode) -> Past:
    with writing(ops) as connection:
        lock_days(connection)
        past = days_before(connection, start)
        dropped = delete_days_before(connection, start) if mode is Mode.APPLY else 0
    return Past(
        kind=Kind.COUNTS, keep_days=keep_days, past=len(past), oldest=min(past, default=None), dropped=dropped
    )


def _runs(instance: dg.DagsterInstance, ops: Engine, keep_days: int, start: date, mode: Mode) -> Past:
    old = dg.RunsFilter(statuses=FINISHED_STATUSES, created_before=start_of(start))
    past = instance.get_runs_count(old)
    oldest = instance.get_run_records(old, limit=1, ascending=True)
    dropped = 0
    while mode is Mode.APPLY and (records := instance.get_run_records(old, limit=_RUNS_AT_ONCE, ascending=True)):
        runs = [record.dagster_run for record in records]
        # Before the runs go: whatever interrupts this, no day looks as if it had never been done.
        _keep_shown(instance, ops, {run.tags[_PARTITION] for run in runs if _PARTITION in run.tags}, start)
        for run in runs:
            instance.delete_run(run.run_id)
        dropped += len(runs)
    return Past(
        kind=Kind.RUNS,
        keep_days=keep_days,
        past=past,
        oldest=oldest[0].create_timestamp.date() if oldest else None,
        dropped=dropped,
    )


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
