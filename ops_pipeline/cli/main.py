"""The console script `ops-pipeline <tool> ...`: finds the tool and hands over."""

from __future__ import annotations

import importlib
import sys

from ops_pipeline.cli.catalogue import TOOLS
from ops_pipeline.cli.command import print_failure, print_text
from ops_pipeline.contract.lines import Line, LineName
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


REASON = "--reason="
COMPLETION = "--print-completion="
SHELLS = ("bash", "zsh", "tcsh")


def _help() -> str:
    tools = "\n".join(f"  {name:<22}{what}" for name, what in TOOLS.items())
    return (
        "usage: ops-pipeline <tool> [options]\n\n"
        "Is message delivery healthy, unhealthy, or is there too little data to say?\n\n"
        f"tools:\n{tools}\n\n"
        "ops-pipeline <tool> --help says what a tool prints, its exit codes and an example.\n"
        "ops-pipeline --reason=WORD says what a reason means and what to do next.\n"
        "ops-pipeline --version prints the version.\n"
        "ops-pipeline --print-completion=bash|zsh|tcsh prints a script that completes tools and options.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool that the first argument names; return its exit code."""
    tool, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if tool in TOOLS:
        try:
            exit_code: int = importlib.import_module(f"ops_pipeline.tools.{tool}").main(rest)
        except KeyboardInterrupt:  # before the tool could say so itself
            return _fail(Reason.INTERRUPTED)
        return exit_code
    text = _text(tool)
    return _fail(Reason.USAGE) if text is None else print_text(text)


def _text(asked: str) -> str | None:
    """Return what is printed where no tool is named; None: there is no such option."""
    if asked in ("--help", "-h"):
        return _help()
    if asked == "--version":
        from importlib.metadata import version

        return f"ops-pipeline {version('ops-pipeline')}\n"
    if reason := next((one for one in Reason if asked == f"{REASON}{one}"), None):
        return f"{reason}: {reason.means}\nNext: {reason.next_step}\n"
    if asked.startswith(COMPLETION) and asked.removeprefix(COMPLETION) in SHELLS:
        from ops_pipeline.cli.completion import completion

        return completion(asked.removeprefix(COMPLETION))
    return None


def _fail(reason: Reason) -> int:
    return print_failure(Line(LineName.OPS_PIPELINE, status=Label("fail"), reason=reason))


if __name__ == "__main__":
    sys.exit(main())
