"""The lines of a day: their order, their grammar, and that the snapshot says the same as the figures."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import HELD_REASONS, SUPPRESSED_REASONS, Outcome, Scope, Touch
from ops_pipeline.health import DayCounts, Thresholds, Verdict, evaluate
from ops_pipeline.health.metrics import DeliveredSegments, Metrics, compute_metrics
from ops_pipeline.report.daily_lines import daily_lines, measures, watchdog_line
from ops_pipeline_tests.conftest import EXPENSIVE

DAY = date(2026, 11, 7)

Counts = dict[tuple[str, str, str | None], int]

FRACTIONS = ("rate", "expected", "critical", "limit", "bound", "min_detectable")
SCHEMA = json.loads((Path(__file__).parents[2] / "docs" / "reference" / "snapshot.schema.json").read_text())


def _metrics(days: Sequence[DayCounts], windows: Sequence[int] = (7, 30)) -> Metrics:
    return compute_metrics(days, DAY, windows)


def _printed(days: Sequence[DayCounts], windows: Sequence[int] = (7, 30)) -> list[str]:
    return [str(line) for line in daily_lines(_metrics(days, windows), evaluate(days, DAY))]


COUNTS: Counts = {
    ("first", "offered", None): 800,
    ("first", "suppressed", "rate_limited"): 200,
    ("first", "attempted", None): 700,
    ("first", "held", "cooldown_active"): 70,
    ("first", "delivered", None): 600,
    ("first", "failed", "blocked"): 30,
    ("first", "acknowledged", "positive"): 199,
    ("second", "offered", None): 40,
    ("second", "suppressed", "unknown"): 4,
    ("second", "suppressed", "crisis_blocked"): 9,
    ("second", "suppressed", "disabled_permanent"): 4,
    ("second", "held", "rate_limited"): 2,
    ("second", "held", "identity_leak"): 1,
    ("second", "held", "undeclared"): 5,
    ("second", "queued", None): 32,
    ("second", "delivered", None): 30,
    ("second", "acknowledged", "neutral"): 1,
    ("second", "acknowledged", "positive"): 7,
    ("second", "disabled", "negative_ack"): 3,
}
DAYS = [DayCounts(DAY, COUNTS)]


def test_the_lines_come_in_their_documented_order_whatever_the_windows_are() -> None:
    for windows in ((7, 30), (7,), (2, 7, 28, 90)):
        names = [line.split(" ", 1)[0] for line in _printed(DAYS, windows)]
        assert names == (
            ["ops_daily_totals"] * len(windows)
            + ["ops_daily_rates"] * 2 * len(windows)
            + ["ops_daily_second_touch"] * len(windows)
            + ["ops_daily_signal"] * 13
            + ["ops_daily_watchdog", "ops_metrics_snapshot"]
        )


def test_the_figures_are_printed_with_four_decimals_and_what_they_are_made_of() -> None:
    printed = _printed(DAYS)
    assert printed[0] == (
        "ops_daily_totals as_of=2026-11-07 window_days=7 delivered_total=630 delivered_first=600 delivered_second=30"
        " positive=206 h=0.3270"
    )
    assert printed[2] == (
        "ops_daily_rates as_of=2026-11-07 touch=first window_days=7 hold_rate=0.1000 held=70 attempts=700"
        " attempts_source=logged suppression_rate=0.2000 suppressed=200 offered=800 failure_rate=0.0476 failed=30"
        " delivered=600 positive_rate=0.3317 positive=199"
    )
    assert printed[3] == (
        "ops_daily_rates as_of=2026-11-07 touch=second window_days=7 hold_rate=0.2000 held=8 attempts=40"
        " attempts_source=derived suppression_rate=0.2982 suppressed=17 offered=40 failure_rate=0.0000 failed=0"
        " delivered=30 positive_rate=0.2333 positive=7"
    )


def test_the_second_touch_line_has_every_reason_the_most_frequent_first_and_then_by_name() -> None:
    assert _printed(DAYS)[6] == (
        "ops_daily_second_touch as_of=2026-11-07 window_days=7 offered=40 suppressed=17 suppression_rate=0.2982"
        " suppressed_by=crisis_blocked:9,disabled_permanent:4,unknown:4 attempts=40 attempts_source=derived queued=32"
        " held=8 hold_rate=0.2000 held_by=undeclared:5,rate_limited:2,identity_leak:1 delivered=30 failed=0"
        " acknowledged=8 acknowledged_by=positive:7,neutral:1 disabled=3 disabled_by=negative_ack:3"
    )


def test_without_any_event_every_rate_and_reason_reads_none_and_every_count_0() -> None:
    printed = _printed([])
    assert printed[0] == (
        "ops_daily_totals as_of=2026-11-07 window_days=7 delivered_total=0 delivered_first=0 delivered_second=0"
        " positive=0 h=none"
    )
    assert "hold_rate=none held=0 attempts=0 attempts_source=logged suppression_rate=none" in printed[2]
    assert "suppression_rate=none suppressed_by=none" in printed[6]
    assert printed[-2] == (
        "ops_daily_watchdog status=insufficient_data reason=delivered_total_0 as_of=2026-11-07"
        " reasons=delivered_total_0 signals=13 failing=0 undecided=10 since=none change=none previous_status=none"
    )


def test_the_watchdog_line_has_every_reason_the_worst_first() -> None:
    bad: Counts = {
        ("first", "held", "cooldown_active"): 500,
        ("second", "disabled", "identity_leak"): 1,
        ("first", "delivered", None): 500,
    }
    assert str(watchdog_line(evaluate([DayCounts(DAY, bad)], DAY))) == (
        "ops_daily_watchdog status=unhealthy reason=identity_leak as_of=2026-11-07"
        " reasons=identity_leak,hold_rate_limit,positive_rate_limit signals=13 failing=3 undecided=7"
        " since=2026-11-07 change=opened previous_status=none"
    )


def test_a_rate_just_below_its_limit_is_told_apart_from_it() -> None:
    days = [DayCounts(DAY, {("first", "delivered", None): 1000, ("first", "acknowledged", "positive"): 199})]
    (signal,) = [line for line in _printed(days) if " touch=first signal=positive_rate " in line]
    assert (
        " count=199 total=1000 rate=0.1990 expected=none critical=none limit=0.2000 bound=0.2408"
        " history_days=0 min_detectable=0.7569" in signal
    )
    assert " status=healthy reason=within_limit " in signal


def test_reactions_that_outnumber_deliveries_are_printed_as_they_are() -> None:
    printed = _printed([DayCounts(DAY, {("first", "delivered", None): 2, ("first", "acknowledged", "positive"): 9})])
    assert " delivered_total=2 " in printed[0]
    assert " positive=9 h=4.5000" in printed[0]


@pytest.mark.parametrize("reason", ["ada@example.org", "Quiet Hours", "a" * 41, "two\nlines", ""])
def test_a_reason_that_is_no_label_is_refused_and_not_repeated(reason: str) -> None:
    days = [DayCounts(DAY, {("second", "held", reason): 1})]
    with pytest.raises(ValueError, match=r"^not a word of this kind$"):
        _printed(days)


# What a monitoring system may draw


def _measured(days: Sequence[DayCounts], thresholds: Thresholds | None = None) -> dict[str, str]:
    verdict = evaluate(days, DAY, thresholds or Thresholds())
    texts = list(map(str, measures(_metrics(days), verdict)))
    found = {label: rest for label, _, rest in (text.partition("=") for text in texts)}
    assert len(found) == len(texts), "each figure has a label of its own"
    return found


def test_a_monitoring_system_gets_the_deliveries_of_each_window_and_each_rate_with_its_limit() -> None:
    assert _measured(DAYS) == {
        "delivered_1d": "630;;;0;",
        "delivered_7d": "630;;;0;",
        "delivered_30d": "630;;;0;",
        "first_hold_rate": "0.1000;;0.3500;0;",
        "first_suppression_rate": "0.2000;;0.6000;0;",
        # The one that must not fall.
        "first_positive_rate": "0.3317;;0.2000:;0;",
        "second_hold_rate": "0.2000;;0.3500;0;",
        "second_suppression_rate": "0.2982;;0.6000;0;",
        "second_positive_rate": "0.2333;;0.2000:;0;",
    }


def test_a_rate_without_a_denominator_is_unknown_to_a_monitoring_system_and_never_0() -> None:
    found = _measured([])
    assert {rest for label, rest in found.items() if label.startswith("delivered_")} == {"0;;;0;"}
    assert {rest.partition(";")[0] for label, rest in found.items() if label.endswith("_rate")} == {"U"}


def test_a_rate_is_drawn_only_where_it_has_a_limit_and_with_the_one_that_is_configured() -> None:
    found = _measured(DAYS, Thresholds(hold_rate=0.5, suppression_rate=None, failure_rate=0.05, positive_rate=None))
    assert {label: rest for label, rest in found.items() if label.startswith("first_")} == {
        "first_hold_rate": "0.1000;;0.5000;0;",
        "first_failure_rate": "0.0476;;0.0500;0;",
    }


# Whatever the counts are

KEYS = [
    (touch.value, outcome.value, reason)
    for touch in Touch
    for outcome, reasons in (
        *((outcome, (None,)) for outcome in (Outcome.OFFERED, Outcome.ATTEMPTED, Outcome.QUEUED, Outcome.DELIVERED)),
        (Outcome.SUPPRESSED, (*SUPPRESSED_REASONS, "undeclared")),
        (Outcome.HELD, (*HELD_REASONS, "invalid_label")),
        (Outcome.FAILED, ("blocked", "missing_reason")),
        (Outcome.ACKNOWLEDGED, ("positive", "neutral", "negative")),
        (Outcome.DISABLED, ("negative_ack", "identity_leak")),
    )
    for reason in reasons
]
histories = st.dictionaries(
    st.integers(-2, 40), st.dictionaries(st.sampled_from(KEYS), st.integers(0, 10**6), max_size=12), max_size=8
).map(lambda by_ago: [DayCounts(DAY - timedelta(days=ago), counts) for ago, counts in by_ago.items()])

_VALUE = r"[a-z0-9_.+-]+(?::\d+)?"
GRAMMAR = re.compile(rf"[a-z][a-z0-9_]*(?: [a-z][a-z0-9_]*={_VALUE}(?:,{_VALUE})*)+")


@EXPENSIVE
@given(histories)
def test_every_line_keeps_the_grammar_and_has_the_keys_of_its_kind(days: list[DayCounts]) -> None:
    *lines, snapshot = _printed(days)
    keys_of: dict[str, set[tuple[str, ...]]] = {}
    for line in lines:
        assert GRAMMAR.fullmatch(line), line
        name, *fields = line.split(" ")
        keys_of.setdefault(name, set()).add(tuple(field.partition("=")[0] for field in fields))
    assert all(len(keys) == 1 for keys in keys_of.values())
    assert snapshot.startswith("ops_metrics_snapshot {")
    assert len(snapshot.splitlines()) == 1
    assert snapshot.isascii()


def _is_close(printed: object, value: float | None) -> bool:
    return printed is None if value is None else printed == pytest.approx(value, abs=5.1e-7)


def _compare(documents: list[dict[str, object]], figures: Sequence[object], rates: Sequence[str]) -> None:
    assert len(documents) == len(figures)
    for document, figure in zip(documents, figures, strict=True):
        for key, printed in document.items():
            value = getattr(figure, key)
            if key in rates:
                assert _is_close(printed, value)
            elif isinstance(value, date):
                assert printed == value.isoformat()
            else:
                assert printed == value
                assert type(printed) is not float


@EXPENSIVE
@given(histories)
def test_the_snapshot_is_json_with_a_version_and_equals_the_metrics_and_the_verdict(days: list[DayCounts]) -> None:
    metrics, verdict = _metrics(days), evaluate(days, DAY, Thresholds())
    *_, line = daily_lines(metrics, verdict)
    snapshot = json.loads(str(line).removeprefix("ops_metrics_snapshot "), parse_constant=pytest.fail)
    assert list(snapshot) == [
        "schema_version",
        "as_of",
        "status",
        "reason",
        "reasons",
        "since",
        "change",
        "previous_status",
        "delivered_totals",
        "hold_suppression_rates",
        "second_touch_summaries",
        "delivered_segments",
        "signals",
    ]
    assert snapshot["schema_version"] == 2
    assert snapshot["as_of"] == "2026-11-07"
    assert (snapshot["status"], snapshot["reason"]) == (verdict.status, verdict.reason)
    assert snapshot["reasons"] == [*(verdict.unhealthy_reasons or (verdict.reason,))]
    rates = ("positive_rate", "hold_rate", "suppression_rate", "value")
    _compare(snapshot["delivered_totals"], metrics.totals, rates)
    _compare(snapshot["hold_suppression_rates"], metrics.rates, rates)
    _compare(snapshot["second_touch_summaries"], metrics.second_touch, rates)
    _compare(
        snapshot["signals"], verdict.signals, ("rate", "expected", "critical", "limit", "bound", "min_detectable")
    )
    assert json.loads(line.as_json()) == {"line": "ops_metrics_snapshot", **snapshot}
    jsonschema.validate(snapshot, SCHEMA)


@EXPENSIVE
@given(histories)
def test_the_figures_for_a_monitoring_system_are_those_of_the_lines(days: list[DayCounts]) -> None:
    printed = [dict(field.split("=") for field in line.split(" ")[1:]) for line in _printed(days)[:-1]]
    measured = _measured(days)
    drawn = {label for label in measured if not label.startswith("delivered_")}
    for fields in printed:
        if "delivered_total" in fields:
            label = f"delivered_{fields['window_days']}d"
            assert measured[label].partition(";")[0] == fields["delivered_total"]
        elif "signal" in fields and fields["limit"] != "none":
            label = f"{fields['touch']}_{fields['signal']}"
            value, _, critical, lowest, highest = measured[label].split(";")
            assert value == fields["rate"].replace("none", "U")
            assert critical == fields["limit"] + (":" if fields["signal"] == "positive_rate" else "")
            assert (lowest, highest) == ("0", "")
            drawn.remove(label)
    assert not drawn


@EXPENSIVE
@given(histories)
def test_the_watchdog_line_says_what_the_verdict_says(days: list[DayCounts]) -> None:
    verdict: Verdict = evaluate(days, DAY)
    *lines, _ = _printed(days)
    signals = [line for line in lines if line.startswith("ops_daily_signal ")]
    failing = sum(" status=unhealthy " in line for line in signals)
    undecided = sum(" status=insufficient_data " in line for line in signals)
    reasons = ",".join(verdict.unhealthy_reasons) or verdict.reason
    assert lines[-1] == (
        f"ops_daily_watchdog status={verdict.status} reason={verdict.reason} as_of=2026-11-07 reasons={reasons}"
        f" signals={len(signals)} failing={failing} undecided={undecided}"
        f" since={verdict.since or 'none'} change={verdict.change} previous_status=none"
    )
    assert (failing > 0) is (verdict.status == "unhealthy")
    # What CI reads to decide whether a scheduled run may stay green.
    assert ("unhealthy" in "\n".join(lines)) is (verdict.status == "unhealthy")
    assert Reason(verdict.reason) in Reason


def test_a_small_cell_is_told_as_one_in_line_and_snapshot_and_never_as_a_number() -> None:
    found = [
        DeliveredSegments(touch=Scope.FIRST, delivered=93, by_segment={"sms": 15, "email": 60}, min_cell=10),
        DeliveredSegments(touch=Scope.SECOND, delivered=0, by_segment={}, min_cell=10),
    ]
    metrics = replace(_metrics([]), segments=tuple(found))
    *lines, snapshot = daily_lines(metrics, evaluate([], DAY))
    assert [str(line) for line in lines if line.name == "ops_daily_segments"] == [
        "ops_daily_segments as_of=2026-11-07 touch=first delivered=93 delivered_by=email:60,sms:15 other=18",
        "ops_daily_segments as_of=2026-11-07 touch=second delivered=0 delivered_by=none other=lt10",
    ]
    assert [one["other"] for one in json.loads(snapshot.as_json())["delivered_segments"]] == [18, "lt10"]
