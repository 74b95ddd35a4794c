"""The rates that are watched, each defined once: what it counts, of what, which side is bad, and its words.

Configuration, figures, verdicts, tables, lines, checks and samples follow from this table.
"""

from __future__ import annotations

from dataclasses import dataclass

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import ATTEMPTS, POSITIVE, Outcome, SignalName

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A rate: events of one kind as a share of others, over the same days."""

    name: SignalName
    count: str
    """The figure above the line: an outcome, or `positive`."""
    total: tuple[str, ...]
    """The figures below the line, which are added: outcomes, or `attempts`."""
    outcome: Outcome
    """The outcome whose reasons explain the rate."""
    is_low_bad: bool = False
    """Whether a low rate is bad; otherwise a high one is."""
    limit: float | None
    """The limit that holds unless another one is configured. None: none."""
    limit_reason: Reason
    """What is said of a rate beyond its limit."""
    history_reason: Reason
    """What is said of a rate that earlier weeks do not explain."""
    asset: str
    """The Dagster asset that its check belongs to; the second touch's belongs to the summaries."""
    question: str
    """What its check asks, with `{touch}` in it."""
    said: str
    """What a message says of its events after a percentage: 81.9 % held."""

    @property
    def formula(self) -> str:
        """How it is computed, in the words of the contract."""
        total = " + ".join(self.total)
        return f"{self.count} / ({total})" if len(self.total) > 1 else f"{self.count} / {total}"

    def value(self, figures: Mapping[str, int]) -> float | None:
        """Return the rate as a fraction of 1; None where the total is 0."""
        return ratio(figures[self.count], sum(figures[name] for name in self.total))


def ratio(count: int, total: int) -> float | None:
    """Return count / total, or None where the total is 0."""
    return count / total if total else None


RATES = (
    Rate(
        name=SignalName.HOLD_RATE,
        count=Outcome.HELD,
        total=(ATTEMPTS,),
        outcome=Outcome.HELD,
        limit=0.35,
        limit_reason=Reason.HOLD_RATE_LIMIT,
        history_reason=Reason.HOLD_RATE_HIGH,
        asset="hold_suppression_rates",
        question="Is the share of {touch}-touch attempts that are held as usual, and within its limit?",
        said="held",
    ),
    Rate(
        name=SignalName.SUPPRESSION_RATE,
        count=Outcome.SUPPRESSED,
        total=(Outcome.OFFERED, Outcome.SUPPRESSED),
        outcome=Outcome.SUPPRESSED,
        limit=0.60,
        limit_reason=Reason.SUPPRESSION_RATE_LIMIT,
        history_reason=Reason.SUPPRESSION_RATE_HIGH,
        asset="hold_suppression_rates",
        question="Is the share of suppressed {touch}-touch offers as usual, and within its limit?",
        said="suppressed",
    ),
    Rate(
        name=SignalName.FAILURE_RATE,
        count=Outcome.FAILED,
        total=(Outcome.DELIVERED, Outcome.FAILED),
        outcome=Outcome.FAILED,
        limit=None,
        limit_reason=Reason.FAILURE_RATE_LIMIT,
        history_reason=Reason.FAILURE_RATE_HIGH,
        asset="hold_suppression_rates",
        question="Is the share of {touch}-touch sends that fail as usual, and within its limit?",
        said="failed",
    ),
    Rate(
        name=SignalName.POSITIVE_RATE,
        count=POSITIVE,
        total=(Outcome.DELIVERED,),
        outcome=Outcome.ACKNOWLEDGED,
        is_low_bad=True,
        limit=0.20,
        limit_reason=Reason.POSITIVE_RATE_LIMIT,
        history_reason=Reason.POSITIVE_RATE_LOW,
        asset="delivered_totals",
        question="Are there as many positive reactions per {touch}-touch delivery as usual, and enough?",
        said="reacted positively",
    ),
)
"""Every rate, in the order in which lines, tables and pages have them."""

RATE_OF = {rate.name: rate for rate in RATES}
"""The rates by their names."""
