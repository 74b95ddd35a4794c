"""What people are told: a change of state once, and never a state that goes on."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, Status
from ops_pipeline.health import Verdict
from ops_pipeline.health.alerts import Alert, due
from ops_pipeline.health.episodes import phases
from ops_pipeline.health.verdict import WORST_FIRST

DAY = date(2026, 11, 7)
HEALTHY = (Status.HEALTHY, Reason.WITHIN_LIMITS)
NOBODY_KNOWS = (Status.INSUFFICIENT_DATA, Reason.LOW_VOLUME)
HELD = (Status.UNHEALTHY, Reason.HOLD_RATE_HIGH)
LEAK = (Status.UNHEALTHY, Reason.IDENTITY_LEAK)

ParsedLine = tuple[Status, Reason]


def _verdicts(days: list[ParsedLine]) -> list[Verdict]:
    dated = [(DAY + timedelta(days=number), *said) for number, said in enumerate(days)]
    return [
        Verdict(as_of=day, status=status, reason=reason, signals=(), since=phase.since, change=phase.change)
        for (day, status, reason), phase in zip(dated, phases(dated), strict=True)
    ]


def _told(days: list[ParsedLine], *, seen: set[int] | None = None) -> list[str]:
    """What is told while only the days `seen` (all, unless given) are looked at, as a daemon that is down would."""
    told: Alert | None = None
    found = []
    for number, verdict in enumerate(_verdicts(days)):
        alert = due(verdict, told) if seen is None or number in seen else None
        if alert is not None:
            found.append(f"{number} {alert.kind}")
            worst = alert.reason
            if told is not None and alert.kind is AlertKind.WORSENED:
                worst = min(told.reason, alert.reason, key=WORST_FIRST.index)
            told = Alert(kind=alert.kind, day=alert.day, reason=worst, since=alert.since)
    return found


def test_an_episode_is_told_when_it_begins_gets_worse_and_ends_and_not_in_between() -> None:
    days = [HEALTHY, HELD, HELD, LEAK, HELD, LEAK, HEALTHY, HELD, HEALTHY, HEALTHY, HEALTHY]
    assert _told(days) == ["1 opened", "3 worsened", "9 recovered"]


def test_a_day_that_could_not_be_judged_is_no_news() -> None:
    assert _told([NOBODY_KNOWS, HELD, NOBODY_KNOWS, HEALTHY, NOBODY_KNOWS, HEALTHY, NOBODY_KNOWS]) == [
        "1 opened",
        "5 recovered",
    ]


def test_who_was_down_is_told_late_what_is_and_not_what_was() -> None:
    days = [HEALTHY, HELD, HELD, LEAK, HELD, HEALTHY, HEALTHY, HEALTHY, HELD]
    assert _told(days, seen={0, 4, 8}) == ["4 opened", "8 opened"]
    assert _told(days, seen={0, 7}) == []
    assert _told(days, seen={2, 7}) == ["2 opened", "7 recovered"]


def test_late_data_that_moves_the_beginning_of_an_episode_makes_it_no_other_one() -> None:
    told = Alert(kind=AlertKind.OPENED, day=DAY, reason=Reason.HOLD_RATE_HIGH, since=DAY)
    moved = _verdicts([HELD, HELD, HELD])[-1]
    for since in (DAY - timedelta(days=3), DAY):
        verdict = Verdict(as_of=moved.as_of, status=moved.status, reason=moved.reason, signals=(), since=since)
        assert due(verdict, told) is None


said = st.sampled_from([HEALTHY, NOBODY_KNOWS, *((Status.UNHEALTHY, reason) for reason in WORST_FIRST)])


@given(st.lists(said, max_size=30))
def test_every_recovery_was_an_episode_and_nothing_is_told_twice_in_a_row(days: list[ParsedLine]) -> None:
    told = [one.split()[1] for one in _told(days)]
    is_open = False
    for kind in told:
        assert (kind == "opened") is not is_open or kind == "worsened"
        assert is_open or kind == "opened"
        is_open = kind != "recovered"
    is_unhealthy = any(status is Status.UNHEALTHY for status, _ in days)
    assert bool(told) is is_unhealthy
