"""What never ends or never answers is refused at once, wherever a tool is given a path."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from ops_pipeline_tests.conftest import Database

NORMALIZE = ("ops_ci_normalize", "--exit-code=2", "--event=schedule")


def _start(arguments: tuple[str, ...], environ: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "ops_pipeline.cli.main", *arguments],
        env={**os.environ, **environ},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_a_pipe_without_an_end_and_a_device_are_refused_at_once_by_every_tool(prod: Database, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    events = tmp_path / "events.csv"
    os.mkfifo(events)
    cases: list[tuple[tuple[str, ...], dict[str, str], str]] = [
        (("events", "import", str(events)), {}, "events_import status=fail reason=not_a_file file=1"),
        ((*NORMALIZE, f"--log-file={pipe}"), {}, "ops_ci_normalize status=fail reason=log_missing"),
        ((*NORMALIZE, "--log-file=/dev/zero"), {}, "ops_ci_normalize status=fail reason=log_missing"),
        (("secret_echo_guard", str(pipe)), {}, "secret_echo_guard status=fail reason=not_a_file argument=1"),
        (("prod_config_contract",), {"OPS_CONFIG": str(pipe)}, "expected=file"),
        (("watchdog_replay", "--config=/dev/zero"), {}, "expected=file"),
        (("db_verify",), {"OPS_POSTGRES_DSN": f"{prod.dsn}&sslrootcert={pipe}"}, "invalid=OPS_POSTGRES_DSN part=tls"),
    ]
    started = [(case, _start(case[0], case[1])) for case in cases]
    for (arguments, environ, said), process in started:
        out, err = process.communicate(timeout=60)
        assert (arguments, environ, err) == (arguments, environ, "")
        assert out.splitlines()[-1].endswith(said), (arguments, out)
