"""The Dagster UI and daemon on the demo database, on loopback, until Ctrl-C."""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.cli.command import Command
from ops_pipeline.contract.environment import Name, value
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import package_path
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

HOST = "127.0.0.1"
_POLL_SECONDS = 0.5
_START_SECONDS = 120
_STOP_SECONDS = 20

_EPILOG = """lines:
  ui status=ok port=<n>        ready: open http://127.0.0.1:<port> in a browser; stop with Ctrl-C
  ui status=stopped            after Ctrl-C
  ui status=fail reason=<token>

exit codes:
  0  stopped by Ctrl-C or SIGTERM
  1  it could not start, or a part of it ended by itself

example:
  ops-pipeline ui --port=3000
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--port", type=whole_number(1, 65_535), default=3000, help="port on 127.0.0.1 (default: 3000)"
    )
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help="where the embedded database lives (default: .ops_pipeline)",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    from ops_pipeline.events.demo_database import DEFAULT_FOLDER, demo_database
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import apply_migrations

    if _is_taken(arguments.port):
        raise OpsError(Reason.PORT_IN_USE)
    with demo_database(arguments.data_dir or DEFAULT_FOLDER) as demo:
        apply_migrations(ops_engine())
        try:
            with _served(_home(demo.folder), arguments.port) as processes:
                _wait_until_ready(arguments.port, processes)
                output.write(Line(LineName.UI, status=Label("ok"), port=arguments.port))
                while all(process.poll() is None for process in processes):
                    time.sleep(_POLL_SECONDS)
                raise OpsError(Reason.UI_STOPPED)
        except KeyboardInterrupt:
            return output.finish(Line(LineName.UI, status=Label("stopped")))


def _is_taken(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex((HOST, port)) == 0


def _home(folder: Path) -> Path:
    """Return a DAGSTER_HOME that web server, daemon and the runs they launch share."""
    home = folder / "dagster_home"
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(package_path("dagster.yaml"), home / "dagster.yaml")
    return home


@contextmanager
def _served(home: Path, port: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    workspace = ["--workspace", str(package_path("workspace.yaml"))]
    commands = (
        ["dagster_webserver", "--host", HOST, "--port", str(port), *workspace],
        ["dagster._daemon", "run", *workspace],
    )
    # Their logs hold tracebacks; a developer sees them on request.
    output = None if value(Name.OPS_DEBUG) == "1" else subprocess.DEVNULL
    environment = {**os.environ, "DAGSTER_HOME": str(home), "PYTHONWARNINGS": "ignore"}
    processes: list[subprocess.Popen[bytes]] = []
    try:
        for command in commands:
            process = subprocess.Popen(  # noqa: S603 - our own modules, our own arguments
                [sys.executable, "-m", *command],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                # Ctrl-C reaches this process alone, which then ends the others in order.
                start_new_session=True,
            )
            processes.append(process)
        yield processes
    finally:
        for process in reversed(processes):
            process.terminate()
        for process in processes:
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
            # What they started themselves, where they could not end it any more.
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGTERM)


def _wait_until_ready(port: int, processes: Sequence[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while all(process.poll() is None for process in processes) and time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://{HOST}:{port}/server_info", timeout=5):
                return
        except OSError:
            time.sleep(_POLL_SECONDS)
    raise OpsError(Reason.UI_STOPPED)


COMMAND = Command(
    name="ui",
    line=LineName.UI,
    description="Serve the Dagster UI and daemon on the demo database, on loopback only.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
