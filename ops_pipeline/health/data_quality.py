"""The data itself: counts that cannot be right, and reasons or segments that say nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.vocabulary import Outcome
from ops_pipeline.health.history import Figures, History, Mask, sums
from ops_pipeline.health.wilson import lower_bound

_LATE_DAYS = 2
"""A step of the funnel can lie this many days after the one before it."""
_TOLERANCE = 0.10
"""Share by which a step may exceed the one before it: retries, and days that were counted at different times."""
_LOST = 0.5
"""Share of attempts that may have no outcome yet."""
_MIN_EVENTS = 20
"""With fewer, one late batch would be a broken funnel."""
_MIN_UNUSABLE = 5


@dataclass(frozen=True, slots=True)
class Quality:
    """One finding per day, over both touches; shape (days,)."""

    x: Figures
    """Events that cannot be right, or whose reason says nothing."""
    n: Figures
    """Events that were looked at."""
    is_bad: Mask


def funnel(history: History, window_days: int) -> Quality:
    """Return where a step of the funnel has more events than the one before it, or attempts had no outcome.

    A step that the source never logs is no step.
    """
    now = {outcome: sums(history[outcome], window_days) for outcome in Outcome}
    earlier = {outcome: sums(history[outcome], window_days + _LATE_DAYS) for outcome in Outcome}
    was_logged = {outcome: np.cumsum(history[outcome], axis=-1) > 0 for outcome in Outcome}
    decided = now[Outcome.HELD] + now[Outcome.QUEUED]
    sent = now[Outcome.DELIVERED] + now[Outcome.FAILED]
    attempted, queued = earlier[Outcome.ATTEMPTED], earlier[Outcome.QUEUED]
    source = np.where(was_logged[Outcome.QUEUED], queued, attempted)
    has_source = was_logged[Outcome.QUEUED] | was_logged[Outcome.ATTEMPTED]
    too_many = np.where(was_logged[Outcome.ATTEMPTED], _beyond(decided, attempted), 0)
    too_many = too_many + np.where(has_source, _beyond(sent, source), 0)
    # Of the last days' attempts the outcome may still come.
    settled = now[Outcome.ATTEMPTED] - sums(history[Outcome.ATTEMPTED], _LATE_DAYS)
    lost = np.maximum(settled - decided, 0)
    is_lost = was_logged[Outcome.QUEUED] & (lost > _LOST * settled) & (lost >= _MIN_EVENTS)
    wrong = too_many + np.where(is_lost, lost, 0)
    looked_at = now[Outcome.ATTEMPTED] + decided + sent
    return Quality(x=wrong.sum(0), n=looked_at.sum(0), is_bad=wrong.sum(0) > 0)


def labels(history: History, window_days: int, thresholds: Thresholds) -> Quality:
    """Return where too many reasons are invalid, undeclared or missing, whatever chance explains."""
    unusable, reasoned = sums(history.unusable, window_days).sum(0), sums(history.reasoned, window_days).sum(0)
    bound = lower_bound(unusable, np.maximum(reasoned, 1), thresholds.confidence)
    is_bad = (unusable >= _MIN_UNUSABLE) & (bound > thresholds.max_unusable)
    return Quality(x=unusable, n=reasoned, is_bad=is_bad)


def wide_segments(history: History, window_days: int) -> Mask:
    """Return where the segment of a day in the window had too many labels to be one."""
    return sums(history.has_wide_segment.astype(np.float64), window_days) > 0


def _beyond(step: Figures, before: Figures) -> Figures:
    """Return how many events a step has too many, 0 where that is within the tolerance."""
    excess = step - before
    is_beyond = (excess > _TOLERANCE * before) & (excess >= _MIN_EVENTS)
    return np.where(is_beyond, excess, 0)
