"""What the monitor outside is told: how the newest complete day is, whatever was run since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Connection

from ops_pipeline.contract.days import due_day, last_complete_day
from ops_pipeline.contract.lines import ExitCode
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Status
from ops_pipeline.health.verdict import Verdict
from ops_pipeline.operations.alerts import recipients
from ops_pipeline.store.alerts import read_unsent
from ops_pipeline.store.results import last_judged_day, read_verdict

_UNSENT = timedelta(hours=1)
"""An alert that an address lacks for so long is a failure of its own."""


@dataclass(frozen=True, slots=True)
class Beat:
    """What a ping says."""

    day: date
    """The UTC day that it is about."""
    exit_code: ExitCode
    reason: Reason

    @property
    def cursor(self) -> str:
        """By what it is known that this was said."""
        return f"{self.day} {int(self.exit_code)}"


def find_beat(connection: Connection, now: datetime, *, first_day: date, has_failed: bool) -> Beat | None:
    """Return what to tell; None: no day is due yet. `has_failed`: the last run of the last complete day did.

    Of the newest complete day, once it was judged; until the schedule must have judged it, of the one before.
    """
    newest, due = last_complete_day(now), due_day(now)
    if has_failed:
        return Beat(newest, ExitCode.FAILED, Reason.RUN_FAILED)
    verdict = read_verdict(connection, newest)
    if verdict is None and due < newest:
        verdict = read_verdict(connection, due)
        newest = due
    if verdict is None:
        is_begun = last_judged_day(connection) is not None and newest >= first_day
        return Beat(newest, ExitCode.FAILED, Reason.DAY_OVERDUE) if is_begun else None
    unsent = read_unsent(connection, now, recipients())
    if unsent.since is not None and now - unsent.since >= _UNSENT:
        return Beat(newest, ExitCode.FAILED, Reason.ALERT_NOT_SENT)
    return Beat(newest, exit_code_of(verdict), verdict.reason)


def exit_code_of(verdict: Verdict) -> ExitCode:
    """Return what `ops_daily` ends with."""
    return ExitCode.OK if verdict.status is Status.HEALTHY else ExitCode.NOT_HEALTHY
