"""How long a backfill takes for the sample's 90 days, counted, judged and shown in Dagster.

The ratio, in one run, is to the least that must be done: the same GROUP BYs over the same events, and nothing else.
"""

from __future__ import annotations

import tempfile
import time
from datetime import date
from pathlib import Path

from ops_pipeline.contract import environment
from ops_pipeline.contract.days import each_day
from ops_pipeline.events.demo_database import demo_database, sample_rules, write_demo_sample
from ops_pipeline.events.intake import import_file
from ops_pipeline.events.relation import count_events, events_per_day, find_relation
from ops_pipeline.operations.publish import EventsSource
from ops_pipeline.orchestration.backfill import CHUNK_DAYS, backfill
from ops_pipeline.orchestration.instance import bootstrap_storage, configured_instance
from ops_pipeline.store.engine import events_engine, ops_engine, reading
from ops_pipeline.store.migrate import apply_migrations

_RELATION = "ops.delivery_events"


def main() -> None:
    """Print both times, their ratio, and how many days a second are done."""
    with tempfile.TemporaryDirectory(prefix="ops_pipeline_bench_", ignore_cleanup_errors=True) as scratch:
        Path(scratch).chmod(0o755)
        with demo_database(Path(scratch)) as demo:
            apply_migrations(ops_engine())
            path, sample = write_demo_sample(demo)
            import_file(ops_engine(), path, sample_rules(sample, shows_progress=False))
            bootstrap_storage()
            _measure(list(each_day(environment.first_day(), demo.last_day)), sample.events)


def _measure(days: list[date], events: int) -> None:
    config = environment.config()
    counting = time.perf_counter()
    for start in range(0, len(days), CHUNK_DAYS):
        chunk = days[start : start + CHUNK_DAYS]
        with reading(events_engine()) as source:
            count_events(source, find_relation(source, _RELATION), chunk[0], chunk[-1], config)
    counting = time.perf_counter() - counting
    filling = time.perf_counter()
    with configured_instance() as instance:
        source = EventsSource(engine=events_engine(), relation=_RELATION)
        for _ in backfill(instance, ops_engine(), source, days[0], days[-1], config):
            pass
    filling = time.perf_counter() - filling
    comparing = time.perf_counter()
    with reading(events_engine()) as connection:
        events_per_day(connection, find_relation(connection, _RELATION), days[0], days[-1])
    comparing = time.perf_counter() - comparing
    print(f"{'the GROUP BYs alone':28} {counting:8.2f} s    {len(days)} days, {events} events")
    print(f"{'backfill':28} {filling:8.2f} s    ratio {filling / counting:6.2f}   {len(days) / filling:.1f} days/s")
    print(f"{'comparing all days':28} {comparing:8.2f} s    ratio {comparing / counting:6.2f}")


if __name__ == "__main__":
    main()
