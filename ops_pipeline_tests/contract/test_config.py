"""The configuration file: every key has a default, and whatever is unknown or impossible is refused."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from ops_pipeline.contract.config import (
    SECTIONS,
    Accepted,
    Config,
    Links,
    Planned,
    Privacy,
    Taxonomy,
    Thresholds,
    Windows,
    load_config,
    parse_config,
)
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import DISABLED_REASONS, Scope, Touch

CANARY = "canary_7f3a"
NAN, INF = math.nan, math.inf
DAY = date(2026, 12, 24)

LIMITS = ("hold_rate", "suppression_rate", "failure_rate", "positive_rate")
REASONS = ("held", "suppressed", "disabled", "failed")


def test_without_a_file_everything_has_its_documented_default() -> None:
    assert parse_config({}) == Config()
    thresholds = Config().thresholds
    assert (thresholds.hold_rate, thresholds.suppression_rate, thresholds.positive_rate) == (0.35, 0.60, 0.20)
    assert thresholds.failure_rate is None
    assert (thresholds.window_days, thresholds.confidence, thresholds.power) == (7, 0.999, 0.8)
    assert (thresholds.fa_per_year, thresholds.min_effect, thresholds.min_effect_week) == (0.5, 1.5, 1.3)
    assert (thresholds.min_events, thresholds.max_unusable) == (5, 0.01)
    assert (thresholds.planned, thresholds.accepted) == ((), ())
    assert thresholds.limit("second", "hold_rate") == 0.35
    assert Config().windows.days == (7, 30)
    assert Config().privacy.max_segments == 50
    assert Config().taxonomy == Taxonomy()


def test_what_a_file_says_replaces_the_default_and_nothing_else() -> None:
    found = parse_config(
        tomllib.loads(
            """
            [thresholds]
            hold_rate = 0.5
            failure_rate = 0.05
            window_days = 14
            [windows]
            days = [7, 28, 90]
            [taxonomy]
            held = ["quiet_hours"]
            [privacy]
            max_segments = 20
            """
        )
    )
    assert found == Config(
        thresholds=Thresholds(hold_rate=0.5, failure_rate=0.05, window_days=14),
        windows=Windows(days=(7, 28, 90)),
        taxonomy=Taxonomy(held=("quiet_hours",)),
        privacy=Privacy(max_segments=20),
    )
    assert found.taxonomy.disabled == DISABLED_REASONS


def _refused(document: Mapping[str, Any]) -> bool:
    try:
        parse_config(document)
    except ValueError as error:
        return CANARY not in str(error)
    return False


def test_an_unknown_section_or_key_is_refused_and_does_not_become_a_default() -> None:
    documents: list[dict[str, Any]] = [
        {"treshold": {}},
        {"Thresholds": {}},
        {"hold_rate": 0.35},
        {"thresholds": {"holdrate": 0.35}},
        {"thresholds": {"hold-rate": 0.35}},
        {"windows": {"window_days": 7}},
        {"taxonomy": {"acknowledged": ["positive"]}},
        {"privacy": {"min_cells": 10}},
        {"thresholds": {"hold_rate": {"first": 0.35}}},
        {"thresholds": 0.35},
        {"thresholds": [{"hold_rate": 0.35}]},
        {"thresholds": "hold_rate"},
    ]
    assert [document for document in documents if not _refused(document)] == []


def test_a_limit_that_is_no_fraction_is_refused() -> None:
    for value in (0, 0.0, -0.0, 1, 1.0, -0.1, 1.5, 35, NAN, INF, -INF, True, False, "0.35", "", [0.35]):
        for limit in LIMITS:
            assert _refused({"thresholds": {limit: value}}), (limit, value)


@pytest.mark.parametrize(
    ("key", "values"),
    [
        ("window_days", [0, -3, 36, 7.0, 7.5, NAN, True, "7", [7]]),
        ("confidence", [0.5, 1, 0, 99.9, 1.0, NAN, INF, True, "0.999"]),
        ("power", [0.5, 1, 80, NAN, INF, True, "0.8"]),
        ("fa_per_year", [0, -1, 100, NAN, INF, True, "1"]),
        ("min_effect", [1, 0.5, 100, NAN, True, "2"]),
        ("min_effect_week", [1, 0, NAN, "1.3"]),
        ("min_events", [0, -5, 5.0, True, 10_001]),
        ("max_unusable", [0, 1, -0.1, NAN, "0.01"]),
        ("first", [0.35, ["hold_rate"], {"delivered": 0.5}, {"hold_rate": 35}, {"hold_rate": "none"}, "off"]),
        ("second", [{"positive_rate": True}, {"window_days": 7}, {"hold_rate": {"first": 0.2}}]),
        (
            "planned",
            [DAY, [DAY], {"first": DAY, "last": DAY}, [{"first": DAY}], [{"first": DAY, "last": "2026-12-24"}]],
        ),
        (
            "planned",
            [[{"first": DAY, "last": DAY - timedelta(days=1)}], [{"first": DAY, "last": DAY, "touch": "third"}]],
        ),
        ("planned", [[{"first": datetime(2026, 12, 24), "last": DAY}], [{"first": DAY, "last": DAY, "why": "snow"}]]),  # noqa: DTZ001
        (
            "accepted",
            [[{"since": DAY}], [{"since": DAY, "signal": "identity_leak"}], [{"since": 1, "signal": "hold_rate"}]],
        ),
    ],
)
def test_a_threshold_that_cannot_work_is_refused(key: str, values: list[object]) -> None:
    for value in values:
        assert _refused({"thresholds": {key: value}}), value


def test_each_touch_can_have_limits_of_its_own_and_a_limit_can_be_switched_off() -> None:
    thresholds = parse_config(
        tomllib.loads(
            """
            [thresholds]
            hold_rate = 0.3
            positive_rate = "off"
            [thresholds.second]
            hold_rate = "off"
            positive_rate = 0.1
            """
        )
    ).thresholds
    limits = [
        (touch, name, thresholds.limit(touch, name)) for touch in Touch for name in ("hold_rate", "positive_rate")
    ]
    assert limits == [
        ("first", "hold_rate", 0.3),
        ("first", "positive_rate", None),
        ("second", "hold_rate", None),
        ("second", "positive_rate", 0.1),
    ]
    assert thresholds.limit("second", "suppression_rate") == 0.60


def test_planned_events_and_accepted_levels_are_read_from_the_file() -> None:
    thresholds = parse_config(
        tomllib.loads(
            """
            [[thresholds.planned]]
            first = 2026-12-24
            last = 2026-12-26
            [[thresholds.planned]]
            first = 2026-12-31
            last = 2026-12-31
            touch = "second"
            [[thresholds.accepted]]
            since = 2026-11-01
            signal = "suppression_rate"
            """
        )
    ).thresholds
    assert thresholds.planned == (
        Planned(first=DAY, last=DAY + timedelta(days=2)),
        Planned(first=date(2026, 12, 31), last=date(2026, 12, 31), touch=Scope.SECOND),
    )
    (accepted,) = thresholds.accepted
    assert accepted == Accepted(since=date(2026, 11, 1), signal="suppression_rate")
    assert accepted.covers("first", "suppression_rate")
    assert not accepted.covers("first", "hold_rate")


def test_windows_that_are_unsorted_doubled_or_impossible_are_refused() -> None:
    values: list[object] = [
        [],
        [0],
        [1, 7],
        [-7],
        [7, 7],
        [30, 7],
        [7, 91],
        [7.0, 30],
        [True, 7],
        ["7", "30"],
        [[7]],
        [NAN],
        7,
        "7",
        {},
        {"a": 7},
        True,
    ]
    assert [value for value in values if not _refused({"windows": {"days": value}})] == []


def test_what_cannot_work_is_refused_wherever_it_comes_from() -> None:
    with pytest.raises(ValueError, match="days"):
        Windows(days=(7, 7))
    with pytest.raises(ValueError, match="hold_rate"):
        Thresholds(hold_rate=35)


def test_an_impossible_number_of_segments_is_refused() -> None:
    values: list[object] = [0, -1, 1001, 50.0, NAN, INF, True, "50", [50]]
    assert [value for value in values if not _refused({"privacy": {"max_segments": value}})] == []


def test_a_declared_reason_that_is_no_label_reserved_or_doubled_is_refused_and_not_repeated() -> None:
    values: list[object] = [
        # A word where a list belongs is not a list of its letters.
        "disabled",
        [f"{CANARY}@example.org"],
        ["Quiet_Hours"],
        ["quiet hours"],
        ["quiet_hours\n"],
        [""],
        ["9_to_5"],
        ["a" * 41],
        ["ruhezeit_ä"],
        ["invalid_label"],
        ["undeclared"],
        ["missing_reason"],
        ["not_a_segment"],
        ["quiet_hours", "quiet_hours"],
        [1],
        [None],
        [["quiet_hours"]],
        5,
        True,
    ]
    for outcome in (*REASONS, "segments"):
        assert [value for value in values if not _refused({"taxonomy": {outcome: value}})] == []


# Numbers that a file can hold, the impossible ones included; whole numbers of any size are a case of their own.
numbers = st.one_of(st.integers(-(10**18), 10**18), st.floats())
leaves = st.one_of(numbers, st.booleans(), st.text(max_size=8), st.dates(), st.datetimes(), st.times())
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)


def _section(cls: type[BaseModel]) -> st.SearchStrategy[object]:
    known = st.sampled_from(list(cls.model_fields))
    likely = st.one_of(st.floats(0, 1), st.integers(0, 100), st.lists(st.integers(0, 100), max_size=3), trees)
    return st.one_of(st.dictionaries(known, likely, max_size=4), trees)


documents = st.one_of(
    st.fixed_dictionaries({}, optional={name: _section(cls) for name, cls in SECTIONS.items()}),
    st.dictionaries(st.text(max_size=8), trees, max_size=4),
)


@given(documents)
def test_any_document_is_a_configuration_or_is_refused(document: Mapping[str, Any]) -> None:
    try:
        found = parse_config(document)
    except (ValueError, TypeError):
        return
    thresholds = found.thresholds
    for name in LIMITS:
        limit = getattr(thresholds, name)
        assert limit is None or 0 < limit < 1
    assert type(thresholds.window_days) is int
    assert 1 <= thresholds.window_days <= 35
    assert all(0.5 < share < 1 for share in (thresholds.confidence, thresholds.power))
    assert 0 < thresholds.fa_per_year < 100
    assert list(found.windows.days) == sorted(set(found.windows.days))
    assert all(type(days) is int and 2 <= days <= 90 for days in found.windows.days)
    assert type(found.privacy.max_segments) is int
    assert 1 <= found.privacy.max_segments <= 1000


@given(st.one_of(st.binary(max_size=200), st.text(alphabet="[]{}=.,'\"#\n abc019_-", max_size=60).map(str.encode)))
def test_any_bytes_at_all_are_a_configuration_or_an_invalid_one(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "ops.toml"
    path.write_bytes(content)
    try:
        found: Config | Reason = load_config(path)
    except OpsError as failure:
        found = failure.reason
    # None of these sections exists, so a file that parses has none.
    assert found in (Config(), Reason.INVALID_CONFIG)


@pytest.mark.parametrize(
    "content",
    [
        f"[thresholds\nhold_rate = '{CANARY}'".encode(),
        f"[thresholds]\nhold_rate = '{CANARY}'".encode(),
        f"[thresholds]\n{CANARY} = 1".encode(),
        f"[{CANARY}]".encode(),
        f"[taxonomy]\nheld = ['{CANARY} {CANARY}']".encode(),
        b"[thresholds]\nhold_rate = 0.35\nhold_rate = 0.40\n",
        b"[thresholds]\nhold_rate = nan\n",
        b"[thresholds]\nhold_rate = inf\n",
        b"[thresholds]\nhold_rate = 0,35\n",
        "[thresholds]\nhold_rate = 0.35\n".encode("utf-16"),
        b"\xff\xfe[thresholds]",
        b"[thresholds]\nhold_rate = 0.35 # \xe4\n",
        b"\x00",
    ],
)
def test_a_broken_file_is_an_invalid_configuration_and_nothing_of_it_is_said(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "ops.toml"
    path.write_bytes(content)
    with pytest.raises(OpsError) as caught:
        load_config(path)
    assert caught.value.reason is Reason.INVALID_CONFIG
    assert CANARY not in repr(caught.value) + repr(caught.value.fields)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def _said_of(tmp_path: Path, content: str) -> tuple[int | None, str | None, str]:
    path = tmp_path / "ops.toml"
    path.write_text(content)
    with pytest.raises(OpsError) as caught:
        load_config(path)
    assert CANARY not in str(caught.value.fields)
    return caught.value.fields["line"], caught.value.fields["key"], caught.value.fields["expected"]  # type: ignore[return-value]


def test_a_mistake_is_said_by_line_key_and_what_was_expected(tmp_path: Path) -> None:
    planned = "[[thresholds.planned]]\nfirst = 2026-01-02\nlast = "
    for content, said in {
        "[thresholds]\n\nhold_rate = 35\n": (3, "thresholds.hold_rate", "fraction_or_off"),
        "[thresholds.second]\nhold_rate = 35\n": (2, "thresholds.second.hold_rate", "fraction_or_off"),
        "thresholds.first.hold_rate = 35\n": (1, "thresholds.first.hold_rate", "fraction_or_off"),
        f"[thresholds]\n{CANARY} = 1\n": (2, "thresholds", "known_key"),
        f"[thresholds.first]\n{CANARY} = 1\n": (2, "thresholds.first", "known_key"),
        f"# nothing\n[{CANARY}]\na = 1\n": (2, None, "known_section"),
        "[taxonomy]\nheld = 'disabled'\n": (2, "taxonomy.held", "list_of_labels"),
        "[taxonomy]\nsegments = [\n'email',\n'Email',\n]\n": (2, "taxonomy.segments", "list_of_labels"),
        "[windows]\ndays = [30, 7]": (2, "windows.days", "ascending_days"),
        f"{planned}2026-01-02\n{planned}2026-01-01\n": (6, "thresholds.planned.last", "last_not_before_first"),
        "[[thresholds.planned]]\nfirst = 2026-01-02\n": (1, "thresholds.planned.last", "required_key"),
        "[retention]\ncounts_days = 400\nevents_days = 500": (2, "retention.counts_days", "at_least_events_days"),
        "[schedule]\ndays = 2\n": (1, "schedule.late_days", "at_most_days"),
        "thresholds = 3": (1, "thresholds", "table"),
        "[thresholds]\nplanned = 3": (2, "thresholds.planned", "list"),
        # Of several, the first.
        "[privacy]\nmin_cell = 0\nmax_segments = 0\n": (2, "privacy.min_cell", "whole_number_in_range"),
        f"[thresholds]\n[thresholds]\n# {CANARY}": (2, None, "toml"),
        f"[thresholds]\nhold_rate = '{CANARY}\n": (2, None, "toml"),
        "\nhold_rate = [": (2, None, "toml"),
    }.items():
        assert _said_of(tmp_path, content) == said, content


def test_a_file_that_is_nested_without_end_is_an_invalid_one(tmp_path: Path) -> None:
    assert _said_of(tmp_path, "x = " + "[" * 100_000) == (None, None, "toml")


def test_a_file_that_is_not_there_or_is_a_folder_is_an_invalid_configuration(tmp_path: Path) -> None:
    for path in (tmp_path / "missing.toml", tmp_path, tmp_path / "missing" / "ops.toml", tmp_path / ("x" * 5000)):
        with pytest.raises(OpsError) as caught:
            load_config(path)
        assert caught.value.reason is Reason.INVALID_CONFIG
        assert caught.value.fields["expected"] == "file"
        assert caught.value.__context__ is None


def test_a_file_is_read_whatever_its_line_ends_and_an_empty_one_is_all_defaults(tmp_path: Path) -> None:
    path = tmp_path / "ops.toml"
    path.write_bytes(b"[thresholds]\r\nhold_rate = 0.5\r\n")
    assert load_config(path).thresholds.hold_rate == 0.5
    path.write_bytes(b"")
    assert load_config(path) == Config()


def test_a_runbook_that_is_no_plain_address_is_refused() -> None:
    values: list[object] = [
        "docs/operator_runbook.md",
        "ftp://example.org/runbook",
        "https://",
        "https://user:secret@example.org/runbook",
        "https://example.org/runbook?token=secret",
        "https://example.org/runbook#top",
        "https://example.org/run book",
        "https://example.org/\nrunbook",
        7,
    ]
    assert [value for value in values if not _refused({"links": {"runbook": value}})] == []


def test_each_reason_has_its_place_in_the_runbook_where_one_is_named() -> None:
    links = parse_config({"links": {"runbook": "https://example.org:8443/operator_runbook"}}).links
    assert links.of(Reason.IDENTITY_LEAK) == "https://example.org:8443/operator_runbook#identity_leak"
    assert Links().of(Reason.IDENTITY_LEAK) is None
