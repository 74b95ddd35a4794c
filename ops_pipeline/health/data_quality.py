"""The data itself: counts that cannot be right, and reasons or segments that say nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.vocabulary import Outcome
from ops_pipeline.health.counts import MIN_CONTRADICTING, contradicts
from ops_pipeline.health.history import Figures, History, Mask, sums
from ops_pipeline.health.wilson import lower_bound

_LATE_DAYS = 2
"""A step of the funnel can lie this many days after the one before it."""
_LOST = 0.5
"""Share of attempts that may have no outcome yet."""
_MIN_UNUSABLE = 5


@dataclass(frozen=True, slots=True)
class Quality:
    """One finding per day, over both touches; shape (days,)."""

    count: Figures
    """Events that cannot be right, or whose reason says nothing."""
    total: Figures
    """Events that were looked at."""
    is_bad: Mask


def funnel(history: History, planned: Mask, window_days: int) -> Quality:
    """Return where a step of the funnel has more events than the one before it, or attempts had no outcome.

    Steps are compared over the days on which the source logs both of them. Planned days are left out; `planned` has
    the shape (touches, days).
    """
    steps = {outcome: np.where(planned, 0, history[outcome]) for outcome in Outcome}
    attempted, queued = steps[Outcome.ATTEMPTED], steps[Outcome.QUEUED]
    decided = steps[Outcome.HELD] + queued
    sent = steps[Outcome.DELIVERED] + steps[Outcome.FAILED]
    source = np.where(queued > 0, queued, attempted)
    source_begins = _begins(queued, sent) | ((queued == 0) & _begins(attempted, decided))
    wrong = _too_many(decided, attempted, _begins(attempted, decided), window_days)
    wrong = wrong + _too_many(sent, source, source_begins, window_days)
    # Of the last days' attempts the outcome may still come. Sends that are not logged as queued show by their end.
    settled = sums(attempted, window_days) - sums(attempted, _LATE_DAYS)
    lost = np.maximum(settled - sums(steps[Outcome.HELD] + np.maximum(queued, sent), window_days), 0)
    logs_queued = np.cumsum(queued, axis=-1) > 0
    is_lost = logs_queued & (lost > _LOST * settled) & (lost >= MIN_CONTRADICTING)
    wrong = wrong + np.where(is_lost, lost, 0)
    looked_at = sums(attempted + decided + sent, window_days)
    return Quality(count=wrong.sum(0), total=looked_at.sum(0), is_bad=wrong.sum(0) > 0)


def logging_changed(history: History, window_days: int) -> Mask:
    """Return where the source began or ceased to log `attempted` or `queued` in the window; shape (days,).

    Both are known by what follows them, so that their absence alone says nothing of delivery.
    """
    decided = history[Outcome.HELD] + history[Outcome.QUEUED]
    sent = history[Outcome.DELIVERED] + history[Outcome.FAILED]
    found = np.zeros(history.size, bool)
    for step, after in ((history[Outcome.ATTEMPTED], decided), (history[Outcome.QUEUED], sent)):
        is_sure = after >= MIN_CONTRADICTING
        changed = is_sure & _has_last(is_sure) & ((step > 0) != _last(step > 0, is_sure))
        found |= (sums(changed.astype(np.float64), window_days) > 0).any(0)
    return found


def labels(history: History, window_days: int, thresholds: Thresholds) -> Quality:
    """Return where too many reasons are invalid, undeclared or missing, whatever chance explains."""
    unusable, reasoned = sums(history.unusable, window_days).sum(0), sums(history.reasoned, window_days).sum(0)
    bound = lower_bound(unusable, np.maximum(reasoned, 1), thresholds.confidence)
    is_bad = (unusable >= _MIN_UNUSABLE) & (bound > thresholds.max_unusable)
    return Quality(count=unusable, total=reasoned, is_bad=is_bad)


def wide_segments(history: History, window_days: int) -> Mask:
    """Return where the segment of a day in the window had too many labels to be one."""
    return sums(history.has_wide_segment.astype(np.float64), window_days) > 0


def _too_many(step: Figures, before: Figures, begins: Mask, window_days: int) -> Figures:
    """Return how many events of a step cannot follow from the one before it, 0 where they can."""
    comparable = sums(np.where((before > 0) & ~begins, step, 0), window_days)
    reach = sums(before, window_days + _LATE_DAYS)
    return np.where(contradicts(comparable, reach), comparable - reach, 0)


def _begins(step: Figures, after: Figures) -> Mask:
    """Return the days on which the source begins to log a step: it may have done so for a part of the day only."""
    is_known = (step > 0) | (after > 0)
    return (step > 0) & _has_last(is_known) & ~_last(step > 0, is_known)


def _has_last(is_known: Mask) -> Mask:
    """Return which days come after one of `is_known`."""
    return np.cumsum(is_known, axis=-1) - is_known > 0


def _last(values: Mask, is_known: Mask) -> Mask:
    """Return of each day the value of the last day of `is_known` before it; of days without one, the first value."""
    at = np.where(is_known, np.arange(values.shape[-1]), 0)
    before = np.maximum.accumulate(at, axis=-1)
    before = np.concatenate([np.zeros_like(before[..., :1]), before[..., :-1]], axis=-1)
    return np.take_along_axis(values, before, axis=-1)
