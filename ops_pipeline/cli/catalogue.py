"""The tools that there are, each a module of `ops_pipeline.tools`."""

from __future__ import annotations

import importlib

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ops_pipeline.cli.command import Command

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
    "alerts": "tell people what is new, without Dagster's daemon",
    "selftest": "does the alarm ring? sets it off on purpose",
    "prod_verify": "is production in order? step by step, with a strict ops_daily",
    "doctor": "everything that a ticket needs, safe to paste; is the scheduler dead?",
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
