"""No wait for a server is without end, whatever keeps it from answering: each driver's connection with a deadline.

The server's own limits end a statement that takes too long. These here end the wait for a server that was stopped, or
whose machine hangs, which ends nothing any more.
"""

from __future__ import annotations

import math
import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg
from psycopg import errors

from ops_pipeline.store.limits import SILENCE_SECONDS, STATEMENT_SECONDS

_WAIT_SECONDS = 0.1


class DeadlineConnection(psycopg.Connection[Any]):
    """A connection that is closed where the server lets it wait for longer than `answer_seconds`."""

    answer_seconds: float | None = STATEMENT_SECONDS + SILENCE_SECONDS
    """None: it waits for as long as the connection lives."""

    def wait(self, gen: Any, interval: float = _WAIT_SECONDS, timeout: float | None = None) -> Any:
        """Return what the server says. Raises ConnectionFailure where it says nothing for `answer_seconds`."""
        if timeout is not None or self.answer_seconds is None:
            return super().wait(gen, interval, timeout)
        start = time.monotonic()
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.OperationalError:
            if time.monotonic() - start < self.answer_seconds:
                raise
        self.close()
        raise errors.ConnectionFailure


class _Watch:
    """One thread that looks after all statements of psycopg2, which waits inside libpq."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._running: dict[object, tuple[float, Any, bool]] = {}
        """Of each statement: when something is to be done, its connection, and whether it was cancelled."""
        self._wakes_at = math.inf
        self._thread: threading.Thread | None = None

    def add(self, key: object, connection: Any, seconds: float) -> None:
        at = time.monotonic() + seconds
        with self._changed:
            self._running[key] = (at, connection, False)
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True)
                self._thread.start()
            if at < self._wakes_at:
                self._changed.notify()

    def remove(self, key: object) -> None:
        with self._changed:
            self._running.pop(key, None)

    def _work(self) -> None:
        while True:
            with self._changed:
                for key, (at, connection, is_cancelled) in list(self._running.items()):
                    if at > time.monotonic():
                        continue
                    if is_cancelled:
                        _cut(connection)
                        del self._running[key]
                    else:
                        # It asks the server by a connection of its own, which a silent server does not answer either.
                        threading.Thread(target=_cancel, args=[connection], daemon=True).start()
                        self._running[key] = (at + SILENCE_SECONDS, connection, True)
                self._wakes_at = min((at for at, *_ in self._running.values()), default=math.inf)
                rest = self._wakes_at - time.monotonic()
                self._changed.wait(None if math.isinf(rest) else max(0.0, rest))


_watch = _Watch()


@contextmanager
def deadline_of(connection: Any, seconds: float) -> Iterator[None]:
    """Cancel what psycopg2's `connection` does after `seconds`; where even that does not end it, cut it off."""
    key = object()
    _watch.add(key, connection, seconds)
    try:
        yield
    finally:
        _watch.remove(key)


def _cancel(connection: Any) -> None:
    with suppress(Exception):
        connection.cancel()


def _cut(connection: Any) -> None:
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as found:
        found.shutdown(socket.SHUT_RDWR)


def _forget_in_child() -> None:
    # Its thread does not exist here, and a lock that was held while forking stays so for ever.
    global _watch  # noqa: PLW0603
    _watch = _Watch()


os.register_at_fork(after_in_child=_forget_in_child)
