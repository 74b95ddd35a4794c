"""What the watchdog says: a status and reason for the whole, and the same for each signal."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Scope


class Status(StrEnum):
    """The answer: delivery is healthy, unhealthy, or there is too little data to say."""

    HEALTHY = "healthy"
    INSUFFICIENT_DATA = "insufficient_data"
    UNHEALTHY = "unhealthy"


class SignalName(StrEnum):
    """What is watched."""

    IDENTITY_LEAK = "identity_leak"
    DELIVERED = "delivered"
    HOLD_RATE = "hold_rate"
    SUPPRESSION_RATE = "suppression_rate"
    FAILURE_RATE = "failure_rate"
    POSITIVE_RATE = "positive_rate"


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """One thing that was watched, with all that is needed to check it by hand."""

    touch: Scope
    name: SignalName
    status: Status
    reason: Reason
    window_days: int
    n: int
    """Trials: the rate's denominator. For `delivered`: days of history. For `identity_leak`: held and disabled."""
    x: int
    """Events counted: the rate's numerator, deliveries, or leaks."""
    rate: float | None = None
    """x / n as a fraction of 1, for rates with a denominator."""
    expected: float | None = None
    """What history leads one to expect: deliveries in the window, for `delivered`."""
    limit: float | None = None
    """The configured limit, as a fraction of 1."""
    bound: float | None = None
    """The Wilson bound of the rate that is held against the limit."""
    sees: float | None = None
    """The multiple of the limit that this volume shows with the configured power; None where none would do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The answer for the day `as_of`."""

    as_of: date
    status: Status
    reason: Reason
    """The worst reason; where nothing is unhealthy, why the whole is healthy or cannot be judged."""
    signals: tuple[Signal, ...]

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
)
"""The fixed priority of unhealthy reasons."""
