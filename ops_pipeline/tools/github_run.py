"""A day's run on GitHub: contract, ops_daily, normalising, report, guard; then summary, outputs and exit code."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from enum import StrEnum
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import ONE_DAY, last_complete_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output, ParsedLine
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import RunMode
from ops_pipeline.github.workflow import append, days_since_last_commit, write_for_github

_EPILOG = """steps, each a process of its own:
  prod_config_contract   auto: nothing set at all means smoke, half a configuration fails; prod: all must be set
  backfill               of a scheduled strict run: days of the last week that were missed, then the last few days
                         again for events that came late, as Dagster's schedule does ([schedule] days, late_days)
  ops_daily              strict if production is configured (or --mode=prod), else smoke
  alerts                 of a strict run, where OPS_ALERT_URLS or OPS_PAGE_URLS is set: tells people what is new
  ops_ci_normalize       of a scheduled run only
  report                 of a strict run that gave a verdict
  secret_echo_guard      over the log and the report: only what is clean is named as artifact

lines:
  the lines of the steps, but for the snapshot, which stays in the log; what does not read as a line is not repeated
  github_schedule status=ok last_commit_days=<n>
  github_schedule status=warn reason=repository_quiet last_commit_days=<n>      from 45 days on
  github_schedule status=unknown last_commit_days=none                          not in a checkout
  github_run status=ok mode=<strict|smoke>
  github_run status=fail step=<step> reason=exit_<n>

It appends the lines to the file that GITHUB_STEP_SUMMARY names, and to the one of GITHUB_OUTPUT `lines` (a JSON list)
and `artifacts` (the folder to upload; empty if the guard was not content). FOLDER then holds ops_daily.log and
report.html.

exit codes:
  0  healthy; or a scheduled run that has too little data to say; or a smoke run that worked
  1  an error
  2  unhealthy; or too little data to say, in a run that the schedule did not start
  of several steps that failed, that of ops_daily counts, else that of the first one

example:
  ops-pipeline github_run --mode=auto --out=artifacts
"""

QUIET_REPOSITORY_DAYS = 45
"""Days without a commit from which to warn: GitHub stops schedules after 60, and somebody must have time to act."""
_SIGNAL_BASE = 128
_SCHEDULE = "schedule"


class _Step(StrEnum):
    CONTRACT = "prod_config_contract"
    BACKFILL = "backfill"
    OPS_DAILY = "ops_daily"
    ALERTS = "alerts"
    NORMALIZE = "ops_ci_normalize"
    REPORT = "report"
    GUARD = "secret_echo_guard"


class _Run:
    """The steps that were taken: their lines, and the first that failed."""

    def __init__(self, folder: Path, output: Output) -> None:
        self.folder = folder
        self.lines: list[Line] = []
        self.failed: tuple[_Step, int] | None = None
        self._output = output

    def write(self, line: Line) -> None:
        """Say a line and keep it."""
        self.lines.append(line)
        self._output.write(line)

    def take(self, step: _Step, *arguments: str, decides: bool = True) -> tuple[int, bytes]:
        """Run a tool in a process of its own, say its lines, and return its exit code and what it printed."""
        # Without -P a module of the folder that the run starts in could stand in for one of ours.
        process = subprocess.run(  # noqa: S603 - our own tools
            [sys.executable, "-P", "-m", f"ops_pipeline.tools.{step}", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        for text in process.stdout.decode(errors="replace").splitlines():
            if line := ParsedLine.or_none(text):
                self.write(line)
        code = process.returncode if process.returncode >= 0 else _SIGNAL_BASE - process.returncode
        if decides and code and not self.failed:
            self.failed = step, code
        return code, process.stdout

    def judge(self, mode: str, event: str) -> RunMode | None:
        """Check the contract, run ops_daily, normalise; return how ops_daily ran, or None if it did not."""
        if mode != "ci":
            code, _ = self.take(_Step.CONTRACT, f"--mode={'ci' if mode == 'auto' else 'prod_required'}")
            if code:
                return None
        is_strict = mode == "prod" or (mode == "auto" and environment.is_prod_configured())
        if is_strict and event == _SCHEDULE:
            self._make_up()
        code, printed = self.take(_Step.OPS_DAILY, f"--mode={'prod' if is_strict else 'ci'}", decides=False)
        log = self.folder / "ops_daily.log"
        append(log, printed)
        if is_strict and any(environment.is_set(name) for name in (Name.OPS_ALERT_URLS, Name.OPS_PAGE_URLS)):
            self.take(_Step.ALERTS)
        if event == _SCHEDULE:
            given = (f"--exit-code={code}", f"--log-file={log}", f"--event={event}")
            code, _ = self.take(_Step.NORMALIZE, *given, decides=False)
        if code:
            self.failed = _Step.OPS_DAILY, code
        return RunMode.STRICT if is_strict else RunMode.SMOKE

    def _make_up(self) -> None:
        """Judge days before yesterday, as Dagster's schedule does: missed ones, and the last few for late events."""
        wanted = environment.config().schedule
        last = last_complete_day()
        first_kept = environment.first_kept_day()
        first_late = last - (wanted.late_days - 1) * ONE_DAY
        for first, until, options in (
            (last - (wanted.days - 1) * ONE_DAY, min(first_late, last) - ONE_DAY, ()),
            (first_late, last - ONE_DAY, ("--again",)),
        ):
            start = max(first, first_kept)
            if start <= until and self.take(_Step.BACKFILL, f"--from={start}", f"--to={until}", *options)[0]:
                return

    def has_verdict(self) -> bool:
        """Return whether ops_daily came to a verdict."""
        return any(line.name is LineName.OPS_DAILY_WATCHDOG for line in self.lines)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=("auto", "prod", "ci"),
        default="auto",
        help="prod: strict, and a missing name is a failure; ci: smoke; auto: what is configured (default)",
    )
    parser.add_argument(
        "--event",
        default=os.environ.get("GITHUB_EVENT_NAME", ""),
        help="what started the run (default: GITHUB_EVENT_NAME); only 'schedule' is ever normalised",
    )
    parser.add_argument(
        "--name",
        type=Label,
        default=Label("ops_daily"),
        metavar="LABEL",
        help="what the summary is headed by (default: ops_daily); one for each service that is watched",
    )
    parser.add_argument(
        "--out",
        type=Path,
        default=Path("ops_pipeline_artifacts"),
        metavar="FOLDER",
        help="a new or empty folder for log and report (default: ops_pipeline_artifacts)",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    _make_empty(arguments.out)
    run = _Run(arguments.out, output)
    mode = run.judge(arguments.mode, arguments.event)
    if mode is RunMode.STRICT and run.has_verdict():
        run.take(_Step.REPORT, f"--out={arguments.out / 'report.html'}")
    is_clean = mode is not None and run.take(_Step.GUARD, str(arguments.out))[0] == ExitCode.OK
    _look_at_schedule(run, output)
    line, code = _decision(run, mode)
    write_for_github(arguments.name, [*run.lines, line], arguments.out if is_clean else None)
    return output.finish(line, code)


def _decision(run: _Run, mode: RunMode | None) -> tuple[Line, int]:
    if run.failed is None:
        return Line(LineName.GITHUB_RUN, status=Label("ok"), mode=mode), ExitCode.OK
    step, code = run.failed
    return Line(LineName.GITHUB_RUN, status=Label("fail"), step=step, reason=Label(f"exit_{code}")), code


def _make_empty(folder: Path) -> None:
    """Make the folder. Raises OpsError `file_not_written` where it cannot be made, or holds something already."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        is_empty = not any(folder.iterdir())
    except OSError:
        is_empty = False
    if not is_empty:
        raise OpsError(Reason.FILE_NOT_WRITTEN)


def _look_at_schedule(run: _Run, output: Output) -> None:
    """Say how long ago the last commit was, and warn while there is time to do something about it."""
    days = days_since_last_commit()
    if days is None:
        run.write(Line(LineName.GITHUB_SCHEDULE, status=Label("unknown"), last_commit_days=None))
    elif days < QUIET_REPOSITORY_DAYS:
        run.write(Line(LineName.GITHUB_SCHEDULE, status=Label("ok"), last_commit_days=days))
    else:
        line = Line(
            LineName.GITHUB_SCHEDULE,
            status=Label("warn"),
            reason=Reason.REPOSITORY_QUIET,
            last_commit_days=days,
        )
        run.write(line)
        output.warn(line)


COMMAND = Command(
    name="github_run",
    line=LineName.GITHUB_RUN,
    description="Run a day on GitHub Actions: one command whose exit code is the job's.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    uses_libraries=False,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
