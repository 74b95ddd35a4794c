"""Whatever becomes of what is printed, there is no traceback, and the exit code says whether it was lost."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# A line, help of a tool, and text that stands for itself.
COMMANDS = ("db_verify", "db_verify --help", "--reason=usage", "--no-such-tool", "events", "events export")
FAIL = {"--no-such-tool", "events export"}


@pytest.mark.parametrize(
    ("where", "is_wanted"),
    [(">&-", False), ("| head -c 0", False), ("<&- >&- 2>&-", False), ("2>&-", False), (">/dev/full", True)],
)
def test_nobody_who_reads_is_no_failure_and_a_full_disk_is_one(tmp_path: Path, where: str, is_wanted: bool) -> None:
    errors = tmp_path / "errors"
    for command in COMMANDS:
        program = f"{sys.executable} -m ops_pipeline.cli.main"
        # The group's standard error is the file, also where the program's own is closed.
        script = f"{{ {program} {command} {where}; exit ${{PIPESTATUS[0]}}; }} 2>{errors}"
        run = subprocess.run(["/bin/bash", "-c", script], env={**os.environ}, stdout=subprocess.DEVNULL, timeout=60)
        assert (command, errors.read_text()) == (command, "")
        assert (command, run.returncode) == (command, int(command in FAIL or is_wanted))


def test_no_file_gets_the_number_of_a_stream_that_is_closed(tmp_path: Path) -> None:
    # Kingfisher, which is another program, has them too.
    (tmp_path / "log").write_text("nothing")
    program = f"{sys.executable} -m ops_pipeline.cli.main secret_echo_guard {tmp_path}/log"
    run = subprocess.run(["/bin/bash", "-c", f"{program} <&- >&- 2>&-"], env={**os.environ}, timeout=60)
    assert run.returncode == 0
