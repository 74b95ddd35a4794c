"""Turn exit 2 of a scheduled ops_daily into 0 where, and only where, its log proves insufficient data alone."""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.cli.command import Command
from ops_pipeline.contract.files import open_regular
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Status

_EPILOG = """lines:
  ops_ci_normalize status=ok reason=exit_0
  ops_ci_normalize status=normalized reason=insufficient_data      (exit 2 became 0)
  ops_ci_normalize status=fail reason=unexpected_exit_2            (exit 2 stays)
  ops_ci_normalize status=fail reason=exit_<n>                     (exit <n> stays)
  ops_ci_normalize status=fail reason=log_missing                  (exit 0 becomes 1: nothing proves that it ran)
  ops_ci_normalize status=skip reason=not_schedule                 (the exit code passes through)

exit codes:
  0    ok, or normalized
  <n>  the exit code that was given, wherever the log does not prove that it may be 0

example:
  ops-pipeline ops_daily --mode=prod >ops_daily.log
  ops-pipeline ops_ci_normalize --exit-code $? --log-file ops_daily.log
"""

SCHEDULE = "schedule"
_MAX_EXIT_CODE = 255
_LONGEST = 1 << 16
_OVERLAP = 64
_NOT_OURS = "\ufffd"
_VALUE = r"[a-z0-9_.:,+-]+"
_WATCHDOG = re.compile(
    rf"{LineName.OPS_DAILY_WATCHDOG}"
    rf" status=(?P<status>{'|'.join(Status)}) reason={_VALUE}(?: [a-z][a-z0-9_]*={_VALUE})*"
)


def proves_insufficient_data(lines: Iterable[str]) -> bool:
    """Return whether the last watchdog line parses whole and says insufficient_data, and none says unhealthy."""
    status = None
    for line in lines:
        if Status.UNHEALTHY in line:
            return False
        if LineName.OPS_DAILY_WATCHDOG in line:
            match = _WATCHDOG.fullmatch(line)
            status = match["status"] if match else None
    return status == Status.INSUFFICIENT_DATA


def _lines(log: TextIO) -> Iterator[str]:
    """Yield the lines of a log; of one that is too long to be ours, its pieces, so that it need not fit in memory.

    A piece ends with a character that no line of ours has, and begins with the end of the one before it, so that no
    word is lost between two.
    """
    overlap = ""
    while piece := log.readline(_LONGEST):
        is_whole = piece.endswith("\n") or len(piece) < _LONGEST
        if is_whole and not overlap:
            yield piece.rstrip("\r\n")
            continue
        yield f"{overlap}{piece}{_NOT_OURS}"
        overlap = "" if is_whole else piece[-_OVERLAP:]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--exit-code", type=whole_number(0, _MAX_EXIT_CODE), required=True, metavar="N", help="how ops_daily ended"
    )
    parser.add_argument("--log-file", type=Path, required=True, metavar="FILE", help="what ops_daily printed")
    parser.add_argument(
        "--event",
        default=os.environ.get("GITHUB_EVENT_NAME", ""),
        help="what started the run (default: GITHUB_EVENT_NAME); only 'schedule' is ever normalised",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    code: int = arguments.exit_code
    status, reason = _decide(code, arguments.log_file, arguments.event)
    if reason is Reason.LOG_MISSING:
        code = code or ExitCode.FAILED
    elif reason is Reason.INSUFFICIENT_DATA:
        code = ExitCode.OK
    return output.finish(Line(LineName.OPS_CI_NORMALIZE, status=status, reason=reason), code)


def _decide(code: int, log_file: Path, event: str) -> tuple[Label, Reason | Label]:
    if event != SCHEDULE:
        return Label("skip"), Reason.NOT_SCHEDULE
    if code not in (ExitCode.OK, ExitCode.NOT_HEALTHY):
        return Label("fail"), Label(f"exit_{code}")
    try:
        # An undecodable byte becomes a character that no watchdog line has.
        with (
            open_regular(log_file) as file,
            io.TextIOWrapper(file, encoding="utf-8", errors="replace", newline="\n") as log,
        ):
            is_proven = proves_insufficient_data(_lines(log))
    except OSError:
        return Label("fail"), Reason.LOG_MISSING
    if code == ExitCode.OK:
        return Label("ok"), Reason.EXIT_0
    if is_proven:
        return Label("normalized"), Reason.INSUFFICIENT_DATA
    return Label("fail"), Reason.UNEXPECTED_EXIT_2


COMMAND = Command(
    name="ops_ci_normalize",
    line=LineName.OPS_CI_NORMALIZE,
    description="Keep a scheduled run green when ops_daily merely had too little data to judge.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    uses_libraries=False,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
