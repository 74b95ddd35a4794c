"""Bring the ops database to the newest revision, say what that would do, undo it, or check the revisions alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops_pipeline.cli.arguments import whole_number
from ops_pipeline.cli.command import Command
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import write_whole
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.operations import bootstrap
from ops_pipeline.store.limits import LOCK_WAIT_SECONDS

APPLY, PLAN, DOWNGRADE = bootstrap.APPLY_MIGRATIONS, Label("plan"), Label("downgrade")

_EPILOG = """lines:
  db_bootstrap_dry_run status=ok migrations=<n>
  db_bootstrap_dry_run status=fail reason=<token> [revision=<id>]
  db_bootstrap status=ok mode=apply_migrations applied=<n> skipped=<n> [dagster=ready]
  db_bootstrap status=ok mode=plan revision=<id> pending=<n> revisions=<id,...> partitions=<n>
  db_bootstrap status=ok mode=downgrade revision=<id> undone=<n>
  db_bootstrap status=fail mode=<mode> reason=<token> [revision=<id>] [sqlstate=<code>]

exit codes:
  0  done
  1  not done; the reason says why, and what was applied before stays applied

examples:
  ops-pipeline db_bootstrap --dry-run                     needs no database
  ops-pipeline db_bootstrap plan --out plan.sql           what apply_migrations would do; changes nothing
  ops-pipeline db_bootstrap apply_migrations              on the database of OPS_POSTGRES_DSN; safe to run again
  ops-pipeline db_bootstrap downgrade --to 0003 --yes     undo what came after revision 0003, with its data
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mode", nargs="?", choices=(APPLY, PLAN, DOWNGRADE), help="what to do")
    parser.add_argument("--dry-run", action="store_true", help="check the revisions; no database needed")
    parser.add_argument(
        "--lint", action="store_true", help="with --dry-run: refuse SQL that locks others out for long"
    )
    parser.add_argument("--with-dagster", action="store_true", help="with apply_migrations: Dagster's own tables too")
    parser.add_argument(
        "--wait",
        type=whole_number(0),
        default=LOCK_WAIT_SECONDS,
        metavar="SECONDS",
        help=f"how long to wait for another bootstrap to end (default: {LOCK_WAIT_SECONDS})",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="with plan: where its SQL goes (default: db_bootstrap_plan.sql)"
    )
    parser.add_argument("--to", metavar="REV", help="with downgrade: the revision to go back to, or base")
    parser.add_argument("--yes", action="store_true", help="with downgrade: yes, delete those tables")


def _belongs_together(arguments: argparse.Namespace) -> bool:
    mode = arguments.mode
    return (
        arguments.dry_run == (mode is None)
        and (arguments.dry_run or not arguments.lint)
        and (mode == APPLY or not arguments.with_dagster)
        and (mode == PLAN or arguments.out is None)
        and (mode == DOWNGRADE) == (arguments.to is not None)
        and (mode == DOWNGRADE or not arguments.yes)
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    if not _belongs_together(arguments):
        raise OpsError(Reason.USAGE)
    if arguments.dry_run:
        return output.finish(bootstrap.dry_run(lints=arguments.lint))
    return output.finish({APPLY: _apply, PLAN: _plan, DOWNGRADE: _downgrade}[arguments.mode](arguments))


def _apply(arguments: argparse.Namespace) -> Line:
    return bootstrap.apply(
        lock_wait_seconds=arguments.wait, prepare=_make_dagsters_tables if arguments.with_dagster else None
    )


def _make_dagsters_tables() -> None:
    from ops_pipeline.orchestration.instance import bootstrap_storage

    bootstrap_storage()


def _plan(arguments: argparse.Namespace) -> Line:
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import plan

    planned = plan(ops_engine())
    write_whole(arguments.out or Path("db_bootstrap_plan.sql"), planned.sql)
    return _done(
        PLAN,
        revision=planned.current,
        pending=len(planned.pending),
        revisions=planned.pending,
        partitions=planned.partitions,
    )


def _downgrade(arguments: argparse.Namespace) -> Line:
    from ops_pipeline.contract.tokens import RevisionId
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import BASE, downgrade

    if not arguments.yes:
        raise OpsError(Reason.NOT_CONFIRMED)
    undone = downgrade(ops_engine(), arguments.to, lock_wait_seconds=arguments.wait)
    return _done(DOWNGRADE, revision=None if arguments.to == BASE else RevisionId(arguments.to), undone=undone)


def _done(mode: Label, **fields: object) -> Line:
    return Line(LineName.DB_BOOTSTRAP, status=Label("ok"), mode=mode, **fields)


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
