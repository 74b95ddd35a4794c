"""Dagster's PostgreSQL storage, with the DSN written any way that PostgreSQL accepts."""

from typing import Self

from dagster._core.storage.config import PostgresStorageConfig
from dagster._serdes import ConfigurableClassData
from dagster_postgres import DagsterPostgresStorage
from dagster_postgres.utils import pg_url_from_config

from ops_pipeline.store.engine import dagster_url


class OpsDagsterStorage(DagsterPostgresStorage):
    """`DagsterPostgresStorage` on the driver that it needs, whichever one the DSN names."""

    @classmethod
    def from_config_value(  # type: ignore[override]
        cls, inst_data: ConfigurableClassData | None, config_value: PostgresStorageConfig
    ) -> Self:
        """Return the storage that `dagster.yaml` describes. Raises OpsError `invalid_env` for an unusable DSN."""
        return cls(
            postgres_url=dagster_url(pg_url_from_config(config_value)),
            should_autocreate_tables=bool(config_value.get("should_autocreate_tables", True)),
            inst_data=inst_data,
        )
