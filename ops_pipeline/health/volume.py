"""Has traffic stopped? The probability of so long a silence, given what the same weekdays usually bring."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from math import log
from statistics import fmean, median

BASELINE_DAYS = 56
"""Eight weeks of the same weekday."""
MIN_BASELINE_DAYS = 14
"""Two of each weekday: less says nothing about a weekly shape."""
_INFLATION = 1.25
"""Overdispersion is itself estimated from few days, so it is taken to be larger."""


@dataclass(frozen=True, slots=True)
class Silence:
    """A run of days without deliveries that ends with the day in question."""

    days: int
    """Length of the run; 0 where something was delivered on the last day."""
    baseline_days: int
    """Days of history before the run that it is compared with."""
    expected: float | None
    """Deliveries that the run should have had; for a run of 0 days, those of the last day. None: no baseline."""
    log_probability: float
    """Natural logarithm of the probability of the run; 0 where nothing can be said."""


def silence(delivered: Callable[[date], int], first: date, as_of: date) -> Silence:
    """Return the run of days without deliveries that ends with `as_of`, and how surprising it is.

    `delivered` gives the deliveries of a day; `first` is the first day of which there is history. Each day's expected
    deliveries are the median of the same weekday over the eight weeks before the run (so a long outage never becomes
    its own baseline). The probability of a day without any is that of a negative binomial with that mean and the
    overdispersion of the baseline, and at least the share of such days that the baseline itself has.
    """
    run = 0
    while as_of - timedelta(days=run) >= first and delivered(as_of - timedelta(days=run)) == 0:
        run += 1
    last_baseline_day = as_of - timedelta(days=max(run, 1))
    span = min(BASELINE_DAYS, (last_baseline_day - first).days + 1)
    baseline = [last_baseline_day - timedelta(days=offset) for offset in range(max(span, 0))]
    if len(baseline) < MIN_BASELINE_DAYS:
        return Silence(run, len(baseline), None, 0.0)

    usual = [median(delivered(day) for day in baseline if day.weekday() == weekday) for weekday in range(7)]
    busy = [day for day in baseline if usual[day.weekday()] > 0]
    tested = [as_of - timedelta(days=offset) for offset in range(max(run, 1))]
    expected = float(sum(usual[day.weekday()] for day in tested))
    if run == 0 or expected == 0:
        return Silence(run, len(baseline), expected, 0.0)

    residuals = [(delivered(day) - usual[day.weekday()]) ** 2 / usual[day.weekday()] for day in busy]
    dispersion = max(1.0, _INFLATION * fmean(residuals))
    silent_share = sum(delivered(day) == 0 for day in busy) / len(busy)
    log_probability = sum(_log_zero(usual[day.weekday()], dispersion, silent_share) for day in tested)
    return Silence(run, len(baseline), expected, log_probability)


def _log_zero(mean: float, dispersion: float, silent_share: float) -> float:
    """Return the log probability of a day without any event, variance being `dispersion` times `mean`."""
    if mean == 0:
        return 0.0
    excess = dispersion - 1
    chance = -mean if excess < 1e-9 else -mean * log(dispersion) / excess  # Poisson in the limit
    return max(chance, log(silent_share)) if silent_share else chance
