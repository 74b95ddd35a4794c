"""Alerts arrive, once, whatever is restarted or tried again; the heartbeat says how a day ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.definitions import definitions
from ops_pipeline.orchestration import sensors
from ops_pipeline.orchestration.daily_run import run_ops_daily
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.traffic import healthy_traffic

DAY = last_complete_day()


@dataclass
class Receiver:
    """What comes in at an address of this machine."""

    port: int = 0
    answer: int = 200
    messages: list[dict[str, str]] = field(default_factory=list)
    pings: list[str] = field(default_factory=list)

    def titles(self) -> list[str]:
        """Return the titles that came in since the last call."""
        found = [message["title"] for message in self.messages]
        self.messages.clear()
        return found


@contextmanager
def _listening() -> Iterator[Receiver]:
    receiver = Receiver()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            if receiver.answer == 200:
                receiver.messages.append(json.loads(content))
            self._answer()

        def do_GET(self) -> None:
            if receiver.answer == 200:
                receiver.pings.append(self.path)
            self._answer()

        def _answer(self) -> None:
            self.send_response(receiver.answer)
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    receiver.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
    with _listening() as found:
        monkeypatch.setenv("OPS_ALERT_URLS", f"json://127.0.0.1:{found.port}/")
        monkeypatch.setenv("OPS_HEARTBEAT_URL", f"http://127.0.0.1:{found.port}/s3cr3t")
        yield found


@pytest.fixture
def instance(prod: Database) -> Iterator[dg.DagsterInstance]:
    healthy_traffic(prod)
    with configured_instance() as found:
        yield found


def _tick(instance: dg.DagsterInstance, name: str = "alerts", cursor: str | None = None) -> dg.SensorDefinition:
    sensor = definitions().get_repository_def().get_sensor_def(name)
    resources = {"deployment": Deployment()}
    with dg.build_sensor_context(instance=instance, resources=resources, cursor=cursor) as context:
        return sensor.evaluate_tick(context)  # type: ignore[return-value]


def _leak(prod: Database, *, on: date = DAY, back: bool = False) -> None:
    statement = (
        "DELETE FROM ops.delivery_events WHERE reason = 'identity_leak'"
        if back
        else f"INSERT INTO ops.delivery_events VALUES ('{on} 12:00+00', 'first', 'held', 'identity_leak')"  # noqa: S608
    )
    with prod.engine.begin() as connection:
        connection.execute(text(statement))


def test_a_leak_is_told_once_with_the_line_and_what_to_do(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    run_ops_daily(instance, DAY)
    _tick(instance)
    assert receiver.titles() == []
    _leak(prod)
    run_ops_daily(instance, DAY)
    _tick(instance)
    (message,) = receiver.messages
    assert message["title"] == f"ops_pipeline: delivery is unhealthy ({DAY})"
    line, _, means, next_step = message["message"].split("\n")
    assert line.startswith(f"ops_daily_watchdog status=unhealthy reason=identity_leak as_of={DAY}")
    assert "identity leaked" in means
    assert next_step.startswith("Next: Stop sending")
    # Ticks, restarts and runs that are done again tell nothing new.
    run_ops_daily(instance, DAY)
    for _ in range(2):
        _tick(instance)
    assert len(receiver.messages) == 1


def test_a_message_ends_with_the_place_in_the_runbook_where_one_is_published(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    config.write_text('[links]\nrunbook = "https://example.org/operator_runbook"\n')
    monkeypatch.setenv("OPS_CONFIG", str(config))
    _leak(prod)
    run_ops_daily(instance, DAY)
    _tick(instance)
    (message,) = receiver.messages
    assert message["message"].endswith("\nRunbook: https://example.org/operator_runbook#identity_leak")


def test_what_cannot_be_sent_is_tried_again_at_the_next_tick_and_blocks_no_run(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    _leak(prod)
    receiver.answer = 500
    run_ops_daily(instance, DAY)
    for _ in range(2):
        with pytest.raises(OpsError) as caught:
            _tick(instance)
        assert str(caught.value) == "alert_not_sent"
    receiver.answer = 200
    _tick(instance)
    assert len(receiver.titles()) == 1


def test_what_is_run_of_the_past_alarms_nobody(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    _leak(prod, on=DAY - timedelta(days=9))
    run_ops_daily(instance, DAY - timedelta(days=9))
    _tick(instance)
    run_ops_daily(instance, DAY)
    run_ops_daily(instance, DAY - timedelta(days=8))
    _tick(instance)
    assert receiver.titles() == []


def test_the_end_of_an_episode_is_told(instance: dg.DagsterInstance, prod: Database, receiver: Receiver) -> None:
    _leak(prod)
    run_ops_daily(instance, DAY)
    _tick(instance)
    # It was a mistake of the source, which has been corrected.
    _leak(prod, back=True)
    run_ops_daily(instance, DAY)
    _tick(instance)
    assert receiver.titles() == [
        f"ops_pipeline: delivery is unhealthy ({DAY})",
        f"ops_pipeline: delivery has recovered ({DAY})",
    ]


def test_a_run_that_failed_is_told_once_and_one_that_is_tried_again_is_not(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    with prod.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ops.hold_suppression_rates RENAME TO away"))
    job = definitions().resolve_job_def("ops_daily")
    done = job.execute_in_process(instance=instance, partition_key=str(DAY), raise_on_error=False)
    for will_retry, told in (("true", 0), ("false", 1)):
        instance.add_run_tags(done.run_id, {"dagster/will_retry": will_retry})
        for _ in range(2):
            _tick(instance)
        assert len(receiver.messages) == told
    (message,) = receiver.messages
    assert message["message"].startswith(f"alert kind=failed as_of={DAY} reason=run_failed since=none\n")


def test_two_sensors_at_once_tell_once(instance: dg.DagsterInstance, prod: Database, receiver: Receiver) -> None:
    _leak(prod)
    run_ops_daily(instance, DAY)
    threads = [threading.Thread(target=_tick, args=(instance,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.titles()) == 1


def test_without_an_address_nobody_is_told_and_nothing_is_noted(
    instance: dg.DagsterInstance, prod: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    _leak(prod)
    run_ops_daily(instance, DAY)
    _tick(instance)
    with prod.engine.connect() as connection:
        assert connection.scalar(text("SELECT count(*) FROM ops.alerts")) == 0
    monkeypatch.setenv("OPS_ALERT_URLS", "s3cr3t")
    with pytest.raises(OpsError) as caught:
        _tick(instance)
    assert str(caught.value) == "invalid_env"


@pytest.mark.parametrize(("provoke", "code"), [(healthy_traffic, 0), (_leak, 2)], ids=["healthy", "unhealthy"])
def test_the_heartbeat_says_how_the_newest_run_ended_and_only_once(
    instance: dg.DagsterInstance,
    prod: Database,
    receiver: Receiver,
    provoke: Callable[[Database], None],
    code: int,
) -> None:
    _tick(instance, "heartbeat")
    assert receiver.pings == []
    provoke(prod)
    run_ops_daily(instance, DAY)
    cursor = _tick(instance, "heartbeat").cursor  # type: ignore[attr-defined]
    _tick(instance, "heartbeat", cursor)
    assert receiver.pings == [f"/s3cr3t/{code}"]


def test_a_heartbeat_of_a_failed_run_is_an_error_and_one_that_nobody_takes_is_tried_again(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    with prod.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ops.verdicts RENAME TO away"))
    definitions().resolve_job_def("ops_daily").execute_in_process(
        instance=instance, partition_key=str(DAY), raise_on_error=False
    )
    receiver.answer = 503
    with pytest.raises(OpsError) as caught:
        _tick(instance, "heartbeat")
    assert str(caught.value) == "heartbeat_not_sent"
    receiver.answer = 200
    _tick(instance, "heartbeat")
    assert receiver.pings == ["/s3cr3t/1"]


# The same from the command line


def test_the_command_pings_too_and_a_monitor_that_is_away_changes_no_verdict(
    prod: Database, receiver: Receiver, lines: Lines
) -> None:
    healthy_traffic(prod)
    assert cli.main(["ops_daily", "--mode=prod"]) == 0
    assert receiver.pings == ["/s3cr3t/0"]
    assert not lines()[-1].startswith("ops_daily_heartbeat")
    receiver.answer = 503
    assert cli.main(["ops_daily", "--mode=prod"]) == 0
    assert lines()[-1] == "ops_daily_heartbeat status=fail reason=heartbeat_not_sent"


def test_the_selftest_sets_the_alarm_off_and_says_what_arrived(lines: Lines) -> None:
    assert cli.main(["selftest"]) == 0
    steps = ["database", "verdict", "alert", "heartbeat"]
    assert lines() == [*(f"selftest step={step} status=ok" for step in steps), "selftest status=ok steps=4"]


def test_an_alarm_that_does_not_ring_is_called_one(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "send", lambda *_message: 1)
    assert cli.main(["selftest"]) == 1
    assert lines()[-1] == "selftest status=fail reason=selftest_failed"


def test_a_test_message_goes_to_every_address_or_fails_with_a_word(
    receiver: Receiver, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["selftest", "--send"]) == 0
    assert lines() == ["selftest step=send status=ok addresses=1"]
    assert receiver.titles() == [f"ops_pipeline: a test, nothing is wrong ({DAY})"]
    for addresses, said in (
        ("json://s3cr3t:s3cr3t@127.0.0.1:1/", "alert_not_sent"),
        ("s3cr3t", "invalid_env invalid=OPS_ALERT_URLS part=address"),
        ("", "missing_env missing=OPS_ALERT_URLS"),
    ):
        monkeypatch.setenv("OPS_ALERT_URLS", addresses)
        assert cli.main(["selftest", "--send"]) == 1
        assert lines() == [f"selftest status=fail reason={said}"]


AGE = ("doctor", "--only=days", "--max-age=30")


def test_from_anywhere_it_is_said_that_the_last_decided_day_is_too_old(
    prod: Database, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    # The ops database alone is asked.
    monkeypatch.delenv("DAGSTER_POSTGRES_DSN")
    too_old = "status=fail reason=day_too_old last_day=none age_hours=none"
    assert cli.main([*AGE]) == 1
    assert lines() == [f"doctor_days {too_old}", f"doctor {too_old}"]
    monkeypatch.setenv("DAGSTER_POSTGRES_DSN", prod.dsn)
    healthy_traffic(prod)
    assert cli.main(["ops_daily", "--mode=prod", "--quiet"]) == 0
    assert cli.main([*AGE]) == 0
    found, whole = lines()
    assert f" verdict_day={DAY} verdict=healthy age_hours=" in found
    assert whole == "doctor status=ok warnings=none"
    with prod.engine.begin() as connection:
        connection.execute(text("UPDATE ops.verdicts SET utc_day = utc_day - 2"))
    assert cli.main([*AGE, "--format=nagios"]) == 2
    assert lines()[0].startswith("DOCTOR CRITICAL - status=fail reason=day_too_old last_day=")
    assert cli.main(["doctor", "--only=days", "--max-age=96"]) == 0
    lines()
    assert cli.main(["doctor", "--only=days", "--max-age=0"]) == 1
    assert lines() == ["doctor status=fail reason=usage option=max_age"]
    monkeypatch.delenv("OPS_POSTGRES_DSN")
    monkeypatch.delenv("DAGSTER_POSTGRES_DSN")
    # A monitor that asks and was given no database learns nothing: that is no ok.
    assert cli.main([*AGE]) == 1
    assert lines()[-1] == "doctor status=fail reason=missing_env missing=OPS_POSTGRES_DSN"
