"""No wait for a server is without end, whatever keeps it from answering: each driver's connection with a deadline.

The server's own limits end a statement that takes too long. These here end the wait for a server that was stopped, or
whose machine hangs, which ends nothing any more.
"""

from __future__ import annotations

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

    answer_seconds: float = STATEMENT_SECONDS + SILENCE_SECONDS

    def wait(self, gen: Any, interval: float = _WAIT_SECONDS, timeout: float | None = None) -> Any:
        """Return what the server says. Raises ConnectionFailure where it says nothing for `answer_seconds`."""
        if timeout is not None:
            return super().wait(gen, interval, timeout)
        start = time.monotonic()
        try:
            return super().wait(gen, interval, self.answer_seconds)
        except psycopg.OperationalError:
            if time.monotonic() - start < self.answer_seconds:
                raise
        self.close()
        raise errors.ConnectionFailure


@contextmanager
def deadline_of(connection: Any, seconds: float) -> Iterator[None]:
    """Cancel what psycopg2's `connection` does after `seconds`; where even that does not end it, cut it off.

    psycopg2 waits inside libpq, so this takes another thread.
    """

    def cancel() -> None:
        # It asks the server by a connection of its own, which a silent server does not answer either.
        with suppress(Exception):
            connection.cancel()

    timers = [
        threading.Timer(seconds, cancel),
        threading.Timer(seconds + SILENCE_SECONDS, _cut, [connection]),
    ]
    for timer in timers:
        timer.daemon = True
        timer.start()
    try:
        yield
    finally:
        for timer in timers:
            timer.cancel()


def _cut(connection: Any) -> None:
    with suppress(Exception), socket.socket(fileno=os.dup(connection.fileno())) as found:
        found.shutdown(socket.SHUT_RDWR)
