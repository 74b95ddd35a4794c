"""Every name of Dagster's that is not public and that we need, in one place, with the reason.

A new version of Dagster may move any of them: a test names the one that is missing. Use a public way as soon as there
is one.
"""

from collections.abc import Mapping

from dagster._core.definitions.run_request import InstigatorType
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, InstigatorTick
from dagster._core.storage import tags as dagster_tags
from dagster._core.storage.config import PostgresStorageConfig
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable, SqlEventLogStorageTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres.utils import create_pg_connection, pg_url_from_config

__all__ = [
    "AssetCheckExecutionsTable",
    "ConfigurableClassData",
    "DagsterUserCodeUnreachableError",
    "InstigatorState",
    "InstigatorStatus",
    "InstigatorTick",
    "InstigatorType",
    "PartitionBackfill",
    "PostgresStorageConfig",
    "SqlEventLogStorageTable",
    "create_pg_connection",
    "dagster_tags",
    "pg_url_from_config",
]

WHY: Mapping[str, str] = {
    "AssetCheckExecutionsTable": "to replace the result of a check outside a run: Dagster refuses a second one",
    "ConfigurableClassData": "to see whether a DSN stands in dagster.yaml: a storage class gets its settings as this",
    "DagsterUserCodeUnreachableError": "to tell a dead code server from a failing sensor: ticks have error names",
    "InstigatorState": "the type of what DagsterInstance.all_instigator_state returns",
    "InstigatorStatus": "to see that a schedule was switched off: the instance tells it as this",
    "InstigatorTick": "the type of what DagsterInstance.get_ticks returns",
    "InstigatorType": "to ask the instance for schedules and sensors apart",
    "PartitionBackfill": "to refuse text of others in a backfill: a run storage gets it as this",
    "PostgresStorageConfig": "the type of the settings that a storage class gets",
    "SqlEventLogStorageTable": "to delete what a run planned, once it is done: an instance deletes whole runs only",
    "create_pg_connection": "to wait for a server that is starting just as Dagster's own storage does",
    "dagster_tags": "to know the tags that Dagster itself sets on runs: all others are text of somebody else",
    "pg_url_from_config": "to read the DSN from the settings as Dagster's own storage does",
}
"""What each is needed for, and so which public way is missing."""

OWN_TAGS = frozenset(
    found
    for found in vars(dagster_tags).values()
    if isinstance(found, str) and found.startswith((dagster_tags.SYSTEM_TAG_PREFIX, dagster_tags.HIDDEN_TAG_PREFIX))
    # The last one is the UI's own, and stands in its JavaScript alone.
) | {f"{dagster_tags.SYSTEM_TAG_PREFIX}from_ui"}
"""The tags that Dagster itself sets: it has no list of them."""
