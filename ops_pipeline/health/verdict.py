"""What the watchdog says: a status and reason for the whole, and the same for each signal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, Scope, SignalName, Status


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that was watched, with all that is needed to check it by hand."""

    touch: Scope
    name: SignalName
    status: Status
    reason: Reason
    window_days: int
    """Days, ending with the day in question, that x, n and expected are about."""
    n: int
    """Trials: the rate's denominator. For `delivered`: days of history. For the others: events looked at."""
    x: int
    """Events counted: the rate's numerator, deliveries, leaks, or events that cannot be right."""
    rate: float | None = None
    """x / n as a fraction of 1, for rates with a denominator."""
    expected: float | None = None
    """What history leads one to expect: the rate, or the deliveries in the window. None: nothing was learned yet."""
    critical: float | None = None
    """The rate from which this window would be unhealthy by history; None: none would."""
    limit: float | None = None
    """The configured limit, as a fraction of 1."""
    bound: float | None = None
    """The Wilson bound of the rate that is held against the limit."""
    sees: float | None = None
    """The smallest multiple of the expected value that this volume shows with the configured power (while nothing is
    expected, of the limit); of what is bad when low, the largest. None: no multiple would show."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for the day `as_of`."""

    as_of: date
    status: Status
    reason: Reason
    """The worst reason; where nothing is unhealthy, why the whole is healthy or cannot be judged."""
    signals: tuple[Signal, ...]
    since: date | None = None
    """First day of the present episode; on the day of the recovery, of the one that ends. None: there is none."""
    change: Change = Change.NONE
    was: Status | None = None
    """What was said of this day before, where late data made it something else."""

    @property
    def unhealthy_reasons(self) -> tuple[Reason, ...]:
        """Every distinct reason of an unhealthy signal, the worst first."""
        found = {signal.reason for signal in self.signals if signal.status is Status.UNHEALTHY}
        return tuple(reason for reason in WORST_FIRST if reason in found)


WORST_FIRST = (
    Reason.IDENTITY_LEAK,
    Reason.TRAFFIC_STOPPED,
    Reason.HOLD_RATE_LIMIT,
    Reason.SUPPRESSION_RATE_LIMIT,
    Reason.FAILURE_RATE_LIMIT,
    Reason.POSITIVE_RATE_LIMIT,
    Reason.HOLD_RATE_HIGH,
    Reason.SUPPRESSION_RATE_HIGH,
    Reason.FAILURE_RATE_HIGH,
    Reason.POSITIVE_RATE_LOW,
    Reason.DELIVERED_LOW,
    Reason.FUNNEL_BROKEN,
    Reason.LABELS_UNUSABLE,
    Reason.NOT_A_SEGMENT,
)
"""The fixed priority of unhealthy reasons."""
