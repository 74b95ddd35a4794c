"""Deliveries against what the same weekdays usually bring: whether traffic has stopped, or dropped.

The count of a window is taken to be Poisson with a mean that is itself lognormal around the expected one, with the
dispersion that earlier days had around what was expected of them.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import gammaincc, ndtri

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.vocabulary import Outcome, SignalName
from ops_pipeline.health.baseline import day_to_day, days_before, inflation_of_sum
from ops_pipeline.health.history import TOUCHES, Figures, History, Mask, Positions
from ops_pipeline.health.rates import alpha

WEEKS = 8
"""The same weekday of so many weeks is what a day is expected to bring."""
_REACH_WEEKS = 16
"""How far back they may lie. A volume that lasts longer is the volume."""
_MIN_WEEKS = 2
"""One of a weekday says nothing about a weekly shape."""
_MIN_DAYS = 14
_UNKNOWN_DISPERSION = 0.4
"""Relative dispersion of deliveries until there are as many days to learn it from."""
VOLUME_WINDOWS = (1, 2, 5)
"""Busy days that are tested together."""
_AT_MOST = {1: 0.25, 2: 0.55, 5: 0.65}
"""The share of the expected deliveries that a window may at most have: one day of half as many is a holiday."""
_EACH_AT_MOST = 0.65
"""The same for each of the last two busy days, where a window has several."""
_BUSY_SHARE = 0.2
_BUSY_EVENTS = 20
"""A day that is expected to bring less than that, and less than that share of the week's mean day, says nothing."""
_TREND_DAYS = 28
_MIN_TREND_DAYS = 10
_TREND = (0.5, 1.1)
"""How far the last four weeks may move the expectation: growth is followed reluctantly, for it ends."""
_CLIP = 0.6
_LEAST_DISPERSION = 0.08
"""Relative dispersion that every service has."""
_ESTIMATION = 1.4
"""A dispersion that is estimated from eight weeks is taken to be larger."""
_COMMON = 0.1
"""Share of a day's variance that does not average out over a window."""
_NORMAL = np.linspace(-6, 6, 49)
_WEIGHT = np.exp(-(_NORMAL**2) / 2) / np.exp(-(_NORMAL**2) / 2).sum()


@dataclass(frozen=True, slots=True)
class Volume:
    """The deliveries of each touch on each day, shape (touches, days)."""

    delivered: Figures
    expected: Figures
    """What the day is expected to bring; nan: nobody knows."""
    days: Positions
    """Days of history that the expectation's dispersion was learned from."""
    window_days: Positions
    """Calendar days that the decisive window reaches back; 1 where nothing is wrong."""
    is_low: Mask
    """Unhealthy: there is less than chance explains."""
    has_stopped: Mask
    """Unhealthy: there is nothing."""
    min_detectable: Figures
    """The share of the expected deliveries that would have been unhealthy with the configured power; nan: none."""


def judge_volume(history: History, planned: Mask, thresholds: Thresholds) -> Volume:
    """Return the test of every day. Days that are themselves unhealthy, or planned, are left out of the baseline."""
    found = [
        _test_touch(history, delivered, left_out, _oldest(history, touch, thresholds), thresholds)
        for touch, delivered, left_out in zip(TOUCHES, history[Outcome.DELIVERED], planned, strict=True)
    ]
    return Volume(*(np.array([getattr(one, name) for one in found]) for name in Volume.__slots__))


def _oldest(history: History, touch: str, thresholds: Thresholds) -> Positions:
    oldest = np.zeros(history.size, np.intp)
    for accepted in thresholds.accepted:
        if accepted.covers(touch, SignalName.DELIVERED):
            since = history.position(accepted.since)
            oldest[max(since, 0) :] = np.maximum(oldest[max(since, 0) :], since)
    return oldest


def _test_touch(
    history: History, delivered: Figures, left_out: Mask, oldest: Positions, thresholds: Thresholds
) -> Volume:
    was_unhealthy = np.zeros(history.size, bool)
    while True:
        test = _test(history, delivered, left_out, oldest, was_unhealthy, thresholds)
        is_unhealthy = test.is_low | test.has_stopped
        if (is_unhealthy == was_unhealthy).all():
            return test
        was_unhealthy = is_unhealthy


def _test(
    history: History,
    delivered: Figures,
    left_out: Mask,
    oldest: Positions,
    was_unhealthy: Mask,
    thresholds: Thresholds,
) -> Volume:
    # A stream that has not begun yet is not one that is silent.
    is_usable = ~was_unhealthy & ~left_out & (np.cumsum(delivered) > 0)
    silent_days = _run_length(delivered == 0)
    usual = _same_weekdays(delivered, is_usable, oldest, silent_days)
    relative = np.where(usual > 0, delivered / np.where(usual > 0, usual, 1), np.nan)
    days, is_there = days_before(is_usable & ~np.isnan(relative), np.arange(history.size), oldest)
    known = is_there.sum(1)
    trend = _trend(np.where(is_there, relative[days], np.nan))
    expected = usual * trend
    score = np.where(is_there, relative[days] / trend[days] - 1, 0)
    dispersion = np.where(known >= _MIN_DAYS, _dispersion(score, expected[days], is_there), _UNKNOWN_DISPERSION)
    deviations = np.clip(score, -1, 1) / dispersion[:, None] * _ESTIMATION
    autocorrelation = day_to_day(np.where(is_there, deviations, 0), days, is_there, most=0.9)
    silent_share = (is_there & (relative[days] == 0)).sum(1) / np.maximum(known, 1)

    mean_of_week = np.convolve(np.nan_to_num(expected), np.ones(7) / 7)[: history.size]
    is_busy = (
        (np.nan_to_num(expected) > 0) & (expected >= np.minimum(_BUSY_SHARE * mean_of_week, _BUSY_EVENTS)) & ~left_out
    )
    busy = np.flatnonzero(is_busy)
    tail = np.ones(len(busy))
    window_days = np.ones(len(busy), np.intp)
    min_detectable = np.full(len(busy), np.nan)
    share = delivered[busy] / expected[busy]
    both_low = (share <= _EACH_AT_MOST) & (np.pad(share, (1, 0), constant_values=1)[:-1] <= _EACH_AT_MOST)
    x = mean = variance = np.zeros(len(busy))
    for back in range(max(VOLUME_WINDOWS)):
        x, mean = x + _shifted(delivered[busy], back), mean + _shifted(expected[busy], back)
        length = back + 1
        if length not in VOLUME_WINDOWS:
            continue
        variance = dispersion[busy] ** 2 * (inflation_of_sum(autocorrelation[busy], length) / length + _COMMON)
        is_tested = (x <= _AT_MOST[length] * mean) & (both_low | (length == 1))
        chance = np.ones(len(busy))
        chance[is_tested] = _at_most(x[is_tested], mean[is_tested], variance[is_tested])
        # Where days without any are usual, so many in a row are as usual as that.
        chance = np.where(x == 0, np.maximum(chance, silent_share[busy] ** length), chance)
        window_days = np.where(chance < tail, busy - _shifted(busy, back) + 1, window_days)
        tail = np.minimum(tail, chance)
        min_detectable = np.fmax(min_detectable, _visible(mean, variance, _AT_MOST[length], thresholds))
    # A silence is one window, however long: at low volume it takes its time to prove itself.
    silent_busy = _run_length(delivered[busy] == 0)
    total = np.pad(np.cumsum(expected[busy]), (1, 0))
    missed = total[1:] - total[np.arange(len(busy)) + 1 - silent_busy]
    silence = np.maximum(np.exp(-_means(missed, variance)) @ _WEIGHT, silent_share[busy] ** silent_busy)
    tail = np.where(silent_busy > 0, np.minimum(tail, silence), tail)
    is_unhealthy = np.zeros(history.size, bool)
    reach = np.ones(history.size, np.intp)
    shown = np.full(history.size, np.nan)
    last_busy = np.searchsorted(busy, np.arange(history.size), "right") - 1
    has_one = last_busy >= 0
    if len(busy):
        is_unhealthy[has_one] = (tail <= alpha(thresholds))[last_busy[has_one]]
        since_busy = np.arange(history.size)[has_one] - busy[last_busy[has_one]]
        reach[has_one] = window_days[last_busy[has_one]] + since_busy
        shown[has_one] = min_detectable[last_busy[has_one]]
    is_silent = silent_days > 0
    is_unhealthy &= ~left_out
    _last_until_traffic(is_unhealthy, is_silent & ~left_out)
    return Volume(
        delivered=delivered,
        expected=expected,
        days=known,
        window_days=np.where(is_unhealthy, np.where(is_silent, silent_days, reach), 1),
        is_low=is_unhealthy & ~is_silent,
        has_stopped=is_unhealthy & is_silent,
        min_detectable=shown,
    )


def _same_weekdays(delivered: Figures, is_usable: Mask, oldest: Positions, silent_days: Positions) -> Figures:
    """Return the median of the last WEEKS usable days of the same weekday; nan: there are too few.

    Days of a silence that is not over are no baseline for it.
    """
    at = np.arange(len(delivered))
    before = at[:, None] - 7 * np.arange(1, _REACH_WEEKS + 1)
    is_there = (before >= oldest[:, None]) & (before <= (at - silent_days)[:, None])
    is_there &= is_usable[np.maximum(before, 0)]
    is_there &= np.cumsum(is_there, axis=1) <= WEEKS
    values = np.sort(np.where(is_there, delivered[np.maximum(before, 0)], np.inf), axis=1)
    weeks = is_there.sum(1)
    middle = values[at, np.maximum((weeks - 1) // 2, 0)] + values[at, np.minimum(weeks // 2, _REACH_WEEKS - 1)]
    return np.where(weeks >= _MIN_WEEKS, middle / 2, np.nan)


def _trend(relative: Figures) -> Figures:
    """Return the median of what recent days had of what was usual, within _TREND; 1 where there are too few."""
    recent = np.sort(relative[:, -_TREND_DAYS:], axis=1)  # nan last
    known = (~np.isnan(recent)).sum(1)
    median = recent[np.arange(len(recent)), np.maximum((known - 1) // 2, 0)]
    return np.where(known >= _MIN_TREND_DAYS, np.clip(median, *_TREND), 1)


def _dispersion(score: Figures, expected: Figures, is_there: Mask) -> Figures:
    """Return the relative standard deviation beyond chance, from days that brought less: campaigns only add."""
    is_less = is_there & (score < 0)
    chance = 1 / np.maximum(np.nan_to_num(expected), 1)
    squares = np.where(is_less, np.maximum(score, -_CLIP) ** 2 - chance, 0).sum(1)
    variance = squares / np.maximum(is_less.sum(1), np.maximum(0.3 * is_there.sum(1), 1))
    return _ESTIMATION * np.sqrt(np.maximum(variance, _LEAST_DISPERSION**2))


def _at_most(x: Figures, mean: Figures, variance: Figures) -> Figures:
    """Return the probability of `x` or fewer: Poisson, its mean lognormal with that variance of the logarithm."""
    found: Figures = gammaincc(x[:, None] + 1, _means(mean, variance)) @ _WEIGHT
    return found


def _means(mean: Figures, variance: Figures) -> Figures:
    return mean[:, None] * np.exp(np.sqrt(variance)[:, None] * _NORMAL)


def _visible(mean: Figures, variance: Figures, at_most: float, thresholds: Thresholds) -> Figures:
    """Return the share of `mean` that is unhealthy with the configured power; nan where even nothing is not."""
    quantile = ndtri(thresholds.power) - ndtri(alpha(thresholds))
    share = np.minimum(np.exp(-quantile * np.sqrt(variance + 1 / np.maximum(mean, 1e-9))), at_most)
    can_see_nothing = np.exp(-_means(mean, variance)) @ _WEIGHT <= alpha(thresholds)
    return np.where(can_see_nothing, share, np.nan)


def _shifted(figures: Figures, back: int) -> Figures:
    """Return the value of `back` days before; of the days that have none, 0."""
    return np.pad(figures, (back, 0))[: len(figures)]


def _last_until_traffic(is_unhealthy: Mask, is_silent: Mask) -> None:
    """Let a stop last until something is delivered, however long: a long outage must not become its own baseline."""
    for day in range(1, len(is_silent)):
        if is_silent[day] and is_silent[day - 1] and is_unhealthy[day - 1]:
            is_unhealthy[day] = True


def _run_length(is_silent: Mask) -> Positions:
    """Return for how many days up to each there was nothing."""
    at = np.arange(1, len(is_silent) + 1)
    last_with = np.maximum.accumulate(np.where(is_silent, 0, at))
    return at - last_with
