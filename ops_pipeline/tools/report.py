"""One page of a day and the weeks before it, to mail or publish."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.cli.command import Command
from ops_pipeline.cli.database import add_database, chosen_database
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import REPORTED_DAYS, check_askable, last_complete_day, parse_day
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.tokens import Label

_EPILOG = """the page:
  one HTML file without script and with nothing from elsewhere: status and since when, the status of each day, rates
  and deliveries with what was expected of them, the second touch's funnel, segments as published, notes on the data
  and the day's lines. Every chart has its table. It holds numbers, dates and declared words, nothing else.

lines:
  report status=ok as_of=<day> first_day=<day> days=<n> judged=<n> bytes=<n>
  report status=fail reason=<token>

It reads what is stored and changes nothing in the database.

exit codes:
  0  the page was written, whatever it says
  1  an error; the file that was there before is still there

examples:
  ops-pipeline report --out=report.html                       the last day that was judged, and 89 before it
  ops-pipeline report --out=may.html --as-of=2026-05-31 --days=31
  ops-pipeline report --out=demo.html --mode=ci               of the demo
"""

_MAX_DAYS = 366


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the page to write (HTML)")
    parser.add_argument("--as-of", metavar="DAY", help="the UTC day, YYYY-MM-DD (default: the last one judged)")
    parser.add_argument(
        "--days",
        type=whole_number(1, _MAX_DAYS),
        default=REPORTED_DAYS,
        metavar="N",
        help=f"days to show, ending with that day (default: {REPORTED_DAYS})",
    )
    add_database(parser)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    asked = parse_day(arguments.as_of) if arguments.as_of is not None else None
    with chosen_database(arguments):
        return _write(asked, arguments.days, arguments.out, output)


def _write(asked: date | None, days: int, path: Path, output: Output) -> int:
    if asked is not None:
        check_askable(asked, first=environment.first_kept_day())

    from ops_pipeline.contract.files import PUBLIC, write_whole
    from ops_pipeline.report.report_page import report_page
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.report_data import read_report_data
    from ops_pipeline.store.results import last_judged_day
    from ops_pipeline.store.verify import verify_tables

    verify_tables(ops_engine())
    with reading(ops_engine()) as connection:
        day = asked or last_judged_day(connection) or last_complete_day()
        reported = read_report_data(connection, day, days, first_day=environment.first_day())
    unjudged = 0 if asked else (last_complete_day() - day).days
    written = write_whole(path, report_page(reported, unjudged_days=unjudged), mode=PUBLIC)
    return output.finish(
        Line(
            LineName.REPORT,
            status=Label("ok"),
            as_of=day,
            first_day=reported.first,
            days=len(reported.days),
            judged=len(reported.verdicts),
            bytes=written,
        )
    )


COMMAND = Command(
    name="report",
    line=LineName.REPORT,
    description="Write one page of a day and the weeks before it, to mail or publish.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
