"""A breakdown by segment of which no small cell can be computed, not even from what was published before.

Small cells are folded into `other`, and the next smallest with them where `other` alone would give one away
(complementary cell suppression: L. H. Cox, "Suppression methodology and statistical disclosure control", JASA 75,
1980). Totals are published exactly; so only one outcome is broken down, by whole days, or differences would tell.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Breakdown:
    """What is published of one touch on one day."""

    total: int
    """All events, exactly."""
    by_segment: Mapping[str, int]
    """Events of the segments that may be named; the others are `total` minus their sum."""

    @property
    def other(self) -> int:
        """Events of all segments that are not named, and of none."""
        return self.total - sum(self.by_segment.values())


def break_down(cells: Mapping[str, int], total: int, min_cell: int, before: Breakdown | None = None) -> Breakdown:
    """Return what may be published of `cells` (events of each declared segment, 0 included).

    Where something was published `before`, a figure changes only if its difference and what remains of all
    differences are no small cells either; what was folded stays folded.
    """
    if before is None:
        shown = {name: events for name, events in cells.items() if events >= min_cell}
    else:
        shown = _restated(cells, total, min_cell, before)
    while shown and total - sum(shown.values()) < min_cell:
        del shown[min(shown, key=lambda name: (shown[name], name))]
    return Breakdown(total, shown)


def _restated(cells: Mapping[str, int], total: int, min_cell: int, before: Breakdown) -> dict[str, int]:
    shown = {name: events for name, events in before.by_segment.items() if name in cells}
    changes = {name: cells[name] - events for name, events in shown.items() if cells[name] >= min_cell}
    changes = {name: change for name, change in changes.items() if abs(change) >= min_cell}
    left = total - sum(shown.values())
    # What is left of all events, and what is left of all changes.
    while changes and min(left - sum(changes.values()), abs(left - before.other - sum(changes.values()))) < min_cell:
        del changes[min(changes, key=lambda name: (abs(changes[name]), name))]
    return {name: events + changes.get(name, 0) for name, events in shown.items()}
