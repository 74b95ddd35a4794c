"""What a report shows: everything that is stored of some days, read in one transaction."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import Connection

from ops_pipeline.contract.days import ONE_DAY, each_day
from ops_pipeline.health.counts import DayCounts
from ops_pipeline.health.metrics import Metrics
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.store.daily_counts import read_days
from ops_pipeline.store.day_faults import Fault, read_faults
from ops_pipeline.store.results import read_metrics, read_verdicts


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportData:
    """What is stored of the UTC days from `first` to `as_of`."""

    first: date
    as_of: date
    verdicts: Mapping[date, Verdict]
    """What was said of each day; a day that was not judged is not there."""
    counts: Mapping[date, DayCounts]
    """The counts of each day, over all segments; a day that was never counted is not there."""
    metrics: Metrics | None
    """The figures of `as_of`; None: they were never computed."""
    faults: Sequence[Fault] = ()
    """What is wrong with days up to `as_of`, also with those before `first`."""

    @property
    def days(self) -> tuple[date, ...]:
        """Every day, oldest first."""
        return tuple(each_day(self.first, self.as_of))

    @property
    def verdict(self) -> Verdict | None:
        """What was said of `as_of`."""
        return self.verdicts.get(self.as_of)


def read_report_data(connection: Connection, as_of: date, days: int, *, first_day: date) -> ReportData:
    """Return what is stored of the `days` days that end with `as_of`, as far as they are not before `first_day`."""
    first = min(as_of, max(first_day, as_of - (days - 1) * ONE_DAY))
    return ReportData(
        first=first,
        as_of=as_of,
        verdicts={verdict.as_of: verdict for verdict in read_verdicts(connection, first, as_of)},
        counts={day.day: day for day in read_days(connection, first, as_of)},
        metrics=read_metrics(connection, as_of),
        faults=read_faults(connection, first_day, as_of),
    )
