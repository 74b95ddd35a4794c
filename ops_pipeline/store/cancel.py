"""A statement that nobody waits for any more is cancelled on the server: else it goes on there, and holds its locks.

psycopg cancels for Ctrl-C alone. Dagster interrupts by an exception of its own, and a tool that is stopped leaves its
threads behind.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any
from weakref import WeakSet

from psycopg import Connection, Error
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, event

_SECONDS = 5
"""As long as psycopg gives a server that it asks to cancel."""

_connections: WeakSet[Connection[Any]] = WeakSet()
_lock = threading.Lock()


def cancel_when_abandoned(engine: Engine) -> None:
    """Cancel on the server whatever still runs on a connection of `engine` that is closed."""
    event.listen(engine, "connect", lambda connection, _: _note(connection))
    for name in ("close", "close_detached"):
        event.listen(engine, name, lambda connection, *_: _cancel(connection, _SECONDS))


def cancel_running() -> None:
    """Cancel what runs now on any connection of this process, such as in a thread that is left behind."""
    end = time.monotonic() + _SECONDS
    with _lock:
        known = list(_connections)
    for connection in known:
        _cancel(connection, end - time.monotonic())


def _note(connection: Connection[Any]) -> None:
    with _lock:
        _connections.add(connection)


def _cancel(connection: Connection[Any], seconds: float) -> None:
    # A connection that is closed has another status.
    if seconds <= 0 or connection.pgconn.transaction_status != TransactionStatus.ACTIVE:
        return
    try:
        connection.cancel_safe(timeout=seconds)
    except Error:
        # A server that cannot be reached finds out by itself.
        return


def _forget_in_child() -> None:
    # What the parent waits for is not ours to cancel, and a lock that was held while forking stays so for ever.
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _connections.clear()


os.register_at_fork(after_in_child=_forget_in_child)
