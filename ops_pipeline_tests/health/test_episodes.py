"""Each signal of each touch has episodes of its own; the whole has one as long as any signal has."""

from __future__ import annotations

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, Scope, SignalName, Status
from ops_pipeline.health.episodes import QUIET_DAYS, Episodes, Finding, Key

FIRST = date(2026, 1, 1)
HELD, FAILED, LEAKED = (
    (Scope.FIRST, SignalName.HOLD_RATE),
    (Scope.FIRST, SignalName.FAILURE_RATE),
    (Scope.BOTH, SignalName.IDENTITY_LEAK),
)
FINE = Finding(Status.HEALTHY, Reason.AS_EXPECTED)
HIGH = Finding(Status.UNHEALTHY, Reason.HOLD_RATE_HIGH)
OVER = Finding(Status.UNHEALTHY, Reason.HOLD_RATE_LIMIT)
FEW = Finding(Status.INSUFFICIENT_DATA, Reason.LOW_VOLUME)
NOTHING = Finding(Status.INSUFFICIENT_DATA, Reason.NO_EVENTS)
PLANNED = Finding(Status.INSUFFICIENT_DATA, Reason.PLANNED)


def _leak(leaks: int) -> Finding:
    return Finding(Status.UNHEALTHY, Reason.IDENTITY_LEAK, leaks)


def _follow(days: list[dict[Key, Finding]]) -> list[str]:
    """Return of each day the change of the whole, and of each signal that has one: `spread held:opened`."""
    episodes, found = Episodes(), []
    for number, findings in enumerate(days):
        whole, phases = episodes.advance(FIRST + timedelta(days=number), findings)
        changes = [f"{key[1]}:{one.change}" for key, one in phases.items() if one.change is not Change.NONE]
        found.append(" ".join([whole.change.value, *changes]))
    return found


def _of_one(findings: list[Finding]) -> list[str]:
    episodes = Episodes()
    return [
        episodes.advance(FIRST + timedelta(days=number), {HELD: finding})[0].change.value
        for number, finding in enumerate(findings)
    ]


def test_an_episode_opens_gets_worse_once_and_ends_with_the_second_healthy_day() -> None:
    assert _of_one([FINE, HIGH, HIGH, OVER, HIGH, OVER, FINE, HIGH, FINE, FINE, FINE]) == [
        "none",
        "opened",
        "none",
        "worsened",
        "none",
        "none",
        "none",
        "none",
        "none",
        "recovered",
        "none",
    ]


def test_a_day_with_too_little_data_neither_opens_nor_ends_an_episode() -> None:
    assert _of_one([FEW, HIGH, FINE, FEW, FEW, FINE, FEW]) == [
        "none",
        "opened",
        "none",
        "none",
        "none",
        "recovered",
        "none",
    ]


def test_what_has_not_shown_for_a_week_has_ended_though_nobody_could_judge_it() -> None:
    assert _of_one([HIGH, *[FEW] * QUIET_DAYS])[-1] == "recovered"
    assert _of_one([HIGH, *[FEW] * (QUIET_DAYS - 1)])[-1] == "none"


def test_days_on_which_nothing_was_sent_or_that_were_planned_let_an_episode_wait() -> None:
    for waiting in (NOTHING, PLANNED):
        assert _of_one([HIGH, *[waiting] * 100, FINE, FINE])[-2:] == ["none", "recovered"]


def test_a_second_signal_spreads_the_trouble_and_its_recovery_eases_it() -> None:
    assert _follow(
        [
            {HELD: HIGH, FAILED: FINE},
            {HELD: HIGH, FAILED: HIGH},
            {HELD: FINE, FAILED: HIGH},
            {HELD: FINE, FAILED: OVER},
            {HELD: FINE, FAILED: FINE},
            {HELD: FINE, FAILED: FINE},
        ]
    ) == [
        "opened hold_rate:opened",
        "spread failure_rate:opened",
        "none",
        "worsened hold_rate:recovered failure_rate:worsened",
        "none",
        "recovered failure_rate:recovered",
    ]


def test_every_further_leak_is_worse_also_when_the_first_one_has_left_the_window() -> None:
    changes = _follow([{LEAKED: _leak(leaks)} for leaks in (1, 0, 2, 0, 0, 0, 0, 0, 1)])
    assert [number for number, change in enumerate(changes) if change.startswith("worsened")] == [2, 8]


findings = st.sampled_from([FINE, HIGH, OVER, FEW, NOTHING, PLANNED])
histories = st.lists(st.fixed_dictionaries({HELD: findings, FAILED: findings}), max_size=40)


@given(histories)
def test_no_beginning_ever_moves_and_each_end_had_a_beginning(days: list[dict[Key, Finding]]) -> None:
    episodes = Episodes()
    begun: dict[Key, date] = {}
    whole_since: date | None = None
    for number, of_day in enumerate(days):
        day = FIRST + timedelta(days=number)
        whole, phases = episodes.advance(day, of_day)
        for key, phase in phases.items():
            if phase.change is Change.OPENED:
                assert key not in begun
                assert of_day[key].status is Status.UNHEALTHY
                begun[key] = day
            assert phase.since == begun.get(key)
            assert of_day[key].status is not Status.UNHEALTHY or phase.episode is not None
            if phase.change is Change.RECOVERED:
                assert of_day[key].status is not Status.UNHEALTHY
                del begun[key]
            assert (phase.episode is not None) == (key in begun)
        if whole.change is Change.OPENED:
            assert whole_since is None
            whole_since = day
        assert whole.since == whole_since
        if whole.change is Change.RECOVERED:
            assert not begun
            whole_since = None
        assert (whole_since is not None) == bool(begun)
