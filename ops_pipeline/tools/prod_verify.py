"""Is production in order? Configuration, revisions, databases, and a strict run of the last complete day."""

from __future__ import annotations

import argparse
import sys

from ops_pipeline.cli.command import Command
from ops_pipeline.cli.timeout import add_timeout, run_within
from ops_pipeline.contract.days import last_complete_day
from ops_pipeline.contract.environment import is_prod_configured
from ops_pipeline.contract.errors import to_ops_error
from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.operations.verification import CHECKS, STEPS, Step, VerifyMode, step_line
from ops_pipeline.tools.ops_daily import run_day

_EPILOG = """lines, one for each step, in this order:
  prod_verify step=config status=ok required=<n>
  prod_verify step=plan status=ok migrations=<n>
  prod_verify step=database status=ok revision=<id> tables=<n> warnings=<token,...>            (--mode=verify only)
  the lines of ops_daily, then
  prod_verify step=ops_daily status=healthy | insufficient_data | unhealthy reason=<token>     (--mode=verify only)
  prod_verify step=<step> status=fail reason=<token>     (no later step is taken)

and at the end
  prod_verify status=ok mode=<dry_run|verify>
  prod_verify status=fail step=<step> reason=<token>
  prod_verify status=not_configured reason=missing_dsn         (step=config says so too; only the plan was verified)

exit codes:
  0  every step of the mode was taken and is ok, where insufficient data counts as ok, as after a deploy;
     or nothing is configured at all (safe in CI)
  1  a step failed
  2  every step worked, and the day is unhealthy

example:
  ops-pipeline prod_verify --mode=dry_run
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=[mode.value for mode in VerifyMode],
        required=True,
        help="dry_run: configuration and revisions, connects nowhere; verify: databases and a strict ops_daily too",
    )
    add_timeout(parser)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    mode = VerifyMode(arguments.mode)
    steps = STEPS[mode]
    if not is_prod_configured():
        output.write(step_line(Step.CONFIG, Label("not_configured"), reason=Reason.MISSING_DSN))
        steps = (Step.PLAN,)
    for step in steps:
        exit_code, fields = _take(step, arguments.timeout, output)
        if exit_code:
            return output.finish(Line(LineName.PROD_VERIFY, status=Label("fail"), step=step, **fields), exit_code)
    if not is_prod_configured():
        return output.finish(Line(LineName.PROD_VERIFY, status=Label("not_configured"), reason=Reason.MISSING_DSN))
    return output.finish(Line(LineName.PROD_VERIFY, status=Label("ok"), mode=mode))


def _take(step: Step, seconds: float, output: Output) -> tuple[int, dict[str, object]]:
    """Take one step and say its line; return the exit code that it asks for, and the fields that say why."""
    try:
        if step in CHECKS:
            output.write(run_within(seconds, CHECKS[step]))
            return ExitCode.OK, {}
        return _take_ops_daily(output)
    except Exception as error:  # noqa: BLE001 - every failure belongs to its step
        failure = to_ops_error(error)
    fields = {"reason": failure.reason, **failure.fields}
    output.write(step_line(step, Label("fail"), **fields))
    return ExitCode.FAILED, fields


def _take_ops_daily(output: Output) -> tuple[int, dict[str, object]]:
    from ops_pipeline.contract.vocabulary import Status
    from ops_pipeline.report.daily_lines import daily_lines

    metrics, verdict = run_day(last_complete_day())
    for line in daily_lines(metrics, verdict):
        output.write(line)
    output.write(step_line(Step.OPS_DAILY, Label(verdict.status), reason=verdict.reason))
    is_unhealthy = verdict.status is Status.UNHEALTHY
    return ExitCode.NOT_HEALTHY if is_unhealthy else ExitCode.OK, {"reason": verdict.reason}


COMMAND = Command(
    name="prod_verify",
    line=LineName.PROD_VERIFY,
    description="Verify production step by step: configuration, revisions, databases, a strict ops_daily.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
