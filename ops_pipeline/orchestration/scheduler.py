"""Is somebody there to run the schedule? What Dagster's storage says of daemon, schedule and code server."""

import time
from dataclasses import dataclass
from enum import StrEnum

import dagster as dg

from ops_pipeline.orchestration.dagster_internals import (
    DagsterUserCodeUnreachableError,
    InstigatorState,
    InstigatorStatus,
    InstigatorTick,
    InstigatorType,
)
from ops_pipeline.orchestration.instance import configured_instance
from ops_pipeline.orchestration.jobs import ops_daily_schedule
from ops_pipeline.orchestration.sensors import alerts, heartbeat
from ops_pipeline.orchestration.stuck_runs import end_stuck, find_stuck, stuck_runs

# Dagster's daemons write a heartbeat every 30 seconds; its own UI calls one dead after half an hour.
_ALIVE_SECONDS = 300
_SENSORS = frozenset({alerts.name, heartbeat.name, stuck_runs.name})


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


class CodeServer(StrEnum):
    """Whether the code server answers the daemon, which asks it for the sensors; `unknown` where they are off."""

    ANSWERING = "answering"
    SILENT = "silent"
    NEVER = "never"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Scheduler:
    """What Dagster's storage says."""

    daemon: Daemon
    heartbeat_age_seconds: int | None
    schedule: Switch
    tick_age_hours: int | None
    """Whole hours since the schedule last asked for a run."""
    code_server: CodeServer
    stuck: int = 0
    """Runs whose process is gone."""
    stuck_seconds: int | None = None
    """How long the first of them has given no sign of life."""
    mended: int = 0
    """Runs that were stuck before, and were marked as failed."""


NOBODY = Scheduler(Daemon.NEVER, None, Switch.UNKNOWN, None, CodeServer.NEVER)
"""What there is to say before Dagster has stored anything."""


def read_scheduler(*, mends: bool = False) -> Scheduler:
    """Return what the configured instance says, after runs that are stuck were marked as failed if `mends`.

    Raises OpsError as `configured_instance` does.
    """
    with configured_instance() as instance:
        mended = end_stuck(instance) if mends else 0
        stuck = find_stuck(instance)
        age = _heartbeat_age(instance)
        switch, tick_age = _schedule(instance)
        code_server = _code_server(instance)
    daemon = Daemon.NEVER if age is None else Daemon.ALIVE if age <= _ALIVE_SECONDS else Daemon.SILENT
    return Scheduler(
        daemon=daemon,
        heartbeat_age_seconds=None if age is None else int(age),
        schedule=switch,
        tick_age_hours=None if tick_age is None else int(tick_age // 3600),
        code_server=code_server,
        stuck=len(stuck),
        stuck_seconds=stuck[0].seconds if stuck else None,
        mended=mended,
    )


def _heartbeat_age(instance: dg.DagsterInstance) -> float | None:
    newest = max((heartbeat.timestamp for heartbeat in instance.get_daemon_heartbeats().values()), default=None)
    return None if newest is None else _age(newest)


def schedule_switch(instance: dg.DagsterInstance) -> Switch:
    """Return whether the daily schedule is switched on."""
    return _schedule(instance)[0]


def _schedule(instance: dg.DagsterInstance) -> tuple[Switch, float | None]:
    for state in instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE):
        if state.instigator_name == ops_daily_schedule.name:
            tick = _newest_tick(instance, state)
            tick_age = None if tick is None else _age(tick.timestamp)
            is_stopped = state.status is InstigatorStatus.STOPPED
            return Switch.STOPPED if is_stopped else Switch.RUNNING, tick_age
    return Switch.UNKNOWN, None


def _code_server(instance: dg.DagsterInstance) -> CodeServer:
    sensors = [
        state
        for state in instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        if state.instigator_name in _SENSORS
    ]
    if sensors and all(state.status is InstigatorStatus.STOPPED for state in sensors):
        return CodeServer.UNKNOWN
    ticks = [tick for state in sensors if (tick := _newest_tick(instance, state))]
    if not ticks:
        return CodeServer.NEVER
    return CodeServer.ANSWERING if any(map(_is_answer, ticks)) else CodeServer.SILENT


def _is_answer(tick: InstigatorTick) -> bool:
    # A tick that failed otherwise failed in the code server.
    is_unreached = tick.error is not None and tick.error.cls_name == DagsterUserCodeUnreachableError.__name__
    return not is_unreached and _age(tick.timestamp) <= _ALIVE_SECONDS


def _newest_tick(instance: dg.DagsterInstance, state: InstigatorState) -> InstigatorTick | None:
    return next(iter(instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=1)), None)


def _age(timestamp: float) -> float:
    return max(0.0, time.time() - timestamp)
