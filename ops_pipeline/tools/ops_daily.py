"""The day's figures and verdict, as lines and an exit code."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from ops_pipeline.contract import environment
from ops_pipeline.contract.days import check_askable, last_complete_day, parse_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ExitCode, Line, LineName, emit
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Label
from ops_pipeline.tools.command import Command

_EPILOG = """lines, in this order:
  ops_daily mode=strict reason=prod_configured | mode=smoke reason=prod_not_configured
  ops_daily_totals          one for each window
  ops_daily_rates           one for each window and touch
  ops_daily_second_touch    one for each window
  ops_daily_signal          one for each thing that is watched
  ops_daily_watchdog        status=healthy | insufficient_data | unhealthy reason=<token> ...
  ops_metrics_snapshot      the same figures as one JSON object

exit codes:
  0  healthy; or a smoke run that worked
  1  an error: ops_daily status=fail mode=<mode> reason=<token>
  2  a strict run that is unhealthy or has insufficient data

examples:
  ops-pipeline ops_daily --mode=prod                     the last complete UTC day, on the configured databases
  ops-pipeline ops_daily --mode=prod --as-of=2026-11-07  a day that was done before gives the same lines
  ops-pipeline ops_daily --mode=ci                       embedded database and sample traffic
"""

STRICT, SMOKE = Label("strict"), Label("smoke")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=("prod", "ci"),
        help="prod: strict, refuses unless configured; ci: smoke (default: strict if configured, else smoke)",
    )
    parser.add_argument("--as-of", metavar="DAY", help="the UTC day, YYYY-MM-DD (default: the last complete one)")
    parser.add_argument(
        "--data-dir",
        type=Path,
        metavar="FOLDER",
        help="where a smoke run keeps its embedded database (default: .ops_pipeline)",
    )


def _mode(arguments: argparse.Namespace) -> Label:
    if arguments.mode is None:
        return STRICT if environment.is_prod_configured() else SMOKE
    return STRICT if arguments.mode == "prod" else SMOKE


def _run(arguments: argparse.Namespace) -> int:
    day = parse_day(arguments.as_of) if arguments.as_of is not None else last_complete_day()
    if _mode(arguments) == STRICT:
        if missing := environment.missing_names():
            raise OpsError(Reason.MISSING_ENV, missing=missing)
        if invalid := environment.invalid_names():
            raise OpsError(Reason.INVALID_ENV, invalid=invalid)
        check_askable(day, first=environment.first_day())
        environment.config()
        _emit_mode(STRICT, Reason.PROD_CONFIGURED, as_json=arguments.json)
        return run_day(day, as_json=arguments.json)
    _emit_mode(SMOKE, Reason.PROD_NOT_CONFIGURED, as_json=arguments.json)
    run_smoke(day, arguments.data_dir, as_json=arguments.json)
    return ExitCode.OK


def _emit_mode(mode: Label, reason: Reason, *, as_json: bool) -> None:
    emit(Line(LineName.OPS_DAILY, mode=mode, reason=reason), as_json=as_json)


def run_smoke(day: date, folder: Path | None, *, as_json: bool) -> None:
    """Do all that a strict run does, on the embedded database with sample traffic."""
    from ops_pipeline.events.demo_database import DEFAULT_FOLDER, demo_database, sample_rules, write_demo_sample
    from ops_pipeline.events.intake import import_file
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import apply_migrations

    with demo_database(folder or DEFAULT_FOLDER) as demo:
        check_askable(day, first=environment.first_day())
        apply_migrations(ops_engine())
        path, sample = write_demo_sample(demo)
        import_file(ops_engine(), path, sample_rules(sample))
        run_day(day, as_json=as_json)


def run_day(day: date, *, as_json: bool) -> int:
    """Run the Dagster job for `day`, print what it stored, and return the exit code that the verdict stands for."""
    from ops_pipeline.definitions import definitions
    from ops_pipeline.health import Status
    from ops_pipeline.orchestration.launch import run_ops_daily
    from ops_pipeline.report.daily_lines import daily_lines
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.results import read_metrics, read_verdict
    from ops_pipeline.store.verify import verify

    engine = ops_engine()
    verify(engine)
    run_ops_daily(definitions(), day)
    with reading(engine) as connection:
        metrics, verdict = read_metrics(connection, day), read_verdict(connection, day)
    if metrics is None or verdict is None:
        raise OpsError(Reason.INTERNAL_ERROR)
    for line in daily_lines(metrics, verdict):
        emit(line, as_json=as_json)
    return ExitCode.OK if verdict.status is Status.HEALTHY else ExitCode.NOT_HEALTHY


def _failure_line(arguments: argparse.Namespace) -> tuple[LineName, dict[str, object]]:
    return LineName.OPS_DAILY, {"mode": _mode(arguments)}


COMMAND = Command(
    name="ops_daily",
    line=LineName.OPS_DAILY,
    description="Roll up a UTC day, compute its figures and ask the watchdog; the run is recorded in Dagster.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    failure_line=_failure_line,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
