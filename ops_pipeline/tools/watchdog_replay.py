"""What the rule would have said over stored history, and what another configuration would have said."""

from __future__ import annotations

import argparse
import sys
from datetime import date
from pathlib import Path

from ops_pipeline.cli.command import Command
from ops_pipeline.cli.database import add_database, chosen_database
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import ONE_DAY, check_askable, last_complete_day, parse_day
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Format, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_pipeline.contract.config import Thresholds
    from ops_pipeline.health import DayCounts, Verdict

_EPILOG = """lines (each is one line):
  watchdog_replay_days rule=present | candidate healthy=<n> insufficient_data=<n> unhealthy=<n> episodes=<n>
  watchdog_replay_episode rule=present | candidate first_day=<day> last_day=<day> unhealthy=<n> reasons=<token,...>
  watchdog_replay_difference as_of=<day> present=<status> present_reason=<token> candidate=<status>
      candidate_reason=<token>
  watchdog_replay status=ok first_day=<day> last_day=<day> days=<n> differing=<n>
  Without --config there is no candidate, and nothing differs.

It reads the stored daily counts and changes nothing: the verdicts that were given stay as they are. It ends with the
last day that was counted.

exit codes:
  0  it was replayed, whatever the verdicts are
  1  an error: watchdog_replay status=fail reason=<token>

examples:
  ops-pipeline watchdog_replay --from=2026-05-01
  ops-pipeline watchdog_replay --from=2026-05-01 --config=candidate.toml --report=replay.html
"""

_YEAR_DAYS = 365


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--from", dest="first", metavar="DAY", help="first UTC day (default: a year before --to)")
    parser.add_argument("--to", dest="last", metavar="DAY", help="last UTC day (default: the last complete one)")
    parser.add_argument("--config", type=Path, metavar="FILE", help="a configuration file to compare with")
    parser.add_argument("--report", type=Path, metavar="FILE", help="write a page with a plot of it (HTML)")
    add_database(parser)


def _run(arguments: argparse.Namespace, output: Output) -> int:
    last = parse_day(arguments.last) if arguments.last is not None else last_complete_day()
    asked = parse_day(arguments.first) if arguments.first is not None else None
    with chosen_database(arguments):
        return _replay_and_compare(arguments, asked, last, output)


def _replay_and_compare(arguments: argparse.Namespace, asked: date | None, last: date, output: Output) -> int:
    first = asked or max(last - (_YEAR_DAYS - 1) * ONE_DAY, environment.first_kept_day())
    check_askable(last, first=environment.first_kept_day())
    check_askable(first, first=environment.first_kept_day())
    if first > last:
        raise OpsError(Reason.USAGE, option=Label("from"))

    from ops_pipeline.contract.config import load_config
    from ops_pipeline.health.replay import days_per_status, differing, episodes
    from ops_pipeline.store.daily_counts import read_days
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.verify import verify_tables

    rules = {Label("present"): environment.config().thresholds}
    if arguments.config is not None:
        rules[Label("candidate")] = load_config(arguments.config).thresholds
    verify_tables(ops_engine())
    with reading(ops_engine()) as connection:
        # All of them: an episode may have begun long ago.
        days = read_days(connection, date.min, last)
    # Days that nobody has counted yet are not days without traffic.
    last = max((counted.day for counted in days), default=first - ONE_DAY)
    if last < first:
        raise OpsError(Reason.NOT_JUDGED)
    shows_progress = output.form is Format.LINE and not output.is_quiet
    verdicts = {
        rule: _replayed(rule, days, first, last, thresholds, shows_progress=shows_progress)
        for rule, thresholds in rules.items()
    }
    for rule, found in verdicts.items():
        counts = {status.value: number for status, number in days_per_status(found).items()}
        output.write(Line(LineName.WATCHDOG_REPLAY_DAYS, rule=rule, **counts, episodes=len(episodes(found))))
    for rule, found in verdicts.items():
        for episode in episodes(found):
            output.write(
                Line(
                    LineName.WATCHDOG_REPLAY_EPISODE,
                    rule=rule,
                    first_day=episode.first,
                    last_day=episode.last,
                    unhealthy=episode.days,
                    reasons=episode.reasons,
                )
            )
    present, candidate = next(iter(verdicts.values())), list(verdicts.values())[-1]
    differences = differing(present, candidate)
    for before, after in differences:
        output.write(
            Line(
                LineName.WATCHDOG_REPLAY_DIFFERENCE,
                as_of=before.as_of,
                present=before.status,
                present_reason=before.reason,
                candidate=after.status,
                candidate_reason=after.reason,
            )
        )
    if arguments.report is not None:
        from ops_pipeline.report.replay_page import write_replay_page

        write_replay_page(arguments.report, verdicts)
    return output.finish(
        Line(
            LineName.WATCHDOG_REPLAY,
            status=Label("ok"),
            first_day=first,
            last_day=last,
            days=len(present),
            differing=len(differences),
        )
    )


def _replayed(
    rule: Label, days: list[DayCounts], first: date, last: date, thresholds: Thresholds, *, shows_progress: bool
) -> list[Verdict]:
    from tqdm import tqdm

    from ops_pipeline.health.replay import replay

    found: list[Verdict] = []
    # None: only where standard error is a terminal.
    with tqdm(
        total=(last - first).days + 1,
        unit=" days",
        desc=f"replay {rule}",
        leave=False,
        disable=None if shows_progress else True,
    ) as bar:
        for some in replay(days, first, last, thresholds):
            found += some
            bar.update(len(some))
    return found


COMMAND = Command(
    name="watchdog_replay",
    line=LineName.WATCHDOG_REPLAY,
    description="Replay the rule over stored history, the present configuration against a candidate.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
