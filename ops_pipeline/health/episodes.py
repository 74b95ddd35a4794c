"""Episodes: from a status a day to when the present trouble began, and to the days on which something changed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, Status
from ops_pipeline.health.verdict import WORST_FIRST

RECOVERY_DAYS = 2
"""Healthy days in a row that end an episode; a day that could not be judged is no proof of anything."""


Day = TypeVar("Day")


@dataclass(frozen=True, slots=True)
class Phase(Generic[Day]):
    """Where a day stands in an episode."""

    since: Day | None
    """First day of the present episode, recovery included; None: there is none."""
    change: Change


def phases(days: Iterable[tuple[Day, Status, Reason]]) -> Iterator[Phase[Day]]:
    """Yield the phase of each day; `days` are in order, without gaps.

    An episode begins with an unhealthy day and ends with the second healthy day in a row.
    """
    since: Day | None = None
    worst, quiet = len(WORST_FIRST), 0
    for day, status, reason in days:
        change, shown = Change.NONE, since
        if status is Status.UNHEALTHY:
            rank = WORST_FIRST.index(reason)
            if since is None:
                since, change = day, Change.OPENED
            elif rank < worst:
                change = Change.WORSENED
            worst, quiet, shown = min(worst, rank), 0, since
        elif since is not None and status is Status.HEALTHY:
            quiet += 1
            if quiet == RECOVERY_DAYS:
                since, worst, quiet, change = None, len(WORST_FIRST), 0, Change.RECOVERED
        yield Phase(shown, change)
