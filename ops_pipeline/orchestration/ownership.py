"""What is ours in an instance of Dagster's that others may share: our runs, backfills and assets.

The rules that we have for text are for these alone; what belongs to another code location is left as it is.
"""

from collections.abc import Iterable
from pathlib import Path

import dagster as dg

from ops_pipeline.orchestration.dagster_internals import PartitionBackfill

OPS_DAILY = "ops_daily"
JOBS = frozenset({OPS_DAILY, "db_bootstrap", "db_verify", "prod_verify", "retention"})
ASSETS = frozenset(
    {
        "delivery_events",
        "daily_counts",
        "delivered_totals",
        "hold_suppression_rates",
        "second_touch_summaries",
        "report",
    }
)
"""The names of our jobs and assets, copied: to import them takes too long for a web server, and a test compares."""

QUEUE_TAG = "ops_pipeline/queue"
IN_TURN, AT_ONCE = "in_turn", "at_once"
"""The tag that the queue's limit in `dagster.yaml` counts: a launched run has its turn, one of a command has not."""

_PACKAGE = "ops_pipeline"


def is_own_run(run: dg.DagsterRun) -> bool:
    """Return whether a run is ours: by the module or file that it is loaded from, else by its job; in doubt it is."""
    checked = (key.asset_key for key in run.asset_check_selection or ())
    if run.job_name == OPS_DAILY or has_own_asset((*(run.asset_selection or ()), *checked)):
        return True
    pointer = run.job_code_origin.repository_origin.code_pointer if run.job_code_origin else None
    if module := getattr(pointer, "module", None):
        return str(module).split(".")[0] == _PACKAGE
    if file := getattr(pointer, "python_file", None):
        return _PACKAGE in Path(file).parts
    # Dagster's own jobs run assets; one that is loaded from nowhere and selects none may run any.
    selects_nothing = run.asset_selection is None and run.asset_check_selection is None
    return run.job_name in JOBS or (run.job_name.startswith("__") and selects_nothing)


def is_own_backfill(backfill: PartitionBackfill) -> bool:
    """Return whether a backfill is ours: by its assets or its job; in doubt it is."""
    if backfill.asset_selection is not None:
        return has_own_asset(backfill.asset_selection)
    return backfill.job_name is None or backfill.job_name in JOBS


def has_own_asset(keys: Iterable[dg.AssetKey]) -> bool:
    """Return whether one of these assets is ours."""
    return any(key.to_user_string() in ASSETS for key in keys)
