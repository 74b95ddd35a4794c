"""The alarm, set off on purpose: a real leak in a throw-away database, through check, sensor and receiver."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
from sqlalchemy import text

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ExitCode
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import IDENTITY_LEAK, Status
from ops_pipeline.events.demo_database import demo_database
from ops_pipeline.orchestration.daily_run import run_ops_daily
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.orchestration.sensors import alerts, heartbeat
from ops_pipeline.report.daily_lines import watchdog_line
from ops_pipeline.store.engine import ops_engine, writing
from ops_pipeline.store.migrate import apply_migrations


class SelftestStep(StrEnum):
    """What is tried, in this order."""

    DATABASE = "database"
    """A database is made and bootstrapped, and one message is held because an identity leaked."""
    VERDICT = "verdict"
    """The job ops_daily finds it."""
    ALERT = "alert"
    """The sensor tells a receiver on this machine, once."""
    HEARTBEAT = "heartbeat"
    """The monitor on this machine is pinged, with exit code 2."""


def selftest(folder: Path) -> Iterator[SelftestStep]:
    """Yield each step after it was seen to work. Raises OpsError `selftest_failed`, or the reason of a failure."""
    with demo_database(folder) as demo, _receiver() as received, configured_instance() as instance:
        engine = ops_engine()
        apply_migrations(engine)
        with writing(engine) as connection:
            leak = "INSERT INTO ops.delivery_events VALUES (CAST(:day AS timestamptz), 'first', 'held', :reason)"
            connection.execute(text(leak), {"day": f"{demo.last_day} 12:00+00", "reason": IDENTITY_LEAK})
        yield SelftestStep.DATABASE
        _, verdict = run_ops_daily(instance, demo.last_day)
        _require((verdict.status, verdict.reason) == (Status.UNHEALTHY, Reason.IDENTITY_LEAK))
        yield SelftestStep.VERDICT
        for _ in range(2):
            _tick(alerts, instance)
        _require(len(received) == 1 and str(watchdog_line(verdict)) in json.loads(received.pop())["message"])
        yield SelftestStep.ALERT
        _tick(heartbeat, instance)
        _require(received == [f"/ping/{int(ExitCode.NOT_HEALTHY)}"])
        yield SelftestStep.HEARTBEAT


def _require(is_so: bool) -> None:
    if not is_so:
        raise OpsError(Reason.SELFTEST_FAILED)


def _tick(sensor: dg.SensorDefinition, instance: dg.DagsterInstance) -> None:
    with dg.build_sensor_context(instance=instance, resources={"deployment": Deployment()}) as context:
        sensor.evaluate_tick(context)


@contextmanager
def _receiver() -> Iterator[list[str]]:
    """Yield what comes in at a receiver on this machine, to which alerts and heartbeat go meanwhile."""
    received: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self._answer()

        def do_GET(self) -> None:
            received.append(self.path)
            self._answer()

        def _answer(self) -> None:
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    changes: dict[str, str] = {
        Name.OPS_ALERT_URLS: f"json://127.0.0.1:{server.server_port}/",
        Name.OPS_PAGE_URLS: "",
        Name.OPS_HEARTBEAT_URL: f"http://127.0.0.1:{server.server_port}/ping",
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield received
    finally:
        for name, found in before.items():
            os.environ.pop(name, None) if found is None else os.environ.update({name: found})
        server.shutdown()
        server.server_close()
