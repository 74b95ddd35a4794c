"""Many past days at once: counted in few statements, judged together, shown in Dagster as if each had had its run."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import dagster as dg
from sqlalchemy import Engine

from ops_pipeline.contract.config import Config, Links
from ops_pipeline.contract.days import ONE_DAY, Days, each_day
from ops_pipeline.contract.environment import first_kept_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.contract.waits import retried
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.operations.publish import EventsSource, count_and_publish
from ops_pipeline.orchestration.assets import daily_counts
from ops_pipeline.orchestration.checks import Judged, check_results
from ops_pipeline.orchestration.jobs import RESULTS
from ops_pipeline.store.engine import reading
from ops_pipeline.store.progress import judged_days

CHUNK_DAYS = 31
"""Days that are done together: what an interruption costs at most."""


@dataclass(frozen=True, slots=True)
class Filled:
    """What was done with some days in a row."""

    first: date
    last: date
    days: int
    """Days that were done; the others had been done before."""
    events: int
    """Events of the days that were counted."""
    kept: int
    """Days whose counts were kept: their events are gone, or far fewer than were counted."""
    unhealthy: int
    """Days that are unhealthy."""
    uncounted: int = 0
    """Days that could not be counted, such as for one bad row; they are noted."""


def backfill(
    instance: dg.DagsterInstance,
    ops: Engine,
    source: EventsSource,
    first: date,
    last: date,
    config: Config,
    *,
    again: bool = False,
    accepts_shrink: bool = False,
) -> Iterator[Filled]:
    """Count and judge the days from `first` to `last`, oldest first, some weeks at a time.

    Days that were done before are left as they are unless `again`. What was yielded stays done, whatever happens to
    the rest. Nobody is alerted about the past: see the sensor `alerts`.
    """
    start = first
    while start <= last:
        stop = min(start + timedelta(days=CHUNK_DAYS - 1), last)
        wanted = list(each_day(start, stop)) if again else _undone(instance, ops, start, stop)
        yield _fill(instance, ops, source, Days(start, stop), wanted, config, accepts_shrink=accepts_shrink)
        start = stop + ONE_DAY


def _undone(instance: dg.DagsterInstance, ops: Engine, first: date, last: date) -> list[date]:
    shown = set.intersection(*(instance.get_materialized_partitions(asset.key) for asset in (daily_counts, *RESULTS)))
    with reading(ops) as connection:
        judged = judged_days(connection, first, last)
    return [day for day in each_day(first, last) if day not in judged or day.isoformat() not in shown]


def _fill(
    instance: dg.DagsterInstance,
    ops: Engine,
    source: EventsSource,
    span: Days,
    wanted: list[date],
    config: Config,
    *,
    accepts_shrink: bool,
) -> Filled:
    first, last = span.first, span.last
    if not wanted:
        return Filled(first, last, days=0, events=0, kept=0, unhealthy=0)
    published = count_and_publish(
        ops,
        source,
        wanted,
        first_day=first_kept_day(),
        config=config,
        tells=False,
        accepts_shrink=accepts_shrink,
    )
    verdicts = list(published.verdicts.values())
    retried(lambda: show_days(instance, verdicts))
    return Filled(
        first,
        last,
        days=len(verdicts),
        uncounted=len(set(wanted) - published.verdicts.keys()),
        events=published.rolled_up.events,
        kept=len(published.rolled_up.kept),
        unhealthy=sum(verdict.status is Status.UNHEALTHY for verdict in verdicts),
    )


def show_days(instance: dg.DagsterInstance, verdicts: list[Verdict]) -> None:
    """Let Dagster show each day as materialised, with the results of its checks, and no run."""
    for verdict in verdicts:
        partition = verdict.as_of.isoformat()
        for asset in (daily_counts, *RESULTS):
            instance.report_runless_asset_event(dg.AssetMaterialization(asset.key, partition=partition))
        for result in check_results(Judged(verdict, {}, Links())):
            instance.report_runless_asset_event(_evaluation(result, partition))


def _evaluation(result: dg.AssetCheckResult, partition: str) -> dg.AssetCheckEvaluation:
    """Return the result as Dagster stores it outside a run: without figures, which the tables have."""
    if result.asset_key is None or result.check_name is None:
        raise OpsError(Reason.INTERNAL_ERROR)
    return dg.AssetCheckEvaluation(
        asset_key=result.asset_key,
        check_name=result.check_name,
        passed=result.passed,
        severity=result.severity,
        partition=partition,
    )
