"""What the watchdog says: a status and reason for the whole, and the same for each signal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ops_pipeline.contract.rates import RATES
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, Scope, SignalName, Status
from ops_pipeline.health.episodes import Episodes, Key, OpenEpisode


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that was watched, with all that is needed to check it by hand."""

    touch: Scope
    name: SignalName
    status: Status
    reason: Reason
    window_days: int
    """Days, ending with the day in question, that count, total and expected are about."""
    count: int
    """Events counted: of a rate what stands above the line, deliveries, leaks, or events that cannot be right."""
    total: int | None = None
    """Events that it is a share of; of signals about the data, events looked at. None: deliveries are no share."""
    rate: float | None = None
    """count / total as a fraction of 1, for rates with a total."""
    expected: float | None = None
    """What history leads one to expect: the rate, or the deliveries in the window. None: nothing was learned yet."""
    critical: float | None = None
    """The rate from which this window would be unhealthy by history; None: none would."""
    limit: float | None = None
    """The configured limit, as a fraction of 1."""
    bound: float | None = None
    """The Wilson bound of the rate that is held against the limit."""
    history_days: int | None = None
    """Days of history that `expected` was learned from. None: the signal learns nothing."""
    min_detectable: float | None = None
    """The smallest multiple of the expected value that this volume shows with the configured power (while nothing is
    expected, of the limit); of what is bad when low, the largest. None: no multiple would show."""
    since: date | None = None
    """First day of its present episode; on the day of the recovery, of the one that ends. None: there is none."""
    change: Change = Change.NONE
    episode: OpenEpisode | None = None
    """What the next day's verdict goes on from; None: no episode is open."""
    muted_until: date | None = None
    """The last day on which nobody is told of it; None: it is not muted."""

    @property
    def key(self) -> Key:
        """Its touch and name."""
        return self.touch, self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for the day `as_of`."""

    as_of: date
    status: Status
    reason: Reason
    """The worst reason; where nothing is unhealthy, why the whole is healthy or cannot be judged."""
    signals: tuple[Signal, ...]
    since: date | None = None
    """First day since which some signal has had an episode; on the day of the recovery, of the one that ends. None:
    there is none."""
    change: Change = Change.NONE
    previous_status: Status | None = None
    """The status that this day had before, where late data made it another one."""

    @property
    def episodes(self) -> Episodes:
        """What is open after this day, for the next one to go on from."""
        found = {signal.key: signal.episode for signal in self.signals if signal.episode is not None}
        return Episodes(self.since if found else None, found)

    @property
    def unhealthy_reasons(self) -> tuple[Reason, ...]:
        """Every distinct reason of an unhealthy signal, the worst first."""
        found = {signal.reason for signal in self.signals if signal.status is Status.UNHEALTHY}
        return tuple(reason for reason in WORST_FIRST if reason in found)


WORST_FIRST = (
    Reason.IDENTITY_LEAK,
    Reason.TRAFFIC_STOPPED,
    *(rate.limit_reason for rate in RATES),
    *(rate.history_reason for rate in RATES),
    Reason.DELIVERED_LOW,
    Reason.FUNNEL_BROKEN,
    Reason.LABELS_UNUSABLE,
    Reason.NOT_A_SEGMENT,
)
"""The fixed priority of unhealthy reasons."""
