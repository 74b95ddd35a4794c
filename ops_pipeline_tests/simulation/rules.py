"""The rules that are compared: from a stream to the days on which each would have said unhealthy."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from ops_pipeline.contract.vocabulary import Outcome
from ops_pipeline.health import Status, Thresholds
from ops_pipeline.health.history import TOUCHES, History, sums
from ops_pipeline.health.rates import IS_LOW_BAD, SERIES, day_counts
from ops_pipeline.health.watchdog import evaluate_range
from ops_pipeline_tests.simulation.streams import MONDAY, WARM_UP, Stream

Alarms = NDArray[np.bool_]
Rule = Callable[[Stream], Alarms]


def this_project(stream: Stream, thresholds: Thresholds | None = None) -> Alarms:
    """Return what `evaluate` says, with default thresholds; nothing before the warm-up is over."""
    last = MONDAY + timedelta(days=len(stream.days) - 1)
    verdicts = evaluate_range(stream.days, MONDAY + timedelta(days=WARM_UP), last, thresholds or Thresholds())
    return np.array([False] * WARM_UP + [verdict.status is Status.UNHEALTHY for verdict in verdicts])


def static_limits(stream: Stream) -> Alarms:
    """Return where a seven-day rate of at least 20 events is beyond its limit, or an identity leaked."""
    history = _history(stream)
    thresholds = Thresholds()
    count, total = (sums(figures, 7) for figures in day_counts(history))
    value = count / np.maximum(total, 1)
    limits = np.array([thresholds.limit(touch, rate.name) or np.nan for touch, rate in SERIES])[:, None]
    is_beyond = np.where(IS_LOW_BAD[:, None], value < limits, value > limits) & (total >= 20)
    return is_beyond.any(0) | (sums(history.leaked, 7).sum(0) > 0)


def three_sigma(stream: Stream) -> Alarms:
    """Return where a daily metric is three standard deviations worse than its last 14 days, or an identity leaked."""
    history = _history(stream)
    count, total = day_counts(history)
    rates = np.where(total > 0, count / np.maximum(total, 1), np.nan)
    metrics = np.vstack([rates, history[Outcome.DELIVERED]])
    worse = np.append(np.where(IS_LOW_BAD, -1, 1), [-1] * len(TOUCHES))
    alarms = history.leaked.sum(0) > 0
    for metric, direction in zip(metrics, worse, strict=True):
        for today in range(14, history.size):
            before = metric[today - 14 : today]
            before = before[~np.isnan(before)]
            if len(before) >= 7 and direction * (metric[today] - before.mean()) > 3 * before.std(ddof=1) + 1e-12:
                alarms[today] = True
    return alarms


def _history(stream: Stream) -> History:
    return History(stream.days, MONDAY, MONDAY + timedelta(days=len(stream.days) - 1))


RULES: dict[str, Rule] = {
    "static limits over 7 days": static_limits,
    "each daily metric against 14 days, 3 sigma": three_sigma,
    "this project": this_project,
}
