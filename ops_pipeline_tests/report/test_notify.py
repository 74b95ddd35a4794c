"""What leaves this machine: what PagerDuty, Opsgenie, Slack, a webhook and a mail server are sent."""

from __future__ import annotations

import contextlib
import json
import smtplib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from apprise.plugins import opsgenie, pagerduty, slack

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.vocabulary import Severity
from ops_pipeline.report import notify
from ops_pipeline.report.notify import addresses, resolves, send
from ops_pipeline_tests.answering import dripping

TITLE, BODY = "mailer: 1 identity leak in 7 days", "1 identity leak in 7 days. Since 2026-11-07."


@dataclass
class Server:
    """A receiver on this machine."""

    address: str = ""
    requests: list[tuple[str, Any]] = field(default_factory=list)


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Server]:
    found = Server()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            content = self.rfile.read(int(self.headers["Content-Length"]))
            found.requests.append((self.path, json.loads(content)))
            answer = b"ok" if "hooks" in self.path else json.dumps({"requestId": "r1"}).encode()
            self.send_response(202 if "alerts" in self.path else 200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_args: object) -> None:
            return

    http = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=http.serve_forever, daemon=True).start()
    found.address = f"http://127.0.0.1:{http.server_port}"
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setitem(pagerduty.PAGERDUTY_API_LOOKUP, "us", f"{found.address}/enqueue")
    monkeypatch.setitem(opsgenie.OPSGENIE_API_LOOKUP, "us", f"{found.address}/alerts")
    monkeypatch.setattr(slack.NotifySlack, "webhook_url", f"{found.address}/hooks")
    yield found
    http.shutdown()
    http.server_close()


def _tell(address: str, *severities: Severity) -> None:
    for severity in severities:
        send(address, TITLE, BODY, severity=severity, key="ops_pipeline_mailer")


def test_pagerduty_opens_one_incident_by_the_key_and_resolves_the_same_one(server: Server) -> None:
    _tell(f"pagerduty://{'i' * 32}@{'a' * 20}", Severity.FAILURE, Severity.WARNING, Severity.SUCCESS)
    opened, warned, resolved = (sent for _, sent in server.requests)
    assert (opened["event_action"], opened["payload"]["severity"]) == ("trigger", "critical")
    assert opened["payload"]["summary"].startswith(TITLE)
    assert (warned["event_action"], warned["payload"]["severity"]) == ("trigger", "warning")
    assert resolved["event_action"] == "resolve"
    assert {one["dedup_key"] for one in (opened, warned, resolved)} == {"ops_pipeline_mailer"}


def test_opsgenie_opens_an_alert_by_the_key_and_a_later_call_closes_it(server: Server) -> None:
    address = "opsgenie://a1b2c3d4-0000-0000-0000-000000000000/"
    _tell(address, Severity.FAILURE, Severity.SUCCESS)
    (path, opened), (closed_path, _) = server.requests
    assert (path, opened["message"], opened["alias"]) == ("/alerts", TITLE, "ops_pipeline_mailer")
    assert closed_path.startswith("/alerts/r1/close")


def test_opsgenie_is_told_of_an_end_also_where_the_number_of_the_alert_was_lost(server: Server) -> None:
    _tell("opsgenie://a1b2c3d4-0000-0000-0000-000000000000/", Severity.SUCCESS)
    ((path, told),) = server.requests
    assert (path, told["alias"]) == ("/alerts", "ops_pipeline_mailer")


def test_slack_shows_the_title_and_the_severity_by_its_colour(server: Server) -> None:
    _tell("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#delivery", Severity.FAILURE, Severity.SUCCESS)
    failure, success = (sent for _, sent in server.requests)
    assert TITLE in json.dumps(failure)
    assert failure["attachments"][0]["color"] != success["attachments"][0]["color"]


def test_a_webhook_gets_title_message_severity_and_key(server: Server) -> None:
    _tell(f"json{server.address.removeprefix('http')}/hook", Severity.FAILURE)
    ((_, sent),) = server.requests
    assert {name: sent[name] for name in ("title", "message", "type", "key")} == {
        "title": TITLE,
        "message": BODY,
        "type": "failure",
        "key": "ops_pipeline_mailer",
    }


def test_a_mail_to_two_people_is_one_address(monkeypatch: pytest.MonkeyPatch) -> None:
    mail = "mailto://user:secret@mail.example.org?to=a@example.org,b@example.org"
    monkeypatch.setenv(Name.OPS_ALERT_URLS, f"{mail},json://host/ slack://a/b/c, {mail}")
    assert addresses(Name.OPS_ALERT_URLS) == (mail, "json://host/", "slack://a/b/c")

    sent: list[tuple[list[str], str]] = []

    class Mailbox:
        def __init__(self, *_args: object, **_words: object) -> None:
            import socket

            # As the real one does.
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", 1), timeout=1)

        def __getattr__(self, _name: str) -> Any:
            return lambda *_args, **_words: None

        def sendmail(self, _sender: str, receivers: list[str], content: str) -> None:
            sent.append((receivers, content))

    monkeypatch.setattr(smtplib, "SMTP", Mailbox)
    monkeypatch.setattr(smtplib, "SMTP_SSL", Mailbox)
    _tell(mail, Severity.FAILURE)
    assert sorted(receiver for receivers, _ in sent for receiver in receivers) == ["a@example.org", "b@example.org"]
    assert "identity leak" in sent[0][1]


def test_what_is_called_sent_and_never_left_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slack.NotifySlack, "send", lambda *_args, **_words: True)
    with pytest.raises(OpsError) as caught:
        _tell("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#delivery", Severity.FAILURE)
    assert str(caught.value) == "alert_not_sent"


def test_only_receivers_that_keep_incidents_are_told_of_the_end_where_somebody_is_woken() -> None:
    assert [resolves(one) for one in ("pagerduty://a@b", "OPSGENIE://a", "jira://a", "slack://a/b/c", "")] == [
        True,
        True,
        True,
        False,
        False,
    ]


def test_who_answers_a_byte_at_a_time_has_not_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(notify, "_SEND_SECONDS", 0.3)
    monkeypatch.setattr(notify, "_PING_SECONDS", 0.3)
    with dripping() as port:
        monkeypatch.setenv(Name.OPS_HEARTBEAT_URL, f"http://127.0.0.1:{port}/ping")
        begin = time.monotonic()
        with pytest.raises(OpsError) as sent:
            _tell(f"json://127.0.0.1:{port}/", Severity.FAILURE)
        with pytest.raises(OpsError) as pinged:
            notify.ping(0)
        assert time.monotonic() - begin < 10
    assert (str(sent.value), str(pinged.value)) == ("alert_not_sent", "heartbeat_not_sent")
