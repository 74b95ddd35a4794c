"""What a rule would have said over stored history: days, episodes, and where two rules differ."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, Status
from ops_pipeline.health.counts import DayCounts
from ops_pipeline.health.verdict import WORST_FIRST, Verdict
from ops_pipeline.health.watchdog import evaluate_range

_STEP_DAYS = 28


@dataclass(frozen=True, slots=True)
class Episode:
    """Unhealthy days that belong together."""

    first: date
    last: date
    """Its last unhealthy day."""
    days: int
    """How many unhealthy days it has."""
    reasons: tuple[Reason, ...]
    """Every reason that it had, the worst first."""


def replay(days: Sequence[DayCounts], first: date, last: date, thresholds: Thresholds) -> Iterator[list[Verdict]]:
    """Yield the verdicts of the days from `first` to `last`, some weeks at a time, so that progress can be shown."""
    start, before = first, None
    while start <= last:
        stop = min(start + (_STEP_DAYS - 1) * ONE_DAY, last)
        found = evaluate_range(days, start, stop, thresholds, before)
        yield found
        start, before = stop + ONE_DAY, found[-1]


def days_per_status(verdicts: Sequence[Verdict]) -> dict[Status, int]:
    """Return how many days had each status."""
    found = Counter(verdict.status for verdict in verdicts)
    return {status: found[status] for status in Status}


def episodes(verdicts: Sequence[Verdict]) -> list[Episode]:
    """Return the episodes that have an unhealthy day in `verdicts`, which are of consecutive days."""
    found: list[list[Verdict]] = []
    for verdict in verdicts:
        if verdict.status is Status.UNHEALTHY:
            if verdict.change is Change.OPENED or not found:
                found.append([])
            found[-1].append(verdict)
    return [
        Episode(
            first=one[0].since or one[0].as_of,
            last=one[-1].as_of,
            days=len(one),
            reasons=tuple(
                reason for reason in WORST_FIRST if any(reason in verdict.unhealthy_reasons for verdict in one)
            ),
        )
        for one in found
    ]


def differing(present: Sequence[Verdict], candidate: Sequence[Verdict]) -> list[tuple[Verdict, Verdict]]:
    """Return the days of which the two say something else: another status, or another worst reason."""
    return [
        (before, after)
        for before, after in zip(present, candidate, strict=True)
        if (before.status, before.reason) != (after.status, after.reason)
    ]
