"""What people are told: every problem, once, and never a state that goes on unsaid."""

from __future__ import annotations

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.config import Alerts, Mute
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, Scope, SignalName, Status
from ops_pipeline.health import Signal, Verdict
from ops_pipeline.health.alerts import RUN, Message, Subject, Told, due, due_of_run, told_after, with_mutes
from ops_pipeline.health.episodes import Episodes, Finding, Key
from ops_pipeline_tests.health.incidents import FIRST, Counts, case_a, judged, told

HELD, FAILED = (Scope.FIRST, SignalName.HOLD_RATE), (Scope.SECOND, SignalName.FAILURE_RATE)
FINE = Finding(Status.HEALTHY, Reason.AS_EXPECTED)
HIGH = Finding(Status.UNHEALTHY, Reason.HOLD_RATE_HIGH)
OVER = Finding(Status.UNHEALTHY, Reason.HOLD_RATE_LIMIT)
FEW = Finding(Status.INSUFFICIENT_DATA, Reason.LOW_VOLUME)
Day = dict[Key, Finding]


def _said(messages: dict[int, Message]) -> dict[int, str]:
    """Return what is told: `5 spread: opened first hold_rate`, and how much is still open."""
    return {
        number: f"{message.kind}: "
        + ", ".join(f"{one.kind} {one.subject[0]} {one.subject[1]}" for one in message.news)
        + (f" ({len(message.still_open)} still open)" if message.still_open else "")
        for number, message in messages.items()
    }


def _verdicts(days: list[Day]) -> list[Verdict]:
    """Return verdicts of signals of which only status and episode matter."""
    episodes, found = Episodes(), []
    for number, of_day in enumerate(days):
        whole, phases = episodes.advance(FIRST + timedelta(days=number), of_day)
        statuses = {finding.status for finding in of_day.values()}
        bad = next((finding.reason for finding in of_day.values() if finding.status is Status.UNHEALTHY), None)
        is_blind = statuses == {Status.INSUFFICIENT_DATA}
        found.append(
            Verdict(
                as_of=FIRST + timedelta(days=number),
                status=Status.UNHEALTHY if bad else Status.INSUFFICIENT_DATA if is_blind else Status.HEALTHY,
                reason=bad or (Reason.LOW_VOLUME if is_blind else Reason.WITHIN_LIMITS),
                signals=tuple(
                    Signal(
                        touch=touch,
                        name=name,
                        status=of_day[touch, name].status,
                        reason=of_day[touch, name].reason,
                        window_days=7,
                        count=0,
                        since=phases[touch, name].since,
                        change=phases[touch, name].change,
                        episode=phases[touch, name].episode,
                    )
                    for touch, name in of_day
                ),
                since=whole.since,
                change=whole.change,
            )
        )
    return found


def _of_one(findings: list[Finding]) -> list[Verdict]:
    return _verdicts([{HELD: finding} for finding in findings])


def test_a_leak_an_outage_and_failures_that_overlap_are_each_told_on_their_day() -> None:
    assert _said(told(judged(case_a, 130))) == {
        100: "opened: opened both identity_leak",
        103: "spread: opened first delivered, opened first positive_rate (1 still open)",
        106: "spread: opened first failure_rate (3 still open)",
        107: "eased: recovered first delivered, recovered first positive_rate (2 still open)",
        108: "eased: recovered both identity_leak (1 still open)",
        # The five days that bring too little still hold the outage.
        109: "spread: opened first delivered (1 still open)",
        111: "eased: recovered first delivered (1 still open)",
        118: "reminder: reminder first failure_rate",
        121: "recovered: recovered first failure_rate",
    }


def test_what_goes_on_is_told_once_and_when_it_gets_worse_and_ends() -> None:
    days = [FINE, HIGH, HIGH, OVER, HIGH, OVER, FINE, HIGH, FINE, FINE, FINE]
    assert _said(told(_of_one(days))) == {
        1: "opened: opened first hold_rate",
        3: "worsened: worsened first hold_rate",
        9: "recovered: recovered first hold_rate",
    }


def test_a_leak_that_was_corrected_and_comes_again_on_the_same_day_is_told_again() -> None:
    def leaks(number: int, counts: Counts) -> Counts:
        return {**counts, ("first", "held", "identity_leak"): 1} if number == 59 else counts

    with_leak, without = judged(leaks, 60)[-1], judged(lambda _, counts: counts, 60)[-1]
    known: dict[Subject, Told] = {}
    kinds = []
    for verdict in (with_leak, with_leak, without, without, with_leak, with_leak):
        message = due(verdict, known, None, Alerts())
        known = told_after(known, message, verdict)
        kinds.append(message.kind.value if message else None)
    assert kinds == ["opened", None, "recovered", None, "opened", None]


def test_who_was_down_is_told_late_what_is_and_not_what_was() -> None:
    verdicts = _of_one([FINE, HIGH, HIGH, OVER, HIGH, FINE, FINE, FINE, HIGH])
    assert [message.kind for message in told(verdicts, seen={0, 4, 8}).values()] == ["opened", "opened"]
    assert told(verdicts, seen={0, 7}) == {}
    assert [message.kind for message in told(verdicts, seen={2, 7}).values()] == ["opened", "recovered"]


def test_late_data_that_moves_the_beginning_of_an_episode_makes_it_no_other_one() -> None:
    known: dict[Subject, Told] = {}
    for days in ([HIGH], [HIGH, HIGH], [FINE, HIGH, HIGH], [HIGH, HIGH, HIGH, HIGH]):
        verdict = _of_one(days)[-1]
        message = due(verdict, known, None, Alerts())
        known = told_after(known, message, verdict)
        assert (message is not None) == (len(days) == 1)


def test_of_what_goes_on_people_are_reminded_after_so_many_days_or_never() -> None:
    verdicts = _of_one([HIGH] * 20)
    assert list(told(verdicts)) == [0, 7, 14]
    assert list(told(verdicts, Alerts(remind_days=3))) == [0, 3, 6, 9, 12, 15, 18]
    assert list(told(verdicts, Alerts(remind_days=0))) == [0]


def test_days_in_a_row_that_nobody_can_judge_are_told_once_they_are_too_many_and_when_they_end() -> None:
    verdicts = _of_one([FEW, FEW, FEW, FEW, FINE, FEW, FEW, FEW, FEW, FINE])
    # Before the first day that could be judged nobody expects an answer.
    assert _said(told(verdicts)) == {
        7: "blind: blind both watchdog",
        9: "recovered: recovered both watchdog",
    }
    assert list(told(verdicts, Alerts(blind_days=2))) == [6, 9]


def test_a_muted_signal_is_not_told_and_at_the_end_of_the_mute_it_is_if_it_goes_on() -> None:
    mute = Mute(signal="hold_rate", touch="first", last=FIRST + timedelta(days=4))
    muted = Alerts(mute=(mute,), remind_days=0)
    assert _said(told(_of_one([HIGH] * 8), muted)) == {5: "opened: opened first hold_rate"}
    assert told(_of_one([HIGH, HIGH, FINE, FINE, FINE, FINE]), muted) == {}
    both = _verdicts([{HELD: HIGH, FAILED: HIGH}] * 3)
    assert _said(told(both, muted)) == {0: "opened: opened second failure_rate"}
    # One that was told before it was muted is told of again, not opened again.
    later = Alerts(mute=(mute.model_copy(update={"last": FIRST + timedelta(days=2)}),), remind_days=0)
    known: dict[Subject, Told] = {}
    kinds = []
    for verdict in _of_one([HIGH] * 4):
        shown = with_mutes(verdict, later if verdict.as_of > FIRST else Alerts())
        message = due(shown, known, None, later)
        known = told_after(known, message, shown)
        kinds.append(message.kind.value if message else None)
    assert kinds == ["opened", None, None, "reminder"]


def test_a_failed_run_is_told_once_and_so_is_the_first_one_that_works_again() -> None:
    known: dict[Subject, Told] = {}
    kinds = []
    for number, has_failed in enumerate([False, True, True, True, False, False]):
        day = FIRST + timedelta(days=number // 2)
        message = due_of_run(day, known, Alerts(), has_failed=has_failed, has_run=not has_failed)
        known = told_after(known, message, None)
        kinds.append(message.kind.value if message else None)
    assert kinds == [None, "failed", None, None, "recovered", None]


def test_of_a_run_that_fails_day_after_day_people_are_reminded() -> None:
    known: dict[Subject, Told] = {}
    told_on = []
    for number in range(16):
        message = due_of_run(FIRST + timedelta(days=number), known, Alerts(), has_failed=True, has_run=False)
        known = told_after(known, message, None)
        if message is not None:
            told_on.append((number, message.kind.value, message.news[0].since))
    assert told_on == [(0, "failed", FIRST), (7, "reminder", FIRST), (14, "reminder", FIRST)]


def test_a_day_that_has_not_run_yet_says_nothing_of_the_run_that_failed() -> None:
    message = due_of_run(FIRST, {}, Alerts(), has_failed=True, has_run=False)
    known = told_after({}, message, None)
    assert RUN in known
    assert due_of_run(FIRST + timedelta(days=1), known, Alerts(), has_failed=False, has_run=False) is None


findings = st.sampled_from([FINE, HIGH, OVER, FEW])
histories = st.lists(st.fixed_dictionaries({HELD: findings, FAILED: findings}), min_size=1, max_size=30)


@given(histories, st.data())
def test_whatever_is_looked_at_and_however_often_each_beginning_and_each_end_is_told_once(
    days: list[Day], data: st.DataObject
) -> None:
    looks = data.draw(st.lists(st.integers(0, len(days) - 1), max_size=40).map(sorted))
    verdicts = _verdicts(days)
    known: dict[Subject, Told] = {}
    open_since: dict[Key, date] = {}
    for number in looks:
        verdict = verdicts[number]
        message = due(verdict, known, None, Alerts(remind_days=0))
        known = told_after(known, message, verdict)
        news = {} if message is None else {one.subject: one.kind for one in message.news}
        for signal in verdict.signals:
            episode, was = signal.episode, open_since.get(signal.key)
            expected = None
            if was is not None and episode is None:
                expected = AlertKind.RECOVERED
                del open_since[signal.key]
            elif episode is not None and was != episode.since and signal.status is Status.UNHEALTHY:
                expected = AlertKind.OPENED
                open_since[signal.key] = episode.since
            if expected is not None:
                assert news.get(signal.key) is expected
            else:
                assert news.get(signal.key) in (None, AlertKind.WORSENED)
        for one in () if message is None else message.news:
            # Nothing is said of what is not so.
            assert one.kind is AlertKind.RECOVERED or days[number][one.subject].status is Status.UNHEALTHY  # type: ignore[index]


@pytest.mark.parametrize("first", ["leak", "outage", "held", "failed", "suppressed"])
def test_an_incident_that_begins_while_another_one_is_open_is_told_on_the_day_on_which_it_would_be_alone(
    first: str,
) -> None:
    def make(kinds: dict[str, range]) -> dict[tuple[Scope, str], int]:
        def change(number: int, counts: Counts) -> Counts:
            changed = {**counts, ("first", "offered", None): 900, ("first", "suppressed", "unknown"): 100}
            for kind in sorted(kinds, key=lambda one: one == "outage"):
                if number in kinds[kind]:
                    changed = INCIDENTS[kind](changed)
            return changed

        found: dict[tuple[Scope, str], int] = {}
        for number, message in told(judged(change, 100)).items():
            for one in message.news:
                if one.kind is AlertKind.OPENED:
                    found.setdefault((one.subject[0], one.subject[1].value), number)
        return found

    for second in INCIDENTS:
        if second == first:
            continue
        alone = make({second: range(83, 92)})
        together = make({first: range(80, 92), second: range(83, 92)})
        # What an outage hides cannot be seen on the same days.
        if first != "outage":
            assert all(together.get(signal, 99) <= number for signal, number in alone.items()), (first, second)


def _leak(counts: Counts) -> Counts:
    return {**counts, ("first", "held", "identity_leak"): 1}


def _outage(counts: Counts) -> Counts:
    return {key: events for key, events in counts.items() if key[1] not in ("delivered", "acknowledged", "failed")}


def _times(key: tuple[str, str, str], factor: int) -> object:
    return lambda counts: {**counts, key: factor * counts[key]}


INCIDENTS = {
    "leak": _leak,
    "outage": _outage,
    "held": _times(("first", "held", "rate_limited"), 6),
    "failed": _times(("first", "failed", "bounced_soft"), 8),
    "suppressed": _times(("first", "suppressed", "unknown"), 5),
}
