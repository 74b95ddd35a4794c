"""The whole way once, on the embedded database with sample traffic."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import RunMode
from ops_pipeline.tools import db_bootstrap, db_verify
from ops_pipeline.tools.events import import_one, sample_line
from ops_pipeline.tools.ops_daily import run_day

_EPILOG = """what it does:
  starts the embedded PostgreSQL, bootstraps and verifies it, imports ninety days of sample traffic, runs ops_daily
  for the last complete UTC day, prints the lines and stops the server. A second run is fast and changes nothing.

lines:
  the lines of db_bootstrap, db_verify, events_sample, events_import and ops_daily, then
  demo status=ok last_day=<day> incident_day=<day> quiet_day=<day>

exit codes:
  0  it worked
  1  it did not; the reason says why

then:
  ops-pipeline ui                                           look at it in the browser
  ops-pipeline ops_daily --mode=ci --as-of=<incident_day>   see an unhealthy verdict
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help="where the embedded database lives (default: .ops_pipeline)",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    from ops_pipeline.events.demo_database import DEFAULT_FOLDER, demo_database, sample_rules, write_demo_sample
    from ops_pipeline.report.daily_lines import daily_lines
    from ops_pipeline.store.engine import ops_engine

    flags = [f"--format={output.form}", *(["--quiet"] if output.is_quiet else [])]
    with demo_database(arguments.data_dir or DEFAULT_FOLDER) as demo:
        # Each has said on its own line why it failed.
        if db_bootstrap.main([db_bootstrap.APPLY, "--with-dagster", *flags]) or db_verify.main(flags):
            return ExitCode.FAILED
        path, sample = write_demo_sample(demo)
        output.write(sample_line(sample))
        import_one(ops_engine(), path, sample_rules(sample, shows_progress=not output.is_quiet), output)
        output.write(Line(LineName.OPS_DAILY, mode=RunMode.SMOKE, reason=Reason.PROD_NOT_CONFIGURED))
        for line in daily_lines(*run_day(demo.last_day)):
            output.write(line)
        days = {"last_day": sample.last_day, "incident_day": sample.incident_to, "quiet_day": sample.quiet_from}
        return output.finish(Line(LineName.DEMO, status=Label("ok"), **days))


COMMAND = Command(
    name="demo",
    line=LineName.DEMO,
    description="See it work: embedded PostgreSQL, sample traffic, one day's lines.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
