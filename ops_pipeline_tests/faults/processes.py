"""Tools as processes of their own, and waiting for what they do."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ops_pipeline.contract.environment import Name

_DEADLINE_SECONDS = 120


def production(dsn: str) -> dict[str, str]:
    """Return the configuration of production with all of it in one database."""
    return {"OPS_POSTGRES_DSN": dsn, "DAGSTER_POSTGRES_DSN": dsn}


def environment(environ: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with nothing configured but what `environ` says."""
    kept = {key: value for key, value in os.environ.items() if key not in set(Name) and key != "DAGSTER_HOME"}
    return {**kept, "OPS_RETRY_SECONDS": "0", **environ}


def start_tool(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> subprocess.Popen[str]:
    """Start `ops-pipeline` with `arguments` in a process group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "ops_pipeline.cli.main", *arguments],
        cwd=folder,
        env=environment(environ),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def run_tool(arguments: Sequence[str], environ: Mapping[str, str], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run it to its end."""
    process = start_tool(arguments, environ, folder)
    out, err = process.communicate(timeout=_DEADLINE_SECONDS)
    return subprocess.CompletedProcess(list(arguments), process.returncode, out, err)


def wait_until(is_so: Callable[[], object], seconds: float = _DEADLINE_SECONDS) -> None:
    """Wait until `is_so` returns something true. Raises TimeoutError."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(0.05)
