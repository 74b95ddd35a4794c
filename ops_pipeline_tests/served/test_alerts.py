"""Alerts between processes: one receiver kills the sender, one is down for an hour, one hangs."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline_tests.answering import answering
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.receiving import let_pass, receiver
from ops_pipeline_tests.served.deployment import Deployment, eventually
from ops_pipeline_tests.traffic import healthy_traffic, leak

pytestmark = pytest.mark.slow


def test_a_daemon_tells_each_address_whatever_the_others_do_and_whoever_is_killed(
    prod: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    healthy_traffic(prod)
    leak(prod, last_complete_day())
    arrived: list[str] = []
    is_up = threading.Event()

    def killing() -> int:
        arrived.append("killing")
        if arrived.count("killing") == 1:
            # It has the message, and the sender never learns of it.
            deployment.kill("code")
        return 200

    def down() -> int:
        if not is_up.is_set():
            return 500
        arrived.append("down")
        return 200

    with receiver([], killing) as first, receiver([], down) as second, answering(None) as third:
        addresses = " ".join(f"json://127.0.0.1:{port}/" for port in (first, second, third))
        deployment = Deployment(
            tmp_path,
            {"OPS_POSTGRES_DSN": prod.dsn, "DAGSTER_POSTGRES_DSN": prod.dsn, "OPS_ALERT_URLS": addresses},
        )
        monkeypatch.setenv("OPS_ALERT_URLS", addresses)
        assert cli.main(["ops_daily", "--mode=prod", "--quiet"]) == 2
        lines()
        try:
            deployment.start("code")
            deployment.start("daemon")
            eventually(lambda: "killing" in arrived, "nobody is told")
            deployment.start("code")
            # The lease of whoever was killed ends.
            let_pass(prod, minutes=5)
            eventually(lambda: arrived.count("killing") == 2, "the message that was not noted is not sent again")
            assert "down" not in arrived
            assert cli.main(["doctor", "--only=alerts"]) == 0
            assert "addresses=3" in lines()[0]
            is_up.set()
            let_pass(prod, minutes=60)
            eventually(lambda: "down" in arrived, "who was down for an hour is not told")
            let_pass(prod, minutes=60)
            # The one that hangs is asked again by the next tick, and the others are not.
            eventually(lambda: _tries(prod) >= 2, "who hangs is given up")
        finally:
            deployment.stop()
    assert sorted(arrived) == ["down", "killing", "killing"]
    assert cli.main(["doctor", "--only=alerts"]) == 0
    assert lines()[-1] == "doctor status=ok warnings=alert_not_sent not_sent=1"


def _tries(database: Database) -> int:
    with database.engine.connect() as connection:
        found = connection.scalar(text("SELECT max(tries) FROM ops.alert_addresses"))
    return int(found or 0)
