"""The rule: from daily counts to a verdict. See docs/explanation/watchdog.md for the method."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from datetime import date
from functools import cached_property
from typing import Any

import numpy as np

from ops_pipeline.contract.config import Thresholds
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.rates import RATES, ratio
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Outcome, Scope, SignalName, Status
from ops_pipeline.health.baseline import GAP_DAYS, MIN_DAYS, REACH_DAYS
from ops_pipeline.health.counts import DayCounts, unique_days
from ops_pipeline.health.data_quality import Quality, funnel, labels, logging_changed, wide_segments
from ops_pipeline.health.episodes import Episodes, Finding, Key, Phase
from ops_pipeline.health.history import TOUCHES, Figures, History, Mask, sums
from ops_pipeline.health.rates import IS_LOW_BAD, SERIES, RateTests, WindowTest, first_unhealthy
from ops_pipeline.health.verdict import WORST_FIRST, Signal, Verdict
from ops_pipeline.health.volume import judge_volume
from ops_pipeline.health.wilson import lower_bound, upper_bound, visible_above, visible_below

_DEFAULTS = Thresholds()
FOLLOWED_DAYS = REACH_DAYS + GAP_DAYS
"""Days that are judged before the ones in question, so that their baselines know which days were unhealthy."""
SIGNALS: tuple[Key, ...] = (
    (Scope.BOTH, SignalName.IDENTITY_LEAK),
    *((Scope(touch), name) for touch in TOUCHES for name in (SignalName.DELIVERED, *(rate.name for rate in RATES))),
    (Scope.BOTH, SignalName.FUNNEL),
    (Scope.BOTH, SignalName.LABELS),
)
"""Everything that is watched, in the order of a verdict's signals."""


def history_start(day: date) -> date:
    """Return the first UTC day whose counts the status of `day` depends on.

    It is the same for all days of a block of FOLLOWED_DAYS: a day that is judged alone and one that is judged with
    others see the same history, so that they get the same verdict.
    """
    return date.fromordinal(max(1, _block(day) - 2 * FOLLOWED_DAYS))


def evaluate(
    days: Sequence[DayCounts], as_of: date, thresholds: Thresholds = _DEFAULTS, before: Verdict | None = None
) -> Verdict:
    """Return the verdict for the UTC day `as_of`.

    `days` come in any order; a day that is missing had no events; days after `as_of` do not count. `before` is the
    verdict of the day before, from which episodes go on: with it, days before `history_start(as_of)` do not count
    either. Without it, the episodes are followed from the first day with events. Raises ValueError where a day is
    given twice, or `before` is of another day.
    """
    return evaluate_range(days, as_of, as_of, thresholds, before)[0]


def evaluate_range(
    days: Sequence[DayCounts],
    first: date,
    last: date,
    thresholds: Thresholds = _DEFAULTS,
    before: Verdict | None = None,
) -> list[Verdict]:
    """Return the verdicts of the UTC days from `first` to `last`, the same ones as `evaluate` returns.

    `before` is the verdict of the day before `first`.
    """
    return [verdict for _, found in judged(days, first, last, thresholds, before) for verdict in found]


def judged(
    days: Sequence[DayCounts], first: date, last: date, thresholds: Thresholds, before: Verdict | None
) -> Iterator[tuple[Judgement, list[Verdict]]]:
    """Yield what was found, with the verdicts of those of its days that lie between `first` and `last`, in order."""
    if before is not None and before.as_of != first - ONE_DAY:
        raise ValueError("before is not of the day before")
    unique_days(days)
    counted = sorted((day for day in days if day.has_events), key=lambda day: day.day)
    episodes, start = Episodes(), first
    if before is not None:
        episodes = before.episodes
    elif counted:
        # Where nobody says what was open, it is followed from the first day with events.
        start = min(first, counted[0].day)
    for judgement in _judgements(counted, start, last, thresholds):
        yield judgement, judgement.verdicts(episodes, first)


def _judgements(counted: Sequence[DayCounts], first: date, last: date, thresholds: Thresholds) -> Iterator[Judgement]:
    """Yield the judgements that cover the days from `first` to `last`, in order: one for all that share a history."""
    known = [day.day for day in counted]
    while first <= last:
        start, stop = history_start(first), date.fromordinal(_block(first) + FOLLOWED_DAYS - 1)
        oldest = bisect_left(known, start)
        if oldest < len(known) and _block(first) <= known[oldest].toordinal() <= first.toordinal():
            # All there is lies in this block: the days of the next one see the same history.
            stop += FOLLOWED_DAYS * ONE_DAY
        stop = min(stop, last)
        # What comes before the first day with events must not count as days without.
        if oldest < len(known) and first < known[oldest] <= stop:
            stop = known[oldest] - ONE_DAY
        yield Judgement(counted[oldest : bisect_left(known, stop + ONE_DAY)], first, stop, thresholds)
        first = stop + ONE_DAY


def _block(day: date) -> int:
    return day.toordinal() // FOLLOWED_DAYS * FOLLOWED_DAYS


class Judgement:
    """What was found for the days from `first` to `last`, which share one history, and for those they depend on.

    Every array has the judged days as its last axis.
    """

    def __init__(self, days: Sequence[DayCounts], first: date, last: date, thresholds: Thresholds) -> None:
        self.thresholds = thresholds
        self.history = history = History(days, first, last)
        self._asked = history.position(first)
        followed = history.position(date.fromordinal(max(1, _block(first) - FOLLOWED_DAYS)))
        self._judged = np.arange(min(max(followed, 0), self._asked), history.size)
        planned = self._planned()
        self.rates = RateTests(history, self._judged, planned, thresholds)
        self.volume = judge_volume(history, planned, thresholds)
        self.is_planned = planned[:, self._judged]
        self._shown = next(one for one in self.rates.windows if one.window_days == thresholds.window_days)
        self._limits = np.array([thresholds.limit(touch, rate.name) or np.nan for touch, rate in SERIES])[:, None]

        def of_judged(figures: Figures) -> Figures:
            return sums(figures, thresholds.window_days).sum(0)[self._judged]

        self._day_leaks = history.leaked.sum(0)[self._judged]
        self._leaks, self._delivered = of_judged(history.leaked), of_judged(history[Outcome.DELIVERED])
        self._exposed = of_judged(history[Outcome.HELD] + history[Outcome.DISABLED])
        self._funnel = funnel(history, planned, thresholds.window_days)
        self._logging_changed = logging_changed(history, thresholds.window_days)
        self._labels = labels(history, thresholds.window_days, thresholds)
        self._has_wide_segment = wide_segments(history, thresholds.window_days)

    def verdicts(self, episodes: Episodes, since: date) -> list[Verdict]:
        """Return the verdict of each day that was asked for from `since` on; `episodes` go on by all of them."""
        found = []
        for at in self._asked_for:
            day, findings = self._day(at), self._findings(at)
            whole, phases = episodes.advance(day, findings)
            if day >= since:
                found.append(self._verdict(at, findings, whole, phases))
        return found

    @property
    def _asked_for(self) -> range:
        return range(self._asked - int(self._judged[0]), len(self._judged))

    def _day(self, at: int) -> date:
        return self.history.day(int(self._judged[at]))

    def _planned(self) -> Mask:
        planned = np.zeros((len(TOUCHES), self.history.size), bool)
        for event in self.thresholds.planned:
            for row, touch in enumerate(TOUCHES):
                if event.touch in (Scope.BOTH, touch):
                    planned[row] |= self.history.mask(event.first, event.last)
        return planned

    @cached_property
    def _bound(self) -> Figures:
        """The Wilson bound of each rate on the side of its limit, nan without events."""
        x, n = self._shown.count, np.maximum(self._shown.total, 1)
        # Late reactions can outnumber deliveries, and held can outnumber attempts that were not all logged.
        successes = np.minimum(x, n)
        confidence = self.thresholds.confidence
        bound = np.where(
            IS_LOW_BAD[:, None], upper_bound(successes, n, confidence), lower_bound(successes, n, confidence)
        )
        return np.where(self._shown.total > 0, bound, np.nan)

    @cached_property
    def _visible(self) -> Figures:
        """The rate that the volume would have shown to lie beyond the limit, nan where none."""
        given = (self._limits, self._shown.total, self.thresholds.confidence, self.thresholds.power)
        return np.where(IS_LOW_BAD[:, None], visible_below(*given), visible_above(*given))

    @cached_property
    def _is_beyond_limit(self) -> Mask:
        low = IS_LOW_BAD[:, None]
        return np.where(low, self._bound < self._limits, self._bound > self._limits)

    @cached_property
    def _min_detectable(self) -> Figures:
        """The multiple of the expected rate that some window would have shown; nan: none, or nothing is expected."""
        seen = np.array([window.min_detectable for window in self.rates.windows])
        smallest: Figures = np.fmin.reduce(seen)
        largest: Figures = np.fmax.reduce(seen)
        return np.where(IS_LOW_BAD[:, None], largest, smallest)

    @cached_property
    def _baseline_days(self) -> Figures:
        return self.rates.baseline.days.reshape(self._shown.count.shape)

    @cached_property
    def _has_baseline(self) -> Mask:
        return self._baseline_days >= MIN_DAYS

    @cached_property
    def _can_judge(self) -> Mask:
        """Whether the volume would have shown a real problem: a doubling, a halving, or half of what is left.

        With a baseline that is asked of the expected rate, without one of the limit.
        """
        level = self.rates.baseline.level.reshape(self._shown.count.shape)
        low = IS_LOW_BAD[:, None]
        detectable = self._min_detectable
        learned = np.where(low, detectable >= 0.5, detectable * level <= np.minimum(2 * level, (1 + level) / 2))
        limited = np.where(low, self._visible >= self._limits / 2, self._visible <= (1 + self._limits) / 2)
        return np.where(self._has_baseline, learned, limited)

    @cached_property
    def _is_judged(self) -> Mask:
        """Whether any rate could be judged on a day."""
        is_planned = np.repeat(self.is_planned, len(RATES), axis=0)
        found: Mask = (self._can_judge & (self._shown.total > 0) & ~is_planned).any(0)
        return found

    def _findings(self, at: int) -> dict[Key, Finding]:
        """Return what was found of each signal, in the order of SIGNALS."""
        found = [self._leak(at)]
        for row in range(len(TOUCHES)):
            found.append(self._volume_of(at, row))
            found.extend(self._rate(at, row * len(RATES) + number) for number in range(len(RATES)))
        found.append(self._funnel_of(at))
        found.append(self._labels_of(at))
        return dict(zip(SIGNALS, found, strict=True))

    def _leak(self, at: int) -> Finding:
        if not self._leaks[at]:
            return Finding(Status.HEALTHY, Reason.NONE_SEEN)
        return Finding(Status.UNHEALTHY, Reason.IDENTITY_LEAK, int(self._day_leaks[at]))

    def _volume_of(self, at: int, row: int) -> Finding:
        volume, day = self.volume, int(self._judged[at])
        if self.is_planned[row, at]:
            return Finding(Status.INSUFFICIENT_DATA, Reason.PLANNED)
        if not volume.delivered[row, : day + 1].any():
            return Finding(Status.INSUFFICIENT_DATA, Reason.DELIVERED_TOTAL_0)
        if volume.has_stopped[row, day]:
            return Finding(Status.UNHEALTHY, Reason.TRAFFIC_STOPPED)
        if volume.is_low[row, day]:
            return Finding(Status.UNHEALTHY, Reason.DELIVERED_LOW)
        if volume.delivered[row, day]:
            return Finding(Status.HEALTHY, Reason.TRAFFIC_SEEN)
        if np.isnan(volume.expected[row, day]):
            return Finding(Status.INSUFFICIENT_DATA, Reason.NO_BASELINE)
        return Finding(Status.HEALTHY, Reason.QUIET_EXPECTED)

    def _rate(self, at: int, series: int) -> Finding:
        _, rate = SERIES[series]
        if self.is_planned[series // len(RATES), at]:
            return Finding(Status.INSUFFICIENT_DATA, Reason.PLANNED)
        if self._is_beyond_limit[series, at]:
            return Finding(Status.UNHEALTHY, rate.limit_reason)
        if self.rates.is_unhealthy[series, at]:
            return Finding(Status.UNHEALTHY, rate.history_reason)
        if not self._shown.total[series, at]:
            return Finding(Status.INSUFFICIENT_DATA, Reason.NO_EVENTS)
        if self._can_judge[series, at]:
            learned = self._has_baseline[series, at]
            return Finding(Status.HEALTHY, Reason.AS_EXPECTED if learned else Reason.WITHIN_LIMIT)
        if np.isnan(self._limits[series, 0]) and not self._has_baseline[series, at]:
            return Finding(Status.INSUFFICIENT_DATA, Reason.NO_BASELINE)
        return Finding(Status.INSUFFICIENT_DATA, Reason.LOW_VOLUME)

    def _funnel_of(self, at: int) -> Finding:
        day = int(self._judged[at])
        if self._funnel.is_bad[day]:
            return Finding(Status.UNHEALTHY, Reason.FUNNEL_BROKEN)
        return Finding(Status.HEALTHY, Reason.LOGGING_CHANGED if self._logging_changed[day] else Reason.NONE_SEEN)

    def _labels_of(self, at: int) -> Finding:
        day = int(self._judged[at])
        if self._labels.is_bad[day]:
            return Finding(Status.UNHEALTHY, Reason.LABELS_UNUSABLE)
        if self._has_wide_segment[day]:
            return Finding(Status.UNHEALTHY, Reason.NOT_A_SEGMENT)
        return Finding(Status.HEALTHY, Reason.NONE_SEEN)

    def _whole(self, at: int, findings: dict[Key, Finding]) -> tuple[Status, Reason]:
        """Return status and reason of the whole."""
        bad = {finding.reason for finding in findings.values() if finding.status is Status.UNHEALTHY}
        if bad:
            return Status.UNHEALTHY, min(bad, key=WORST_FIRST.index)
        if self.is_planned[:, at].all():
            return Status.INSUFFICIENT_DATA, Reason.PLANNED
        if self._delivered[at] == 0:
            return Status.INSUFFICIENT_DATA, Reason.DELIVERED_TOTAL_0
        if not self._is_judged[at]:
            return Status.INSUFFICIENT_DATA, Reason.LOW_VOLUME
        return Status.HEALTHY, Reason.WITHIN_LIMITS

    def _verdict(self, at: int, findings: dict[Key, Finding], whole: Phase, phases: dict[Key, Phase]) -> Verdict:
        figures = [self._leak_figures(at)]
        for row in range(len(TOUCHES)):
            figures.append(self._volume_figures(at, row))
            figures.extend(self._rate_figures(at, row * len(RATES) + number) for number in range(len(RATES)))
        figures.extend(self._quality_figures(at, one) for one in (self._funnel, self._labels))
        status, reason = self._whole(at, findings)
        signals = [
            Signal(
                touch=touch,
                name=name,
                status=findings[touch, name].status,
                reason=findings[touch, name].reason,
                since=phases[touch, name].since,
                change=phases[touch, name].change,
                episode=phases[touch, name].episode,
                **found,
            )
            for (touch, name), found in zip(SIGNALS, figures, strict=True)
        ]
        return Verdict(
            as_of=self._day(at),
            status=status,
            reason=reason,
            signals=tuple(signals),
            since=whole.since,
            change=whole.change,
        )

    def _leak_figures(self, at: int) -> dict[str, Any]:
        return {
            "window_days": self.thresholds.window_days,
            "count": int(self._leaks[at]),
            "total": int(self._exposed[at]),
        }

    def _volume_figures(self, at: int, row: int) -> dict[str, Any]:
        volume, day = self.volume, int(self._judged[at])
        window_days = int(volume.window_days[row, day])
        window = slice(day - window_days + 1, day + 1)
        expected = volume.expected[row, window]
        return {
            "window_days": window_days,
            "history_days": int(volume.days[row, day]),
            "count": int(volume.delivered[row, window].sum()),
            "expected": None if np.isnan(expected).all() else float(np.nansum(expected)),
            "min_detectable": _known(volume.min_detectable[row, day]),
        }

    def _rate_figures(self, at: int, series: int) -> dict[str, Any]:
        shown = self._shown
        is_planned = self.is_planned[series // len(RATES), at]
        if self.rates.is_unhealthy[series, at] and not self._is_beyond_limit[series, at] and not is_planned:
            # What decides: the window that chance explains least.
            shown = min(
                (window for window in self.rates.windows if window.is_unhealthy[series, at]),
                key=lambda window: float(window.tail[series, at]),
            )
        count, total = int(shown.count[series, at]), int(shown.total[series, at])
        expected = shown.expected[series, at]
        has_baseline = self._has_baseline[series, at]
        detectable = self._min_detectable if has_baseline else self._visible / self._limits
        critical = self.critical(shown, at, series)
        return {
            "window_days": shown.window_days,
            "count": count,
            "total": total,
            "rate": ratio(count, total),
            "expected": _known(expected / total) if total else None,
            "critical": critical / total if total and critical is not None else None,
            "limit": _known(self._limits[series, 0]),
            "bound": _known(self._bound[series, at]),
            "history_days": int(self._baseline_days[series, at]),
            "min_detectable": _known(detectable[series, at]),
        }

    def _quality_figures(self, at: int, quality: Quality) -> dict[str, Any]:
        day = int(self._judged[at])
        return {
            "window_days": self.thresholds.window_days,
            "count": int(quality.count[day]),
            "total": int(quality.total[day]),
        }

    def critical(self, window: WindowTest, at: int, series: int) -> int | None:
        """Return the count from which a window of a series would be unhealthy by history; None: no count would."""
        expected = float(window.expected[series, at])
        if np.isnan(expected):
            return None
        return first_unhealthy(
            expected,
            float(window.trials[series, at]),
            float(window.design_effect[series, at]),
            window.window_days,
            self.thresholds,
            is_low=bool(IS_LOW_BAD[series]),
        )


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else float(figure)
