"""The console script `ops-pipeline <tool> ...`: finds the tool and hands over."""

from __future__ import annotations

import importlib
import sys

from ops_pipeline.contract.lines import ExitCode, Line, LineName, Output
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.words import Label

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ops_pipeline.tools.command import Command

TOOLS = {
    "demo": "see it work: embedded PostgreSQL, sample traffic, one day's lines",
    "ui": "the Dagster UI on the demo database",
    "prod_config_contract": "is production configured? names only",
    "db_bootstrap": "create or upgrade the ops database",
    "db_verify": "is the ops database as it should be?",
    "events": "import event files, or write sample traffic",
    "ops_daily": "a day's figures and verdict",
    "backfill": "count and judge past days, without alarming anybody",
    "watchdog_explain": "why a day's verdict is what it is",
    "watchdog_replay": "what the rule would have said, and what another configuration would have",
    "retention": "drop what is past its date: events, counts, runs",
    "report": "one page of a day and the weeks before it, to mail or publish",
    "metrics": "the last decided day as samples for Prometheus",
    "heartbeat_check": "is the scheduler dead? asks the database, from anywhere",
    "selftest": "does the alarm ring? sets it off on purpose",
    "prod_verify": "is production in order? step by step, with a strict ops_daily",
    "doctor": "everything that a ticket needs, safe to paste",
    "ops_ci_normalize": "keep a scheduled run green when it merely had too little data",
    "github_run": "a day's run on GitHub: contract, ops_daily, summary, report, guard",
    "github_issue": "open, comment on or close the one issue that tells of failed runs",
    "secret_echo_guard": "is a secret in these logs and artifacts? where, never what",
}


def commands(tool: str) -> dict[str, Command]:
    """Return the commands of `tool` by their full names: one, or several such as `events import`."""
    module = importlib.import_module(f"ops_pipeline.tools.{tool}")
    found = module.COMMANDS.values() if hasattr(module, "COMMANDS") else [module.COMMAND]
    return {command.name: command for command in found}


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
    if tool in ("--help", "-h"):
        sys.stdout.write(_help())
        return ExitCode.OK
    if tool == "--version":
        from importlib.metadata import version

        sys.stdout.write(f"ops-pipeline {version('ops-pipeline')}\n")
        return ExitCode.OK
    if reason := next((one for one in Reason if tool == f"{REASON}{one}"), None):
        sys.stdout.write(f"{reason}: {reason.means}\nNext: {reason.next_step}\n")
        return ExitCode.OK
    if tool.startswith(COMPLETION) and tool.removeprefix(COMPLETION) in SHELLS:
        from ops_pipeline.tools.completion import completion

        sys.stdout.write(completion(tool.removeprefix(COMPLETION)))
        return ExitCode.OK
    if tool not in TOOLS:
        return Output().decide(
            Line(LineName.OPS_PIPELINE, status=Label("fail"), reason=Reason.USAGE), ExitCode.FAILED
        )
    exit_code: int = importlib.import_module(f"ops_pipeline.tools.{tool}").main(rest)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
