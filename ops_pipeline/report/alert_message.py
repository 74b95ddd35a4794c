"""The words of an alert: a line, and what to do next."""

from __future__ import annotations

from ops_pipeline.contract.config import Links
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.vocabulary import AlertKind
from ops_pipeline.health.alerts import Alert
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.report.daily_lines import watchdog_line

_TITLES = {
    AlertKind.OPENED: "delivery is unhealthy",
    AlertKind.WORSENED: "delivery is getting worse",
    AlertKind.RECOVERED: "delivery has recovered",
    AlertKind.FAILED: "nobody knows: the daily run failed",
    AlertKind.TEST: "a test, nothing is wrong",
}


def alert_message(alert: Alert, verdict: Verdict | None, links: Links) -> tuple[str, str]:
    """Return title and body: the line that decided, what its reason means, the next step, and where to read on."""
    line = alert_line(alert) if verdict is None else watchdog_line(verdict)
    runbook = links.of(alert.reason)
    body = f"{line}\n\n{alert.reason.means}\nNext: {alert.reason.next_step}"
    if runbook is not None:
        body += f"\nRunbook: {runbook}"
    return f"ops_pipeline: {_TITLES[alert.kind]} ({alert.day})", body


def alert_line(alert: Alert) -> Line:
    """Return the line that says what is or was told."""
    return Line(LineName.ALERT, kind=alert.kind, as_of=alert.day, reason=alert.reason, since=alert.since)
