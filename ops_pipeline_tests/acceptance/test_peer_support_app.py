"""The acceptance test: a real application's tables, as they are, give the application's own figures.

The input is thirty days of an anonymous peer-support application, with the figures that it computed for itself. The
only thing between its tables and the pipeline is the view that docs/how-to/connect-your-database.md explains.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
import zlib
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from ops_pipeline.contract.config import Taxonomy
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AttemptsSource, Scope
from ops_pipeline.health import SignalName, Status
from ops_pipeline.health.metrics import Metrics, SecondTouchSummary
from ops_pipeline.tools.ops_daily import main
from ops_pipeline_tests.acceptance.conftest import DAYS, ThirtyDays, configure, shipped_data
from ops_pipeline_tests.conftest import Database

pytestmark = pytest.mark.slow

LAST = DAYS[-1]
_PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "watchdog.md"
ARGUMENTS = ["--mode=prod", f"--as-of={LAST}"]
WINDOWS = (7, 30)
SILENT_DAYS = (date(2026, 10, 27), date(2026, 10, 28))

Expected = dict[str, dict[str, Any]]
Fields = dict[str, str]


def second_touch_counters(summary: SecondTouchSummary) -> dict[str, int]:
    """Return our second touch under the application's names, without counters that are 0."""
    counters = {
        "offers_generated": summary.offered,
        "sends_attempted": summary.attempts,
        "sends_queued": summary.queued,
        **{f"offers_suppressed_{reason}": count for reason, count in summary.suppressed_by.items()},
        **{f"sends_held_{reason}": count for reason, count in summary.held_by.items()},
        **{f"disables_{reason}": count for reason, count in summary.disabled_by.items()},
        # The application has no counter for these: should there be any, the comparison must fail.
        "delivered": summary.delivered,
        "failed": summary.failed,
        "acknowledged": summary.acknowledged,
    }
    return {name: count for name, count in counters.items() if count}


def figures(metrics: Metrics, window_days: int) -> dict[str, object]:
    """Return what we computed over a window, in the application's words."""
    (total,) = [one for one in metrics.totals if (one.touch, one.window_days) == (Scope.BOTH, window_days)]
    (summary,) = [one for one in metrics.second_touch if one.window_days == window_days]
    return {
        "delivered": total.delivered,
        "positive": total.positive,
        "second_touch": second_touch_counters(summary),
    }


def the_applications(expected: Expected, day: date, window_days: int) -> dict[str, object]:
    """Return what the application computed for itself over the same window."""
    if window_days == 1:
        return dict(expected["days"][day.isoformat()])
    window = expected["windows_ending"][day.isoformat()][f"{window_days}d"]
    return {
        "delivered": window["delivered_total"],
        "positive": window["positive_total"],
        "second_touch": window["second_touch"],
    }


@pytest.fixture(scope="module")
def operated(thirty_days: ThirtyDays) -> tuple[int, list[str]]:
    """The exit code and the lines of `ops_daily` for the last day."""
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as monkeypatch, contextlib.redirect_stdout(printed):
        configure(monkeypatch, thirty_days.database)
        return main(ARGUMENTS), printed.getvalue().splitlines()


def test_the_application_gives_figures_for_each_of_the_thirty_days(expected: Expected) -> None:
    for figures_by_day in (expected["days"], expected["windows_ending"]):
        assert list(figures_by_day) == [day.isoformat() for day in DAYS]


@pytest.mark.parametrize("window_days", [1, *WINDOWS])
def test_delivered_positive_and_every_second_touch_counter_are_the_applications_own(
    thirty_days: ThirtyDays, expected: Expected, window_days: int
) -> None:
    ours = {day: figures(metrics, window_days) for day, metrics in thirty_days.metrics.items()}
    assert ours == {day: the_applications(expected, day, window_days) for day in DAYS}


def test_the_totals_by_reason_add_up_and_attempts_are_those_that_were_logged(thirty_days: ThirtyDays) -> None:
    for metrics in thirty_days.metrics.values():
        for summary in metrics.second_touch:
            assert summary.suppressed == sum(summary.suppressed_by.values())
            assert summary.held == sum(summary.held_by.values())
            assert summary.disabled == sum(summary.disabled_by.values())
            assert summary.attempts_source is AttemptsSource.LOGGED


def test_every_reason_of_the_application_is_declared_without_any_configuration(thirty_days: ThirtyDays) -> None:
    with psycopg.connect(thirty_days.database.dsn) as connection:
        rows = connection.execute("SELECT DISTINCT outcome, reason FROM ops.daily_counts WHERE reason IS NOT NULL")
        found = set(rows.fetchall())
    declared = {(outcome.value, reason) for outcome, reasons in Taxonomy().reasons.items() for reason in reasons}
    assert found <= declared
    assert len(found) == 10


def test_a_theme_is_a_segment_of_the_deliveries(thirty_days: ThirtyDays) -> None:
    with psycopg.connect(thirty_days.database.dsn) as connection:
        ours = connection.execute(
            "SELECT segment, sum(events) FROM ops.daily_counts WHERE outcome = 'delivered' AND events > 0 GROUP BY 1"
        ).fetchall()
        source = connection.execute("SELECT theme, count(*) FROM peer_app.inbox_items GROUP BY 1").fetchall()
    assert dict(ours) == dict(source)
    assert len(source) == 7


def test_every_day_is_a_materialised_partition_of_every_asset(thirty_days: ThirtyDays) -> None:
    days = {day.isoformat() for day in DAYS}
    for asset in ("daily_counts", "delivered_totals", "hold_suppression_rates", "second_touch_summaries"):
        assert days <= thirty_days.instance.get_materialized_partitions(dg.AssetKey(asset))


def test_the_two_days_without_any_activity_are_an_outage_and_never_too_little_data(thirty_days: ThirtyDays) -> None:
    for day in SILENT_DAYS:
        verdict = thirty_days.verdicts[day]
        assert (verdict.status, verdict.reason) == (Status.UNHEALTHY, Reason.TRAFFIC_STOPPED)
        (signal,) = [one for one in verdict.signals if one.reason is Reason.TRAFFIC_STOPPED]
        assert (signal.touch, signal.name, signal.count) == (Scope.FIRST, SignalName.DELIVERED, 0)


def test_an_identity_leak_is_the_first_reason_for_seven_days_and_no_longer(thirty_days: ThirtyDays) -> None:
    leaks = (date(2026, 10, 11), date(2026, 11, 6))
    reported = {day for day, verdict in thirty_days.verdicts.items() if verdict.reason is Reason.IDENTITY_LEAK}
    assert reported == {leak + timedelta(days=n) for leak in leaks for n in range(7)} & set(DAYS)
    assert all(thirty_days.verdicts[day].status is Status.UNHEALTHY for day in reported)


def test_the_story_begins_without_an_alarm_and_is_never_called_healthy_once_traffic_had_collapsed(
    thirty_days: ThirtyDays,
) -> None:
    statuses = {day: verdict.status for day, verdict in thirty_days.verdicts.items()}
    assert Status.UNHEALTHY not in {statuses[day] for day in DAYS[:2]}
    # From 300 deliveries a day to 16, 6, none for two days, and a hundred on average thereafter.
    assert Status.HEALTHY not in {statuses[day] for day in DAYS if day >= date(2026, 10, 25)}


def test_the_documented_month_is_what_the_watchdog_says_of_it(thirty_days: ThirtyDays) -> None:
    rows = [row.split(" | ") for row in _PAGE.read_text(encoding="utf-8").splitlines() if row.startswith("| 1")]
    months = [row for row in rows if re.match(r"\| 1[01]-\d\d (and|to) ", row[0])]
    for cells in months:
        days = [date.fromisoformat(f"2026-{day}") for day in re.findall(r"1[01]-\d\d", cells[0])]
        said = {reason.value for day in days for reason in thirty_days.verdicts[day].unhealthy_reasons}
        assert set(re.findall(r"`([a-z_]+)`", cells[2])) <= said, cells[0]
    assert len(months) == 8


def fields_of(lines: list[str], name: str, window_days: int) -> Fields:
    """Return the fields of the line `name` of a window."""
    (found,) = [
        fields
        for line in lines
        if line.split()[0] == name
        for fields in [dict(part.split("=", 1) for part in line.split()[1:])]
        if fields["window_days"] == str(window_days)
    ]
    return found


def group(counters: Mapping[str, int], prefix: str) -> dict[str, int]:
    """Return the application's counters `<prefix><reason>` by reason."""
    return {name.removeprefix(prefix): count for name, count in counters.items() if name.startswith(prefix)}


def parsed_group(text: str) -> dict[str, int]:
    """Return a line's `reason:count,reason:count`."""
    return {} if text == "none" else {key: int(count) for key, count in (one.split(":") for one in text.split(","))}


@pytest.mark.parametrize("window_days", WINDOWS)
def test_the_operators_lines_have_the_applications_numbers(
    operated: tuple[int, list[str]], expected: Expected, window_days: int
) -> None:
    _, lines = operated
    window = expected["windows_ending"][LAST.isoformat()][f"{window_days}d"]
    delivered, positive, counters = window["delivered_total"], window["positive_total"], window["second_touch"]
    totals = fields_of(lines, "ops_daily_totals", window_days)
    assert (totals["delivered_total"], totals["positive"]) == (str(delivered), str(positive))
    assert totals["h"] == f"{positive / delivered:.4f}"

    line = fields_of(lines, "ops_daily_second_touch", window_days)
    held, suppressed = group(counters, "sends_held_"), group(counters, "offers_suppressed_")
    offered, attempted = counters["offers_generated"], counters["sends_attempted"]
    assert {name: int(line[name]) for name in ("offered", "attempts", "queued", "held", "suppressed")} == {
        "offered": offered,
        "attempts": attempted,
        "queued": counters["sends_queued"],
        "held": sum(held.values()),
        "suppressed": sum(suppressed.values()),
    }
    assert line["hold_rate"] == f"{sum(held.values()) / attempted:.4f}"
    assert line["suppression_rate"] == f"{sum(suppressed.values()) / (offered + sum(suppressed.values())):.4f}"


@pytest.mark.parametrize("window_days", WINDOWS)
def test_the_operators_lines_say_which_reasons(
    operated: tuple[int, list[str]], expected: Expected, window_days: int
) -> None:
    _, lines = operated
    counters = expected["windows_ending"][LAST.isoformat()][f"{window_days}d"]["second_touch"]
    line = fields_of(lines, "ops_daily_second_touch", window_days)
    assert parsed_group(line["suppressed_by"]) == group(counters, "offers_suppressed_")
    assert parsed_group(line["held_by"]) == group(counters, "sends_held_")
    assert parsed_group(line["disabled_by"]) == group(counters, "disables_")


def test_the_snapshot_has_the_same_figures_for_machines(operated: tuple[int, list[str]], expected: Expected) -> None:
    _, lines = operated
    (snapshot,) = [json.loads(line.partition(" ")[2]) for line in lines if line.startswith("ops_metrics_snapshot ")]
    summaries = {one["window_days"]: one for one in snapshot["second_touch_summaries"]}
    for window_days in WINDOWS:
        counters = expected["windows_ending"][LAST.isoformat()][f"{window_days}d"]["second_touch"]
        assert summaries[window_days]["suppressed_by"] == group(counters, "offers_suppressed_")
        assert summaries[window_days]["disabled_by"] == group(counters, "disables_")


def test_the_last_day_is_unhealthy_because_two_people_were_disabled_for_a_leak_the_day_before(
    operated: tuple[int, list[str]], expected: Expected
) -> None:
    assert expected["days"]["2026-11-06"]["second_touch"]["disables_identity_leak"] == 2
    code, lines = operated
    assert code == 2
    (verdict,) = [line for line in lines if line.startswith("ops_daily_watchdog ")]
    assert verdict.startswith(f"ops_daily_watchdog status=unhealthy reason=identity_leak as_of={LAST} ")
    # The leak does not hide the rest: of 480 offers in these seven days, 440 were suppressed.
    (reasons,) = [part for part in verdict.split() if part.startswith("reasons=")]
    assert "suppression_rate_limit" in reasons.removeprefix("reasons=").split(",")


def stored(database: Database, schema: str) -> dict[str, list[tuple[object, ...]]]:
    """Return all rows of all tables of a schema, without the columns that say when they were computed."""
    with psycopg.connect(database.dsn) as connection:
        columns = connection.execute(
            "SELECT c.relname, array_agg(a.attname::text ORDER BY a.attnum)"
            " FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped"
            " WHERE c.relkind = 'r' AND c.relnamespace = %s::regnamespace AND a.attname <> 'computed_at' GROUP BY 1",
            [schema],
        ).fetchall()
        return {
            table: connection.execute(
                sql.SQL("SELECT {} FROM {}").format(
                    sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(schema, table)
                )
            ).fetchall()
            for table, names in columns
        }


def test_a_day_run_twice_gives_identical_lines_and_identical_rows(
    thirty_days: ThirtyDays, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    configure(monkeypatch, thirty_days.database)

    def run() -> tuple[int, str, str, dict[str, list[str]]]:
        code = main(ARGUMENTS)
        rows = {table: sorted(map(str, found)) for table, found in stored(thirty_days.database, "ops").items()}
        return code, *capfd.readouterr(), rows

    first = run()
    assert run() == first
    assert len(first[1].splitlines()) > 10
    assert len(first[3]["delivered_totals"]) == len(DAYS) * 3 * len(Scope)


# Every identifier of the application has one of these shapes; the lookahead finds them inside longer words too.
IDENTIFIER = re.compile(r"(?=([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|u[0-9a-f]{12}))")


def identifiers() -> set[str]:
    """Return every message_id and recipient_id of the application."""
    files = (shipped_data("inbox_items.csv"), shipped_data("acknowledgements.csv"))
    return {word for file in files for line in file.decode().splitlines()[1:] for word in line.split(",")[:2]}


def everything_in(database: Database, schema: str) -> str:
    """Return all that is stored in a schema as one text, compressed values included."""
    rows = (row for found in stored(database, schema).values() for row in found)
    return "\n".join(_text(value) for row in rows for value in row)


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        return str(value)
    try:
        return zlib.decompress(value).decode()
    except (zlib.error, UnicodeDecodeError):
        return value.decode("latin-1") + value.hex()


def identifiers_in(text: str) -> set[str]:
    """Return the application's identifiers that `text` repeats, in whatever case."""
    return identifiers() & set(IDENTIFIER.findall(text.lower()))


def test_the_search_for_identifiers_would_find_each_of_them(thirty_days: ThirtyDays) -> None:
    assert len(identifiers()) == 5256 + 170
    assert identifiers_in(everything_in(thirty_days.database, "peer_app")) == identifiers()


def test_no_identifier_is_in_any_output_or_stored_by_us_or_by_dagster(
    thirty_days: ThirtyDays,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    configure(monkeypatch, thirty_days.database)
    assert main(ARGUMENTS) == 2
    output = capfd.readouterr()
    kept_by_us = everything_in(thirty_days.database, "ops")
    kept_by_dagster = everything_in(thirty_days.database, "public")
    # Something was searched: the verdict, Dagster's record of the run, and the log of thirty runs.
    assert "ops_daily_watchdog" in output.out
    assert "traffic_stopped" in kept_by_us
    assert LAST.isoformat() in kept_by_dagster
    assert thirty_days.log.count("ops_daily") > len(DAYS)
    for text in (output.out, output.err, thirty_days.log, kept_by_us, kept_by_dagster):
        assert identifiers_in(text) == set()


def test_no_identifier_escapes_when_the_view_breaks_and_postgresql_quotes_one(
    peer_app: Database, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with psycopg.connect(peer_app.dsn, autocommit=True) as connection:
        connection.execute(
            "CREATE VIEW peer_app.broken AS SELECT message_id::text::timestamptz AS occurred_at, 'first' AS touch,"
            " 'delivered' AS outcome, NULL AS reason, recipient_id AS segment FROM peer_app.inbox_items"
        )
        with pytest.raises(psycopg.DataError) as quoted:
            connection.execute("SELECT occurred_at FROM peer_app.broken")
    assert identifiers_in(str(quoted.value))

    configure(monkeypatch, peer_app)
    monkeypatch.setenv("OPS_EVENTS_RELATION", "peer_app.broken")
    assert main(ARGUMENTS) == 1
    output = capfd.readouterr()
    day = ARGUMENTS[-1].rpartition("=")[2]
    assert (
        output.out.splitlines()[-1] == f"ops_daily status=fail mode=strict reason=events_relation_invalid day={day}"
    )
    for text in (output.out, output.err, everything_in(peer_app, "ops"), everything_in(peer_app, "public")):
        assert identifiers_in(text) == set()
