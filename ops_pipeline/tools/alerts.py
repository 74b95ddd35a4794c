"""Tell people what is new: for those who run ops_daily without Dagster's daemon."""

from __future__ import annotations

import argparse
import sys
from datetime import UTC, datetime

from ops_pipeline.cli.command import Command
from ops_pipeline.contract import environment
from ops_pipeline.contract.days import check_askable, last_complete_day, parse_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, LineName, NagiosState, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.operations.prod_config import check_production

_EPILOG = """lines:
  alert kind=<kind> as_of=<day> reason=<token> since=<day>    one for each message that is due
  alerts status=ok mode=apply due=<n> sent=<n> addresses=<n>
  alerts status=ok mode=dry_run due=<n> sent=0 addresses=<n>
  alerts status=fail reason=alert_not_sent addresses=<n>     so many refused; later calls try them again
  alerts status=fail reason=<token>

due counts the messages that an address lacks: ops_daily has written some of them already. sent counts those that an
address has accepted now, each address counted. Dagster's daemon does all this every minute; call it yourself, after
ops_daily and then every few minutes, only where there is no daemon.

exit codes:
  0  nothing is due, or all of it was sent
  1  nobody is configured (but for --dry-run), an address has refused, or an error

examples:
  ops-pipeline alerts
  ops-pipeline alerts --dry-run
  ops-pipeline alerts --dry-run --as-of=2026-11-07
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_pipeline.health.alerts import Message
    from ops_pipeline.store.alerts import StoredMessage


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="say what is due, and send nothing")
    parser.add_argument("--as-of", metavar="DAY", help="as if this UTC day, YYYY-MM-DD, were yesterday")


def _run(arguments: argparse.Namespace, output: Output) -> int:
    check_production()
    yesterday = parse_day(arguments.as_of) if arguments.as_of is not None else last_complete_day()
    check_askable(yesterday, first=environment.first_kept_day())

    from ops_pipeline.operations.alerts import check_all_addresses, deliver, due_messages, note_all, recipients
    from ops_pipeline.orchestration.instance import configured_instance
    from ops_pipeline.orchestration.jobs import has_failed
    from ops_pipeline.report.alert_message import alert_line
    from ops_pipeline.store.alerts import read_unsent, waiting_messages
    from ops_pipeline.store.engine import ops_engine, reading
    from ops_pipeline.store.verify import verify_tables

    check_all_addresses()
    everybody = recipients()
    if not everybody and not arguments.dry_run:
        raise OpsError(Reason.MISSING_ENV, missing=(Name.OPS_ALERT_URLS,))
    engine, config = ops_engine(), environment.config()
    verify_tables(engine)
    with configured_instance() as instance:
        is_failed = has_failed(instance, yesterday)
    note = due_messages if arguments.dry_run else note_all
    new = note(engine, config, yesterday=yesterday, has_failed=is_failed)
    # Among them are the new ones, where these were written.
    with reading(engine) as connection:
        waiting = waiting_messages(connection, everybody, datetime.now(UTC))
    messages: list[Message | StoredMessage] = [*waiting, *(new if arguments.dry_run else ())]
    for message in messages:
        output.write(alert_line(message))
    sent = 0
    if not arguments.dry_run:
        sent = deliver(engine, config).sent
        with reading(engine) as connection:
            unsent = read_unsent(connection, datetime.now(UTC), everybody)
        # Also one that refused before and is left alone for a while.
        if unsent.addresses:
            raise OpsError(Reason.ALERT_NOT_SENT, addresses=unsent.addresses)
    return output.finish(
        Line(
            LineName.ALERTS,
            status=Label("ok"),
            mode=Label("dry_run" if arguments.dry_run else "apply"),
            due=len(messages),
            sent=sent,
            addresses=len(everybody),
        )
    )


COMMAND = Command(
    name="alerts",
    line=LineName.ALERTS,
    description="Tell people what is new, and whoever was not reached what they lack.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    nagios_failure=NagiosState.CRITICAL,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
