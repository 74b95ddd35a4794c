"""Bring the ops database to the newest revision, or check the revisions without any database."""

from __future__ import annotations

import argparse
import sys

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import ExitCode, Line, LineName, emit
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Label
from ops_pipeline.tools.command import Command

APPLY = "apply_migrations"

_EPILOG = """lines:
  db_bootstrap_dry_run status=ok migrations=<n>
  db_bootstrap_dry_run status=fail reason=<token>
  db_bootstrap status=ok mode=apply_migrations applied=<n> skipped=<n>
  db_bootstrap status=fail mode=apply_migrations reason=<token>

exit codes:
  0  done
  1  not done; the reason says why, and what was applied before stays applied

examples:
  ops-pipeline db_bootstrap --dry-run            needs no database
  ops-pipeline db_bootstrap apply_migrations     on the database OPS_POSTGRES_DSN names; safe to run again
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mode", nargs="?", choices=(APPLY,), help="what to do")
    parser.add_argument("--dry-run", action="store_true", help="check the revisions; no database needed")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.dry_run == bool(arguments.mode):
        raise OpsError(Reason.USAGE)
    from ops_pipeline.store import migrate
    from ops_pipeline.store.engine import ops_engine

    if arguments.dry_run:
        line = Line(LineName.DB_BOOTSTRAP_DRY_RUN, status=Label("ok"), migrations=migrate.dry_run())
    else:
        done = migrate.apply_migrations(ops_engine())
        line = Line(
            LineName.DB_BOOTSTRAP,
            status=Label("ok"),
            mode=Label(APPLY),
            applied=done.applied,
            skipped=done.skipped,
        )
    emit(line, as_json=arguments.json)
    return ExitCode.OK


def _failure_line(arguments: argparse.Namespace) -> tuple[LineName, dict[str, object]]:
    if arguments.dry_run and not arguments.mode:
        return LineName.DB_BOOTSTRAP_DRY_RUN, {}
    return LineName.DB_BOOTSTRAP, {"mode": Label(arguments.mode)} if arguments.mode else {}


COMMAND = Command(
    name="db_bootstrap",
    line=LineName.DB_BOOTSTRAP,
    description="Create or upgrade the ops database; each revision in its own transaction, under a lock.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    failure_line=_failure_line,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
