"""Is somebody there to run the schedule? What Dagster's storage says of daemon and schedule; changes nothing."""

import time
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.scheduler.instigation import InstigatorStatus

from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import ops_daily_schedule

# Dagster's daemons write a heartbeat every 30 seconds; its own UI calls one dead after half an hour.
_ALIVE_SECONDS = 300


class Daemon(StrEnum):
    """Whether the daemon, which runs the schedule, is alive."""

    ALIVE = "alive"
    SILENT = "silent"
    NEVER = "never"


class Switch(StrEnum):
    """Whether the schedule is switched on; `unknown` before a daemon has ever seen it."""

    RUNNING = "running"
    STOPPED = "stopped"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Scheduler:
    """What Dagster's storage says."""

    daemon: Daemon
    heartbeat_age_seconds: int | None
    schedule: Switch
    tick_age_hours: int | None
    """Whole hours since the schedule last asked for a run."""


NOBODY = Scheduler(Daemon.NEVER, None, Switch.UNKNOWN, None)
"""What there is to say before Dagster has stored anything."""


def read_scheduler() -> Scheduler:
    """Return what the configured instance says. Raises OpsError as `configured_instance` does."""
    with configured_instance() as instance:
        age = _heartbeat_age(instance)
        switch, tick_age = _schedule(instance)
    daemon = Daemon.NEVER if age is None else Daemon.ALIVE if age <= _ALIVE_SECONDS else Daemon.SILENT
    return Scheduler(
        daemon=daemon,
        heartbeat_age_seconds=None if age is None else int(age),
        schedule=switch,
        tick_age_hours=None if tick_age is None else int(tick_age // 3600),
    )


def _heartbeat_age(instance: dg.DagsterInstance) -> float | None:
    newest = max((heartbeat.timestamp for heartbeat in instance.get_daemon_heartbeats().values()), default=None)
    return None if newest is None else max(0.0, time.time() - newest)


def _schedule(instance: dg.DagsterInstance) -> tuple[Switch, float | None]:
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        if state.instigator_name == ops_daily_schedule.name:
            ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)
            tick_age = max(0.0, time.time() - ticks[0].timestamp) if ticks else None
            is_stopped = state.status is InstigatorStatus.STOPPED
            return Switch.STOPPED if is_stopped else Switch.RUNNING, tick_age
    return Switch.UNKNOWN, None
