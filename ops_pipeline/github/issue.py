"""The one issue that tells of failed runs: what it holds, and when it is over."""

from __future__ import annotations

import json
import os
from enum import StrEnum

from ops_pipeline.contract.lines import NONE, Line, LineName, ParsedLine
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.contract.vocabulary import Change, RunMode

_MOST_CHARACTERS = 60_000
"""GitHub takes 65,536 characters."""


class Result(StrEnum):
    """How a job ended, in GitHub's words."""

    SUCCESS = "success"
    FAILURE = "failure"
    CANCELLED = "cancelled"
    SKIPPED = "skipped"


def is_over(lines: list[ParsedLine]) -> bool:
    """Return whether a run that succeeded ends what an issue tells of: no episode of bad days goes on."""
    verdicts = [line.fields for line in lines if line.name is LineName.OPS_DAILY_WATCHDOG]
    if not verdicts:
        return False
    if run_mode(lines) == RunMode.SMOKE:
        return True
    return verdicts[-1].get("since") == NONE or verdicts[-1].get("change") == Change.RECOVERED


def run_mode(lines: list[ParsedLine]) -> str | None:
    """Return how ops_daily ran, or None if it did not."""
    said = (line.fields for line in lines if line.name is LineName.OPS_DAILY)
    return next((str(fields["mode"]) for fields in said if "mode" in fields), None)


def tells_of_production(texts: list[str]) -> bool:
    """Return whether what was told before is of a strict run, or of one that lacked part of its configuration."""
    lines = [line for text in texts for line in map(ParsedLine.or_none, text.splitlines()) if line is not None]
    return any(
        line.fields.get("mode") == RunMode.STRICT
        or (line.name is LineName.PROD_CONFIG and line.fields.get("status") == "fail")
        for line in lines
    )


def parsed_lines(text: str) -> list[ParsedLine]:
    """Return the lines in a JSON list; what is no list holds none, and what is no line is left out."""
    try:
        texts = json.loads(text)
    except (ValueError, RecursionError):
        return []
    found = [ParsedLine.or_none(one) for one in texts if isinstance(one, str)] if isinstance(texts, list) else []
    return [line for line in found if line is not None]


def issue_text(result: Result, lines: list[ParsedLine]) -> str:
    """Return the text of an issue or comment: its lines, the first ones left out if they are too many."""
    run = os.environ.get("GITHUB_RUN_ID", "")
    fields: dict[str, object] = {
        "result": result,
        "run": int(run) if run.isascii() and run.isdigit() else None,
        "lines": len(lines),
    }
    if mode := run_mode(lines):
        # Kept where the line that says so is one of too many.
        fields["mode"] = Label(mode)
    if not lines:
        fields["reason"] = Reason.NO_LINES
    texts = [str(line) for line in lines]
    while sum(len(text) + 1 for text in texts) > _MOST_CHARACTERS:
        del texts[0]
    return "\n".join(["```", str(Line(LineName.GITHUB_ISSUE, **fields)), *texts, "```"])
