"""Is the scheduler dead? Says from anywhere, without the daemon, that the last decided day is too old."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from ops_pipeline.contract.days import ONE_DAY, start_of
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, LineName, NagiosState, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.words import Label
from ops_pipeline.tools.bounded import add_timeout, within
from ops_pipeline.tools.command import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import date

DEFAULT_HOURS = 30
_MOST_HOURS = 24 * 366

_EPILOG = f"""lines:
  heartbeat_check status=ok last_day=<day> age_hours=<n>
  heartbeat_check status=fail reason=day_too_old last_day=<day> age_hours=<n>
  heartbeat_check status=fail reason=<token>                                    nobody knows

last_day is the last UTC day that was decided, age_hours the whole hours since it ended. A day is decided soon after
03:00 UTC, so that a living scheduler never lets it get older than 28 hours; the default limit is {DEFAULT_HOURS}.

exit codes:
  0  young enough
  1  too old, never decided, or an error
  with --format=nagios: 0 ok, 2 too old or an error

example:
  ops-pipeline heartbeat_check --max-age=30
"""


def _hours(text: str) -> int:
    if not text.isascii() or not text.isdigit() or not 0 < int(text) <= _MOST_HOURS:
        raise ValueError
    return int(text)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-age",
        type=_hours,
        default=DEFAULT_HOURS,
        metavar="HOURS",
        help=f"hours since the end of the last decided day (default: {DEFAULT_HOURS})",
    )
    add_timeout(parser)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    last = within(arguments.timeout, _last_decided_day)
    if last is None:
        raise OpsError(Reason.DAY_TOO_OLD, last_day=None, age_hours=None)
    age_hours = int((datetime.now(UTC) - start_of(last + ONE_DAY)).total_seconds() // 3600)
    if age_hours >= arguments.max_age:
        raise OpsError(Reason.DAY_TOO_OLD, last_day=last, age_hours=age_hours)
    return output.decide(Line(LineName.HEARTBEAT_CHECK, status=Label("ok"), last_day=last, age_hours=age_hours))


def _last_decided_day() -> date | None:
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.history import read_history
    from ops_pipeline.store.verify import verify_tables

    engine = ops_engine()
    verify_tables(engine)
    with reading(engine) as connection:
        return read_history(connection).verdict_day


COMMAND = Command(
    name="heartbeat_check",
    line=LineName.HEARTBEAT_CHECK,
    description="Is the scheduler dead? Says, without asking the daemon, whether the last decided day is too old.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    nagios_failure=NagiosState.CRITICAL,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
