"""Alerts arrive, once, whatever is restarted or tried again; the heartbeat says how a day ended."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import dagster as dg
import pytest
from sqlalchemy import text

from ops_pipeline.cli import main as cli
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import last_complete_day, start_of
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.definitions import definitions
from ops_pipeline.operations.alerts import Delivery
from ops_pipeline.operations.heartbeat import find_beat
from ops_pipeline.operations.publish import EventsSource, count_and_publish
from ops_pipeline.orchestration import sensors
from ops_pipeline.orchestration.daily_run import run_ops_daily
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.resources import Deployment
from ops_pipeline.store.engine import events_engine, ops_engine
from ops_pipeline_tests.conftest import Database, Lines
from ops_pipeline_tests.receiving import let_pass
from ops_pipeline_tests.traffic import healthy_traffic, leak

DAY = last_complete_day()


@dataclass
class Receiver:
    """What comes in at an address of this machine."""

    port: int = 0
    answer: int = 200
    asked: int = 0
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
            receiver.asked += 1
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


def _judge(day: date) -> None:
    """Count and judge a day, as the job does."""
    source = EventsSource(engine=events_engine(), relation="ops.delivery_events")
    count_and_publish(ops_engine(), source, [day], first_day=date(2026, 1, 1), config=environment.config())


def _leak(prod: Database, *, on: date = DAY, back: bool = False) -> None:
    if not back:
        leak(prod, on)
        return
    with prod.engine.begin() as connection:
        connection.execute(text("DELETE FROM ops.delivery_events WHERE reason = 'identity_leak'"))


def test_a_leak_is_told_once_with_what_to_do_first_and_the_lines_below(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    run_ops_daily(instance, DAY)
    _tick(instance)
    assert receiver.titles() == []
    _leak(prod)
    run_ops_daily(instance, DAY)
    _tick(instance)
    (message,) = receiver.messages
    assert message["title"] == "ops_pipeline: 1 identity leak in 7 days"
    assert message["type"] == "failure"
    assert message["key"] == "ops_pipeline"
    said, next_step, lines = message["message"].split("\n\n")
    assert said == f"1 identity leak in 7 days. Since {DAY}."
    assert next_step.startswith("Next: Stop sending")
    signal, watchdog = lines.split("\n")
    assert signal.startswith(f"ops_daily_signal as_of={DAY} touch=both signal=identity_leak status=unhealthy")
    assert watchdog.startswith(f"ops_daily_watchdog status=unhealthy reason=identity_leak as_of={DAY}")
    # Ticks, restarts and runs that are done again tell nothing new.
    run_ops_daily(instance, DAY)
    for _ in range(2):
        _tick(instance)
    assert len(receiver.messages) == 1


def test_a_message_names_the_service_and_where_to_read_on(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "config.toml"
    monkeypatch.setenv("OPS_CONFIG", str(config))
    config.write_text(
        '[service]\nname = "mailer"\n[links]\nrunbook = "https://example.org/operator_runbook"\n'
        'report = "https://example.org/report"\n'
    )
    _leak(prod)
    _judge(DAY)
    _tick(instance)
    (message,) = receiver.messages
    assert message["title"].startswith("mailer: ")
    assert message["key"] == "ops_pipeline_mailer"
    assert (
        "\n\nRunbook: https://example.org/operator_runbook#identity_leak\nReport: https://example.org/report\n\n"
    ) in message["message"]


def test_an_address_that_refuses_is_tried_again_after_a_pause_and_the_others_are_told_once(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, lines: Lines
) -> None:
    with _listening() as other:
        other.answer = 500
        both = f"json://127.0.0.1:{receiver.port}/,json://127.0.0.1:{other.port}/"
        monkeypatch.setenv("OPS_ALERT_URLS", both)
        _leak(prod)
        _judge(DAY)
        with pytest.raises(OpsError) as caught:
            _tick(instance)
        assert str(caught.value) == "alert_not_sent"
        assert caught.value.fields == {"addresses": 1}
        # Nobody is asked again before a minute has passed.
        for _ in range(5):
            _tick(instance)
        assert (len(receiver.titles()), other.asked) == (1, 1)
        lines()
        assert cli.main(["doctor", "--only=alerts"]) == 0
        assert lines() == [
            "doctor_alerts status=ok addresses=2 not_sent=1 age_hours=0",
            "doctor status=ok warnings=alert_not_sent not_sent=1",
        ]
        other.answer = 200
        let_pass(prod, minutes=1)
        _tick(instance)
        assert (receiver.titles(), len(other.titles())) == ([], 1)
        assert cli.main(["doctor", "--only=alerts"]) == 0
        assert lines()[-1] == "doctor status=ok warnings=none"


def test_what_is_run_of_the_past_alarms_nobody(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    _leak(prod, on=DAY - timedelta(days=9))
    _judge(DAY - timedelta(days=9))
    _tick(instance)
    _judge(DAY)
    _judge(DAY - timedelta(days=8))
    _tick(instance)
    assert receiver.titles() == []


def test_a_leak_that_was_corrected_is_over_and_one_more_on_the_same_day_is_told_again(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    for back in (False, True, False):
        _leak(prod, back=back)
        _judge(DAY)
        _tick(instance)
    assert [(message["title"], message["type"]) for message in receiver.messages] == [
        ("ops_pipeline: 1 identity leak in 7 days", "failure"),
        ("ops_pipeline: no more identity leaks", "success"),
        ("ops_pipeline: 1 identity leak in 7 days", "failure"),
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
    assert receiver.titles() == ["ops_pipeline: the daily run failed, nobody knows how delivery is"]
    with prod.engine.begin() as connection:
        connection.execute(text("ALTER TABLE ops.away RENAME TO hold_suppression_rates"))
    run_ops_daily(instance, DAY)
    _tick(instance)
    assert receiver.titles() == ["ops_pipeline: the daily run works again"]


def test_two_sensors_at_once_tell_once(instance: dg.DagsterInstance, prod: Database, receiver: Receiver) -> None:
    _leak(prod)
    _judge(DAY)
    threads = [threading.Thread(target=_tick, args=(instance,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(receiver.titles()) == 1


def test_whoever_is_woken_hears_only_of_what_begins_or_gets_worse(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    with _listening() as pager:
        monkeypatch.setenv("OPS_PAGE_URLS", f"json://127.0.0.1:{pager.port}/")
        for back in (False, True):
            _leak(prod, back=back)
            _judge(DAY)
            _tick(instance)
        assert len(receiver.titles()) == 2
        assert pager.titles() == ["ops_pipeline: 1 identity leak in 7 days"]


def test_without_an_address_nobody_is_told_and_one_that_is_none_keeps_nothing_from_the_others(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = f"json://127.0.0.1:{receiver.port}/"
    monkeypatch.delenv("OPS_ALERT_URLS")
    _leak(prod)
    _judge(DAY)
    _tick(instance)
    monkeypatch.setenv("OPS_ALERT_URLS", f"s3cr3t {good}")
    with pytest.raises(OpsError) as caught:
        _tick(instance)
    assert str(caught.value) == "invalid_env"
    # Whoever is named later hears of what is not older than two days.
    assert len(receiver.titles()) == 1


# The heartbeat


@pytest.mark.parametrize(("provoke", "code"), [(healthy_traffic, 0), (_leak, 2)], ids=["healthy", "unhealthy"])
def test_the_heartbeat_says_how_the_newest_day_is_and_only_once(
    instance: dg.DagsterInstance,
    prod: Database,
    receiver: Receiver,
    provoke: Callable[[Database], None],
    code: int,
) -> None:
    _tick(instance, "heartbeat")
    assert receiver.pings == []
    provoke(prod)
    _judge(DAY)
    cursor = _tick(instance, "heartbeat").cursor  # type: ignore[attr-defined]
    _tick(instance, "heartbeat", cursor)
    assert receiver.pings == [f"/s3cr3t/{code}"]


def test_a_healthy_day_of_three_weeks_ago_that_is_run_again_does_not_turn_the_monitor_green(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    _leak(prod)
    _judge(DAY)
    cursor = _tick(instance, "heartbeat").cursor  # type: ignore[attr-defined]
    _judge(DAY - timedelta(days=20))
    assert cli.main(["ops_daily", "--mode=prod", f"--as-of={DAY - timedelta(days=20)}"]) in (0, 2)
    _tick(instance, "heartbeat", cursor)
    assert receiver.pings == ["/s3cr3t/2"]


def test_a_failed_run_is_an_error_to_the_monitor_and_a_ping_that_nobody_takes_is_tried_again(
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


def test_a_day_that_is_overdue_or_whose_verdict_is_gone_is_a_failure_that_is_said_once(prod: Database) -> None:
    def beat(hours: int) -> str | None:
        with prod.engine.connect() as connection:
            now = start_of(DAY + timedelta(days=1)) + timedelta(hours=hours)
            found = find_beat(connection, now, first_day=date(2026, 1, 1), has_failed=False)
        return found and f"{found.cursor} {found.reason}"

    healthy_traffic(prod)
    assert beat(hours=7) is None
    assert cli.main(["ops_daily", "--mode=prod", f"--as-of={DAY - timedelta(days=1)}"]) == 0
    assert beat(hours=5) == f"{DAY - timedelta(days=1)} 0 within_limits"
    assert beat(hours=7) == f"{DAY} 1 day_overdue"
    assert cli.main(["ops_daily", "--mode=prod", f"--as-of={DAY}"]) == 0
    assert beat(hours=7) == f"{DAY} 0 within_limits"


def test_an_alert_that_an_address_lacks_for_an_hour_is_a_failure_to_the_monitor(
    instance: dg.DagsterInstance, prod: Database, receiver: Receiver
) -> None:
    receiver.answer = 500
    _leak(prod)
    _judge(DAY)
    with pytest.raises(OpsError):
        _tick(instance)
    let_pass(prod, minutes=61)
    with prod.engine.connect() as connection:
        found = find_beat(connection, datetime.now(UTC), first_day=DAY, has_failed=False)
    assert found is not None
    assert (found.exit_code, found.reason) == (1, "alert_not_sent")


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


def test_the_selftest_sets_the_alarm_off_wakes_nobody_and_says_what_arrived(
    receiver: Receiver, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPS_PAGE_URLS", f"json://127.0.0.1:{receiver.port}/")
    assert cli.main(["selftest"]) == 0
    assert (receiver.messages, receiver.pings) == ([], [])
    steps = ["database", "verdict", "alert", "heartbeat"]
    assert lines() == [*(f"selftest step={step} status=ok" for step in steps), "selftest status=ok steps=4"]


@pytest.mark.slow
def test_an_alarm_that_does_not_ring_is_called_one(lines: Lines, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sensors, "deliver", lambda *_: Delivery(sent=1, refused=0))
    assert cli.main(["selftest"]) == 1
    assert lines()[-1] == "selftest status=fail reason=selftest_failed"


def test_a_test_alarm_is_raised_and_ended_at_every_address_or_fails_with_a_word(
    receiver: Receiver, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.main(["selftest", "--send"]) == 0
    assert lines() == ["selftest step=send status=ok addresses=1"]
    assert [(one["title"], one["type"], one["key"]) for one in receiver.messages] == [
        ("ops_pipeline: a test alarm", "failure", "ops_pipeline_test"),
        ("ops_pipeline: the test alarm is over", "success", "ops_pipeline_test"),
    ]
    for addresses, said in (
        ("json://s3cr3t:s3cr3t@127.0.0.1:1/", "alert_not_sent addresses=1"),
        ("s3cr3t", "invalid_env invalid=OPS_ALERT_URLS part=address"),
        ("", "missing_env missing=OPS_ALERT_URLS"),
    ):
        monkeypatch.setenv("OPS_ALERT_URLS", addresses)
        assert cli.main(["selftest", "--send"]) == 1
        assert lines() == [f"selftest status=fail reason={said}"]


def test_without_a_daemon_a_command_tells_what_is_due_and_says_what(
    prod: Database, receiver: Receiver, lines: Lines, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy_traffic(prod)
    _leak(prod)
    assert cli.main(["ops_daily", "--mode=prod", "--quiet"]) == 2
    lines()
    alert = f"alert kind=opened as_of={DAY} reason=identity_leak since={DAY}"
    # It was written with the verdict, and waits. Where it was not, a dry run says what would be.
    assert cli.main(["alerts", "--dry-run"]) == 0
    assert lines() == [alert, "alerts status=ok mode=dry_run due=1 sent=0 addresses=1"]
    with prod.engine.begin() as connection:
        connection.execute(text("TRUNCATE ops.alert_states, ops.alert_messages"))
    for dry_run in (["--dry-run"], ["--dry-run", f"--as-of={DAY}"]):
        assert cli.main(["alerts", *dry_run]) == 0
        assert lines() == [alert, "alerts status=ok mode=dry_run due=1 sent=0 addresses=1"]
    assert receiver.titles() == []
    receiver.answer = 500
    refused = "alerts status=fail reason=alert_not_sent addresses=1"
    assert cli.main(["alerts"]) == 1
    assert lines() == [alert, refused]
    # It is left alone for a minute, and not forgotten.
    assert cli.main(["alerts"]) == 1
    assert (lines(), receiver.asked) == ([alert, refused], 1)
    receiver.answer = 200
    let_pass(prod, minutes=1)
    assert cli.main(["alerts"]) == 0
    assert lines() == [alert, "alerts status=ok mode=apply due=1 sent=1 addresses=1"]
    assert cli.main(["alerts"]) == 0
    assert lines() == ["alerts status=ok mode=apply due=0 sent=0 addresses=1"]
    assert len(receiver.titles()) == 1
    monkeypatch.setenv("OPS_ALERT_URLS", "")
    assert cli.main(["alerts"]) == 1
    assert lines() == ["alerts status=fail reason=missing_env missing=OPS_ALERT_URLS"]


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
