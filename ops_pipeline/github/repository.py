"""The issues of a repository, by GitHub's REST API."""

from __future__ import annotations

import itertools
import json
import os
import re
import time
from collections.abc import Iterator
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.within import within

if TYPE_CHECKING:
    from urllib.request import Request

_SECONDS = 30
"""For everything that is asked, however slowly an answer comes."""
_MOST_BYTES = 1 << 25
_PAGE = 100
_REFUSED = (401, 403, 404, 410)
_MEMBERS = ("OWNER", "MEMBER", "COLLABORATOR")


class RequiredName(StrEnum):
    """What GitHub sets, or is asked for."""

    GITHUB_REPOSITORY = "GITHUB_REPOSITORY"
    GITHUB_TOKEN = "GITHUB_TOKEN"  # noqa: S105 - a name


class Repository:
    """The issues of a repository, by the REST API."""

    def __init__(self) -> None:
        repository = os.environ.get(RequiredName.GITHUB_REPOSITORY, "")
        self._token = os.environ.get(RequiredName.GITHUB_TOKEN, "")
        address = os.environ.get("GITHUB_API_URL") or "https://api.github.com"
        missing = [name for name in RequiredName if not os.environ.get(name)]
        if missing or not re.fullmatch(r"[\w.-]+/[\w.-]+", repository) or not re.match("https?://", address):
            raise OpsError(Reason.MISSING_ENV, missing=tuple(missing) or (RequiredName.GITHUB_REPOSITORY,))
        self._issues = f"{address}/repos/{repository}/issues"
        self._end = time.monotonic() + _SECONDS

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
        remaining = max(0.0, self._end - time.monotonic())
        return within(remaining, lambda: _answer(request), Reason.GITHUB_UNREACHABLE)


def _answer(request: Request) -> Any:
    import http.client
    import urllib.error
    import urllib.request

    reason = Reason.GITHUB_UNREACHABLE
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:  # noqa: S310 - checked
            # What is cut off is no JSON.
            return json.loads(answer.read(_MOST_BYTES))
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
