"""Is production configured? Names only. Where a name is missing, it needs the standard library alone."""

from __future__ import annotations

import argparse
import sys

from ops_pipeline.cli.command import Command
from ops_pipeline.contract import environment
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.operations.prod_config import check_production

_EPILOG = """lines:
  prod_config status=ok required=<n>
  prod_config status=not_configured reason=prod_not_configured missing=<NAME,...>   (--mode=ci only)
  prod_config status=fail reason=missing_env missing=<NAME,...>
  prod_config status=fail reason=invalid_env invalid=<NAME,...> part=<part,...>
  prod_config status=fail reason=invalid_config line=<n> key=<section.key> expected=<word>

  part: scheme, host, port, database, password, tls, parameter, relation, day or address, one for each name.

exit codes:
  0  everything required is set and plausible, or, with --mode=ci, nothing is set at all
  1  something is missing or cannot work

example:
  ops-pipeline prod_config_contract --mode=prod_required
"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--mode",
        choices=("prod_required", "ci"),
        default="prod_required",
        help="prod_required: all required names must be set; ci: setting none of them is fine too",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    if arguments.mode == "ci" and not environment.is_prod_configured():
        line = Line(
            LineName.PROD_CONFIG,
            status=Label("not_configured"),
            reason=Reason.PROD_NOT_CONFIGURED,
            missing=environment.missing_names(),
        )
        return output.finish(line)
    return output.finish(Line(LineName.PROD_CONFIG, status=Label("ok"), required=check_production()))


COMMAND = Command(
    name="prod_config_contract",
    line=LineName.PROD_CONFIG,
    description="Check that production is configured, without connecting anywhere. Prints names, never values.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    uses_libraries=False,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
