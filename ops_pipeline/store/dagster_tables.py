"""The tables that Dagster makes in the database of its storage.

The names are copied, because importing Dagster for them would take two seconds; a test compares them with Dagster's.
"""

STORAGE = ("runs", "event_logs", "job_ticks")
"""A run, an event or a tick cannot be stored without these."""

UNMISTAKABLE = "job_ticks"
"""Nobody else has a table of this name: a schema with it holds Dagster's tables."""

ALL = (
    *STORAGE,
    "alembic_version",
    "asset_check_executions",
    "asset_daemon_asset_evaluations",
    "asset_event_tags",
    "asset_keys",
    "backfill_tags",
    "bulk_actions",
    "concurrency_limits",
    "concurrency_slots",
    "daemon_heartbeats",
    "dynamic_partitions",
    "instance_info",
    "instigators",
    "jobs",
    "kvs",
    "pending_steps",
    "run_tags",
    "secondary_indexes",
    "snapshots",
)
