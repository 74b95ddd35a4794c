"""The one issue that tells of failed runs: opened, commented on, closed. Standard library only.

It has to run where the installation of everything else has failed.
"""

from __future__ import annotations

import argparse
import sys
from enum import StrEnum

from ops_pipeline.cli.command import Command
from ops_pipeline.contract.lines import Line, LineName, Output
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import RunMode
from ops_pipeline.github.issue import Result, is_over, issue_text, parsed_lines, run_mode, tells_of_production
from ops_pipeline.github.repository import Repository

_EPILOG = """what it does, with the issue of the repository GITHUB_REPOSITORY whose title is `<name> needs attention`:
  the run did not succeed                       opens it, or comments on it if it is open
  the run succeeded and no episode is open      says so and closes it, if it is open
  the run succeeded within an episode           leaves it as it is: an episode ends with the second healthy day
  a smoke run succeeded                         closes it, unless it tells of production, which nobody looked at

An issue holds lines and nothing else: what does not read as a line is left out.

lines:
  github_issue status=ok action=opened|commented|closed|kept|none issue=<n>
  github_issue status=fail reason=github_refused | github_unreachable | missing_env

exit codes:
  0  it was done, or there was nothing to do
  1  it was not; nobody was told

GITHUB_TOKEN needs `issues: write`.

examples:
  ops-pipeline github_issue --result="$RESULT" --lines="$LINES"
  python3 -P -m ops_pipeline.tools.github_issue --result=failure     the same, where nothing is installed
"""


class _Action(StrEnum):
    OPENED = "opened"
    COMMENTED = "commented"
    CLOSED = "closed"
    KEPT = "kept"
    NONE = "none"


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--result",
        choices=[result.value for result in Result],
        required=True,
        help="how the job ended that runs ops_daily",
    )
    parser.add_argument("--lines", default="", metavar="JSON", help="the output `lines` of github_run")
    parser.add_argument(
        "--name",
        type=Label,
        default=Label("ops_daily"),
        metavar="LABEL",
        help="what the title begins with (default: ops_daily); one for each service that is watched",
    )


def _run(arguments: argparse.Namespace, output: Output) -> int:
    result, lines = Result(arguments.result), parsed_lines(arguments.lines)
    repository = Repository()
    title = f"{arguments.name} needs attention"
    number, told = repository.find(title) or (None, "")
    if result is not Result.SUCCESS:
        body = issue_text(result, lines)
        if number is None:
            action, number = _Action.OPENED, repository.open(title, body)
        else:
            action = _Action.COMMENTED
            repository.comment(number, body)
    elif number is None:
        action = _Action.NONE
    elif is_over(lines) and not (
        run_mode(lines) == RunMode.SMOKE and tells_of_production([told, *repository.comments(number)])
    ):
        action = _Action.CLOSED
        repository.comment(number, issue_text(result, lines))
        repository.close(number)
    else:
        action = _Action.KEPT
    return output.finish(Line(LineName.GITHUB_ISSUE, status=Label("ok"), action=action, issue=number))


COMMAND = Command(
    name="github_issue",
    line=LineName.GITHUB_ISSUE,
    description="Open, comment on or close the one issue of the repository that tells of failed runs.",
    epilog=_EPILOG,
    add_arguments=_add_arguments,
    run=_run,
    uses_libraries=False,
)
main = COMMAND.main


if __name__ == "__main__":
    sys.exit(main())
