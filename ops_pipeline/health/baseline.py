"""What is usual: the level of a rate, its weekly shape and how much it spreads, from the days before.

A robust quasi-likelihood fit. Source of the down-weighting: E. Cantoni and E. Ronchetti, "Robust inference for
generalized linear models", JASA 96 (2001); of the dispersion: beta-binomial, by moments (D. A. Williams,
"Extra-binomial variation in logistic linear models", Applied Statistics 31, 1982).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from ops_pipeline.health.history import Figures, Mask, Positions

BASELINE_DAYS = 56
"""Eight weeks: enough of each weekday, and short enough to follow a slow change."""
REACH_DAYS = 112
"""How far back those days may lie where some in between are left out. A level that lasts longer is the level."""
GAP_DAYS = 14
"""The days in question and those just before are never part of their own baseline: the longest tested window."""
MIN_DAYS = 28
"""With fewer days nothing is learned."""
_CLIP = 3.0
"""Standard deviations beyond which a single day counts as no more."""
_ROUNDS = 3
_WEEKDAY_EVENTS = 30.0
"""Events that a weekday's own level is worth half: with few of them it is the common level."""
_CORRELATION_DAYS = 10.0
"""Pairs of days at which an estimated day-to-day correlation counts half."""
_MOST = 0.999


@dataclass(frozen=True, slots=True)
class Baseline:
    """One fit per row; a row is one series on one day."""

    level: Figures
    """Rate, as a fraction of 1."""
    weekday: Figures
    """Factor of each weekday, Monday first, shape (rows, 7)."""
    intraclass_correlation: Figures
    """Correlation rho of two events of one day: the variance is n p (1 - p) (1 + (n - 1) rho) dispersion."""
    dispersion: Figures
    """What remains of the variance, at least 1."""
    autocorrelation: Figures
    """Correlation of one day with the next."""
    trials: Figures
    """Independent trials that the baseline is worth."""
    days: Positions
    """Days that it was fitted on."""

    def replace(self, rows: Mask, other: Baseline) -> None:
        """Put the fits of `other` in place of the ones of `rows`."""
        for item in fields(self):
            getattr(self, item.name)[rows] = getattr(other, item.name)


def days_before(usable: Mask, at: Positions, oldest: Positions) -> tuple[Positions, Mask]:
    """Return the last BASELINE_DAYS usable days before each of `at`, none before `oldest`, and which are there."""
    candidates = np.flatnonzero(usable)
    if not len(candidates):
        shape = (len(at), BASELINE_DAYS)
        return np.zeros(shape, np.intp), np.zeros(shape, bool)
    end = np.searchsorted(candidates, at - GAP_DAYS, "right")
    start = np.searchsorted(candidates, np.maximum(at - GAP_DAYS - REACH_DAYS, oldest), "left")
    positions = end[:, None] - BASELINE_DAYS + np.arange(BASELINE_DAYS)
    return candidates[np.maximum(positions, 0)], positions >= start[:, None]


def fit(x: Figures, n: Figures, days: Positions, weekdays: Positions) -> Baseline:
    """Return the fit of each row. Arguments have the shape (rows, BASELINE_DAYS); a day that is left out has n 0."""
    rows = len(x)
    is_there = n > 0
    others = np.maximum(n - 1, 0)
    cells = (np.arange(rows)[:, None] * 7 + weekdays).ravel()

    def by_weekday(figures: Figures) -> Figures:
        return np.bincount(cells, figures.ravel(), rows * 7).reshape(rows, 7)

    level = _capped((x.sum(1) + 0.5) / (n.sum(1) + 1))
    weekday = np.ones((rows, 7))
    correlation = np.zeros(rows)
    for _ in range(_ROUNDS):
        rate = _capped(level[:, None] * np.take_along_axis(weekday, weekdays, 1))
        expected = n * rate
        binomial = np.maximum(expected * (1 - rate), 1e-12)
        inflation = 1 + others * correlation[:, None]
        residual = _clipped(x - expected, binomial * inflation)
        share = others / inflation**2
        correlation = (share * (residual**2 / binomial - 1)).sum(1) / np.maximum((share * others).sum(1), 1e-12)
        correlation = np.maximum(correlation, 0)
        weight = is_there / (1 + others * correlation[:, None])
        trials, events = weight * n, weight * (expected + residual)
        level = _capped((events.sum(1) + 0.5) / (trials.sum(1) + 1))
        foreseen = by_weekday(trials) * level[:, None]
        weekday = (by_weekday(events) + _WEEKDAY_EVENTS) / (foreseen + _WEEKDAY_EVENTS)

    rate = _capped(level[:, None] * np.take_along_axis(weekday, weekdays, 1))
    expected = n * rate
    variance = np.maximum(expected * (1 - rate), 1e-12) * (1 + others * correlation[:, None])
    score = np.where(is_there, _clipped(x - expected, variance) / np.sqrt(variance), 0)
    used = is_there.sum(1)
    return Baseline(
        level=level,
        weekday=weekday,
        intraclass_correlation=correlation,
        dispersion=np.maximum(1, (score**2).sum(1) / np.maximum(used - 7, 10)),
        autocorrelation=day_to_day(score, days, is_there, most=0.8),
        trials=trials.sum(1),
        days=used,
    )


def day_to_day(score: Figures, days: Positions, is_there: Mask, *, most: float) -> Figures:
    """Return the lag-1 autocorrelation of each row's scores, shrunk towards 0, from 0 to `most`.

    Scores are in standard deviations. Scores that vary less than that have no autocorrelation that matters.
    """
    is_pair = is_there[:, 1:] & is_there[:, :-1] & (days[:, 1:] - days[:, :-1] == 1)
    product = (score[:, 1:] * score[:, :-1] * is_pair).sum(1)
    square = ((score[:, 1:] ** 2 + score[:, :-1] ** 2) / 2 * is_pair).sum(1)
    mean_square = (score**2).sum(1) / np.maximum(is_there.sum(1), 1)
    return np.clip(product / (square + _CORRELATION_DAYS * np.maximum(mean_square, 1)), 0, most)


def inflation_of_sum(autocorrelation: Figures, window_days: int) -> Figures:
    """Return by what the variance of a sum over days exceeds that of independent ones (an AR(1) process)."""
    lags = np.arange(1, window_days)
    return 1 + 2 * (np.power.outer(autocorrelation, lags) * (1 - lags / window_days)).sum(-1)


def _capped(rate: Figures) -> Figures:
    return np.minimum(rate, _MOST)


def _clipped(residual: Figures, variance: Figures) -> Figures:
    # One event more than that: of rare events a single one is no outlier.
    most = _CLIP * np.sqrt(variance) + 1
    return np.minimum(np.maximum(residual, -most), most)
