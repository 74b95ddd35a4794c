"""Connections are kept for their next use: few, looked at before they are used, and closed when nobody needs them.

A run talks to two databases some hundred times; connecting each time would cost more than all it says.
"""

from __future__ import annotations

import os
import threading
import time
from typing import Any
from weakref import WeakKeyDictionary

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.pool import QueuePool

_KEPT = 1
_AT_ONCE = 5
_IDLE_SECONDS = 60
"""As long as the sensors' interval: what a living daemon uses stays open, what nobody uses is given back."""

_last_used: WeakKeyDictionary[Engine, float] = WeakKeyDictionary()
_watcher = threading.Lock()


def pooled_engine(url: str, **options: Any) -> Engine:
    """Return an engine that keeps one connection and has at most five at once; `options` are SQLAlchemy's."""
    engine = create_engine(
        url,
        poolclass=QueuePool,
        pool_size=_KEPT,
        max_overflow=_AT_ONCE - _KEPT,
        pool_pre_ping=True,
        hide_parameters=True,
        **options,
    )
    _last_used[engine] = time.monotonic()
    event.listen(engine, "checkin", lambda *_: _note_use(engine))
    return engine


def close_all() -> None:
    """Close the connections that nobody uses now, such as before their server stops."""
    for engine in list(_last_used):
        engine.dispose()


def _note_use(engine: Engine) -> None:
    _last_used[engine] = time.monotonic()
    if _watcher.acquire(blocking=False):
        threading.Thread(target=_close_idle, daemon=True).start()


def _close_idle() -> None:
    while True:
        time.sleep(_IDLE_SECONDS)
        for engine, used in list(_last_used.items()):
            if time.monotonic() - used >= _IDLE_SECONDS:
                engine.dispose()


def _forget_in_child() -> None:
    # The parent goes on using them; nor does its thread exist here.
    global _watcher  # noqa: PLW0603 - a lock that was held while forking stays so for ever
    _watcher = threading.Lock()
    for engine in list(_last_used):
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_forget_in_child)
