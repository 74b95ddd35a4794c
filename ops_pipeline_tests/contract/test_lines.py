"""A line cannot carry text: whatever is tried, it either reads as declared words and numbers or is not made."""

from __future__ import annotations

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
from ops_pipeline.contract.lines import ExitCode, Format, Line, LineName, Measure, NagiosState, Output, Snapshot
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Outcome, Scope, Touch
from ops_pipeline.contract.words import Label, RevisionId, SqlState, VersionNumber, Word
from ops_pipeline.health.verdict import SignalName, Status

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
        assert str(caught.value) in {"a line cannot carry this type", "a group in a line maps labels to counts"}


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
    Output().say(Line(LineName.DB_VERIFY, status=Label("ok")))
    Output(Format.JSON).say(Line(LineName.DB_VERIFY, status=Label("ok")))
    assert capfd.readouterr() == ('db_verify status=ok\n{"line":"db_verify","status":"ok"}\n', "")


def test_a_reader_that_has_gone_away_ends_the_output_and_not_the_program() -> None:
    program = (
        "import os, sys\n"
        "from ops_pipeline.contract.lines import Line, LineName, Output\n"
        "reader, writer = os.pipe()\n"
        "os.dup2(writer, 1); os.close(writer); os.close(reader)\n"
        "for _ in range(3):\n"
        "    Output().say(Line(LineName.OPS_DAILY))\n"
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
    output.say(STEP)
    assert output.decide(OK) == 0
    assert capfd.readouterr() == ("", "")
    output.say(STEP)
    assert output.decide(FAIL, ExitCode.FAILED) == 1
    assert capfd.readouterr() == ("db_verify status=fail reason=drift\n", "")


def test_otherwise_every_line_is_said_in_its_order(capfd: pytest.CaptureFixture[str]) -> None:
    output = Output()
    output.say(STEP)
    assert output.decide(FAIL, ExitCode.NOT_HEALTHY) == 2
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
    output.say(STEP)
    line = Line(LineName.DB_VERIFY, **fields)
    assert output.decide(line, ExitCode.FAILED) == state
    assert capfd.readouterr().out == f"DB_VERIFY {state.name} - {str(line).removeprefix('db_verify ')}\n"


def test_what_a_failure_means_to_a_monitoring_system_depends_on_the_tool(capfd: pytest.CaptureFixture[str]) -> None:
    assert Output(Format.NAGIOS).decide(FAIL, ExitCode.FAILED) == NagiosState.UNKNOWN
    assert capfd.readouterr().out.startswith("DB_VERIFY UNKNOWN - ")


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(Label("delivered_7d"), 2381), "delivered_7d=2381;;;0;"),
        (Measure(Label("rate"), 0.25, critical=0.35, highest=1), "rate=0.2500;;0.3500;0;1"),
        (Measure(Label("rate"), 0.25, critical=0.2, is_lowest=True), "rate=0.2500;;0.2000:;0;"),
        (Measure(Label("rate"), None, critical=0.35), "rate=U;;0.3500;0;"),
    ],
)
def test_a_figure_reads_as_the_plugin_guidelines_say(measure: Measure, text: str) -> None:
    assert str(measure) == text


def test_figures_stand_behind_a_bar(capfd: pytest.CaptureFixture[str]) -> None:
    Output(Format.NAGIOS).decide(OK, measures=[Measure(Label("a"), 1), Measure(Label("b"), 2)])
    assert capfd.readouterr().out == "DB_VERIFY OK - status=ok warnings=none | a=1;;;0; b=2;;;0;\n"


@pytest.mark.parametrize("kind", [Label, SqlState, RevisionId, VersionNumber])
@given(text=texts)
def test_a_word_of_a_fixed_shape_has_no_room_for_text_and_does_not_repeat_it(kind: type[Word], text: str) -> None:
    word = kind.maybe(text)
    assert word == text or word is None
    if word is None:
        with pytest.raises(ValueError, match=r"^not a word of this kind$"):
            kind(text)
    else:
        assert re.fullmatch(r"[A-Za-z0-9_.]{1,40}", word)


@pytest.mark.parametrize("word", [Label("a"), SqlState("42P01"), RevisionId("0004"), VersionNumber("18.0rc1")])
def test_a_word_that_ends_with_a_line_break_is_none(word: Word) -> None:
    assert type(word).maybe(f"{word}\n") is None
    assert type(word).maybe(None) is None
