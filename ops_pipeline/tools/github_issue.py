"""The one issue that tells of failed runs: opened, commented on, closed. Standard library only.

It has to run where the installation of everything else has failed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import sys
from collections.abc import Iterator
from enum import StrEnum
from typing import Any

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.lines import NONE, Line, LineName, Output, Said
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Change, RunMode
from ops_pipeline.contract.words import Label
from ops_pipeline.tools.command import Command

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

_SECONDS = 30
_PAGE = 100
_MOST_CHARACTERS = 60_000
"""GitHub takes 65,536 characters."""
_REFUSED = (401, 403, 404, 410)
_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")


class Result(StrEnum):
    """How a job ended, in GitHub's words."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


class _Action(StrEnum):
    OPENED = "opened"
    COMMENTED = "commented"
    CLOSED = "closed"
    KEPT = "kept"
    NONE = "none"


class _Needed(StrEnum):
    """What GitHub sets, or is asked for."""

    GITHUB_REPOSITORY = "GITHUB_REPOSITORY"
    GITHUB_TOKEN = "GITHUB_TOKEN"  # noqa: S105 - a name


class _Repository:
    """The issues of a repository, by the REST API."""

    def __init__(self) -> None:
        repository = os.environ.get(_Needed.GITHUB_REPOSITORY, "")
        self._token = os.environ.get(_Needed.GITHUB_TOKEN, "")
        address = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
        missing = [name for name in _Needed if not os.environ.get(name)]
        if missing or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or not re.match("https?://", address):
            raise OpsError(Reason.MISSING_ENV, missing=tuple(missing) or (_Needed.GITHUB_REPOSITORY,))
        self._issues = f"{address}/repos/{repository}/issues"

    def find(self, title: str) -> tuple[int, str] | None:
        """Return number and text of our open issue with this title, the oldest if there are several."""
        found = (
            (_number(one), str(one.get("body")))
            for one in self._open()
            if one.get("title") == title and _is_trusted(one)
        )
        return min(found, default=None)

    def comments(self, number: int) -> list[str]:
        """Return the texts of an issue's comments."""
        return [str(one.get("body")) for one in self._pages(f"/{number}/comments?")]

    def open(self, title: str, body: str) -> int:
        """Open an issue and return its number."""
        return _number(self._ask("POST", "", {"title": title, "body": body}))

    def comment(self, number: int, body: str) -> None:
        """Comment on an issue."""
        self._ask("POST", f"/{number}/comments", {"body": body})

    def close(self, number: int) -> None:
        """Close an issue."""
        self._ask("PATCH", f"/{number}", {"state": "closed", "state_reason": "completed"})

    def _open(self) -> Iterator[dict[str, Any]]:
        return (one for one in self._pages("?state=open&") if "pull_request" not in one)

    def _pages(self, path: str) -> Iterator[dict[str, Any]]:
        for page in itertools.count(1):
            answer = self._ask("GET", f"{path}per_page={_PAGE}&page={page}")
            found = [one for one in answer if isinstance(one, dict)] if isinstance(answer, list) else []
            yield from found
            if len(found) < _PAGE:
                return

    def _ask(self, method: str, path: str, document: object = None) -> Any:
        """Return GitHub's answer. Raises OpsError `github_refused` or `github_unreachable`."""
        import http.client
        import urllib.error
        import urllib.request

        request = urllib.request.Request(  # noqa: S310 - checked
            self._issues + path,
            method=method,
            data=None if document is None else json.dumps(document).encode(),
            headers={
                "Accept": "application/vnd.github+json",
                "X-GitHub-Api-Version": "2022-11-28",
                "Content-Type": "application/json",
            },
        )
        # Not to be sent wherever the answer may lead.
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        reason = Reason.GITHUB_UNREACHABLE
        try:
            with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - checked
                return json.load(answer)
        except urllib.error.HTTPError as error:
            if error.code in _REFUSED:
                reason = Reason.GITHUB_REFUSED
        except (OSError, ValueError, http.client.HTTPException):
            pass
        raise OpsError(reason)


def _is_trusted(issue: dict[str, Any]) -> bool:
    """Return whether a workflow opened the issue, or a member: in a public repository anybody can use its title."""
    user = issue.get("user")
    is_bot = isinstance(user, dict) and user.get("type") == "Bot"
    return is_bot or issue.get("author_association") in _MEMBERS


def _number(issue: Any) -> int:
    """Return the number in what GitHub says of an issue. Raises OpsError `github_unreachable` where there is none."""
    number = issue.get("number") if isinstance(issue, dict) else None
    if type(number) is not int:
        raise OpsError(Reason.GITHUB_UNREACHABLE)
    return number


def is_over(lines: list[Said]) -> bool:
    """Return whether a run that succeeded ends what an issue tells of: no episode of bad days goes on."""
    verdicts = [line.fields for line in lines if line.name is LineName.OPS_DAILY_WATCHDOG]
    if not verdicts:
        return False
    if _mode(lines) == RunMode.SMOKE:
        return True
    return verdicts[-1].get("since") == NONE or verdicts[-1].get("change") == Change.RECOVERED


def _mode(lines: list[Said]) -> str | None:
    """Return how ops_daily ran, or None if it did not."""
    said = (line.fields for line in lines if line.name is LineName.OPS_DAILY)
    return next((str(fields["mode"]) for fields in said if "mode" in fields), None)


def _is_of_production(texts: list[str]) -> bool:
    """Return whether what was told before is of a strict run, or of one that lacked part of its configuration."""
    lines = [line for text in texts for line in map(Said.maybe, text.splitlines()) if line is not None]
    return any(
        line.fields.get("mode") == RunMode.STRICT
        or (line.name is LineName.PROD_CONFIG and line.fields.get("status") == "fail")
        for line in lines
    )


def _said(text: str) -> list[Said]:
    """Return the lines in a JSON list; what is no list holds none, and what is no line is left out."""
    try:
        texts = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = [Said.maybe(one) for one in texts if isinstance(one, str)] if isinstance(texts, list) else []
    return [line for line in found if line is not None]


def _body(result: Result, lines: list[Said]) -> str:
    """Return the text of an issue or comment: its lines, the first ones left out if they are too many."""
    run = os.environ.get("GITHUB_RUN_ID", "")
    fields: dict[str, object] = {
        "result": result,
        "run": int(run) if run.isascii() and run.isdigit() else None,
        "lines": len(lines),
    }
    if mode := _mode(lines):
        # Kept where the line that says so is one of too many.
        fields["mode"] = Label(mode)
    if not lines:
        fields["reason"] = Reason.NO_LINES
    texts = [str(line) for line in lines]
    while sum(len(text) + 1 for text in texts) > _MOST_CHARACTERS:
        del texts[0]
    return "\n".join(["```", str(Line(LineName.GITHUB_ISSUE, **fields)), *texts, "```"])


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
    result, lines = Result(arguments.result), _said(arguments.lines)
    repository = _Repository()
    title = f"{arguments.name} needs attention"
    number, told = repository.find(title) or (None, "")
    if result is not Result.SUCCESS:
        body = _body(result, lines)
        if number is None:
            action, number = _Action.OPENED, repository.open(title, body)
        else:
            action = _Action.COMMENTED
            repository.comment(number, body)
    elif number is None:
        action = _Action.NONE
    elif is_over(lines) and not (
        _mode(lines) == RunMode.SMOKE and _is_of_production([told, *repository.comments(number)])
    ):
        action = _Action.CLOSED
        repository.comment(number, _body(result, lines))
        repository.close(number)
    else:
        action = _Action.KEPT
    return output.decide(Line(LineName.GITHUB_ISSUE, status=Label("ok"), action=action, issue=number))


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
