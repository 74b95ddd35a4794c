"""Is the ops database what this version needs? Changes nothing."""

from __future__ import annotations

import argparse
import sys

from ops_pipeline.contract.environment import Name, value
from ops_pipeline.contract.lines import ExitCode, Line, LineName, emit
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Label
from ops_pipeline.tools.command import Command

_EPILOG = """lines:
  db_verify status=ok revision=<n> tables=<n>
  db_verify status=not_configured reason=missing_dsn
  db_verify status=fail reason=<token>

exit codes:
  0  the database is as it should be, or none is configured (safe in CI)
  1  it is not; the reason says how

example:
  ops-pipeline db_verify
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    del parser  # the database is the one OPS_POSTGRES_DSN names: no other can be verified by mistake


def _run(arguments: argparse.Namespace) -> int:
    if value(Name.OPS_POSTGRES_DSN) is None:
        line = Line(LineName.DB_VERIFY, status=Label("not_configured"), reason=Reason.MISSING_DSN)
        emit(line, as_json=arguments.json)
        return ExitCode.OK
    from ops_pipeline.events.relation import find_relation
    from ops_pipeline.store.engine import events_engine, ops_engine, reading
    from ops_pipeline.store.verify import verify

    found = verify(ops_engine())
    with reading(events_engine()) as connection:
        find_relation(connection, value(Name.OPS_EVENTS_RELATION) or "")
    line = Line(LineName.DB_VERIFY, status=Label("ok"), revision=found.revision, tables=found.tables)
    emit(line, as_json=arguments.json)
    return ExitCode.OK


COMMAND = Command(
    name="db_verify",
    line=LineName.DB_VERIFY,
    description="Compare the ops database with what this version needs, and look for the events relation.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
