"""Never longer than this: work whose end cannot be trusted, such as talking to a database."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.within import within

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
    """Return what `work` returns. Raises OpsError `db_timeout` after `seconds`, else the reason of what it raises."""
    return within(seconds, work, Reason.DB_TIMEOUT)
