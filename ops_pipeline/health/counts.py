"""Counts of events per UTC day, and their sums over a window."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from ops_pipeline.contract.vocabulary import ATTEMPTS, POSITIVE, AttemptsSource, Outcome, Scope, Touch

CountKey = tuple[str, str, str | None]

_TOUCHES = frozenset(Touch)
_OUTCOMES = frozenset(Outcome)
_TOLERANCE = 0.10
"""Share by which a step may exceed the one before it: retries, and sends around midnight."""
MIN_CONTRADICTING = 20
"""With fewer events, one late batch would be a contradiction."""


@dataclass(frozen=True, slots=True)
class DayCounts:
    """How many events of each (touch, outcome, reason) there were on one UTC day.

    Raises ValueError for a touch or outcome that the event contract does not have, or a count that is not a whole
    number of at least 0.
    """

    day: date
    counts: Mapping[CountKey, int]
    has_wide_segment: bool = False
    """Whether the segment column had too many labels on this day to be one, so that the day was counted without."""

    def __post_init__(self) -> None:
        for (touch, outcome, _reason), events in self.counts.items():
            if touch not in _TOUCHES or outcome not in _OUTCOMES:
                raise ValueError("a touch or outcome is no word of the event contract")
            if isinstance(events, bool) or not isinstance(events, int) or events < 0:
                raise ValueError("a count is not a whole number of at least 0")

    @property
    def has_events(self) -> bool:
        """Whether there was any event."""
        return any(self.counts.values())

    def total(self, touch: str, outcome: str) -> int:
        """Return n(outcome) of one touch, as the source logs it."""
        return sum(
            events
            for (its_touch, its_outcome, _reason), events in self.counts.items()
            if its_touch == touch and its_outcome == outcome
        )

    def attempts(self, touch: str) -> tuple[int, AttemptsSource]:
        """Return how many sends of one touch were attempted on this day, and where the number is from.

        It is n(attempted) where the source logs that. It is n(held) + n(queued) where it logs none, or, as on a day
        on which it begins to, so few that it contradicts them.
        """
        logged = self.total(touch, Outcome.ATTEMPTED)
        decided = self.total(touch, Outcome.HELD) + self.total(touch, Outcome.QUEUED)
        if decided and (not logged or contradicts(decided, logged)):
            return decided, AttemptsSource.DERIVED
        return logged, AttemptsSource.LOGGED


def contradicts(step: Any, before: Any) -> Any:
    """Return whether a step of the funnel has too many events to follow from the one before it; arrays work too."""
    return (step - before > _TOLERANCE * before) & (step - before >= MIN_CONTRADICTING)


class WindowCounts:
    """The sums over the `window_days` UTC days that end with `as_of`, inclusive; days without counts count 0."""

    def __init__(self, days: Iterable[DayCounts], as_of: date, window_days: int) -> None:
        first = as_of - timedelta(days=window_days - 1)
        self.as_of = as_of
        self.window_days = window_days
        self._sums: Counter[CountKey] = Counter()
        self._attempts: Counter[tuple[str, AttemptsSource]] = Counter()
        for day in days:
            if first <= day.day <= as_of:
                self._sums.update(day.counts)
                for touch in Touch:
                    attempts, source = day.attempts(touch)
                    self._attempts[touch, source] += attempts

    def total(self, scope: str, outcome: str, reason: str | None = None) -> int:
        """Return n(outcome), or n(outcome, reason) where `reason` is given, of one touch or of `both`."""
        return sum(
            events
            for (its_touch, its_outcome, its_reason), events in self._sums.items()
            if its_outcome == outcome
            and (scope == Scope.BOTH or its_touch == scope)
            and (reason is None or its_reason == reason)
        )

    def figure(self, scope: str, name: str) -> int:
        """Return the figure `name` of a rate: an outcome, `attempts` or `positive`."""
        if name == ATTEMPTS:
            return sum(attempts for (touch, _), attempts in self._attempts.items() if scope in (Scope.BOTH, touch))
        if name == POSITIVE:
            return self.total(scope, Outcome.ACKNOWLEDGED, POSITIVE)
        return self.total(scope, name)

    def attempts_source(self, scope: str) -> AttemptsSource:
        """Return where the window's attempts are from; `logged` where there are none."""
        sources = {
            source
            for (touch, source), attempts in self._attempts.items()
            if attempts and scope in (Scope.BOTH, touch)
        }
        if len(sources) > 1:
            return AttemptsSource.MIXED
        return next(iter(sources), AttemptsSource.LOGGED)

    def by_reason(self, scope: str, outcome: str) -> dict[str, int]:
        """Return the events of `outcome` by reason, without reasons that did not occur."""
        sums: Counter[str] = Counter()
        for (its_touch, its_outcome, its_reason), events in self._sums.items():
            if its_outcome == outcome and its_reason is not None and (scope in (Scope.BOTH, its_touch)):
                sums[its_reason] += events
        return {reason: events for reason, events in sums.items() if events}


def unique_days(days: Sequence[DayCounts]) -> dict[date, DayCounts]:
    """Return `days` by day. Raises ValueError where a day is given twice."""
    by_day = {day.day: day for day in days}
    if len(by_day) != len(days):
        raise ValueError("a day is given twice")
    return by_day
