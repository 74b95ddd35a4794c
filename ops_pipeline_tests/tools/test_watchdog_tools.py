"""`watchdog_explain` and `watchdog_replay`: the stored counts looked at again, and nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import insert, text

from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.store.engine import writing
from ops_pipeline.store.schema import daily_counts
from ops_pipeline.tools import watchdog_explain, watchdog_replay
from ops_pipeline_tests.conftest import Database

Lines = Callable[[], list[str]]
DAY = last_complete_day()
EPISODE = "watchdog_replay_episode rule=present"
USUAL = {
    ("offered", None): 300,
    ("suppressed", "unknown"): 40,
    ("attempted", None): 300,
    ("held", "rate_limited"): 10,
    ("held", "cooldown_active"): 5,
    ("queued", None): 285,
    ("delivered", None): 280,
    ("failed", "blocked"): 5,
    ("acknowledged", "positive"): 130,
}
HELD = USUAL | {
    ("held", "rate_limited"): 55,
    ("queued", None): 240,
    ("delivered", None): 235,
    ("failed", "blocked"): 5,
}


def _store(database: Database, bad_days: tuple[date, ...] = (DAY,), days: int = 90) -> None:
    rows = [
        {"utc_day": day, "touch": "first", "outcome": outcome, "reason": reason, "segment": None, "events": events}
        for day in (DAY - timedelta(days=ago) for ago in range(days))
        for (outcome, reason), events in (HELD if day in bad_days else USUAL).items()
    ]
    with writing(database.engine) as connection:
        connection.execute(insert(daily_counts), rows)


def _fields(line: str) -> dict[str, str]:
    return dict(part.split("=", 1) for part in line.split(" ")[1:])


def _fields_of(printed: list[str], name: str) -> list[dict[str, str]]:
    """Return the fields of the lines of that name about the first touch's hold rate."""
    return [_fields(line) for line in printed if line.startswith(f"{name} touch=first signal=hold_rate ")]


def _stored(database: Database) -> list[object]:
    with database.engine.connect() as connection:
        query = "SELECT * FROM ops.daily_counts ORDER BY 1, 2, 3, 4; "
        return [*connection.execute(text(query)), *connection.execute(text("SELECT * FROM ops.verdicts"))]


# watchdog_explain


def test_an_unhealthy_day_is_explained_by_the_windows_that_were_tried_and_by_what_would_have_been_fine(
    prod: Database, lines: Lines
) -> None:
    _store(prod)
    before = _stored(prod)
    assert watchdog_explain.main([f"--as-of={DAY}"]) == 0
    printed = lines()
    (hold,) = [line for line in printed if " touch=first signal=hold_rate " in line and "_signal " in line]
    assert (
        " status=unhealthy reason=hold_rate_high window_days=1 count=60 total=300 rate=0.2000 expected=0.0500 "
        in hold
    )
    windows = [
        _fields(one) for one in printed if one.startswith("watchdog_explain_window touch=first signal=hold_rate")
    ]
    assert [one["window_days"] for one in windows] == ["1", "2", "7", "14"]
    (day,) = [one for one in windows if one["window_days"] == "1"]
    assert (day["count"], day["unhealthy"]) == ("60", "yes")
    assert float(day["expected_count"]) == pytest.approx(15, abs=0.01)
    assert float(day["times_expected"]) == pytest.approx(4, abs=0.01)
    # So many fewer would have been fine, and one less than that would not.
    assert int(day["count"]) - int(day["excess"]) == int(day["critical_count"]) - 1
    (reasons,) = [
        _fields(one) for one in printed if one.startswith("watchdog_explain_reasons ") and "hold_rate" in one
    ]
    assert (reasons["top"], reasons["share"]) == ("rate_limited", "0.9167")
    assert reasons["by_reason"] == "rate_limited:55,cooldown_active:5"
    assert printed[-1] == (
        f"watchdog_explain status=unhealthy reason=hold_rate_high as_of={DAY} since={DAY}"
        " signals=13 failing=1 undecided=5"
    )
    # Nothing is said of what is healthy, and nothing was written.
    assert not [line for line in printed if "signal=suppression_rate" in line and "touch=first" in line]
    assert _stored(prod) == before


def test_the_count_that_is_called_fine_is_fine_and_one_more_is_not(prod: Database, lines: Lines) -> None:
    _store(prod)
    watchdog_explain.main([f"--as-of={DAY}"])
    day = _fields_of(lines(), "watchdog_explain_window")[0]
    for held, status in ((int(day["critical_count"]), "unhealthy"), (int(day["critical_count"]) - 1, "healthy")):
        with prod.engine.begin() as connection:
            change = "UPDATE ops.daily_counts SET events = :n WHERE utc_day = :day AND reason = 'rate_limited'"
            connection.execute(text(change), {"n": held - 5, "day": DAY})
        watchdog_explain.main([f"--as-of={DAY}"])
        assert _fields(lines()[-1])["status"] == status


def test_with_all_every_signal_is_explained_and_a_limit_too(prod: Database, lines: Lines) -> None:
    _store(prod, bad_days=())
    assert watchdog_explain.main([f"--as-of={DAY}", "--all"]) == 0
    printed = lines()
    assert sum(line.startswith("watchdog_explain_signal ") for line in printed) == 13
    (limit,) = _fields_of(printed, "watchdog_explain_limit")
    assert (limit["limit"], limit["excess"]) == ("0.3500", "0")
    assert printed[-1].startswith("watchdog_explain status=healthy reason=within_limits ")


def test_of_a_rate_beyond_its_limit_it_says_how_many_fewer_would_have_been_fine(prod: Database, lines: Lines) -> None:
    _store(prod, bad_days=tuple(DAY - timedelta(days=ago) for ago in range(7)), days=7)
    with prod.engine.begin() as connection:
        connection.execute(text("UPDATE ops.daily_counts SET events = 195 WHERE reason = 'rate_limited'"))
        connection.execute(text("UPDATE ops.daily_counts SET events = 100 WHERE outcome = 'queued'"))
    watchdog_explain.main([])
    (limit,) = _fields_of(lines(), "watchdog_explain_limit")
    # 1,400 of 2,100; z = 3.0902: 735 + z * sqrt(2100 * 0.35 * 0.65) = 802.5, so that 802 would be fine.
    assert limit["excess"] == "598"


def test_a_day_that_nobody_has_counted_is_not_called_an_outage(prod: Database, lines: Lines) -> None:
    assert watchdog_explain.main([]) == 1
    assert lines() == ["watchdog_explain status=fail reason=not_judged"]
    _store(prod, bad_days=())
    with prod.engine.begin() as connection:
        connection.execute(
            text("DELETE FROM ops.daily_counts WHERE utc_day > :day"), {"day": DAY - timedelta(days=3)}
        )
    assert watchdog_explain.main([]) == 1
    assert lines() == ["watchdog_explain status=fail reason=not_judged"]
    assert watchdog_replay.main([f"--from={DAY - timedelta(days=9)}"]) == 0
    days, ended = lines()
    assert "unhealthy=0" in days
    assert f"last_day={DAY - timedelta(days=3)} days=7 " in ended
    assert watchdog_replay.main([f"--from={DAY}"]) == 1
    assert lines() == ["watchdog_replay status=fail reason=not_judged"]


def test_of_a_leak_it_says_on_which_days_of_which_touch(prod: Database, lines: Lines) -> None:
    _store(prod, bad_days=())
    leak = {"touch": "first", "outcome": "disabled", "reason": "identity_leak", "segment": None, "events": 1}
    with prod.engine.begin() as connection:
        connection.execute(insert(daily_counts), [{"utc_day": DAY - timedelta(days=2), **leak}])
    assert watchdog_explain.main([]) == 0
    printed = lines()
    found = f"watchdog_explain_leak as_of={DAY - timedelta(days=2)} touch=first outcome=disabled events=1"
    assert [line for line in printed if line.startswith("watchdog_explain_leak ")] == [found]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--as-of=yesterday"], "reason=invalid_day"),
        ([f"--as-of={DAY + timedelta(days=2)}"], "reason=day_not_complete"),
        (["--signal=hold_rate"], "reason=usage"),
    ],
)
def test_what_cannot_be_explained_has_a_reason(
    prod: Database, lines: Lines, arguments: list[str], fields: str
) -> None:
    assert watchdog_explain.main(arguments) == 1
    assert lines() == [f"watchdog_explain status=fail {fields}"]


# watchdog_replay


def test_a_replay_counts_days_and_names_episodes_and_changes_nothing(prod: Database, lines: Lines) -> None:
    bad = (DAY - timedelta(days=20), DAY - timedelta(days=19), DAY)
    _store(prod, bad_days=bad)
    before = _stored(prod)
    first = DAY - timedelta(days=39)
    assert watchdog_replay.main([f"--from={first}", f"--to={DAY}"]) == 0
    assert lines() == [
        "watchdog_replay_days rule=present healthy=37 insufficient_data=0 unhealthy=3 episodes=2",
        f"{EPISODE} first_day={bad[0]} last_day={bad[1]} unhealthy=2 reasons=hold_rate_high",
        f"{EPISODE} first_day={DAY} last_day={DAY} unhealthy=1 reasons=hold_rate_high",
        f"watchdog_replay status=ok first_day={first} last_day={DAY} days=40 differing=0",
    ]
    assert _stored(prod) == before


def test_a_candidate_is_compared_day_by_day(prod: Database, lines: Lines, tmp_path: Path) -> None:
    _store(prod)
    candidate = tmp_path / "candidate.toml"
    candidate.write_text(f"[[thresholds.planned]]\nfirst = {DAY}\nlast = {DAY}\n")
    assert watchdog_replay.main([f"--from={DAY}", f"--config={candidate}"]) == 0
    assert lines() == [
        "watchdog_replay_days rule=present healthy=0 insufficient_data=0 unhealthy=1 episodes=1",
        "watchdog_replay_days rule=candidate healthy=0 insufficient_data=1 unhealthy=0 episodes=0",
        f"{EPISODE} first_day={DAY} last_day={DAY} unhealthy=1 reasons=hold_rate_high",
        (
            f"watchdog_replay_difference as_of={DAY} present=unhealthy present_reason=hold_rate_high"
            " candidate=insufficient_data candidate_reason=planned"
        ),
        f"watchdog_replay status=ok first_day={DAY} last_day={DAY} days=1 differing=1",
    ]


def test_the_report_is_one_page_with_a_plot_and_the_same_figures(
    prod: Database, lines: Lines, tmp_path: Path
) -> None:
    _store(prod)
    page = tmp_path / "replay.html"
    assert watchdog_replay.main([f"--from={DAY - timedelta(days=20)}", f"--report={page}"]) == 0
    html = page.read_text(encoding="utf-8")
    assert "<svg" in html
    assert "<script" not in html
    assert "hold_rate_high" in html
    assert f"<td>{DAY}</td>" in html
    assert [path.name for path in tmp_path.iterdir()] == ["replay.html"]


@pytest.mark.parametrize(
    ("arguments", "fields"),
    [
        (["--from=2026-13-01"], "reason=invalid_day"),
        ([f"--from={DAY}", f"--to={DAY - timedelta(days=1)}"], "reason=usage option=from"),
        ([f"--to={DAY + timedelta(days=2)}"], "reason=day_not_complete"),
        (["--config=/nowhere/candidate.toml"], "reason=invalid_config line=none key=none expected=file"),
        ([f"--from={DAY}", "--report=/nowhere/replay.html"], "reason=file_not_written"),
    ],
)
def test_what_cannot_be_replayed_has_a_reason(
    prod: Database, lines: Lines, arguments: list[str], fields: str
) -> None:
    _store(prod)
    assert watchdog_replay.main(arguments) == 1
    assert lines()[-1] == f"watchdog_replay status=fail {fields}"
