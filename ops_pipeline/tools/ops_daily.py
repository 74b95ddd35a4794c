"""The day's figures and verdict, as lines and an exit code."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import check_askable, last_complete_day, parse_day
from ops_pipeline.contract.errors import OpsError, to_ops_error
from ops_pipeline.contract.lines import ExitCode, Format, Line, LineName, NagiosState, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import RunMode
from ops_pipeline.operations.prod_config import check_production

_EPILOG = """lines, in this order:
  ops_daily mode=strict reason=prod_configured | mode=smoke reason=prod_not_configured
  ops_daily_totals          one for each window
  ops_daily_rates           one for each window and touch
  ops_daily_second_touch    one for each window
  ops_daily_segments        one for each touch, where segments are declared
  ops_daily_signal          one for each thing that is watched
  ops_daily_fault           one for each thing that is wrong with past days: reason, days, oldest, events (a band)
  ops_daily_watchdog        status=healthy | insufficient_data | unhealthy reason=<token> ...
  ops_metrics_snapshot      the same figures as one JSON object
  ops_daily_heartbeat       status=fail reason=<token>: only where OPS_HEARTBEAT_URL could not be pinged

exit codes:
  0  healthy; or a smoke run that worked
  1  an error: ops_daily status=fail mode=<mode> reason=<token>
  2  a strict run that is unhealthy or has insufficient data
  with --format=nagios: 0 healthy, 1 insufficient data, 2 unhealthy, 3 an error

examples:
  ops-pipeline ops_daily --mode=prod                     the last complete UTC day, on the configured databases
  ops-pipeline ops_daily --mode=prod --as-of=2026-11-07  a day that was done before gives the same lines
  ops-pipeline ops_daily --mode=ci                       embedded database and sample traffic
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_pipeline.health.metrics import Metrics
    from ops_pipeline.health.verdict import Verdict
    from ops_pipeline.store.day_faults import Fault


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


def _mode(arguments: argparse.Namespace) -> RunMode:
    if arguments.mode is None:
        return RunMode.STRICT if environment.is_prod_configured() else RunMode.SMOKE
    return RunMode.STRICT if arguments.mode == "prod" else RunMode.SMOKE


def _run(arguments: argparse.Namespace, output: Output) -> int:
    day = parse_day(arguments.as_of) if arguments.as_of is not None else last_complete_day()
    if _mode(arguments) is RunMode.STRICT:
        check_production()
        check_askable(day, first=environment.first_kept_day())
        output.write(Line(LineName.OPS_DAILY, mode=RunMode.STRICT, reason=Reason.PROD_CONFIGURED))
        return _write_day(day, output, is_strict=True)
    output.write(Line(LineName.OPS_DAILY, mode=RunMode.SMOKE, reason=Reason.PROD_NOT_CONFIGURED))
    return _run_smoke(day, arguments.data_dir, output)


def _run_smoke(day: date, folder: Path | None, output: Output) -> int:
    """Do all that a strict run does, on the embedded database with sample traffic."""
    from ops_pipeline.events.demo_database import DEFAULT_FOLDER, demo_database, sample_rules, write_demo_sample
    from ops_pipeline.events.intake import import_file
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import apply_migrations

    with demo_database(folder or DEFAULT_FOLDER) as demo:
        check_askable(day, first=environment.first_kept_day())
        apply_migrations(ops_engine())
        path, sample = write_demo_sample(demo)
        import_file(
            ops_engine(),
            path,
            sample_rules(sample, shows_progress=output.form is Format.LINE and not output.is_quiet),
        )
        return _write_day(day, output, is_strict=False)


def run_day(day: date) -> tuple[Metrics, Verdict]:
    """Run the Dagster job for `day` and return what it stored. Raises OpsError with the reason of a failure."""
    from ops_pipeline.orchestration.daily_run import run_day_on_configured_instance

    return run_day_on_configured_instance(day)


def day_faults(day: date) -> list[Fault]:
    """Return what is wrong with days up to `day`."""
    from ops_pipeline.store.day_faults import read_faults
    from ops_pipeline.store.engine import ops_engine, reading

    with reading(ops_engine()) as connection:
        return read_faults(connection, environment.first_kept_day(), day)


def _write_day(day: date, output: Output, *, is_strict: bool) -> int:
    from ops_pipeline.operations.heartbeat import exit_code_of
    from ops_pipeline.report.daily_lines import daily_lines, fault_line, measures

    metrics, verdict = run_day(day)
    faults = day_faults(day)
    exit_code: int = exit_code_of(verdict) if is_strict else ExitCode.OK
    decided = exit_code
    for line in daily_lines(metrics, verdict):
        if line.name == LineName.OPS_DAILY_WATCHDOG:
            for fault in faults:
                output.write(fault_line(LineName.OPS_DAILY_FAULT, fault))
            decided = output.finish(line, exit_code, measures(metrics, verdict))
        else:
            output.write(line)
    # A monitor is told of the newest day only: a healthy one of three weeks ago says nothing of today.
    if is_strict and day == last_complete_day():
        _ping(exit_code, output)
    return decided


def _ping(exit_code: int, output: Output) -> None:
    """Ping OPS_HEARTBEAT_URL; where nobody takes it, say so: a day that was decided is decided."""
    from ops_pipeline.report.notify import ping

    try:
        ping(exit_code)
    except OpsError as error:
        reason = to_ops_error(error).reason
    else:
        return
    output.write(Line(LineName.OPS_DAILY_HEARTBEAT, status=Label("fail"), reason=reason))


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
    nagios_failure=NagiosState.UNKNOWN,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
