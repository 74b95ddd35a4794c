"""Drop what is past its date: events, counts, runs. A dry run unless --apply."""

from __future__ import annotations

import argparse
import sys

from ops_pipeline.cli.command import Command
from ops_pipeline.contract.lines import ExitCode, LineName, Output
from ops_pipeline.operations.prod_config import check_production

_EPILOG = """lines:
  retention_expired kind=events keep_days=<n> expired=<n> oldest=<day> dropped=<n> kept=<n> late=<n>
  retention_expired kind=counts | runs keep_days=<n> expired=<n> oldest=<day> dropped=<n> kept=0
  retention status=ok mode=dry_run | apply dropped=<n> kept_days=<n> counts=<n> runs=<n>
  retention status=fail reason=not_rolled_up days=<n> oldest=<day>    these days were kept; the others are done
  retention status=fail reason=<token>

past counts days that are past their date (of kind=runs: runs), dropped those that went, held those that were kept
because they hold events that are not in the daily counts. late counts events of days past their date that have no
partition: they came in after their day was dropped, and are left to you.

exit codes:
  0  done, or nothing to do
  1  nothing configured, a day was kept, or an error

examples:
  ops-pipeline retention                 what would go
  ops-pipeline retention --apply         let it go
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--apply", action="store_true", help="do it; without, it is only said")


def _run(arguments: argparse.Namespace, output: Output) -> int:
    check_production()

    from ops_pipeline.orchestration.retention import RetentionMode, retain
    from ops_pipeline.store.engine import ops_engine
    from ops_pipeline.store.verify import verify_tables

    verify_tables(ops_engine())
    for line in retain(RetentionMode.APPLY if arguments.apply else RetentionMode.DRY_RUN):
        if line.name is LineName.RETENTION:
            return output.finish(line)
        output.write(line)
    return ExitCode.FAILED


COMMAND = Command(
    name="retention",
    line=LineName.RETENTION,
    description="Say what is past its date, and with --apply drop it: event partitions, counts, runs.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
