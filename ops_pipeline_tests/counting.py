"""Events counted in a test's own database, without the rest of a run."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

from ops_pipeline.contract.config import Config
from ops_pipeline.events.rollup import RolledUp, roll_up
from ops_pipeline.store.daily_counts import lock_days
from ops_pipeline.store.engine import writing
from ops_pipeline_tests.conftest import Database


def count_days(
    database: Database, days: Sequence[date], relation: str = "ops.delivery_events", config: Config | None = None
) -> RolledUp:
    """Replace the counts of `days` in a transaction of its own."""
    with writing(database.engine) as connection:
        lock_days(connection)
        return roll_up(connection, database.engine, relation, days, config=config or Config(), asked=days)
