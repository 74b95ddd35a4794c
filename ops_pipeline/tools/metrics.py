"""A day's verdict and figures for Prometheus: as a file for node_exporter's textfile collector, or as text."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import check_askable, parse_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ExitCode, Format, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

_EPILOG = """lines:
  metrics status=ok as_of=<day> samples=<n> bytes=<n>    with --out
  metrics status=fail reason=<token>                     a file that was there stays as it was

With --format=prom and without --out, the samples themselves are printed, and a failure is a comment among none.

exit codes:
  0  written, or printed
  1  not configured, nothing decided yet, or an error

examples:
  ops-pipeline metrics --out=/var/lib/node_exporter/textfile/ops_pipeline.prom
  ops-pipeline metrics --format=prom
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=Path, metavar="FILE", help="the file to write (*.prom), whole or not at all")
    parser.add_argument("--as-of", metavar="DAY", help="the UTC day, YYYY-MM-DD (default: the last one judged)")


def _run(arguments: argparse.Namespace, output: Output) -> int:
    asked = parse_day(arguments.as_of) if arguments.as_of is not None else None
    if arguments.out is None and output.form is not Format.PROM:
        raise OpsError(Reason.USAGE, option=Label("out"))
    environment.required_value(Name.OPS_POSTGRES_DSN)
    if asked is not None:
        check_askable(asked, first=environment.first_kept_day())

    from ops_pipeline.contract.files import PUBLIC, write_whole
    from ops_pipeline.report.exposition import exposition
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.results import last_judged_day, read_metrics, read_verdict
    from ops_pipeline.store.verify import verify_tables

    verify_tables(ops_engine())
    with reading(ops_engine()) as connection:
        day = asked or last_judged_day(connection)
        verdict = read_verdict(connection, day) if day else None
        metrics = read_metrics(connection, day) if day else None
    if day is None or verdict is None:
        raise OpsError(Reason.NOT_JUDGED)
    samples = exposition(verdict, metrics)
    if arguments.out is None:
        output.write_samples(samples)
        return ExitCode.OK
    written = write_whole(arguments.out, samples, mode=PUBLIC)
    count = sum(not line.startswith("#") for line in samples.splitlines())
    return output.finish(Line(LineName.METRICS, status=Label("ok"), as_of=day, samples=count, bytes=written))


COMMAND = Command(
    name="metrics",
    line=LineName.METRICS,
    description="Write the last decided day's verdict and figures as samples for Prometheus.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    exposes_samples=True,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
