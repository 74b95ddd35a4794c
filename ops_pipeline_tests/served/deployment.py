"""The processes of docs/how-to/deploy/, started by the commands of their units, on a database of the test's own."""

from __future__ import annotations

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
UNITS = ROOT / "docs" / "how-to" / "deploy"
_SECONDS = 120
_PORTS = {"code": "4266", "webserver": "3000", "readonly": "3001"}
"""The ports that the units name; a test's own take their place."""
_PLACES = {"/opt/ops_pipeline/.venv/bin": str(Path(sys.executable).parent), "/opt/ops_pipeline": str(ROOT)}


def exec_start(unit: str) -> str:
    """Return the command of a unit."""
    lines = (UNITS / f"ops-pipeline-{unit}.service").read_text().splitlines()
    (command,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
    return command


def eventually(found: Callable[[], object], what: str) -> None:
    """Wait until `found` returns something."""
    deadline = time.monotonic() + _SECONDS
    while not found():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.2)


class Deployment:
    """The processes of one deployment."""

    def __init__(self, folder: Path, environ: Mapping[str, str]) -> None:
        self.ports = {name: _free_port() for name in _PORTS}
        self.alerts: list[str] = []
        self.folder = folder
        self._environ = {**os.environ, "PYTHONPATH": str(ROOT), "DAGSTER_HOME": str(folder), **environ}
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        settings = (ROOT / "dagster.yaml").read_text()
        (folder / "dagster.yaml").write_text(settings)
        workspace = (UNITS / "workspace.yaml").read_text()
        (folder / "workspace.yaml").write_text(workspace.replace(_PORTS["code"], str(self.ports["code"])))

    def address(self, server: str = "webserver", path: str = "") -> str:
        """Return the address of a page."""
        return f"http://127.0.0.1:{self.ports[server]}/{path}"

    def start(self, unit: str) -> None:
        """Start what a unit starts, and wait until a server answers."""
        command = exec_start(unit)
        for name, port in _PORTS.items():
            command = command.replace(f"--port {port}", f"--port {self.ports[name]}")
        command = command.replace(str(UNITS.relative_to(ROOT)), str(self.folder))
        for place, own in _PLACES.items():
            command = command.replace(place, own)
        with (self.folder / f"{unit}.log").open("ab") as log:
            self._running[unit] = subprocess.Popen(
                shlex.split(command),
                cwd=self.folder,
                env=self._environ,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if unit in self.ports:
            eventually(lambda: self._answers(unit), f"{unit} does not answer")

    def _answers(self, unit: str) -> bool:
        assert self._running[unit].poll() is None, f"{unit} has ended"
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.ports[unit])) == 0

    def process(self, unit: str) -> subprocess.Popen[bytes]:
        """Return the process of a unit that was started."""
        return self._running[unit]

    def kill(self, unit: str) -> None:
        """Kill what a unit has started, with all that it started itself."""
        process = self._running.pop(unit)
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_SECONDS)

    def stop(self) -> None:
        """Stop everything."""
        for process in reversed(self._running.values()):
            process.terminate()
        for process in self._running.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(20)
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)

    def ask(self, query: str, server: str = "webserver", **variables: object) -> dict[str, Any]:
        """Return what GraphQL answers."""
        request = urllib.request.Request(  # noqa: S310 - loopback
            self.address(server, "graphql"),
            json.dumps({"query": query, "variables": variables}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310 - loopback
            data: dict[str, Any] = json.loads(answer.read())["data"]
            return data


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
