"""Dagster's PostgreSQL storage: the DSN written any way that PostgreSQL accepts, and no text of others in it."""

import functools
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

from dagster import DagsterEvent, DagsterEventType, DagsterInstance, DagsterRun, EventLogEntry, RunsFilter
from dagster_postgres import (
    DagsterPostgresStorage,
    PostgresEventLogStorage,
    PostgresRunStorage,
    PostgresScheduleStorage,
)
from psycopg2 import extensions  # type: ignore[import-untyped]
from sqlalchemy import Engine, event

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import is_label
from ops_pipeline.operations.verification import VerifyMode
from ops_pipeline.orchestration.beats import Beats
from ops_pipeline.orchestration.boundary import every_engine_guarded, guard_engine, guard_process_of_ours
from ops_pipeline.orchestration.dagster_internals import (
    OWN_TAGS,
    AssetCheckExecutionsTable,
    ConfigurableClassData,
    PartitionBackfill,
    PostgresStorageConfig,
    SqlEventLogStorageTable,
    create_pg_connection,
    dagster_tags,
    pg_url_from_config,
)
from ops_pipeline.orchestration.ownership import (
    AT_ONCE,
    IN_TURN,
    QUEUE_TAG,
    has_own_asset,
    is_own_backfill,
    is_own_run,
)
from ops_pipeline.store.deadline import deadline_of
from ops_pipeline.store.engine import dagster_url
from ops_pipeline.store.limits import DAGSTER_STATEMENT_SECONDS
from ops_pipeline.store.pool import pooled_engine
from ops_pipeline.store.verify import check_dagster_schema, has_dagster_storage

guard_process_of_ours()

# A run's configuration is stored and shown as it was typed: these are the words that it needs.
_LOG_LEVELS = ("CRITICAL", "ERROR", "WARNING", "INFO", "DEBUG")
_WORDS = frozenset({*VerifyMode, "apply", "apply_migrations", *_LOG_LEVELS, *map(str.lower, _LOG_LEVELS)})
_TAG_LENGTH = 200
_RUNS_REMEMBERED = 1000
_PLANNED = (DagsterEventType.ASSET_MATERIALIZATION_PLANNED, DagsterEventType.ASSET_CHECK_EVALUATION_PLANNED)
_BEGINS = (DagsterEventType.RUN_STARTING, DagsterEventType.RUN_START)
_ENDS = (DagsterEventType.RUN_SUCCESS, DagsterEventType.RUN_FAILURE, DagsterEventType.RUN_CANCELED)
STUCK_TEXT = "The process of this run was gone: it had given no sign of life for a minute."
"""Why a run was ended from outside: the one message that is stored as it is."""
_NOT_STORED = frozenset(
    {
        # An asset and a check have an event of their own, which says the same and more.
        DagsterEventType.STEP_OUTPUT,
        # Nothing is captured, and the one resource is of no interest.
        DagsterEventType.LOGS_CAPTURED,
        DagsterEventType.RESOURCE_INIT_STARTED,
        DagsterEventType.RESOURCE_INIT_SUCCESS,
    }
)


class OpsDagsterStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` on the driver that it needs, whichever one the DSN names.

    Of what is ours it refuses runs, backfills and reported events that bring text of others (`outside_text`); what
    belongs to another code location it stores as Dagster does. It makes no tables where there is no room for them
    (`dagster_schema_taken`).
    """

    def __init__(
        self, postgres_url: str, should_autocreate_tables: bool, inst_data: ConfigurableClassData | None
    ) -> None:
        # Dagster's own engines connect anew for everything that they say.
        engine = pooled_engine(postgres_url, isolation_level="AUTOCOMMIT")
        _bound(engine)
        guard_engine(engine)
        with create_pg_connection(engine) as connection:
            check_dagster_schema(connection)
            is_complete = has_dagster_storage(connection)
        with every_engine_guarded():
            super().__init__(postgres_url, should_autocreate_tables and not is_complete, inst_data)
        # The tables are there by now.
        self._run_storage = _RunStorage(postgres_url, should_autocreate_tables=False)
        self._event_log_storage = _EventLogStorage(self._run_storage, postgres_url, should_autocreate_tables=False)
        self._schedule_storage = _ScheduleStorage(postgres_url, should_autocreate_tables=False)
        for part in (self._run_storage, self._event_log_storage, self._schedule_storage):
            part._engine = engine  # noqa: SLF001 - there is no other way in

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


class _DeadlineCursor(extensions.cursor):  # type: ignore[misc]
    def execute(self, query: Any, vars: Any = None) -> None:  # noqa: A002 - psycopg2's own name
        with deadline_of(self.connection, DAGSTER_STATEMENT_SECONDS):
            super().execute(query, vars)


def _bound(engine: Engine) -> None:
    event.listen(engine, "connect", lambda connection, _: setattr(connection, "cursor_factory", _DeadlineCursor))


class _Guarded:
    """A part of the storage that bounds and guards the engine which it makes for a web server."""

    def optimize_for_webserver(self, *args: Any, **options: Any) -> None:
        super().optimize_for_webserver(*args, **options)  # type: ignore[misc]
        _bound(self._engine)  # type: ignore[attr-defined]
        guard_engine(self._engine)  # type: ignore[attr-defined]


class _ScheduleStorage(_Guarded, PostgresScheduleStorage):
    pass


class _RunStorage(_Guarded, PostgresRunStorage):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.beats = Beats(self.connect)

    def add_run(self, dagster_run: DagsterRun) -> DagsterRun:
        return super().add_run(_checked(dagster_run))

    def add_historical_run(self, dagster_run: DagsterRun, run_creation_time: datetime) -> DagsterRun:
        return super().add_historical_run(_checked(dagster_run), run_creation_time)

    def add_run_tags(self, run_id: str, new_tags: Mapping[str, str]) -> None:
        if not _are_own_tags(new_tags) and self.is_own(run_id):
            raise OpsError(Reason.OUTSIDE_TEXT)
        super().add_run_tags(run_id, new_tags)

    def add_backfill(self, partition_backfill: PartitionBackfill) -> None:
        if is_own_backfill(partition_backfill):
            _check_backfill(partition_backfill)
        super().add_backfill(partition_backfill)

    def handle_run_event(self, run_id: str, event: DagsterEvent, update_timestamp: datetime | None = None) -> None:
        """Let a run of ours beat from its launch to its end; where it starts, there it is executed."""
        kind = event.event_type
        is_own = kind in (*_BEGINS, *_ENDS) and self.is_own(run_id)
        if is_own and kind in _BEGINS:
            self.beats.note(run_id)
        super().handle_run_event(run_id, event, update_timestamp)
        if is_own and kind is DagsterEventType.RUN_START:
            self.beats.keep(run_id)
        elif is_own and kind in _ENDS:
            self.beats.forget(run_id)

    def is_own(self, run_id: str) -> bool:
        """Return whether a run is ours; one that is not there is."""
        run = next(iter(self.get_runs(RunsFilter(run_ids=[run_id]))), None)
        return run is None or is_own_run(run)


class _EventLogStorage(_Guarded, PostgresEventLogStorage):
    def __init__(self, runs: _RunStorage, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Of each run that this process stores events of it asks once.
        self._is_own_run = functools.lru_cache(maxsize=_RUNS_REMEMBERED)(runs.is_own)

    def store_event(self, event: EventLogEntry) -> None:
        if not self._is_own(event):
            super().store_event(event)
            return
        _check_event(event.dagster_event, is_of_run=bool(event.job_name))
        if event.dagster_event_type not in _NOT_STORED:
            super().store_event(event)
        if event.dagster_event_type is DagsterEventType.RUN_SUCCESS:
            self._forget_plans(event.run_id)

    def _is_own(self, event: EventLogEntry) -> bool:
        """Return whether an event is of our run, or of no run and our asset; in doubt it is."""
        if event.job_name:
            return self._is_own_run(event.run_id)
        inner = event.dagster_event
        key = inner.asset_key if inner else None
        return key is None or has_own_asset([key])

    def prepare_insert_event(self, event: EventLogEntry) -> Any:
        return super().prepare_insert_event(_slim(event) if self._is_own(event) else event)

    def store_asset_check_event(self, event: EventLogEntry, event_id: int | None) -> None:
        if not event.run_id and self._is_own(event) and event.dagster_event is not None:
            self._forget_check(event.dagster_event.event_specific_data)
        super().store_asset_check_event(event, event_id)

    def _forget_plans(self, run_id: str) -> None:
        """Delete what a run planned: it succeeded, so that all of it was done and has an event of its own."""
        column = SqlEventLogStorageTable.c
        planned = (column.run_id == run_id) & column.dagster_event_type.in_([kind.value for kind in _PLANNED])
        with self.index_connection() as connection:
            connection.execute(SqlEventLogStorageTable.delete().where(planned))

    def _forget_check(self, evaluation: Any) -> None:
        """Delete the old result: without a run, Dagster has one for each check and partition, and refuses a newer."""
        column = AssetCheckExecutionsTable.c
        same = (
            (column.run_id == "")
            & (column.asset_key == evaluation.asset_key.to_string())
            & (column.check_name == evaluation.check_name)
            & (column.partition == evaluation.partition)
        )
        with self.index_connection() as connection:
            connection.execute(AssetCheckExecutionsTable.delete().where(same))


def beats_of(instance: DagsterInstance) -> Beats | None:
    """Return the beats of the runs of `instance`; None where its storage is not ours."""
    return getattr(instance.run_storage, "beats", None)


def _comes_from_environment(config: Mapping[str, Any]) -> bool:
    """Return whether everything that can hold a secret is a reference to an environment variable."""
    url, parts = config.get("postgres_url"), config.get("postgres_db") or {}
    return all(found is None or isinstance(found, Mapping) for found in (url, parts.get("password")))


def _checked(run: DagsterRun) -> DagsterRun:
    """Return the run as it is stored: one of ours is refused with text of others, and waits its turn if launched."""
    if not is_own_run(run):
        return run
    if not (_are_own_tags(run.tags) and _has_words_only(run.run_config)):
        raise OpsError(Reason.OUTSIDE_TEXT)
    # The queue counts what a run's tags say, and Dagster's own jobs for assets have none of ours.
    return run.with_tags({**run.tags, QUEUE_TAG: IN_TURN}) if run.remote_job_origin else run


def _check_backfill(backfill: PartitionBackfill) -> None:
    if not _are_own_tags(backfill.tags):
        raise OpsError(Reason.OUTSIDE_TEXT)
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


def _slim(event: EventLogEntry) -> EventLogEntry:
    """Return the event of a run without what it says twice: its message, and the step as handle and as tags."""
    inner = event.dagster_event
    if inner is None or not event.job_name:
        return event
    message = inner.message if inner.message == STUCK_TEXT else None
    slim = inner._replace(message=message, logging_tags={}, node_handle=None, step_handle=None)
    return event._replace(user_message="", dagster_event=slim)


def _are_own_tags(tags: Mapping[str, str]) -> bool:
    """Return whether tags are Dagster's or ours, and say nothing else."""
    return all(map(_is_own_tag, tags.items()))


def _is_own_tag(tag: tuple[str, str]) -> bool:
    key, value = tag
    if key == QUEUE_TAG:
        return value in (IN_TURN, AT_ONCE)
    is_dagsters = key in OWN_TAGS or key.startswith(dagster_tags.POOL_TAG_PREFIX)
    # What is hidden is written by Dagster alone.
    return is_dagsters and (len(value) <= _TAG_LENGTH or key.startswith(dagster_tags.HIDDEN_TAG_PREFIX))


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
