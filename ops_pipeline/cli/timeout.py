"""Never longer than this: work whose end cannot be trusted, such as talking to a database."""

from __future__ import annotations

import argparse
import threading
from collections.abc import Callable
from typing import TypeVar

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.reasons import Reason

DEFAULT_SECONDS = 30
_MAX_SECONDS = 3600

T = TypeVar("T")


def add_timeout(parser: argparse.ArgumentParser) -> None:
    """Add the option `--timeout`."""
    parser.add_argument(
        "--timeout",
        type=whole_number(1, _MAX_SECONDS),
        default=DEFAULT_SECONDS,
        metavar="SECONDS",
        help=f"give up after so many seconds (default: {DEFAULT_SECONDS})",
    )


def run_within(seconds: float, work: Callable[[], T]) -> T:
    """Return what `work` returns. Raises OpsError `db_timeout` after `seconds`, and as `work` does.

    The work goes on in the background for as long as the process lives: waiting inside a driver cannot be cut short.
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
        raise OpsError(Reason.DB_TIMEOUT)
    return done[0]
