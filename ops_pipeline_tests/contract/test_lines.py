"""A line cannot carry text: whatever is tried, it either reads as declared words and numbers or is not made."""

from __future__ import annotations

import contextlib
import io
import json
import re
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.lines import (
    ExitCode,
    Format,
    Line,
    LineName,
    Measure,
    NagiosState,
    Output,
    ParsedLine,
    Snapshot,
)
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label, RevisionId, SqlState, Token, VersionNumber
from ops_pipeline.contract.vocabulary import Outcome, Scope, SignalName, Status, Touch

OUTSIDE_TEXT = (
    "postgresql://ops:s3cr3t@db.example:5432/ops",
    "host=db.example password=s3cr3t",
    "ada.lovelace@example.org",
    "6f1c1f0e-5a0b-4c8e-9d57-2f6c1d1b8a11",
    "ghp_0123456789abcdefABCDEF0123456789abcd",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
    "+43 660 1234567",
    "203.0.113.7",
    "cooldown active",
    "Crisis_Window",
    "line one\nops_daily_watchdog status=healthy",
    "carriage\rreturn",
    "nul\x00byte",
    "\x1b[31mred\x1b[0m",
    "\x1b]8;;https://example.org\x07link\x1b]8;;\x07",
    "\u202etxet ekil\u202c",
    "\u2066isolate\u2069",
    "zero\u200bwidth",
    "line\u2028separator",
    "\u043eps",
    "\ud800",
    "",
    " ",
    "a b=c",
    "status=ok",
    "'quoted'",
    "x" * 41,
)
"""What must never get out, none of it a label."""

texts = st.one_of(st.sampled_from(OUTSIDE_TEXT), st.text(), st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True))

labels = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True).map(Label)
words = st.one_of(
    st.sampled_from((*Reason, *Outcome, *Touch, *Scope, *Status, *SignalName, *LineName)),
    labels,
)
numbers = st.one_of(st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from(ExitCode))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    numbers,
    st.dates(),
    words,
    st.sampled_from(Name),
    st.from_regex(r"[0-9A-Z]{5}", fullmatch=True).map(SqlState),
)
values = st.one_of(
    scalars,
    st.lists(scalars, max_size=4).map(tuple),
    st.dictionaries(labels, st.integers(), max_size=4),
)
keys = st.from_regex(r"[a-z][a-z0-9_]{0,39}", fullmatch=True).filter(lambda key: key != "line")
fields = st.dictionaries(keys, values, max_size=6)

# Lower case, but for the names of environment variables and SQLSTATEs.
_VALUE = rf"(?:[a-z0-9_.:+-]+|{'|'.join(Name)}|[0-9A-Z]{{5}})"
GRAMMAR = re.compile(rf"[a-z][a-z0-9_]*(?: [a-z][a-z0-9_]*={_VALUE}(?:,{_VALUE})*)*")


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _strict_json(text: str) -> object:
    return json.loads(text, parse_constant=_refuse_constant)


def _expected(value: object) -> object:
    """What the JSON form of `value` must be, said independently of the code."""
    if isinstance(value, tuple):
        return [_expected(item) for item in value]
    if isinstance(value, Mapping):
        return {str(key): count for key, count in value.items()}
    if isinstance(value, date):
        return f"{value.year:04}-{value.month:02}-{value.day:02}"
    return value


def _same(parsed: object, value: object) -> bool:
    """Whether a snapshot's JSON holds `value`, floats to six decimals."""
    if isinstance(value, list | tuple):
        return isinstance(parsed, list) and len(parsed) == len(value) and all(map(_same, parsed, value))
    if isinstance(value, float):
        return parsed == pytest.approx(value, abs=5.1e-7)
    return parsed == _expected(value) and type(parsed) is not float


@given(texts)
def test_no_text_gets_into_a_line_as_a_value(text: str) -> None:
    for disguise in (
        text,
        (text,),
        (1, (text,)),
        {Label("reason"): text},
        {text: 1},
        text.encode("utf-8", "replace"),
    ):
        with pytest.raises(TypeError) as caught:
            Line(LineName.OPS_DAILY, reason=disguise)
        assert str(caught.value) in {
            "a line cannot carry this type",
            "a group in a line maps labels to counts",
        }


@given(texts)
def test_no_text_gets_into_a_line_as_a_key(text: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text, flags=re.ASCII):
        Line(LineName.OPS_DAILY, **{text: 1})
        return
    for make in (lambda: Line(LineName.OPS_DAILY, **{text: 1}), lambda: Snapshot({"signals": [{text: 1}]})):
        with pytest.raises(TypeError) as caught:
            make()
        assert str(caught.value) in {
            "a line's name and keys are declared words",
            "a snapshot's keys are declared words",
        }


@given(texts)
def test_no_text_gets_into_a_line_as_its_name(text: str) -> None:
    with pytest.raises(TypeError) as caught:
        Line(text)  # type: ignore[arg-type]
    assert str(caught.value) == "a line's name and keys are declared words"


@given(st.sampled_from(LineName), fields)
def test_a_line_that_was_said_reads_as_it_was(name: LineName, given_fields: dict[str, object]) -> None:
    line = Line(name, **given_fields)
    assert str(ParsedLine(str(line))) == str(line)
    assert ParsedLine(str(line)).name is name


@given(texts)
def test_no_text_reads_as_a_line_that_was_said(text: str) -> None:
    for disguise in (
        text,
        f"ops_daily reason={text}",
        f"ops_daily {text}=1",
        f"{text} status=ok",
        f"ops_daily {text}",
    ):
        line = ParsedLine.or_none(disguise)
        assert line is None or GRAMMAR.fullmatch(disguise)


@pytest.mark.parametrize("text", [text for text in OUTSIDE_TEXT if "=" not in text or " " not in text])
def test_what_must_never_get_out_reads_as_no_line(text: str) -> None:
    assert ParsedLine.or_none(f"ops_daily status=fail reason={text}") is None


@given(texts)
def test_no_text_gets_into_a_snapshot_at_any_depth(text: str) -> None:
    for document in ({"a": text}, {"a": {"b": text}}, {"a": [{"b": [text]}]}, {"a": ({"b": (text,)},)}):
        with pytest.raises(TypeError) as caught:
            Snapshot(document)
        assert str(caught.value) == "a line cannot carry this type"


@given(texts)
def test_what_is_no_label_is_refused_and_not_repeated(text: str) -> None:
    if re.fullmatch(r"[a-z][a-z0-9_]{0,39}", text, flags=re.ASCII):
        assert Label(text) == text
        return
    with pytest.raises(ValueError, match=r"^not a word of this kind$") as caught:
        Label(text)
    # One and the same message whatever the text: it cannot hold any of it.
    assert caught.value.args == ("not a word of this kind",)
    assert caught.value.__context__ is None


@given(texts)
def test_what_is_no_sqlstate_is_refused_and_not_repeated(text: str) -> None:
    if re.fullmatch(r"[0-9A-Z]{5}", text, flags=re.ASCII):
        assert SqlState(text) == text
        return
    with pytest.raises(ValueError, match=r"^not a word of this kind$") as caught:
        SqlState(text)
    assert caught.value.args == ("not a word of this kind",)
    assert caught.value.__context__ is None


@pytest.mark.parametrize(
    "value",
    [
        datetime(2026, 11, 7, 13, 5, tzinfo=UTC),
        datetime(2026, 11, 7),  # noqa: DTZ001 - a naive one is refused as well
        time(13, 5),
        timedelta(days=1),
        b"bytes",
        ["a", "list"],
        [1],
        {1, 2},
        Decimal("0.5"),
        Fraction(1, 2),
        1j,
        PurePosixPath("/etc/passwd"),
        ValueError("text"),
        object(),
        Label,
        {Label("reason"): 1.5},
        {Label("reason"): True},
        {Label("reason"): None},
        {Label("reason"): Label("text")},
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_line_takes_days_and_counts_and_no_moment_object_or_container_of_another_kind(value: object) -> None:
    with pytest.raises(TypeError):
        Line(LineName.OPS_DAILY, value=value)


@given(st.sampled_from(LineName), fields)
def test_every_line_that_can_be_made_is_one_line_of_the_grammar(
    name: LineName, given_fields: dict[str, object]
) -> None:
    line = str(Line(name, **given_fields))
    assert GRAMMAR.fullmatch(line), line
    assert len(line.splitlines()) == 1
    assert line.isascii()
    first, *tokens = line.split(" ")
    assert first == name
    assert [token.partition("=")[0] for token in tokens] == list(given_fields)


@given(st.sampled_from(LineName), fields)
def test_the_json_form_is_one_line_with_the_same_fields(name: LineName, given_fields: dict[str, object]) -> None:
    text = Line(name, **given_fields).as_json()
    assert len(text.splitlines()) == 1
    expected = {"line": name.value, **{key: _expected(value) for key, value in given_fields.items()}}
    assert _strict_json(text) == expected


@given(st.dictionaries(keys, st.recursive(values, lambda inner: st.lists(inner, max_size=3)), max_size=5))
def test_a_snapshot_is_one_line_of_strict_json_at_every_depth(document: dict[str, object]) -> None:
    line = str(Snapshot(document))
    assert len(line.splitlines()) == 1
    assert line.isascii()
    name, _, text = line.partition(" ")
    assert name == "ops_metrics_snapshot"
    parsed = _strict_json(text)
    assert isinstance(parsed, dict)
    assert list(parsed) == list(document)
    assert all(_same(parsed[key], document[key]) for key in document)
    assert Snapshot(document).as_json() == json.dumps({"line": name, **parsed}, separators=(",", ":"))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "none"),
        ((), "none"),
        ({}, "none"),
        (0, "0"),
        (0.0, "0.0000"),
        (0.2, "0.2000"),
        (199 / 1000, "0.1990"),
        (2 / 3, "0.6667"),
        (2.571428, "2.5714"),
        (1234567, "1234567"),
        (-3, "-3"),
        (True, "yes"),
        (False, "no"),
        (date(2026, 11, 7), "2026-11-07"),
        (date(1, 1, 1), "0001-01-01"),
        (Status.INSUFFICIENT_DATA, "insufficient_data"),
        (ExitCode.NOT_HEALTHY, "2"),
        (Label("cooldown_active"), "cooldown_active"),
        (SqlState("42P01"), "42P01"),
        (RevisionId("0004"), "0004"),
        (VersionNumber("1.13.27"), "1.13.27"),
        ((Name.DAGSTER_POSTGRES_DSN, Name.OPS_POSTGRES_DSN), "DAGSTER_POSTGRES_DSN,OPS_POSTGRES_DSN"),
        ((Reason.IDENTITY_LEAK, Reason.HOLD_RATE_LIMIT), "identity_leak,hold_rate_limit"),
        ({Label("rate_limited"): 3, Label("disabled"): 1}, "rate_limited:3,disabled:1"),
    ],
)
def test_a_value_reads_as_documented(value: object, text: str) -> None:
    assert str(Line(LineName.OPS_DAILY, value=value)) == f"ops_daily value={text}"


def test_an_absent_rate_reads_none_and_in_json_null_and_never_0() -> None:
    line = Line(LineName.OPS_DAILY_RATES, hold_rate=None)
    assert str(line) == "ops_daily_rates hold_rate=none"
    assert json.loads(line.as_json())["hold_rate"] is None


def test_a_line_is_written_with_its_end_and_nothing_else(capfd: pytest.CaptureFixture[str]) -> None:
    Output().write(Line(LineName.DB_VERIFY, status=Label("ok")))
    Output(Format.JSON).write(Line(LineName.DB_VERIFY, status=Label("ok")))
    assert capfd.readouterr() == ('db_verify status=ok\n{"line":"db_verify","status":"ok"}\n', "")


def test_a_reader_that_has_gone_away_ends_the_output_and_not_the_program() -> None:
    program = (
        "import os, sys\n"
        "from ops_pipeline.contract.lines import Line, LineName, Output\n"
        "reader, writer = os.pipe()\n"
        "os.dup2(writer, 1); os.close(writer); os.close(reader)\n"
        "for _ in range(3):\n"
        "    Output().write(Line(LineName.OPS_DAILY))\n"
        "sys.exit(7)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (7, b"")


# Output

STEP, OK, FAIL = (
    Line(LineName.OPS_DAILY, mode=Label("strict")),
    Line(LineName.DB_VERIFY, status=Label("ok"), warnings=()),
    Line(LineName.DB_VERIFY, status=Label("fail"), reason=Reason.DRIFT),
)


def test_quiet_says_nothing_of_a_success_and_of_a_failure_what_decided(
    capfd: pytest.CaptureFixture[str],
) -> None:
    output = Output(is_quiet=True)
    output.write(STEP)
    assert output.finish(OK) == 0
    assert capfd.readouterr() == ("", "")
    output.write(STEP)
    assert output.finish(FAIL, ExitCode.FAILED) == 1
    assert capfd.readouterr() == ("db_verify status=fail reason=drift\n", "")


def test_otherwise_every_line_is_said_in_its_order(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.write(STEP)
    assert output.finish(FAIL, ExitCode.NOT_HEALTHY) == 2
    assert capfd.readouterr().out == "ops_daily mode=strict\ndb_verify status=fail reason=drift\n"


@pytest.mark.parametrize(
    ("fields", "state"),
    [
        ({"status": Status.HEALTHY}, NagiosState.OK),
        ({"status": Status.INSUFFICIENT_DATA}, NagiosState.WARNING),
        ({"status": Status.UNHEALTHY}, NagiosState.CRITICAL),
        ({"status": Label("ok")}, NagiosState.OK),
        ({"status": Label("ok"), "warnings": ()}, NagiosState.OK),
        ({"status": Label("ok"), "warnings": (Reason.EXCESS_PRIVILEGE,)}, NagiosState.WARNING),
        ({"status": Label("not_configured")}, NagiosState.UNKNOWN),
        ({"status": Label("fail"), "reason": Reason.DRIFT}, NagiosState.CRITICAL),
        ({"status": Label("fail"), "reason": Reason.USAGE}, NagiosState.UNKNOWN),
    ],
)
def test_a_monitoring_system_gets_its_own_codes_and_one_line(
    capfd: pytest.CaptureFixture[str], fields: dict[str, object], state: NagiosState
) -> None:
    output = Output(Format.NAGIOS, is_quiet=True, failure=NagiosState.CRITICAL)
    output.write(STEP)
    line = Line(LineName.DB_VERIFY, **fields)
    assert output.finish(line, ExitCode.FAILED) == state
    assert capfd.readouterr().out == f"DB_VERIFY {state.name} - {str(line).removeprefix('db_verify ')}\n"


def test_what_a_failure_means_to_a_monitoring_system_depends_on_the_tool(capfd: pytest.CaptureFixture[str]) -> None:
    assert Output(Format.NAGIOS).finish(FAIL, ExitCode.FAILED) == NagiosState.UNKNOWN
    assert capfd.readouterr().out.startswith("DB_VERIFY UNKNOWN - ")


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(Label("delivered_7d"), 2381), "delivered_7d=2381;;;0;"),
        (Measure(Label("rate"), 0.25, critical=0.35, highest=1), "rate=0.2500;;0.3500;0;1"),
        (Measure(Label("rate"), 0.25, critical=0.2, is_lowest=True), "rate=0.2500;;0.2000:;0;"),
        (Measure(Label("rate"), None, critical=0.35), "rate=U;;0.3500;0;"),
        (Measure(Label("rate"), None, critical=0.2, is_lowest=True), "rate=U;;0.2000:;0;"),
        (Measure(Label("rate"), 0.25, critical=0.2, is_lowest=True, highest=1.0), "rate=0.2500;;0.2000:;0;1.0000"),
        (Measure(Label("rate"), None), "rate=U;;;0;"),
        (Measure(Label("delivered_7d"), 0), "delivered_7d=0;;;0;"),
        (Measure(Label("rate"), 0.0, critical=0), "rate=0.0000;;0;0;"),
        (Measure(Label("delivered_7d"), 3, is_lowest=True), "delivered_7d=3;;;0;"),
    ],
)
def test_a_figure_reads_as_the_plugin_guidelines_say(measure: Measure, text: str) -> None:
    assert str(measure) == text


def test_figures_stand_behind_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    Output(Format.NAGIOS).finish(OK, measures=[Measure(Label("a"), 1), Measure(Label("b"), 2)])
    assert capfd.readouterr().out == "DB_VERIFY OK - status=ok warnings=none | a=1;;;0; b=2;;;0;\n"


# What each form prints, for each kind of end

RUN = Line(LineName.OPS_DAILY_WATCHDOG, status=Status.INSUFFICIENT_DATA, reason=Reason.LOW_VOLUME)
HEALTHY = Line(LineName.OPS_DAILY_WATCHDOG, status=Status.HEALTHY, reason=Reason.WITHIN_LIMITS)
UNHEALTHY = Line(LineName.OPS_DAILY_WATCHDOG, status=Status.UNHEALTHY, reason=Reason.IDENTITY_LEAK)
WARNED = Line(LineName.DB_VERIFY, status=Label("ok"), warnings=(Reason.EXCESS_PRIVILEGE,))
NOT_CONFIGURED = Line(LineName.DB_VERIFY, status=Label("not_configured"), reason=Reason.MISSING_DSN)
USAGE = Line(LineName.DB_VERIFY, status=Label("fail"), reason=Reason.USAGE)
FIGURE = Measure(Label("delivered_7d"), 3)

ENDS = [
    (HEALTHY, ExitCode.OK, NagiosState.OK),
    (RUN, ExitCode.OK, NagiosState.WARNING),
    (RUN, ExitCode.NOT_HEALTHY, NagiosState.WARNING),
    (UNHEALTHY, ExitCode.NOT_HEALTHY, NagiosState.CRITICAL),
    (OK, ExitCode.OK, NagiosState.OK),
    (WARNED, ExitCode.OK, NagiosState.WARNING),
    (NOT_CONFIGURED, ExitCode.OK, NagiosState.UNKNOWN),
    (FAIL, ExitCode.FAILED, NagiosState.CRITICAL),
    (USAGE, ExitCode.FAILED, NagiosState.UNKNOWN),
]


@pytest.mark.parametrize("is_quiet", [False, True], ids=["", "quiet"])
@pytest.mark.parametrize(("line", "exit_code", "state"), ENDS, ids=str)
def test_each_form_says_what_it_should_and_ends_with_its_own_exit_code(
    capfd: pytest.CaptureFixture[str], line: Line, exit_code: ExitCode, state: NagiosState, is_quiet: bool
) -> None:
    expected = {
        Format.LINE: (exit_code, [str(STEP), str(line)]),
        Format.JSON: (exit_code, [STEP.as_json(), line.as_json()]),
    }
    for form, (code, lines) in expected.items():
        output = Output(form, is_quiet=is_quiet, failure=NagiosState.CRITICAL)
        output.write(STEP)
        assert output.finish(line, exit_code, [FIGURE]) == code
        # If quiet: of a success nothing, of anything else what decided it.
        said = lines[1:] * bool(exit_code) if is_quiet else lines
        assert capfd.readouterr() == ("".join(f"{one}\n" for one in said), "")
    # A monitoring system is always told, and told one thing.
    output = Output(Format.NAGIOS, is_quiet=is_quiet, failure=NagiosState.CRITICAL)
    output.write(STEP)
    assert output.finish(line, exit_code, [FIGURE]) == state
    name, _, fields_of_line = str(line).partition(" ")
    assert capfd.readouterr() == (f"{name.upper()} {state.name} - {fields_of_line} | delivered_7d=3;;;0;\n", "")


def test_a_command_line_that_is_wrong_tells_nothing_of_what_is_watched(capfd: pytest.CaptureFixture[str]) -> None:
    for failure in NagiosState:
        assert Output(Format.NAGIOS, failure=failure).finish(USAGE, ExitCode.FAILED) == NagiosState.UNKNOWN
        assert Output(Format.NAGIOS, failure=failure).finish(FAIL, ExitCode.FAILED) == failure
    assert [line.split(" ")[1] for line in capfd.readouterr().out.splitlines()][1::2] == [
        "OK",
        "WARNING",
        "CRITICAL",
        "UNKNOWN",
    ]


def test_states_have_the_exit_codes_of_monitoring_plugins() -> None:
    assert [(state.name, state.value) for state in NagiosState] == [
        ("OK", 0),
        ("WARNING", 1),
        ("CRITICAL", 2),
        ("UNKNOWN", 3),
    ]
    assert [(code.name, code.value) for code in ExitCode] == [("OK", 0), ("FAILED", 1), ("NOT_HEALTHY", 2)]


# label=value[unit];[warn];[crit];[min];[max]: https://www.monitoring-plugins.org/doc/guidelines.html
_NUMBER = r"-?[0-9]+(?:\.[0-9]+)?"
PERFDATA = re.compile(rf"[a-z][a-z0-9_]*=(?:U|{_NUMBER});;(?:{_NUMBER}:?)?;0;(?:{_NUMBER})?")
counts_or_rates = st.one_of(st.integers(0, 10**9), st.floats(0, 1e6))
measures = st.builds(
    Measure,
    labels,
    st.one_of(st.none(), counts_or_rates),
    critical=st.one_of(st.none(), counts_or_rates),
    is_lowest=st.booleans(),
    highest=st.one_of(st.none(), counts_or_rates),
)


def _alerts(limit: str, value: float) -> bool:
    """What the guidelines say that a range does: `10` alerts outside 0 to 10, `10:` alerts below 10."""
    if not limit:
        return False
    low, colon, _ = limit.partition(":")
    return value < float(low) if colon else not 0 <= value <= float(limit)


@given(measures)
def test_every_figure_is_perfdata_and_its_range_alerts_on_the_side_that_is_meant(measure: Measure) -> None:
    text = str(measure)
    assert PERFDATA.fullmatch(text), text
    label, _, rest = text.partition("=")
    value, warning, critical, lowest, _highest = rest.split(";")
    assert (label, warning, lowest) == (measure.label, "", "0")
    assert (value == "U") is (measure.value is None)
    assert (critical == "") is (measure.critical is None)
    if measure.value is not None and measure.critical is not None and abs(measure.value - measure.critical) > 1e-4:
        is_beyond = measure.value < measure.critical if measure.is_lowest else measure.value > measure.critical
        assert _alerts(critical, measure.value) is is_beyond


@given(st.lists(measures, max_size=4))
def test_behind_the_bar_there_are_figures_only_and_one_bar_at_most(found: list[Measure]) -> None:
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert Output(Format.NAGIOS).finish(HEALTHY, measures=found) == NagiosState.OK
    (line,) = out.getvalue().splitlines()
    said, *bar = line.split(" | ")
    assert said == "OPS_DAILY_WATCHDOG OK - status=healthy reason=within_limits"
    assert bar == ([" ".join(map(str, found))] if found else [])
    assert line.count("|") == len(bar)


def test_figures_are_for_monitoring_systems_alone(capfd: pytest.CaptureFixture[str]) -> None:
    Output().finish(OK, measures=[FIGURE])
    Output(Format.JSON).finish(OK, measures=[FIGURE])
    assert capfd.readouterr().out == f"{OK}\n{OK.as_json()}\n"


@pytest.mark.parametrize("kind", [Label, SqlState, RevisionId, VersionNumber])
@given(text=texts)
def test_a_word_of_a_fixed_shape_has_no_room_for_text_and_does_not_repeat_it(kind: type[Token], text: str) -> None:
    word = kind.or_none(text)
    assert word == text or word is None
    if word is None:
        with pytest.raises(ValueError, match=r"^not a word of this kind$"):
            kind(text)
    else:
        assert re.fullmatch(r"[A-Za-z0-9_.]{1,40}", word)


@pytest.mark.parametrize("word", [Label("a"), SqlState("42P01"), RevisionId("0004"), VersionNumber("18.0rc1")])
def test_a_word_that_ends_with_a_line_break_is_none(word: Token) -> None:
    assert type(word).or_none(f"{word}\n") is None
    assert type(word).or_none(None) is None
