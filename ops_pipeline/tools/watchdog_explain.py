"""Why a day's verdict is what it is, in numbers that can be checked by hand."""

from __future__ import annotations

import argparse
import sys
from datetime import date

from ops_pipeline.cli.command import Command
from ops_pipeline.cli.database import add_database, chosen_database
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import check_askable, last_complete_day, parse_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.reasons import Reason

_EPILOG = """lines (each is one line), of every signal that is not healthy, or with --all of every one:
  watchdog_explain_signal  as ops_daily_signal
  watchdog_explain_limit   touch=<touch> signal=<signal> limit=<rate> bound=<rate> excess=<n>
  watchdog_explain_window  touch=<touch> signal=<signal> window_days=<n> count=<n> total=<n> expected_count=<n>
      critical_count=<n> times_expected=<ratio> tail=<probability> unhealthy=<yes|no> excess=<n>
  watchdog_explain_reasons touch=<touch> signal=<signal> window_days=<n> top=<reason> share=<share> by_reason=<group>
  watchdog_explain_leak    as_of=<day> touch=<touch> outcome=<held|disabled> events=<n>
  watchdog_explain status=<status> reason=<token> as_of=<day> since=<day> signals=<n> failing=<n> undecided=<n>
  excess: so many events fewer (of positive reactions: more) would have been fine.
  critical_count: the count from which the window is unhealthy. tail: the probability of such a count.

It reads the stored daily counts and the present configuration, and changes nothing.

exit codes:
  0  it was explained, whatever the verdict is
  1  an error: watchdog_explain status=fail reason=<token>

examples:
  ops-pipeline watchdog_explain                        the last complete UTC day
  ops-pipeline watchdog_explain --as-of=2026-11-07 --all
  ops-pipeline watchdog_explain --mode=ci --as-of=2026-11-07      a day of the demo
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--as-of", metavar="DAY", help="the UTC day, YYYY-MM-DD (default: the last complete one)")
    parser.add_argument("--all", action="store_true", help="healthy signals too")
    add_database(parser)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    day = parse_day(arguments.as_of) if arguments.as_of is not None else last_complete_day()
    with chosen_database(arguments):
        return _explain(day, output, is_all=arguments.all)


def _explain(day: date, output: Output, *, is_all: bool) -> int:
    check_askable(day, first=environment.first_kept_day())

    from ops_pipeline.contract.vocabulary import Status
    from ops_pipeline.health.explain import explain
    from ops_pipeline.report.explanation import explanation_lines
    from ops_pipeline.store.daily_counts import read_days
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.verify import verify_tables

    verify_tables(ops_engine())
    with reading(ops_engine()) as connection:
        # All of them: an episode may have begun long ago.
        days = read_days(connection, date.min, day)
    # A day that nobody has counted is not a day without traffic.
    if not any(counted.day == day for counted in days):
        raise OpsError(Reason.NOT_JUDGED)
    verdict, explained = explain(days, day, environment.config().thresholds)
    for line in explanation_lines(verdict, explained, is_all=is_all):
        output.write(line)
    statuses = [signal.status for signal in verdict.signals]
    return output.finish(
        Line(
            LineName.WATCHDOG_EXPLAIN,
            status=verdict.status,
            reason=verdict.reason,
            as_of=day,
            since=verdict.since,
            signals=len(statuses),
            failing=statuses.count(Status.UNHEALTHY),
            undecided=statuses.count(Status.INSUFFICIENT_DATA),
        )
    )


COMMAND = Command(
    name="watchdog_explain",
    line=LineName.WATCHDOG_EXPLAIN,
    description="Explain a day's verdict: counts, what was expected, the windows tried, what would have been fine.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
