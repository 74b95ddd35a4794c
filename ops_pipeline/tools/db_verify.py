"""Are the databases what this version needs? Changes nothing."""

from __future__ import annotations

import argparse
import sys

from ops_pipeline.cli.command import Command
from ops_pipeline.cli.timeout import add_timeout, run_within
from ops_pipeline.contract.environment import Name, value
from ops_pipeline.contract.lines import Line, LineName, NagiosState, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

_EPILOG = """lines:
  db_verify status=ok revision=<id> tables=<n> partitions_until=<day> access=read_write | read_only
      warnings=<token,...>     (one line; of the database: db_read_only, excess_privilege, dagster_storage_missing;
      of past days: day_shrank, uncounted_events, events_relation_invalid, events_relation_failed,
      days_not_compared, days_missing)
  db_verify status=not_configured reason=missing_dsn
  db_verify status=fail reason=<token>
  db_verify status=fail reason=db_connect_failed
      cause=refused | dns | auth | tls | timeout | database_missing | other dsn=<NAME>     (one line)

exit codes:
  0  the databases are as they should be, or none is configured (safe in CI)
  1  they are not; the reason says how
  with --format=nagios: 0 ok, 1 ok with warnings, 2 not ok, 3 not configured or a wrong command line

example:
  ops-pipeline db_verify --timeout=10
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    # The databases are those that the environment names: no other can be verified by mistake.
    add_timeout(parser)
    parser.add_argument("--with-dagster", action="store_true", help="Dagster's own tables must be there too")


def _run(arguments: argparse.Namespace, output: Output) -> int:
    if value(Name.OPS_POSTGRES_DSN) is None:
        line = Line(LineName.DB_VERIFY, status=Label("not_configured"), reason=Reason.MISSING_DSN)
        return output.finish(line)

    def verify() -> Line:
        from ops_pipeline.events.verify import verify_deployment

        return verify_deployment(needs_dagster=arguments.with_dagster, limit_seconds=arguments.timeout).line()

    return output.finish(run_within(arguments.timeout, verify))


COMMAND = Command(
    name="db_verify",
    line=LineName.DB_VERIFY,
    description="Compare the ops database with what this version needs; look for events relation and partitions.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    nagios_failure=NagiosState.CRITICAL,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
