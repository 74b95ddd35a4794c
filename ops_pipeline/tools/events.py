"""Event files: import them, or write sample traffic as one."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.cli.command import Command, print_failure, print_text
from ops_pipeline.contract.days import last_complete_day, parse_day
from ops_pipeline.contract.environment import first_event_day
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.waits import retried

if TYPE_CHECKING:
    from sqlalchemy import Engine

    from ops_pipeline.events.intake import Imported, Rules
    from ops_pipeline.events.sample import Sample

_IMPORT_EPILOG = """lines, for each file (counted from 1):
  events_import status=ok file=<n> accepted=<n> rejected=<n> duplicates=<n> first_day=<day> last_day=<day>
  events_import status=skipped file=<n> reason=already_imported
  events_import_rejected file=<n> rejected=<n> reason=<token>     before it, one for each reason
  events_import status=fail reason=<token> file=<n> [line=<n>]    nothing of this file was kept; later ones not tried

exit codes:
  0  every file is imported, now or before
  1  one is not; the reason says why

example:
  ops-pipeline events import 2026-11-07.csv.gz --unique-by event_id
"""

_SAMPLE_EPILOG = """lines:
  events_sample status=ok events=<n> repeated=<n> first_day=<day> last_day=<day>
      quiet_from=<day> quiet_to=<day> incident_from=<day> incident_to=<day>     (one line)
  events_sample status=fail reason=<token>

exit codes:
  0  written
  1  not written

example:
  ops-pipeline events sample --out sample.csv
"""


def _import_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help=".csv, .jsonl, .ndjson (.gz) or .parquet")
    parser.add_argument(
        "--unique-by",
        metavar="COLUMN",
        help="column that repeats where a source sent the same event again; it is never stored",
    )
    parser.add_argument(
        "--max-rejected",
        type=whole_number(0),
        default=0,
        metavar="N",
        help="take a file although so many of its rows are rejected (default: 0)",
    )
    parser.add_argument("--assume-utc", action="store_true", help="take times without an offset as UTC")


def _import(arguments: argparse.Namespace, output: Output) -> int:
    from ops_pipeline.events.intake import Rules
    from ops_pipeline.store.engine import ops_engine

    engine = ops_engine()
    rules = Rules(
        first_day=first_event_day(),
        unique_by=arguments.unique_by,
        assume_utc=arguments.assume_utc,
        shows_progress=not output.is_quiet,
    )
    for number, path in enumerate(arguments.files, start=1):
        import_one(engine, path, rules, output, max_rejected=arguments.max_rejected, number=number)
    return ExitCode.OK


def import_one(
    engine: Engine, path: Path, rules: Rules, output: Output, *, max_rejected: int = 0, number: int = 1
) -> None:
    """Import one file and print its lines. Raises OpsError with the file's number."""
    from ops_pipeline.events.intake import TooManyRejectedError, import_file

    rejected_by: dict[Reason, int] = {}
    failure: OpsError | None = None
    line = None
    try:
        done = retried(lambda: import_file(engine, path, rules, max_rejected=max_rejected))
    except TooManyRejectedError as error:
        rejected_by, failure = error.rejected_by, to_ops_error(error)
    except Exception as error:  # noqa: BLE001 - the file's number belongs on the line
        failure = to_ops_error(error)
    else:
        rejected_by = done.rejected_by
        line = _imported_line(done, number)
    for reason, rejected in rejected_by.items():
        fields = {"file": number, "rejected": rejected, "reason": reason}
        output.write(Line(LineName.EVENTS_IMPORT_REJECTED, **fields))
    if failure is not None:
        raise OpsError(failure.reason, file=number, **failure.fields)
    if line is not None:
        output.finish(line)


def _imported_line(done: Imported, number: int) -> Line:
    if not done.is_new:
        return Line(LineName.EVENTS_IMPORT, status=Label("skipped"), file=number, reason=Reason.ALREADY_IMPORTED)
    return Line(
        LineName.EVENTS_IMPORT,
        status=Label("ok"),
        file=number,
        accepted=done.accepted,
        rejected=done.rejected,
        duplicates=done.duplicates,
        first_day=min(done.days, default=None),
        last_day=max(done.days, default=None),
    )


def _sample_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the CSV file to write")
    parser.add_argument("--last-day", metavar="DAY", help="last UTC day of the traffic (default: the last complete)")
    parser.add_argument("--seed", type=whole_number(0), metavar="N", help="another seed makes other traffic")


def _sample(arguments: argparse.Namespace, output: Output) -> int:
    from ops_pipeline.events.sample import SEED, write_sample

    last_day = last_complete_day() if arguments.last_day is None else parse_day(arguments.last_day)
    seed = SEED if arguments.seed is None else arguments.seed
    try:
        sample = write_sample(arguments.out, last_day, seed=seed)
    except OSError:
        sample = None
    if sample is None:
        raise OpsError(Reason.FILE_NOT_WRITTEN)
    return output.finish(sample_line(sample))


def sample_line(sample: Sample) -> Line:
    """Return the line that says what sample traffic was made."""
    return Line(
        LineName.EVENTS_SAMPLE,
        status=Label("ok"),
        events=sample.events,
        repeated=sample.repeated,
        first_day=sample.first_day,
        last_day=sample.last_day,
        quiet_from=sample.quiet_from,
        quiet_to=sample.quiet_to,
        incident_from=sample.incident_from,
        incident_to=sample.incident_to,
    )


COMMANDS = {
    "import": Command(
        name="events import",
        line=LineName.EVENTS_IMPORT,
        description="Import event files into ops.delivery_events: each as a whole or not at all, and each only once.",
        epilog=_IMPORT_EPILOG,
        add_arguments=_import_arguments,
        run=_import,
    ),
    "sample": Command(
        name="events sample",
        line=LineName.EVENTS_SAMPLE,
        description="Write ninety days of made-up traffic as a CSV file of the event contract.",
        epilog=_SAMPLE_EPILOG,
        add_arguments=_sample_arguments,
        run=_sample,
    ),
}

_USAGE = """usage: ops-pipeline events import FILE... [options]
       ops-pipeline events sample --out FILE [options]

  import   import event files into ops.delivery_events
  sample   write ninety days of made-up traffic as a CSV file

ops-pipeline events import --help says what it prints, its exit codes and an example.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command that the first argument names; return its exit code."""
    name, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if name in ("--help", "-h"):
        return print_text(_USAGE)
    if name not in COMMANDS:
        return print_failure(Line(LineName.EVENTS_IMPORT, status=Label("fail"), reason=Reason.USAGE))
    return COMMANDS[name].main(rest)


if __name__ == "__main__":
    sys.exit(main())
