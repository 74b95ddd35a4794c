"""The demo, the smoke run and the UI, as real processes from an empty folder."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, Any

import psutil
import pytest
from markdown_it import MarkdownIt

from ops_pipeline.contract.days import last_complete_day

ROOT = Path(__file__).resolve().parents[2]
DAY = last_complete_day().isoformat()


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A data folder that the tests of this file share: nothing they do spoils it for another."""
    # Not pytest's own: as root, the server runs as a user who may not enter that.
    with tempfile.TemporaryDirectory(prefix="ops_pipeline_tests_", ignore_cleanup_errors=True) as made:
        yield Path(made)


def _start(folder: Path, tool: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", f"ops_pipeline.tools.{tool}", f"--data-dir={folder}", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=folder if folder.is_dir() else None,
    )


def _run(folder: Path, tool: str, *arguments: str) -> tuple[int, list[str]]:
    process = _start(folder, tool, *arguments)
    output, _ = process.communicate(timeout=240)
    return process.returncode, output.splitlines()


def _servers(folder: Path) -> list[psutil.Process]:
    """Return the PostgreSQL servers whose data lies in the folder."""
    found = []
    for process in psutil.process_iter():
        try:
            command = " ".join(process.cmdline())
        except psutil.Error:
            continue
        if str(folder) in command and "postgres" in command and "python" not in command:
            found.append(process)
    return found


def _shown() -> list[str]:
    """Return the lines of the demo that README.md shows, as they were before they were wrapped."""
    page = (ROOT / "README.md").read_text(encoding="utf-8").partition("## What the lines mean")[2]
    (block, *_) = (token.content for token in MarkdownIt().parse(page) if token.type == "code_block")
    return re.sub(r"\n +", " ", block).splitlines()


def _keys(lines: list[str]) -> list[list[str]]:
    """Return the name and the keys of each line, in their order."""
    return [[word.partition("=")[0] for word in line.split()] for line in lines]


@pytest.mark.slow
def test_the_demo_goes_the_whole_way_and_a_second_time_changes_nothing(folder: Path) -> None:
    code, lines = _run(folder, "demo")
    assert code == 0
    assert [line.split()[0] for line in lines[:5]] == [
        "db_bootstrap",
        "db_verify",
        "events_sample",
        "events_import",
        "ops_daily",
    ]
    assert any(
        line.startswith(f"ops_daily_watchdog status=healthy reason=within_limits as_of={DAY}") for line in lines
    )
    assert lines[-1].startswith(f"demo status=ok last_day={DAY} incident_day=")
    assert [shown for shown in _keys(_shown()) if shown not in _keys(lines)] == [], "README.md shows other lines"
    assert _servers(folder) == []

    code, again = _run(folder, "demo")
    assert code == 0
    assert "events_import status=skipped file=1 reason=already_imported" in again
    assert [line for line in again if line.startswith("ops_")] == [line for line in lines if line.startswith("ops_")]
    assert _servers(folder) == []


@pytest.mark.slow
def test_the_smoke_run_goes_the_same_way_and_is_green_even_on_an_unhealthy_day(folder: Path) -> None:
    code, lines = _run(folder, "ops_daily", "--mode=ci")
    assert (code, lines[0]) == (0, "ops_daily mode=smoke reason=prod_not_configured")
    assert lines[-2].startswith("ops_daily_watchdog status=healthy")
    incident = (last_complete_day() - timedelta(days=14)).isoformat()
    code, lines = _run(folder, "ops_daily", f"--as-of={incident}")
    assert (code, lines[0]) == (0, "ops_daily mode=smoke reason=prod_not_configured")
    assert lines[-2].startswith("ops_daily_watchdog status=unhealthy reason=hold_rate_limit")
    code, lines = _run(folder, "ops_daily", "--mode=ci", "--as-of=2026-01-02")
    assert (code, lines[-1]) == (1, "ops_daily status=fail mode=smoke reason=day_before_first")


@pytest.mark.slow
@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGTERM])
def test_stopped_in_the_middle_the_demo_leaves_no_server_behind(folder: Path, way: signal.Signals) -> None:
    process = _start(folder, "demo")
    assert process.stdout is not None
    assert process.stdout.readline().startswith("db_bootstrap status=ok")
    process.send_signal(way)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    # Whichever step it was in says so.
    assert output.splitlines()[-1].endswith(" reason=interrupted")
    assert _servers(folder) == []


@pytest.mark.slow
def test_a_killed_demo_is_cleaned_up_by_the_next_one(folder: Path) -> None:
    process = _start(folder, "demo")
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.communicate(timeout=60)
    code, lines = _run(folder, "demo")
    assert (code, lines[-1].split()[1]) == (0, "status=ok")
    assert _servers(folder) == []


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _ask(port: int, query: str, **variables: object) -> Any:
    """Ask the web server's GraphQL."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/graphql",
        json.dumps({"query": query, "variables": variables}).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
        return json.loads(answer.read())["data"]


LAUNCH = """
mutation ($params: ExecutionParams!) {
  launchRun(executionParams: $params) { __typename ... on LaunchRunSuccess { run { runId } } }
}
"""
STATUS = "query ($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
ENDED = {"SUCCESS", "FAILURE", "CANCELED"}


def _launch(port: int, day: str) -> str:
    """Launch the job for a day as the UI does, and return how the run ended."""
    parameters = {
        "selector": {
            "repositoryLocationName": "ops_pipeline",
            "repositoryName": "__repository__",
            "jobName": "ops_daily",
        },
        "executionMetadata": {"tags": [{"key": "dagster/partition", "value": day}]},
        "runConfigData": "{}",
        "mode": "default",
    }
    launched = _ask(port, LAUNCH, params=parameters)["launchRun"]
    assert launched["__typename"] == "LaunchRunSuccess"
    deadline = datetime.now(UTC) + timedelta(seconds=120)
    while datetime.now(UTC) < deadline:
        status: str = _ask(port, STATUS, id=launched["run"]["runId"])["runOrError"]["status"]
        if status in ENDED:
            return status
    return "TIMEOUT"


def _line(output: IO[str] | None) -> str:
    assert output is not None
    return output.readline().strip()


@contextmanager
def _ui(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """Start the UI and wait until it serves; nothing of it outlives the test."""
    process = _start(folder, "ui", f"--port={port}")
    try:
        assert _line(process.stdout) == f"ui status=ok port={port}"
        yield process
    finally:
        process.terminate()
        process.wait(60)


@pytest.mark.slow
def test_the_ui_serves_the_demo_and_a_run_can_be_launched_from_it(folder: Path) -> None:
    port = _free_port()
    with _ui(folder, port) as ui:
        children = psutil.Process(ui.pid).children(recursive=True)
        assert _launch(port, DAY) == "SUCCESS"
        # The demo can be used meanwhile, and a port is not taken twice.
        assert _run(folder, "ops_daily", "--mode=ci")[0] == 0
        assert _run(folder, "ui", f"--port={port}") == (1, ["ui status=fail reason=port_in_use"])
        ui.send_signal(signal.SIGINT)
        output, _ = ui.communicate(timeout=60)
        assert (ui.returncode, output.strip()) == (0, "ui status=stopped")
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert _servers(folder) == []


@pytest.mark.slow
def test_the_ui_ends_when_a_part_of_it_ends(folder: Path) -> None:
    port = _free_port()
    with _ui(folder, port) as ui:
        children = psutil.Process(ui.pid).children(recursive=True)
        (daemon, *_) = [child for child in children if "dagster._daemon" in child.cmdline()]
        daemon.kill()
        output, _ = ui.communicate(timeout=60)
        assert (ui.returncode, output.strip()) == (1, "ui status=fail reason=ui_stopped")
    _, alive = psutil.wait_procs(children, timeout=30)
    assert alive == []
    assert _servers(folder) == []


def test_a_data_folder_that_cannot_be_made_has_a_reason() -> None:
    assert _run(Path("/dev/null"), "demo") == (1, ["demo status=fail reason=embedded_failed"])


def test_a_data_folder_that_is_no_database_has_a_reason(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    (tmp_path / "postgres" / "PG_VERSION").write_text("nonsense")
    os.chmod(tmp_path, 0o755)  # noqa: PTH101, S103
    assert _run(tmp_path, "demo") == (1, ["demo status=fail reason=embedded_failed"])
