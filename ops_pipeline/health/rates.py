"""The rates of each touch against their own history: how surprising what was counted is.

The count of a window is held against the one that the baseline leads to expect. Its tail probability is that of a
binomial with the effective number of trials, n divided by how much the variance exceeds the binomial one (E. L. Korn
and B. I. Graubard, "Confidence intervals for proportions with small expected number of positive counts estimated from
survey data", Survey Methodology 24, 1998), through the incomplete beta function, so that it need not be whole.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.special import betainc, ndtri

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.rates import RATES
from ops_pipeline.health.baseline import (
    BASELINE_DAYS,
    GAP_DAYS,
    MIN_DAYS,
    REACH_DAYS,
    Baseline,
    days_before,
    fit,
    inflation_of_sum,
)
from ops_pipeline.health.history import TOUCHES, Figures, History, Mask, Positions, stacked

SERIES = tuple((touch, rate) for touch in TOUCHES for rate in RATES)
"""The rows of every array here."""
IS_LOW_BAD = np.array([rate.is_low_bad for _, rate in SERIES])
RATE_WINDOWS = (1, 2, 7, 14)
"""Days of the tested windows: a sudden change, the same at less volume, a lasting one, a creeping one."""
_DELAYS = (0.0, 0.2, 0.35, 0.5, 0.65)
"""Candidates for how reactions lag: the share of them that comes a day later still."""
_LONGEST_DELAY = 15
_PREFERENCE = 0.001
_OWN_SHARE = 0.5
"""A window is tested for reactions only if at least this share of what they can react to was delivered in it."""
_ESTIMATION = 1.25
"""A variance that is estimated from eight weeks is taken to be larger."""
_ENDS = {1: (), 2: (1,), 7: (1, 3), 14: (1, 3, 7)}
"""Days at the end of a longer window that must be as bad as it is, so that a past problem is not reported again."""


def day_counts(history: History) -> tuple[Figures, Figures]:
    """Return count and total of each series on each day, each of shape (series, days)."""
    count = stacked([history.figure(rate.count) for rate in RATES])
    total = stacked([np.sum([history.figure(name) for name in rate.total], axis=0) for rate in RATES])
    return count, total


@dataclass(frozen=True, slots=True)
class WindowTest:
    """One window of each series on each judged day, shape (series, judged days)."""

    window_days: int
    count: Figures
    total: Figures
    expected: Figures
    """Events that the baseline leads to expect; nan where there is no baseline."""
    trials: Figures
    """What the total is worth as trials: for reactions, the deliveries that they can be reactions to."""
    design_effect: Figures
    """By what the variance exceeds the binomial one, at least 1."""
    tail: Figures
    """Probability of so many events or more (so few or fewer), 1 where the window is not tested."""
    is_unhealthy: Mask
    min_detectable: Figures
    """The multiple of the expected rate that would have been called unhealthy with the configured power."""


class RateTests:
    """The tests of every series on every judged day."""

    def __init__(self, history: History, judged: Positions, planned: Mask, thresholds: Thresholds) -> None:
        self._x, self._n = day_counts(history)
        self._history = history
        self._judged = judged
        self._thresholds = thresholds
        self._is_left_out = np.repeat(planned, len(RATES), axis=0)
        self._oldest = _oldest(history, judged, thresholds)
        self._exposures = np.repeat(self._n[:, None, :], len(_DELAYS), axis=1)
        self._delay = np.zeros(self._n.shape, np.intp)
        for series in np.flatnonzero(IS_LOW_BAD):
            self._exposures[series] = _lagged(self._n[series])
            self._delay[series] = _best_delay(self._x[series], self._exposures[series])
        self.baseline, self.windows = self._settle()

    @property
    def is_unhealthy(self) -> Mask:
        """Whether any window of a series is, shape (series, judged days)."""
        return np.any([window.is_unhealthy for window in self.windows], axis=0)

    def _settle(self) -> tuple[Baseline, list[WindowTest]]:
        """Test until the days that are left out of the baselines are the days that are unhealthy.

        A baseline depends on earlier days only, so that each round settles at least one more day.
        """
        series = np.repeat(np.arange(len(SERIES)), len(self._judged))
        days = np.tile(self._judged, len(SERIES))
        was_unhealthy = np.zeros(self._n.shape, bool)
        baseline = self._fit(series, days, was_unhealthy)
        while True:
            windows = self._test(baseline, series, days)
            is_unhealthy = np.zeros(self._n.shape, bool)
            is_unhealthy[:, self._judged] = np.any([window.is_unhealthy for window in windows], axis=0)
            changed = np.cumsum(np.pad(is_unhealthy != was_unhealthy, ((0, 0), (1, 0))), axis=1)
            end, start = np.maximum(days - GAP_DAYS + 1, 0), np.maximum(days - GAP_DAYS - REACH_DAYS, 0)
            is_affected = changed[series, end] > changed[series, start]
            if not is_affected.any():
                return baseline, windows
            was_unhealthy = is_unhealthy
            baseline.replace(is_affected, self._fit(series[is_affected], days[is_affected], was_unhealthy))

    def _fit(self, series: Positions, at: Positions, was_unhealthy: Mask) -> Baseline:
        days = np.empty((len(series), BASELINE_DAYS), np.intp)
        is_there = np.empty(days.shape, bool)
        is_usable = (self._n > 0) & ~was_unhealthy & ~self._is_left_out
        for one in range(len(SERIES)):
            rows = series == one
            oldest = self._oldest[one, at[rows] - self._judged[0]]
            days[rows], is_there[rows] = days_before(is_usable[one], at[rows], oldest)
        row = series[:, None]
        exposure = self._exposures[row, self._delay[series, at][:, None], days]
        weekdays = self._history.weekdays[days]
        return fit(np.where(is_there, self._x[row, days], 0), np.where(is_there, exposure, 0), days, weekdays)

    def _test(self, baseline: Baseline, series: Positions, at: Positions) -> list[WindowTest]:
        thresholds = self._thresholds
        is_low = IS_LOW_BAD[series]
        delay = self._delay[series, at]
        row = np.arange(len(series))
        x, n, trials, expected, variance = (np.zeros(len(series)) for _ in range(5))
        sums_of = {}
        found = []
        for back in range(max(*RATE_WINDOWS, thresholds.window_days)):
            day = np.maximum(at - back, 0)
            is_there = (at >= back) & ~self._is_left_out[series, day]
            exposure = np.where(is_there, self._exposures[series, delay, day], 0)
            rate = np.minimum(baseline.level * baseline.weekday[row, self._history.weekdays[day]], 0.999)
            x = x + np.where(is_there, self._x[series, day], 0)
            n = n + np.where(is_there, self._n[series, day], 0)
            trials = trials + exposure
            expected = expected + exposure * rate
            between_days = 1 + np.maximum(exposure - 1, 0) * baseline.intraclass_correlation
            variance = variance + exposure * rate * (1 - rate) * between_days * baseline.dispersion
            window_days = back + 1
            sums_of[window_days] = (x, expected)
            if window_days not in RATE_WINDOWS and window_days != thresholds.window_days:
                continue
            mean_rate = np.clip(expected / np.maximum(trials, 1e-9), 1e-9, 0.999)
            binomial = np.maximum(expected * (1 - mean_rate), 1e-12)
            of_level = expected**2 * (1 - baseline.level) / np.maximum(baseline.level * baseline.trials, 1e-9)
            of_level = (
                of_level * baseline.dispersion * (1 + baseline.autocorrelation) / (1 - baseline.autocorrelation)
            )
            of_window = variance * inflation_of_sum(baseline.autocorrelation, window_days) * _ESTIMATION
            design_effect = np.maximum((of_window + of_level) / binomial, 1)
            can_test = (baseline.days >= MIN_DAYS) & (trials > 0) & (n >= _OWN_SHARE * trials)
            is_tested = can_test & (window_days in RATE_WINDOWS)
            effect = thresholds.effect(window_days)
            is_bad = is_tested & _is_bad(x, expected, is_low, effect, thresholds.min_events)
            for end_days in _ENDS.get(window_days, ()):
                is_bad &= _is_bad(*sums_of[end_days], is_low, effect, 0)
            tail = np.ones(len(series))
            tail[is_bad] = tail_probability(
                x[is_bad], trials[is_bad], mean_rate[is_bad], design_effect[is_bad], is_low[is_bad]
            )
            min_detectable = _min_detectable(expected, mean_rate, design_effect, is_low, effect, thresholds)
            shape = (len(SERIES), len(self._judged))
            found.append(
                WindowTest(
                    window_days=window_days,
                    count=x.reshape(shape),
                    total=n.reshape(shape),
                    expected=np.where(can_test, expected, np.nan).reshape(shape),
                    trials=trials.reshape(shape),
                    design_effect=design_effect.reshape(shape),
                    tail=tail.reshape(shape),
                    is_unhealthy=(tail <= alpha(thresholds)).reshape(shape),
                    min_detectable=np.where(is_tested, min_detectable, np.nan).reshape(shape),
                )
            )
        return found


def alpha(thresholds: Thresholds) -> float:
    """Return the probability below which one window of one series is unhealthy.

    The year's budget of false alarms is shared by every day, every series (deliveries of each touch included) and
    every window.
    """
    return thresholds.fa_per_year / (365.25 * (len(SERIES) + len(TOUCHES)) * len(RATE_WINDOWS))


def tail_probability(x: Figures, trials: Figures, rate: Figures, design_effect: Figures, is_low: Mask) -> Figures:
    """Return the probability of `x` or more events, or of `x` or fewer where `is_low`."""
    bad = np.where(is_low, trials - x, np.minimum(x, trials))
    bad = np.maximum(bad, 0)
    found: Figures = betainc(
        np.maximum(bad / design_effect, 1e-9), (trials - bad) / design_effect + 1, np.where(is_low, 1 - rate, rate)
    )
    return found


def first_unhealthy(
    expected: float, trials: float, design_effect: float, window_days: int, thresholds: Thresholds, *, is_low: bool
) -> int | None:
    """Return the count from which a window is unhealthy (the highest, where low is bad); None: no count is."""

    def is_unhealthy(x: int) -> bool:
        one = (np.array([float(x)]), np.array([trials]), np.array([expected / trials]), np.array([design_effect]))
        is_bad = _is_bad(one[0], np.array([expected]), np.array([is_low]), effect, thresholds.min_events)
        return bool(is_bad[0]) and bool(tail_probability(*one, np.array([is_low]))[0] <= alpha(thresholds))

    effect = thresholds.effect(window_days)
    good, bad = int(expected), 0 if is_low else int(trials)
    if is_unhealthy(good) or not is_unhealthy(bad):
        return None
    while abs(good - bad) > 1:
        middle = (good + bad) // 2
        good, bad = (good, middle) if is_unhealthy(middle) else (middle, bad)
    return bad


def _is_bad(x: Figures, expected: Figures, is_low: Mask, effect: float, min_events: int) -> Mask:
    """Return where the count is far enough from the expected one to matter."""
    high = (x >= effect * expected) & (x >= min_events)
    low = (x <= expected / effect) & (expected - x >= min_events)
    return np.where(is_low, low, high)


def _min_detectable(
    expected: Figures, rate: Figures, design_effect: Figures, is_low: Mask, effect: float, thresholds: Thresholds
) -> Figures:
    """Return the multiple of the expected rate that is unhealthy with the configured power; nan: none is.

    The count from which a window is unhealthy is approximated as a quantile (E. A. Cornish and R. A. Fisher, 1938)
    with the skewness of the binomial; then the mean is found that exceeds it with that probability.
    """
    quantile, power = -ndtri(alpha(thresholds)), ndtri(thresholds.power)
    direction = np.where(is_low, -1.0, 1.0)
    deviation = np.sqrt(expected * (1 - rate) * design_effect)
    critical = expected + direction * quantile * deviation + (quantile**2 - 1) / 6 * (1 - 2 * rate) * design_effect
    matters = np.where(is_low, expected / effect, expected * effect)
    critical = np.where(is_low, np.minimum(critical, matters), np.maximum(critical, matters))
    by_events = np.where(is_low, expected - thresholds.min_events, float(thresholds.min_events))
    critical = np.where(is_low, np.minimum(critical, by_events), np.maximum(critical, by_events))
    half = power * np.sqrt(design_effect * np.maximum(1 - rate, 0.05)) / 2
    root = np.sqrt(half**2 + np.maximum(critical, 0)) + direction * half
    multiple: Figures = np.where(critical >= 0, root**2 / np.maximum(expected, 1e-9), np.nan)
    # A rate ends at 1.
    return np.where(~is_low & (multiple * rate > 1), np.nan, multiple)


def _oldest(history: History, judged: Positions, thresholds: Thresholds) -> Positions:
    """Return the oldest day that each series may learn from on each judged day: its level was accepted on it."""
    oldest = np.zeros((len(SERIES), len(judged)), np.intp)
    for accepted in thresholds.accepted:
        since = history.position(accepted.since)
        for row, (touch, rate) in enumerate(SERIES):
            if accepted.covers(touch, rate.name):
                oldest[row, judged >= since] = np.maximum(oldest[row, judged >= since], since)
    return oldest


def _lagged(delivered: Figures) -> Figures:
    """Return the deliveries that a day's reactions can be reactions to, for each delay, shape (delays, days)."""
    lags = np.arange(_LONGEST_DELAY)
    kernels = [(1 - delay) * delay**lags for delay in _DELAYS]
    return np.array([np.convolve(delivered, kernel / kernel.sum())[: len(delivered)] for kernel in kernels])


def _best_delay(positive: Figures, exposures: Figures) -> Positions:
    """Return the delay that explains the reactions of the baseline's days best, by Pearson's chi-square."""

    def trailing(figures: Figures) -> Figures:
        total = np.pad(np.cumsum(figures, axis=-1), ((0, 0), (1, 0)))
        end = np.maximum(np.arange(exposures.shape[1]) - GAP_DAYS + 1, 0)
        return total[:, end] - total[:, np.maximum(end - BASELINE_DAYS, 0)]

    is_there = exposures > 0
    squares = np.where(is_there, positive**2 / np.where(is_there, exposures, 1), 0)
    reactions = trailing(np.where(is_there, positive, 0))
    rank = np.arange(len(exposures))[:, None]
    chi_square = trailing(squares) - reactions**2 / np.maximum(trailing(exposures), 1e-9)
    # Of delays that explain them as well, the shortest.
    return np.argmin(chi_square * (1 + _PREFERENCE * rank) + _PREFERENCE * rank, axis=0)
