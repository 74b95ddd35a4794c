"""The console script `ops-pipeline <tool> ...`: finds the tool and hands over."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.metadata import version

from ops_pipeline.contract.lines import ExitCode, Line, LineName, emit
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.vocabulary import Label

TOOLS = {
    "demo": "see it work: embedded PostgreSQL, sample traffic, one day's lines",
    "ui": "the Dagster UI on the demo database",
    "prod_config_contract": "is production configured? names only",
    "db_bootstrap": "create or upgrade the ops database",
    "db_verify": "is the ops database as it should be?",
    "events": "import event files, or write sample traffic",
    "ops_daily": "a day's figures and verdict",
    "ops_ci_normalize": "keep a scheduled run green when it merely had too little data",
}


def _help() -> str:
    tools = "\n".join(f"  {name:<22}{what}" for name, what in TOOLS.items())
    return (
        "usage: ops-pipeline <tool> [options]\n\n"
        "Is message delivery healthy, unhealthy, or is there too little data to say?\n\n"
        f"tools:\n{tools}\n\n"
        "ops-pipeline <tool> --help says what a tool prints, its exit codes and an example.\n"
        "ops-pipeline --version prints the version.\n"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the tool that the first argument names; return its exit code."""
    tool, *rest = (sys.argv[1:] if argv is None else argv) or ["--help"]
    if tool in ("--help", "-h"):
        sys.stdout.write(_help())
        return ExitCode.OK
    if tool == "--version":
        sys.stdout.write(f"ops-pipeline {version('ops-pipeline')}\n")
        return ExitCode.OK
    if tool not in TOOLS:
        emit(Line(LineName.OPS_PIPELINE, status=Label("fail"), reason=Reason.USAGE))
        return ExitCode.FAILED
    exit_code: int = importlib.import_module(f"ops_pipeline.tools.{tool}").main(rest)
    return exit_code


if __name__ == "__main__":
    sys.exit(main())
