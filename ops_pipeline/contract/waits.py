"""What passes by itself is waited for: a server that restarts, a conflict, a lock. Whoever waits says so."""

from __future__ import annotations

import time
from contextlib import contextmanager
from threading import Event

from ops_pipeline.contract.environment import retry_seconds
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.reasons import Cause, Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator
    from typing import TypeVar

    T = TypeVar("T")
    Listener = Callable[..., None]

_PASSING = frozenset(
    {
        Reason.DB_CONNECTION_LOST,
        Reason.DB_CONFLICT,
        Reason.DB_OUT_OF_RESOURCES,
        Reason.EVENTS_SERVER_FAILED,
        Reason.LOCK_TIMEOUT,
    }
)
MAY_PASS = _PASSING | {Reason.DB_CONNECT_FAILED, Reason.DAGSTER_STORAGE_UNAVAILABLE}
"""What may pass by itself; of these two the cause says whether it does."""
_PASSING_CAUSES = frozenset({Cause.REFUSED, Cause.TIMEOUT, Cause.OTHER, *_PASSING})
_FIRST_PAUSE_SECONDS = 1.0
_LONGEST_PAUSE_SECONDS = 30.0

_listeners: list[Listener] = []

stopped = Event()
"""Set once this process was asked to end: nothing is tried again from then on."""


@contextmanager
def told(listener: Listener) -> Iterator[None]:
    """Call `listener(reason, **fields)` for each wait that begins meanwhile."""
    _listeners.append(listener)
    try:
        yield
    finally:
        _listeners.remove(listener)


def announce(reason: Reason, **fields: object) -> None:
    """Say that a wait begins."""
    for listener in _listeners:
        listener(reason, **fields)


def is_passing(error: OpsError) -> bool:
    """Return whether what failed may go well if it is tried again, and was not tried again for long."""
    if "tries" in error.fields:
        return False
    if error.reason in MAY_PASS - _PASSING:
        return error.fields.get("cause") in _PASSING_CAUSES
    return error.reason in _PASSING


def retried(work: Callable[[], T], *, but_not: Container[Reason] = ()) -> T:
    """Return what `work` returns; where a fault passes, try again with growing pauses for OPS_RETRY_SECONDS.

    `but_not`: reasons that are not tried again here. Raises OpsError, with `tries` where there was more than one.
    """
    tries, pause, give_up = 1, _FIRST_PAUSE_SECONDS, None
    while True:
        try:
            return work()
        except Exception as error:
            failure = to_ops_error(error)
            is_final = stopped.is_set() or not is_passing(failure) or failure.reason in but_not
            if tries == 1 and is_final:
                raise
        now = time.monotonic()
        give_up = give_up or now + retry_seconds()
        if is_final or now + pause > give_up:
            break
        tries += 1
        announce(failure.reason, tries=tries, pause_seconds=int(pause))
        time.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_SECONDS)
    if tries > 1:
        failure.fields["tries"] = tries
    raise failure
