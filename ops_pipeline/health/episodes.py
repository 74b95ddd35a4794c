"""Episodes: from what is found day by day to when each trouble began, and to the days on which something changed.

Each signal of each touch has episodes of its own. The whole has one as long as any signal has.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import TypeAlias

from ops_pipeline.contract.rates import RATES
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, Scope, SignalName, Status

RECOVERY_DAYS = 2
"""Healthy days that end an episode; a day that could not be judged in between neither counts nor breaks the row."""
QUIET_DAYS = 7
"""Days with too little data to judge, after the last unhealthy one, that end an episode too: nothing shows it."""

Key: TypeAlias = tuple[Scope, SignalName]
"""A signal of a touch."""

_FROZEN = frozenset({Reason.PLANNED, Reason.NO_EVENTS, Reason.DELIVERED_TOTAL_0})
"""Days of which nothing can be said: nothing was sent, or what was sent does not count."""
_GRAVE = frozenset({Reason.TRAFFIC_STOPPED, *(rate.limit_reason for rate in RATES)})
"""What is worse than being unlike earlier weeks: nothing at all, or a limit that somebody has set."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one signal on one day."""

    status: Status
    reason: Reason
    leaks: int = 0
    """Identities that leaked on the day itself."""

    @property
    def gravity(self) -> int:
        """How bad an unhealthy day is: of leaks their number, of others 1, or 2 beyond a limit or without traffic."""
        if self.reason is Reason.IDENTITY_LEAK:
            return self.leaks
        return 2 if self.reason in _GRAVE else 1


@dataclass(frozen=True, slots=True)
class OpenEpisode:
    """An episode that has not ended."""

    since: date
    """Its first unhealthy UTC day."""
    worst: int
    """The highest gravity that it had; of leaks, all together."""
    healthy_days: int = 0
    """Healthy days since the last unhealthy one."""
    quiet_days: int = 0
    """Days since the last unhealthy one that could not be judged for lack of data."""


@dataclass(frozen=True, slots=True)
class Phase:
    """Where a day stands in the episode of a signal."""

    since: date | None
    """First day of the episode, also on the day that ends it; None: there is none."""
    change: Change
    episode: OpenEpisode | None
    """What the next day goes on from; None: nothing is open."""


@dataclass(slots=True)
class Episodes:
    """What is open after a day: of the whole since when, and the episode of each signal that has one."""

    since: date | None = None
    open: dict[Key, OpenEpisode] = field(default_factory=dict)

    def advance(self, day: date, findings: Mapping[Key, Finding]) -> tuple[Phase, dict[Key, Phase]]:
        """Go on by the UTC day `day`, and return the phase of the whole, whose episode is None, and of each signal.

        The whole opens with its first signal. Later ones spread it, and those that recover before the last ease it.
        """
        since, was_open = self.since, bool(self.open)
        phases = {key: _next(day, finding, self.open.get(key)) for key, finding in findings.items()}
        self.open = {key: phase.episode for key, phase in phases.items() if phase.episode is not None}
        changes = {phase.change for phase in phases.values()}
        change = Change.NONE
        if Change.OPENED in changes:
            change = Change.SPREAD if was_open else Change.OPENED
        elif Change.WORSENED in changes:
            change = Change.WORSENED
        elif Change.RECOVERED in changes:
            change = Change.EASED if self.open else Change.RECOVERED
        if change is Change.OPENED:
            since = day
        self.since = since if self.open else None
        return Phase(since, change, None), phases


def _next(day: date, finding: Finding, episode: OpenEpisode | None) -> Phase:
    """Return the phase of a signal on `day` that had `episode` open before."""
    if finding.status is Status.UNHEALTHY:
        if episode is None:
            return Phase(day, Change.OPENED, OpenEpisode(day, max(finding.gravity, 1)))
        is_leak = finding.reason is Reason.IDENTITY_LEAK
        worst = episode.worst + finding.gravity if is_leak else max(episode.worst, finding.gravity)
        change = Change.WORSENED if worst > episode.worst else Change.NONE
        return Phase(episode.since, change, OpenEpisode(episode.since, worst))
    if episode is None:
        return Phase(None, Change.NONE, None)
    healthy_days, quiet_days = episode.healthy_days, episode.quiet_days
    if finding.status is Status.HEALTHY:
        healthy_days += 1
    elif finding.reason not in _FROZEN:
        quiet_days += 1
    if healthy_days >= RECOVERY_DAYS or quiet_days >= QUIET_DAYS:
        return Phase(episode.since, Change.RECOVERED, None)
    return Phase(episode.since, Change.NONE, OpenEpisode(episode.since, episode.worst, healthy_days, quiet_days))
