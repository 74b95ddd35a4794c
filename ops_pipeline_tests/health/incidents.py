"""A service whose days are made one by one, and what people are told of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date, timedelta

from ops_pipeline.contract.config import Alerts
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.health import DayCounts, Verdict, evaluate_range
from ops_pipeline.health.alerts import Blindness, Message, Subject, Told, due, told_after, with_mutes

FIRST = date(2026, 1, 5)

Counts = dict[tuple[str, str, str | None], int]


def usual(number: int) -> Counts:
    """A day of 1,000 attempts, of which 2 % fail softly and 5 % are held."""
    return {
        ("first", "attempted", None): 1000,
        ("first", "held", "rate_limited"): 50 + number % 7,
        ("first", "queued", None): 950 - number % 7,
        ("first", "delivered", None): 930 - number % 5,
        ("first", "failed", "bounced_soft"): 20 + number % 5,
        ("first", "acknowledged", "positive"): 400 + number % 11,
    }


def days_of(change: Callable[[int, Counts], Counts], size: int) -> list[DayCounts]:
    """Return `size` days from FIRST on, each as `change` makes it."""
    return [DayCounts(FIRST + timedelta(days=number), change(number, usual(number))) for number in range(size)]


def told(
    verdicts: Iterable[Verdict], settings: Alerts | None = None, *, seen: set[int] | None = None
) -> dict[int, Message]:
    """Return what is told on which day, while only the days `seen` (all, unless given) are looked at."""
    settings = settings or Alerts()
    known: Mapping[Subject, Told] = {}
    found, blind, was_judged = {}, 0, False
    for verdict in verdicts:
        number = (verdict.as_of - FIRST).days
        if verdict.status is Status.INSUFFICIENT_DATA:
            blind += was_judged
        else:
            blind, was_judged = 0, True
        if seen is not None and number not in seen:
            continue
        shown = with_mutes(verdict, settings)
        blindness = Blindness(verdict.as_of - timedelta(days=blind - 1), blind) if blind else None
        message = due(shown, known, blindness, settings)
        known = told_after(known, message, shown)
        if message is not None:
            found[number] = message
    return found


def case_a(number: int, counts: Counts) -> Counts:
    """A leak on day 100, nothing at all on days 103 to 105, and from day 106 on fifteen times the failures."""
    if number == 100:
        return {**counts, ("first", "held", "identity_leak"): 1}
    if 103 <= number <= 105:
        return {}
    if 106 <= number <= 119:
        failed = 15 * counts["first", "failed", "bounced_soft"]
        return {
            **counts,
            ("first", "failed", "bounced_soft"): failed,
            ("first", "delivered", None): counts["first", "queued", None] - failed,
        }
    return counts


def judged(change: Callable[[int, Counts], Counts], size: int) -> list[Verdict]:
    """Return the verdict of every day."""
    days = days_of(change, size)
    return evaluate_range(days, days[0].day, FIRST + timedelta(days=size - 1))
