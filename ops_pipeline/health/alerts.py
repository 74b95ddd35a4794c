"""What is worth an alert: a change of state against what was last told, never a state that goes on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import AlertKind, Change, Status
from ops_pipeline.health.verdict import WORST_FIRST, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Alert:
    """Something to tell, or that was told."""

    kind: AlertKind
    day: date
    """The UTC day that it is about."""
    reason: Reason
    since: date | None
    """First day of the episode; None for a run that failed."""


def due(verdict: Verdict, told: Alert | None) -> Alert | None:
    """Return what `verdict`, the newest there is, makes worth telling after `told`, the last alert about an episode.

    `told.reason` is the worst that was told of its episode. None: there is nothing new.
    """
    is_open = verdict.since is not None and verdict.change is not Change.RECOVERED
    is_told = told is not None and told.kind is not AlertKind.RECOVERED
    kind = None
    if is_open and verdict.status is Status.UNHEALTHY:
        # Late data may move the beginning of an episode: it is another one only if it began after what was told.
        if not is_told or told is None or (verdict.since is not None and verdict.since > told.day):
            kind = AlertKind.OPENED
        elif WORST_FIRST.index(verdict.reason) < WORST_FIRST.index(told.reason):
            kind = AlertKind.WORSENED
    elif is_told and not is_open:
        kind = AlertKind.RECOVERED
    if kind is None:
        return None
    return Alert(kind=kind, day=verdict.as_of, reason=verdict.reason, since=verdict.since)
