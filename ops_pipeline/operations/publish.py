"""A day is published as a whole: its counts, figures and verdict change together, in one transaction."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection, Engine

from ops_pipeline.contract.config import Config
from ops_pipeline.contract.days import ONE_DAY, check_askable, last_complete_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.waits import retried
from ops_pipeline.events.rollup import Compared, RolledUp, compare_counted, roll_up, uncounted_days
from ops_pipeline.health.alerts import with_mutes
from ops_pipeline.health.counts import DayCounts
from ops_pipeline.health.metrics import Metrics, compute_metrics
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.health.watchdog import evaluate_range, history_start
from ops_pipeline.operations.alerts import note_late, note_news
from ops_pipeline.store.daily_counts import lock_days, read_days
from ops_pipeline.store.day_faults import replace_day_faults
from ops_pipeline.store.engine import writing
from ops_pipeline.store.progress import judged_days
from ops_pipeline.store.results import (
    publish_segments,
    read_verdict,
    read_verdicts,
    write_metrics,
    write_verdict,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class EventsSource:
    """Where the events are."""

    engine: Engine
    relation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What was stored of some days."""

    metrics: dict[date, Metrics]
    verdicts: dict[date, Verdict]
    counts: list[DayCounts]
    """The counts of these days and of the days before that they look back on, oldest first."""
    rolled_up: RolledUp
    """What counting the events did; empty where they were not counted."""


def count_and_publish(
    ops: Engine,
    source: EventsSource,
    days: Sequence[date],
    *,
    first_day: date,
    config: Config,
    tells: bool = True,
    accepts_shrink: bool = False,
) -> Published:
    """Count the events of `days`, and publish these days.

    The days before that were never counted and that the figures look back on are counted too. With the last complete
    day, days whose events have changed since they were counted are counted again. With `tells`, all days from the
    first that changed on are published again, and people are told of them. Raises OpsError `day_before_first` or
    `day_not_complete`, and as `roll_up` does.
    """
    for day in (min(days), max(days)):
        check_askable(day, first=first_day)

    def work() -> Published:
        with writing(ops) as connection:
            # Before the events are read: of two at once, the later one writes what it read later.
            lock_days(connection)
            wanted = set(uncounted_days(connection, days, first_day=first_day))
            compared = Compared((), (), {})
            if max(days) == last_complete_day():
                compared = compare_counted(
                    connection, source.engine, source.relation, max(days), first_day=first_day, config=config
                )
            changed = set(compared.changed) - wanted
            rolled_up = roll_up(
                connection,
                source.engine,
                source.relation,
                sorted(wanted | changed),
                config=config,
                asked=days,
                accepts_shrink=accepts_shrink,
            )
            faults = {day: fault for day, fault in compared.faults.items() if day not in wanted - {max(days)}}
            faults |= rolled_up.faults
            replace_day_faults(connection, wanted.union(compared.days), faults)
            uncounted = {day for day in days if day in rolled_up.faults and day not in rolled_up.kept}
            if uncounted == set(days):
                reason, _ = rolled_up.faults[min(days)]
                raise OpsError(reason, day=min(days))
            again = _judged_again(connection, rolled_up.changed) if tells else set()
            published = sorted({*days, *again} - uncounted)
            return _publish(connection, published, config, rolled_up, tells=tells)

    return retried(work)


def publish(ops: Engine, days: Sequence[date], *, config: Config) -> Published:
    """Publish `days` from their stored counts. Raises OpsError `not_counted` for a day that has none."""

    def work() -> Published:
        with writing(ops) as connection:
            lock_days(connection)
            return _publish(connection, days, config, RolledUp((), (), 0), tells=True)

    return retried(work)


def _judged_again(connection: Connection, changed: Collection[date]) -> set[date]:
    """Return the days from the first of `changed` on that were judged: what is said of them depends on it."""
    return judged_days(connection, min(changed), date.max) if changed else set()


def _publish(
    connection: Connection, days: Sequence[date], config: Config, rolled_up: RolledUp, *, tells: bool
) -> Published:
    first, last = min(days), max(days)
    before = read_verdict(connection, first - ONE_DAY)
    # Where the day before was never judged, episodes are followed from the first day.
    # A verdict's history reaches further back than any window that is reported.
    counts = read_days(connection, date.min if before is None else history_start(first), last)
    if not set(days) <= {one.day for one in counts}:
        raise OpsError(Reason.NOT_COUNTED)
    found = evaluate_range(counts, first, last, config.thresholds, before)
    judged = {verdict.as_of: with_mutes(verdict, config.alerts) for verdict in found}
    before_days = {one.as_of: one for one in read_verdicts(connection, first, last)}
    metrics, verdicts = {}, {}
    for day in sorted(days):
        recent = [one for one in counts if day - max(config.windows.days) * ONE_DAY < one.day <= day]
        segments = publish_segments(connection, day, config.privacy, config.taxonomy.segments)
        metrics[day] = compute_metrics(recent, day, config.windows.days, segments)
        write_metrics(connection, metrics[day])
        verdicts[day] = write_verdict(connection, judged[day])
    if tells:
        note_late(connection, config, before_days, verdicts, counts)
    note_news(connection, config, yesterday=last_complete_day(), counts=counts)
    return Published(metrics=metrics, verdicts=verdicts, counts=counts, rolled_up=rolled_up)
