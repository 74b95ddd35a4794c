"""A total time for work: whoever sends a byte at a time keeps within every time-out of a socket."""

from __future__ import annotations

import threading

from ops_pipeline.contract.errors import OpsError, to_ops_error

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    from ops_pipeline.contract.reasons import Reason

    T = TypeVar("T")


def within(seconds: float, work: Callable[[], T], late: Reason) -> T:
    """Return what `work` returns. Raises OpsError `late` after `seconds`, else the reason of what it raises.

    The work goes on in the background for as long as the process lives: waiting inside a library cannot be cut short.
    """
    done: list[T] = []
    failures: list[OpsError] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as error:  # noqa: BLE001 - it belongs to the thread that waits
            failures.append(to_ops_error(error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if failures:
        raise failures[0]
    if not done:
        raise OpsError(late)
    return done[0]
