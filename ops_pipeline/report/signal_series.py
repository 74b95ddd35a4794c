"""What pages show of one thing that is watched, over many days: its signals and their chart."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from markupsafe import Markup

from ops_pipeline.contract.rates import RATE_OF, RATES
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Scope, SignalName, Status, Touch
from ops_pipeline.health.verdict import Signal, Verdict
from ops_pipeline.report.charts import deliveries_chart, expected_of_a_day, is_drawn, rate_chart


@dataclass(frozen=True, slots=True)
class Series:
    """One signal of one touch on the days that have it, oldest first."""

    touch: Scope
    name: SignalName
    days: Sequence[date]
    signals: Mapping[date, Signal]

    @property
    def is_low_bad(self) -> bool:
        """Whether it is unhealthy when it is low."""
        return self.name in RATE_OF and RATE_OF[self.name].is_low_bad

    @property
    def latest(self) -> Signal | None:
        """What was found on the last of the days."""
        return self.signals.get(self.days[-1])

    @property
    def has_events(self) -> bool:
        """Whether there is a rate on any day."""
        return any(signal.rate is not None for signal in self.signals.values())

    @property
    def unhealthy_days(self) -> int:
        """On how many days it was unhealthy."""
        return sum(signal.status is Status.UNHEALTHY for signal in self.signals.values())

    @property
    def planned_days(self) -> int:
        """On how many days something was planned."""
        return sum(signal.reason is Reason.PLANNED for signal in self.signals.values())

    @property
    def has_far_limit(self) -> bool:
        """Whether the present limit lies beyond what is drawn."""
        limit = self.latest.limit if self.latest else None
        return limit is not None and not is_drawn(limit, list(self.signals.values()), is_low_bad=self.is_low_bad)

    @property
    def chart(self) -> Markup:
        """The rate of each day with what was expected."""
        return rate_chart(self.days, self.signals, is_low_bad=self.is_low_bad)


@dataclass(frozen=True, slots=True)
class Deliveries:
    """The deliveries of one touch on each day, beside what was expected of it."""

    series: Series
    delivered: Mapping[date, int]
    """Deliveries of each day that was counted."""

    @property
    def chart(self) -> Markup:
        """The deliveries of each day with what was expected."""
        return deliveries_chart(self.series.days, self.delivered, self.series.signals)

    def expected(self, day: date) -> float | None:
        """Return what a day was expected to bring, on average where the decisive window has several."""
        return expected_of_a_day(self.series.signals.get(day))


def signal_series(
    days: Sequence[date], verdicts: Mapping[date, Verdict], touch: Touch | Scope, name: SignalName
) -> Series:
    """Return one signal of one touch on the days that have a verdict."""
    found = {
        day: signal
        for day, verdict in sorted(verdicts.items())
        for signal in verdict.signals
        if signal.name is name and signal.touch.value == touch.value
    }
    return Series(Scope(touch), name, days, found)


def all_rate_series(days: Sequence[date], verdicts: Mapping[date, Verdict]) -> list[Series]:
    """Return every rate of every touch: signal by signal, so that touches stand side by side."""
    return [signal_series(days, verdicts, touch, rate.name) for rate in RATES for touch in Touch]
