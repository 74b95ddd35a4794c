"""The days up to the one in question as arrays: one value per UTC day, the last day's last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.vocabulary import ATTEMPTS, IDENTITY_LEAK, POSITIVE, Outcome, Reserved, Touch
from ops_pipeline.health.counts import DayCounts

Figures: TypeAlias = NDArray[Any]
"""Numbers; where they are per day, the last axis is the day."""
Mask: TypeAlias = NDArray[Any]
"""Yes or no."""
Positions: TypeAlias = NDArray[Any]
"""Whole numbers: where days stand in the arrays."""

TOUCHES = tuple(Touch)
_OUTCOMES = {outcome: column for column, outcome in enumerate(Outcome)}
_POSITIVE, _ATTEMPTS, _LEAKED, _UNUSABLE, _REASONED = range(len(_OUTCOMES), len(_OUTCOMES) + 5)
_WIDTH = len(_OUTCOMES) + 5
_FIGURES = {
    **{outcome.value: column for outcome, column in _OUTCOMES.items()},
    POSITIVE: _POSITIVE,
    ATTEMPTS: _ATTEMPTS,
}
_UNUSABLE_REASONS = frozenset(Reserved)
LEAKED = frozenset((Outcome.HELD, Outcome.DISABLED))
"""Outcomes whose reason tells of a leaked identity."""


class History:
    """The counts of every UTC day from the first of `days`, or `first`, to `last`; a missing day had no events."""

    def __init__(self, days: Sequence[DayCounts], first: date, last: date) -> None:
        self.first = min((first, *(day.day for day in days)))
        self.size = (last - self.first).days + 1
        per_touch = [[[0] * _WIDTH for _ in range(self.size)] for _ in TOUCHES]
        self.has_wide_segment: Mask = np.zeros(self.size, bool)
        for day in days:
            position = self.position(day.day)
            self.has_wide_segment[position] = day.has_wide_segment
            rows = {touch: per_touch[number][position] for number, touch in enumerate(TOUCHES)}
            for one, row in rows.items():
                row[_ATTEMPTS] = day.attempts(one)[0]
            for (touch, outcome, reason), events in day.counts.items():
                row = rows[touch]  # type: ignore[index]
                row[_OUTCOMES[outcome]] += events  # type: ignore[index]
                if reason is not None:
                    row[_REASONED] += events
                    if reason == POSITIVE and outcome == Outcome.ACKNOWLEDGED:
                        row[_POSITIVE] += events
                    elif reason == IDENTITY_LEAK and outcome in LEAKED:
                        row[_LEAKED] += events
                    elif reason in _UNUSABLE_REASONS:
                        row[_UNUSABLE] += events
        self._counts: Figures = np.array(per_touch, np.float64).transpose(2, 0, 1)
        self.weekdays: Positions = (np.arange(self.size) + self.first.weekday()) % 7

    def position(self, day: date) -> int:
        """Return where `day` stands in the arrays."""
        return (day - self.first).days

    def day(self, position: int) -> date:
        """Return the day at `position`."""
        return self.first + position * ONE_DAY

    def mask(self, first: date, last: date) -> Mask:
        """Return which days lie between the two, inclusive."""
        positions = np.arange(self.size)
        return (positions >= self.position(first)) & (positions <= self.position(last))

    def __getitem__(self, outcome: Outcome) -> Figures:
        """Return n(outcome) as the source logs it, shape (touches, days)."""
        return self._counts[_OUTCOMES[outcome]]

    def figure(self, name: str) -> Figures:
        """Return the figure `name` of a rate, as `WindowCounts.figure` does, shape (touches, days)."""
        return self._counts[_FIGURES[name]]

    @property
    def leaked(self) -> Figures:
        """Held or disabled because an identity leaked, shape (touches, days)."""
        return self._counts[_LEAKED]

    @property
    def unusable(self) -> Figures:
        """Events whose reason is one of the rollup's own words, shape (touches, days)."""
        return self._counts[_UNUSABLE]

    @property
    def reasoned(self) -> Figures:
        """Events with a reason, shape (touches, days)."""
        return self._counts[_REASONED]


def sums(figures: Figures, window_days: int) -> Figures:
    """Return the sum over the `window_days` days that end with each day; days before the first count 0."""
    total = np.cumsum(figures, axis=-1)
    total[..., window_days:] -= total[..., :-window_days].copy()
    return total


def stacked(rows: Sequence[Figures]) -> Figures:
    """Return rows of days, each of shape (touches, days), as shape (touches * rows, days), touch by touch."""
    return np.stack(rows, axis=1).reshape(-1, rows[0].shape[-1])
