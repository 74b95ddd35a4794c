"""The job that runs: its summary, its outputs, and how quiet its repository is."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import PUBLIC
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

_SECONDS_A_DAY = 86_400


def days_since_last_commit() -> int | None:
    """Return whole days since the last commit of the checkout that this folder is in; None where there is none."""
    try:
        asked = subprocess.run(
            ["git", "log", "-1", "--format=%ct"],  # noqa: S607 - git is where the runner has it
            capture_output=True,
            check=False,
        )
    except OSError:
        return None
    stamp = asked.stdout.strip()
    return max(0, int(time.time() - int(stamp)) // _SECONDS_A_DAY) if stamp.isdigit() else None


def write_for_github(name: Label, lines: list[Line], artifacts: Path | None) -> None:
    """Write the job's summary and the step's outputs, where GitHub wants them."""
    texts = [str(line) for line in lines]
    verdicts = [line.fields["status"] for line in lines if line.name is LineName.OPS_DAILY_WATCHDOG]
    heading = verdicts[-1] if verdicts else "no verdict"
    _write("GITHUB_STEP_SUMMARY", "\n".join([f"### {name}: {heading}", "", "```", *texts, "```", ""]))
    # JSON stands on one line whatever is in it, so that no delimiter can cut it short.
    _write("GITHUB_OUTPUT", f"lines={json.dumps(texts)}\nartifacts={artifacts or ''}\n")


def _write(variable: str, text: str) -> None:
    if path := os.environ.get(variable):
        append(Path(path), text.encode())


def append(path: Path, content: bytes) -> None:
    """Append to a file. Raises OpsError `file_not_written`."""
    try:
        # Not to wait for the reader of a pipe that has none.
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, PUBLIC)
        with os.fdopen(descriptor, "ab") as file:
            file.write(content)
    except OSError:
        pass
    else:
        return
    raise OpsError(Reason.FILE_NOT_WRITTEN)
