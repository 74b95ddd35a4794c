"""Count and judge past days: a first installation on old events, a corrected source, events that were very late."""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from ops_pipeline.cli.command import Command
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import check_askable, last_complete_day, parse_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Format, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.waits import retried
from ops_pipeline.operations.prod_config import check_production

_EPILOG = """lines:
  backfill_days first_day=<day> last_day=<day> days=<n> events=<n> kept=<n> unhealthy=<n>     one for every 31 days
  backfill status=ok first_day=<day> last_day=<day> days=<n> events=<n> kept=<n> unhealthy=<n>
  backfill status=fail reason=<token>
  uncounted=<n> says of how many days a row could not be counted: they are left out, and doctor names them.

Days that were done before are left as they are, so that an interrupted backfill goes on where it was; --again does
all of them anew. Each line is a part that stays done, whatever happens to the rest. A day whose events are gone keeps
its counts (kept); so does one that lost more events than [schedule] shrink allows, unless --accept-shrink. Dagster
shows the days as materialised, with the results of their checks. Nobody is told of the past.

exit codes:
  0  done; unhealthy days of the past are no failure
  1  an error

examples:
  ops-pipeline backfill --from=2026-01-01
  ops-pipeline backfill --from=2026-11-01 --to=2026-11-07 --again
  ops-pipeline backfill --missing                       the scheduler was down for long
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--from", dest="first", metavar="DAY", help="first UTC day, YYYY-MM-DD")
    which.add_argument(
        "--missing", action="store_true", help="from the first day that has a verdict: the days that never got one"
    )
    parser.add_argument("--to", dest="last", metavar="DAY", help="last UTC day (default: the last complete one)")
    parser.add_argument("--again", action="store_true", help="do days again that were done before")
    parser.add_argument(
        "--accept-shrink",
        action="store_true",
        help="replace the counts of days that lost events since they were counted (day_shrank)",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    first = None if arguments.first is None else parse_day(arguments.first)
    last = parse_day(arguments.last) if arguments.last is not None else last_complete_day()
    check_production()
    for day in (first, last):
        if day is not None:
            check_askable(day, first=environment.first_kept_day())
    if first is not None and first > last:
        raise OpsError(Reason.USAGE, option=Label("from"))

    from tqdm import tqdm

    from ops_pipeline.operations.publish import EventsSource
    from ops_pipeline.orchestration.backfill import backfill
    from ops_pipeline.orchestration.instance import configured_instance
    from ops_pipeline.store.engine import events_engine, ops_engine, reading
    from ops_pipeline.store.results import first_judged_day
    from ops_pipeline.store.verify import verify_tables

    retried(lambda: verify_tables(ops_engine()))
    if first is None:
        with reading(ops_engine()) as connection:
            first = max(first_judged_day(connection) or last, environment.first_kept_day())
    source = EventsSource(engine=events_engine(), relation=environment.required_value(Name.OPS_EVENTS_RELATION))
    total = {"days": 0, "events": 0, "kept": 0, "unhealthy": 0, "uncounted": 0}
    shows_progress = output.form is Format.LINE and not output.is_quiet
    with (
        configured_instance() as instance,
        # None: only where standard error is a terminal.
        tqdm(
            total=(last - first).days + 1, unit=" days", leave=False, disable=None if shows_progress else True
        ) as bar,
    ):
        for filled in backfill(
            instance,
            ops_engine(),
            source,
            first,
            last,
            environment.config(),
            again=arguments.again,
            accepts_shrink=arguments.accept_shrink,
        ):
            found = asdict(filled)
            span = {"first_day": found.pop("first"), "last_day": found.pop("last")}
            total = {key: total[key] + found[key] for key in total}
            bar.update((filled.last - filled.first).days + 1)
            output.write(Line(LineName.BACKFILL_DAYS, **span, **_shown(found)))
    if total["uncounted"]:
        raise OpsError(Reason.DAYS_NOT_COUNTED, **total)
    line = Line(LineName.BACKFILL, status=Label("ok"), first_day=first, last_day=last, **_shown(total))
    return output.finish(line)


def _shown(figures: dict[str, int]) -> dict[str, int]:
    return {name: figure for name, figure in figures.items() if figure or name != "uncounted"}


COMMAND = Command(
    name="backfill",
    line=LineName.BACKFILL,
    description="Count and judge past days, in few statements and without alarming anybody.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
