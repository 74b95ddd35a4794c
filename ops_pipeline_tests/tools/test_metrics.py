"""Prometheus gets what the lines say; the rules and the dashboard that are shipped fit what is there."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import RowMapping, text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.rates import RATES
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic, leak, send

DAY = last_complete_day()
DOCS = Path(__file__).resolve().parents[2] / "docs"
DASHBOARD = json.loads((DOCS / "grafana" / "ops_pipeline.json").read_text())
VARIABLES = {one["name"]: one["query"] for one in DASHBOARD["templating"]["list"]}
PANELS = [panel for panel in DASHBOARD["panels"] if panel["targets"]]
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
def judged(prod: Database, monkeypatch: pytest.MonkeyPatch, lines: Lines) -> Database:
    """A week of verdicts, of which the last is unhealthy."""
    monkeypatch.setenv("OPS_FIRST_DAY", (DAY - timedelta(days=6)).isoformat())
    healthy_traffic(prod)
    with prod.engine.begin() as connection:
        send(connection, 8, "offered", touch="second")
        send(connection, 8, "attempted", touch="second")
        send(connection, 5, "delivered", touch="second")
    leak(prod, DAY)
    assert cli.main(["backfill", f"--from={DAY - timedelta(days=6)}"]) == 0
    lines()
    return prod


def _parsed(samples: str) -> Samples:
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(samples)
        for sample in family.samples
    }


def _sample(samples: Samples, name: str, **labels: str) -> float:
    return samples[f"ops_pipeline_{name}", frozenset(labels.items())]


def test_the_file_says_what_the_lines_say(judged: Database, lines: Lines, tmp_path: Path) -> None:
    path = tmp_path / "ops_pipeline.prom"
    assert cli.main(["metrics", f"--out={path}"]) == 0
    samples = _parsed(path.read_text())
    said = f"samples={len(samples)} bytes={path.stat().st_size}"
    assert lines() == [f"metrics status=ok as_of={DAY} {said}"]
    assert path.stat().st_mode & 0o777 == 0o644
    end = datetime.combine(DAY + timedelta(days=1), datetime.min.time(), UTC)
    assert _sample(samples, "decided_until_timestamp_seconds") == end.timestamp()
    assert _sample(samples, "status", status="unhealthy") == 1
    assert _sample(samples, "status", status="healthy") == 0
    assert _sample(samples, "reason_info", reason="identity_leak") == 1
    assert _sample(samples, "episode_start_timestamp_seconds") == end.timestamp() - 86_400
    assert _sample(samples, "delivered", touch="first", window_days="7") == 560
    assert _sample(samples, "delivered", touch="both", window_days="1") == 85
    assert _sample(samples, "hold_ratio", touch="first", window_days="1") == pytest.approx(1 / 90)
    assert _sample(samples, "second_touch_delivered", window_days="1") == 5
    assert _sample(samples, "signal_limit", touch="first", signal="hold_rate") == 0.35
    assert _sample(samples, "signal_status", touch="both", signal="identity_leak", status="unhealthy") == 1


def test_the_same_can_be_piped_elsewhere(judged: Database, lines: Lines, tmp_path: Path) -> None:
    path = tmp_path / "ops_pipeline.prom"
    assert cli.main(["metrics", f"--out={path}", "--quiet"]) == 0
    assert cli.main(["metrics", "--format=prom"]) == 0
    assert "\n".join(lines()) + "\n" == path.read_text()


def test_a_failure_leaves_the_file_and_is_no_sample(
    judged: Database, lines: Lines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "ops_pipeline.prom"
    path.write_text("before")
    monkeypatch.setenv("OPS_POSTGRES_DSN", judged.dsn.replace("/test_", "/absent_"))
    assert cli.main(["metrics", f"--out={path}"]) == 1
    assert cli.main(["metrics", "--format=prom"]) == 1
    said = lines()
    assert said[1] == f"# {said[0]}"
    assert said[0].startswith("metrics status=fail reason=db_connect_failed")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_nothing_is_told_of_a_day_that_has_no_verdict(prod: Database, lines: Lines, tmp_path: Path) -> None:
    assert cli.main(["metrics", f"--out={tmp_path / 'ops_pipeline.prom'}"]) == 1
    assert cli.main(["metrics"]) == 1
    assert lines() == ["metrics status=fail reason=not_judged", "metrics status=fail reason=usage option=out"]


def test_the_rules_ask_for_samples_that_there_are(judged: Database, lines: Lines) -> None:
    assert cli.main(["metrics", "--format=prom"]) == 0
    exported = {name for name, _ in _parsed("\n".join(lines()) + "\n")}
    rules = yaml.safe_load((DOCS / "prometheus" / "ops_pipeline.rules.yml").read_text())["groups"][0]["rules"]
    asked = {name for rule in rules for name in re.findall(r"ops_pipeline_\w+", rule["expr"])}
    assert asked
    assert asked <= exported
    documented = set(re.findall(r"`(ops_pipeline_\w+)", (DOCS / "how-to" / "metrics.md").read_text()))
    assert documented - {"ops_pipeline_signal_observed"} <= exported


def _grants() -> list[str]:
    """Return the statements of the page that make the reader and its rights."""
    page = (DOCS / "how-to" / "connect-your-database.md").read_text().partition("## Rights to read")[2]
    return [part for part in re.search(r"```sql\n(.*?)```", page, re.DOTALL)[1].split(";") if part.strip()]  # type: ignore[index]


@pytest.fixture
def reader(judged: Database) -> Database:
    """The database as the documented reader sees it, by SET ROLE."""
    with judged.engine.begin() as connection:
        connection.execute(text("DROP ROLE IF EXISTS ops_reader"))
        for statement in _grants():
            connection.execute(text(statement))
    return judged


def _read(database: Database, sql: str) -> Sequence[RowMapping]:
    with database.engine.connect() as connection:
        connection.execute(text("SET ROLE ops_reader"))
        return connection.execute(text(sql.replace(":", r"\:"))).mappings().all()


def test_every_panel_of_the_dashboard_shows_something_to_the_reader(reader: Database) -> None:
    try:
        for panel in PANELS:
            (target,) = panel["targets"]
            sql = re.sub(
                r"\$__timeFilter\((\w+)\)", r"\1 BETWEEN now() - interval '90 days' AND now()", target["rawSql"]
            )
            assert "$__" not in sql
            assert panel["description"]
            # A panel that repeats is there once for each value of its variable.
            for value in _read(reader, VARIABLES[panel["repeat"]]) if "repeat" in panel else [{}]:
                one = sql.replace(f"${panel.get('repeat')}", next(iter(value.values()), ""))
                rows = _read(reader, one)
                assert rows, panel["title"]
                if target["format"] == "time_series":
                    assert set(rows[0]) == {"time", "metric", "value"}, panel["title"]
        assert {row["signal"] for row in _read(reader, VARIABLES["rate"])} == {rate.name.value for rate in RATES}
    finally:
        with reader.engine.begin() as connection:
            connection.execute(text("DROP OWNED BY ops_reader"))
            connection.execute(text("DROP ROLE ops_reader"))


def test_the_dashboard_names_no_server_and_its_panels_do_not_overlap() -> None:
    assert {panel["datasource"]["uid"] for panel in PANELS} == {"${datasource}"}
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    cells = [
        (x, y)
        for panel in PANELS
        for x in range(panel["gridPos"]["x"], panel["gridPos"]["x"] + panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["y"], panel["gridPos"]["y"] + panel["gridPos"]["h"])
    ]
    assert len(cells) == len(set(cells))
    assert all(x < 24 for x, _ in cells)
