"""Bring the ops database to the newest revision, say what that would do, undo it, or check the revisions alone."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.words import Label
from ops_pipeline.tools.command import Command

APPLY, PLAN, DOWNGRADE = "apply_migrations", "plan", "downgrade"

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


def _whole_number(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError
    return int(text)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("mode", nargs="?", choices=(APPLY, PLAN, DOWNGRADE), help="what to do")
    parser.add_argument("--dry-run", action="store_true", help="check the revisions; no database needed")
    parser.add_argument(
        "--lint", action="store_true", help="with --dry-run: refuse SQL that locks others out for long"
    )
    parser.add_argument("--with-dagster", action="store_true", help="with apply_migrations: Dagster's own tables too")
    parser.add_argument(
        "--wait",
        type=_whole_number,
        default=60,
        metavar="SECONDS",
        help="how long to wait for another bootstrap to end (default: 60)",
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
        from ops_pipeline.store.revisions import check_revisions

        migrations = len(check_revisions(lints=arguments.lint))
        return output.decide(Line(LineName.DB_BOOTSTRAP_DRY_RUN, status=Label("ok"), migrations=migrations))
    fields = {APPLY: _apply, PLAN: _plan, DOWNGRADE: _downgrade}[arguments.mode](arguments)
    return output.decide(Line(LineName.DB_BOOTSTRAP, status=Label("ok"), mode=Label(arguments.mode), **fields))


def _apply(arguments: argparse.Namespace) -> dict[str, object]:
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import apply_migrations

    done = apply_migrations(ops_engine(), lock_wait_seconds=arguments.wait)
    fields: dict[str, object] = {"applied": done.applied, "skipped": done.skipped}
    if arguments.with_dagster:
        from ops_pipeline.orchestration.instance import bootstrap_storage

        bootstrap_storage()
        fields["dagster"] = Label("ready")
    return fields


def _plan(arguments: argparse.Namespace) -> dict[str, object]:
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import plan

    planned = plan(ops_engine())
    _write_whole(arguments.out or Path("db_bootstrap_plan.sql"), planned.sql)
    return {
        "revision": planned.current,
        "pending": len(planned.pending),
        "revisions": planned.pending,
        "partitions": planned.partitions,
    }


def _downgrade(arguments: argparse.Namespace) -> dict[str, object]:
    from ops_pipeline.contract.words import RevisionId
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.migrate import BASE, downgrade

    if not arguments.yes:
        raise OpsError(Reason.NOT_CONFIRMED)
    undone = downgrade(ops_engine(), arguments.to, lock_wait_seconds=arguments.wait)
    return {"revision": None if arguments.to == BASE else RevisionId(arguments.to), "undone": undone}


def _write_whole(path: Path, text: str) -> None:
    """Write the file as a whole or not at all. Raises OpsError `file_not_written`."""
    part = path.with_name(f"{path.name}.part")
    try:
        part.write_text(text, encoding="utf-8")
        part.replace(path)
    except OSError:
        pass
    else:
        return
    raise OpsError(Reason.FILE_NOT_WRITTEN)


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
