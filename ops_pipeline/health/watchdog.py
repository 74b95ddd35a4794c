"""The rule: from daily counts to a verdict. See docs/explanation/watchdog.md for the method."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from functools import cached_property

import numpy as np

from ops_pipeline.contract.config import HISTORY_DAYS, Thresholds
from ops_pipeline.contract.days import ONE_DAY
from ops_pipeline.contract.rates import RATES, ratio
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Outcome, Scope, SignalName, Status
from ops_pipeline.health.baseline import GAP_DAYS, MIN_DAYS, REACH_DAYS
from ops_pipeline.health.counts import DayCounts, unique_days
from ops_pipeline.health.data_quality import Quality, funnel, labels, logging_changed, wide_segments
from ops_pipeline.health.episodes import phases
from ops_pipeline.health.history import TOUCHES, Figures, History, Mask, sums
from ops_pipeline.health.rates import IS_LOW_BAD, SERIES, RateTests, WindowTest, first_unhealthy
from ops_pipeline.health.verdict import WORST_FIRST, Signal, Verdict
from ops_pipeline.health.volume import judge_volume
from ops_pipeline.health.wilson import lower_bound, upper_bound, visible_above, visible_below

_DEFAULTS = Thresholds()
_IN_ORDER = (Reason.NONE_SEEN, Reason.LOGGING_CHANGED)
FOLLOWED_DAYS = HISTORY_DAYS - REACH_DAYS - GAP_DAYS
"""Days before the one in question that are judged too, so that baselines and episodes know which were unhealthy."""


def evaluate(days: Sequence[DayCounts], as_of: date, thresholds: Thresholds = _DEFAULTS) -> Verdict:
    """Return the verdict for the UTC day `as_of`.

    `days` come in any order; a day that is missing had no events; days after `as_of` do not count, nor do days more
    than HISTORY_DAYS back. Raises ValueError where a day is given twice.
    """
    return evaluate_range(days, as_of, as_of, thresholds)[0]


def evaluate_range(
    days: Sequence[DayCounts], first: date, last: date, thresholds: Thresholds = _DEFAULTS
) -> list[Verdict]:
    """Return the verdicts of the UTC days from `first` to `last`, each from the days up to it, as `evaluate` does."""
    return Judgement(days, first, last, thresholds).verdicts()


class Judgement:
    """What was found for the days from `first` to `last`, and for the ones before that they depend on.

    Every array has the judged days as its last axis.
    """

    def __init__(self, days: Sequence[DayCounts], first: date, last: date, thresholds: Thresholds) -> None:
        unique_days(days)
        self.thresholds = thresholds
        self.history = history = History(days, first - (HISTORY_DAYS - 1) * ONE_DAY, first, last)
        self._asked = history.position(first)
        self._judged = np.arange(max(self._asked - FOLLOWED_DAYS, 0), history.size)
        planned = self._planned()
        self.rates = RateTests(history, self._judged, planned, thresholds)
        self.volume = judge_volume(history, planned, thresholds)
        self.is_planned = planned[:, self._judged]
        self._shown = next(one for one in self.rates.windows if one.window_days == thresholds.window_days)
        self._limits = np.array([thresholds.limit(touch, rate.name) or np.nan for touch, rate in SERIES])[:, None]

        def of_judged(figures: Figures) -> Figures:
            return sums(figures, thresholds.window_days).sum(0)[self._judged]

        self._leaks, self._delivered = of_judged(history.leaked), of_judged(history[Outcome.DELIVERED])
        self._exposed = of_judged(history[Outcome.HELD] + history[Outcome.DISABLED])
        self._funnel = funnel(history, planned, thresholds.window_days)
        self._logging_changed = logging_changed(history, thresholds.window_days)
        self._labels = labels(history, thresholds.window_days, thresholds)
        self._has_wide_segment = wide_segments(history, thresholds.window_days)
        self._found = self._unhealthy()
        statuses, reasons = self._whole()
        self._phases = list(phases(zip(map(history.day, self._judged.tolist()), statuses, reasons, strict=True)))
        self._statuses, self._reasons = statuses, reasons

    def verdicts(self) -> list[Verdict]:
        """Return the verdict of each day that was asked for."""
        return [self._verdict(at) for at in range(self._asked - int(self._judged[0]), len(self._judged))]

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

    def _unhealthy(self) -> dict[Reason, Mask]:
        """Return on which judged days each reason holds for any signal."""
        is_planned = np.repeat(self.is_planned, len(RATES), axis=0)
        is_beyond = self._is_beyond_limit & ~is_planned
        is_unlike = self.rates.is_unhealthy & ~is_planned
        volume = self.volume
        found: dict[Reason, Mask] = {
            Reason.IDENTITY_LEAK: self._leaks > 0,
            Reason.TRAFFIC_STOPPED: volume.has_stopped[:, self._judged].sum(0) > 0,
            Reason.DELIVERED_LOW: volume.is_low[:, self._judged].sum(0) > 0,
            Reason.FUNNEL_BROKEN: self._funnel.is_bad[self._judged],
            Reason.LABELS_UNUSABLE: self._labels.is_bad[self._judged],
            Reason.NOT_A_SEGMENT: self._has_wide_segment[self._judged],
        }
        for number, rate in enumerate(RATES):
            found[rate.limit_reason] = is_beyond[number :: len(RATES)].any(0)
            found[rate.history_reason] = is_unlike[number :: len(RATES)].any(0)
        return found

    def _whole(self) -> tuple[list[Status], list[Reason]]:
        """Return status and reason of the whole on each judged day."""
        is_planned = np.repeat(self.is_planned, len(RATES), axis=0)
        is_judged = (self._can_judge & (self._shown.total > 0) & ~is_planned).any(0)
        statuses, reasons = [], []
        for at in range(len(self._judged)):
            reason = next((one for one in WORST_FIRST if self._found[one][at]), None)
            if reason is not None:
                status = Status.UNHEALTHY
            elif self.is_planned[:, at].all():
                status, reason = Status.INSUFFICIENT_DATA, Reason.PLANNED
            elif self._delivered[at] == 0:
                status, reason = Status.INSUFFICIENT_DATA, Reason.DELIVERED_TOTAL_0
            elif not is_judged[at]:
                status, reason = Status.INSUFFICIENT_DATA, Reason.LOW_VOLUME
            else:
                status, reason = Status.HEALTHY, Reason.WITHIN_LIMITS
            statuses.append(status)
            reasons.append(reason)
        return statuses, reasons

    def _verdict(self, at: int) -> Verdict:
        signals = [self._leak_signal(at)]
        for row, touch in enumerate(TOUCHES):
            signals.append(self._delivered_signal(at, row, Scope(touch)))
            signals.extend(self._rate_signal(at, row * len(RATES) + number) for number in range(len(RATES)))
        signals.extend(self._quality_signals(at))
        return Verdict(
            as_of=self.history.day(int(self._judged[at])),
            status=self._statuses[at],
            reason=self._reasons[at],
            signals=tuple(signals),
            since=self._phases[at].since,
            change=self._phases[at].change,
        )

    def _leak_signal(self, at: int) -> Signal:
        leaks = int(self._leaks[at])
        return Signal(
            touch=Scope.BOTH,
            name=SignalName.IDENTITY_LEAK,
            status=Status.UNHEALTHY if leaks else Status.HEALTHY,
            reason=Reason.IDENTITY_LEAK if leaks else Reason.NONE_SEEN,
            window_days=self.thresholds.window_days,
            count=leaks,
            total=int(self._exposed[at]),
        )

    def _delivered_signal(self, at: int, row: int, touch: Scope) -> Signal:
        volume, day = self.volume, int(self._judged[at])
        window_days = int(volume.window_days[row, day])
        window = slice(day - window_days + 1, day + 1)
        expected = volume.expected[row, window]
        status = Status.HEALTHY
        if self.is_planned[row, at]:
            status, reason = Status.INSUFFICIENT_DATA, Reason.PLANNED
        elif not volume.delivered[row, : day + 1].any():
            status, reason = Status.INSUFFICIENT_DATA, Reason.DELIVERED_TOTAL_0
        elif volume.has_stopped[row, day]:
            status, reason = Status.UNHEALTHY, Reason.TRAFFIC_STOPPED
        elif volume.is_low[row, day]:
            status, reason = Status.UNHEALTHY, Reason.DELIVERED_LOW
        elif volume.delivered[row, day]:
            reason = Reason.TRAFFIC_SEEN
        elif np.isnan(volume.expected[row, day]):
            status, reason = Status.INSUFFICIENT_DATA, Reason.NO_BASELINE
        else:
            reason = Reason.QUIET_EXPECTED
        return Signal(
            touch=touch,
            name=SignalName.DELIVERED,
            status=status,
            reason=reason,
            window_days=window_days,
            history_days=int(volume.days[row, day]),
            count=int(volume.delivered[row, window].sum()),
            expected=None if np.isnan(expected).all() else float(np.nansum(expected)),
            min_detectable=_known(volume.min_detectable[row, day]),
        )

    def _rate_signal(self, at: int, series: int) -> Signal:
        touch, rate = SERIES[series]
        shown = self._shown
        status, reason = Status.INSUFFICIENT_DATA, Reason.NO_EVENTS
        if self.is_planned[series // len(RATES), at]:
            reason = Reason.PLANNED
        elif self._is_beyond_limit[series, at]:
            status, reason = Status.UNHEALTHY, rate.limit_reason
        elif self.rates.is_unhealthy[series, at]:
            status, reason = Status.UNHEALTHY, rate.history_reason
            shown = min(
                (window for window in self.rates.windows if window.is_unhealthy[series, at]),
                key=lambda window: float(window.tail[series, at]),
            )
        elif shown.total[series, at]:
            if self._can_judge[series, at]:
                learned = self._has_baseline[series, at]
                status, reason = Status.HEALTHY, Reason.AS_EXPECTED if learned else Reason.WITHIN_LIMIT
            elif np.isnan(self._limits[series, 0]) and not self._has_baseline[series, at]:
                reason = Reason.NO_BASELINE
            else:
                reason = Reason.LOW_VOLUME
        count, total = int(shown.count[series, at]), int(shown.total[series, at])
        expected = shown.expected[series, at]
        has_baseline = self._has_baseline[series, at]
        detectable = self._min_detectable if has_baseline else self._visible / self._limits
        critical = self.critical(shown, at, series)
        return Signal(
            touch=Scope(touch),
            name=rate.name,
            status=status,
            reason=reason,
            window_days=shown.window_days,
            count=count,
            total=total,
            rate=ratio(count, total),
            expected=_known(expected / total) if total else None,
            critical=critical / total if total and critical is not None else None,
            limit=_known(self._limits[series, 0]),
            bound=_known(self._bound[series, at]),
            history_days=int(self._baseline_days[series, at]),
            min_detectable=_known(detectable[series, at]),
        )

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

    def _quality_signals(self, at: int) -> list[Signal]:
        day = int(self._judged[at])
        found: list[Signal] = []
        quality: tuple[tuple[SignalName, Quality, Reason], ...] = (
            (SignalName.FUNNEL, self._funnel, Reason.FUNNEL_BROKEN),
            (SignalName.LABELS, self._labels, Reason.LABELS_UNUSABLE),
        )
        for name, one, bad_reason in quality:
            reason = bad_reason if one.is_bad[day] else Reason.NONE_SEEN
            if name is SignalName.LABELS and reason is Reason.NONE_SEEN and self._has_wide_segment[day]:
                reason = Reason.NOT_A_SEGMENT
            if name is SignalName.FUNNEL and reason is Reason.NONE_SEEN and self._logging_changed[day]:
                reason = Reason.LOGGING_CHANGED
            found.append(
                Signal(
                    touch=Scope.BOTH,
                    name=name,
                    status=Status.HEALTHY if reason in _IN_ORDER else Status.UNHEALTHY,
                    reason=reason,
                    window_days=self.thresholds.window_days,
                    count=int(one.count[day]),
                    total=int(one.total[day]),
                )
            )
        return found


def _known(figure: float) -> float | None:
    return None if np.isnan(figure) else float(figure)
