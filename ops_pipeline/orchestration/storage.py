"""Dagster's PostgreSQL storage: the DSN written any way that PostgreSQL accepts, and no text of others in it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from dagster import DagsterEvent, DagsterRun, EventLogEntry
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.storage import tags as dagster_tags
from dagster._core.storage.config import PostgresStorageConfig
from dagster._core.storage.event_log.schema import AssetCheckExecutionsTable
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage, PostgresEventLogStorage, PostgresRunStorage
from dagster_postgres.utils import pg_url_from_config

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.words import is_label
from ops_pipeline.orchestration.boundary import guard_process
from ops_pipeline.orchestration.prod_verify import Mode
from ops_pipeline.store.engine import dagster_url

guard_process()

# A run's configuration is stored and shown as it was typed: these are the words that it needs.
_LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_WORDS = frozenset({*Mode, "apply", "apply_migrations", *_LOG_LEVELS, *map(str.lower, _LOG_LEVELS)})
_PREFIXES = (dagster_tags.SYSTEM_TAG_PREFIX, dagster_tags.HIDDEN_TAG_PREFIX)
# The last one is the UI's own, and stands in its JavaScript alone.
_TAGS = frozenset(
    found for found in vars(dagster_tags).values() if isinstance(found, str) and found.startswith(_PREFIXES)
) | {f"{dagster_tags.SYSTEM_TAG_PREFIX}from_ui"}
_TAG_LENGTH = 200


class OpsDagsterStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` on the driver that it needs, whichever one the DSN names.

    It refuses runs, backfills and reported events that bring text of their own (OpsError `outside_text`).
    """

    def __init__(
        self, postgres_url: str, should_autocreate_tables: bool, inst_data: ConfigurableClassData | None
    ) -> None:
        super().__init__(postgres_url, should_autocreate_tables, inst_data)
        # The tables are there by now.
        self._run_storage = _RunStorage(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _EventLogStorage(postgres_url, should_autocreate_tables=False)

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> Self:
        """Return the storage that `dagster.yaml` describes.

        Raises OpsError `invalid_env` for an unusable DSN, `dsn_in_file` for one that stands in the file.
        """
        # What stands in the file also stands in the arguments of Dagster's child processes.
        if inst_data is not None and not _comes_from_environment(inst_data.config_dict):
            raise OpsError(Reason.DSN_IN_FILE, invalid=(Name.DAGSTER_POSTGRES_DSN,))
        return cls(
            postgres_url=dagster_url(pg_url_from_config(config_value)),
            should_autocreate_tables=bool(config_value.get("should_autocreate_tables", True)),
            inst_data=inst_data,
        )


class _RunStorage(PostgresRunStorage):
    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        _check_run(dagster_run)
        return super().add_run(dagster_run)

    def add_historical_run(self, dagster_run: DagsterRun, run_creation_time: datetime) -> DagsterRun:
        _check_run(dagster_run)
        return super().add_historical_run(dagster_run, run_creation_time)

    def add_run_tags(self, run_id: str, new_tags: Mapping[str, str]) -> None:
        _check_tags(new_tags)
        super().add_run_tags(run_id, new_tags)

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        _check_backfill(partition_backfill)
        super().add_backfill(partition_backfill)


class _EventLogStorage(PostgresEventLogStorage):
    def store_event(self, event: EventLogEntry) -> None:
        _check_event(event.dagster_event, is_of_run=bool(event.job_name))
        super().store_event(event)

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        if not event.run_id and event.dagster_event is not None:
            self._forget_check(event.dagster_event.event_specific_data)
        super().store_asset_check_event(event, event_id)

    def _forget_check(self, evaluation: Any) -> None:
        """Make room: Dagster has one result without a run for each check and partition, and refuses a newer one."""
        column = AssetCheckExecutionsTable.c
        same = (
            (column.run_id == "")
            & (column.asset_key == evaluation.asset_key.to_string())
            & (column.check_name == evaluation.check_name)
            & (column.partition == evaluation.partition)
        )
        with self.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(same))


def _comes_from_environment(config: Mapping[str, Any]) -> bool:
    """Return whether everything that can hold a secret is a reference to an environment variable."""
    url, parts = config.get("postgres_url"), config.get("postgres_db") or {}
    return all(found is None or isinstance(found, Mapping) for found in (url, parts.get("password")))


def _check_run(run: DagsterRun) -> None:
    _check_tags(run.tags)
    if not _has_words_only(run.run_config):
        raise OpsError(Reason.OUTSIDE_TEXT)


def _check_backfill(backfill: PartitionBackfill) -> None:
    _check_tags(backfill.tags)
    if backfill.title or backfill.description or not _has_words_only(backfill.run_config or {}):
        raise OpsError(Reason.OUTSIDE_TEXT)


def _check_event(event: DagsterEvent | None, *, is_of_run: bool) -> None:
    """Refuse text in an event that somebody reports from outside a run, as a form of the UI does."""
    if event is None or is_of_run:
        return
    data: Any = event.event_specific_data
    reported = getattr(data, "materialization", None) or getattr(data, "asset_observation", None) or data
    if getattr(reported, "description", None) or getattr(reported, "metadata", None):
        raise OpsError(Reason.OUTSIDE_TEXT)


def _check_tags(tags: Mapping[str, str]) -> None:
    for key, value in tags.items():
        is_dagsters = key in _TAGS or key.startswith(dagster_tags.POOL_TAG_PREFIX)
        # What is hidden is written by Dagster alone.
        is_short = len(value) <= _TAG_LENGTH or key.startswith(dagster_tags.HIDDEN_TAG_PREFIX)
        if not is_dagsters or not is_short:
            raise OpsError(Reason.OUTSIDE_TEXT)


def _has_words_only(config: object) -> bool:
    match config:
        case Mapping():
            return all(is_label(key) and _has_words_only(value) for key, value in config.items())
        case list():
            return all(map(_has_words_only, config))
        case str():
            return config in _WORDS
        case _:
            return config is None or isinstance(config, bool | int | float)
