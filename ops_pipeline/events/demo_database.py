"""The demo: an embedded database, bootstrapped, verified and filled with sample traffic."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.days import ONE_DAY, last_complete_day
from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.tokens import Label
from ops_pipeline.events.intake import Rules
from ops_pipeline.events.sample import DAYS, SEGMENTS, Sample, write_sample
from ops_pipeline.store.embedded import EmbeddedServer, embedded_server

DEFAULT_FOLDER = Path(".ops_pipeline")
_PREFIX = "demo_"
# As in production: the pipeline is no superuser.
_ROLE = Label("ops_pipeline")


@dataclass(frozen=True, slots=True)
class DemoDatabase:
    """The running demo database: its folder, and the last day of its sample traffic."""

    folder: Path
    server: EmbeddedServer
    last_day: date

    @property
    def name(self) -> Label:
        """One database a day: the sample traffic ends with the last complete day."""
        return Label(f"{_PREFIX}{self.last_day:%Y%m%d}")


@contextmanager
def demo_database(folder: Path) -> Iterator[DemoDatabase]:
    """Yield the demo database in `folder`, with the environment of this process set to it while it runs.

    Raises OpsError `embedded_missing` or `embedded_failed`.
    """
    folder = folder.resolve()
    with embedded_server(folder / "postgres") as server:
        demo = DemoDatabase(folder, server, last_complete_day())
        _replace_old_databases(demo)
        with _environment(demo):
            yield demo


def write_demo_sample(demo: DemoDatabase) -> tuple[Path, Sample]:
    """Write the sample traffic to the demo's folder; the same day gives the same file."""
    path = demo.folder / "sample.csv"
    return path, write_sample(path, demo.last_day)


def sample_rules(sample: Sample, *, shows_progress: bool) -> Rules:
    """Return how the sample is imported: its repeated lines are dropped."""
    return Rules(first_day=sample.first_day, unique_by="event_id", shows_progress=shows_progress)


def _replace_old_databases(demo: DemoDatabase) -> None:
    """Create today's database; drop those of earlier days unless somebody still looks at them."""
    existing = demo.server.databases()
    demo.server.ensure_role(_ROLE)
    if demo.name not in existing:
        demo.server.create_database(demo.name, owner=_ROLE)
    for other in existing:
        if other.startswith(_PREFIX) and other != demo.name:
            try:
                demo.server.drop_database(Label(other))
            except DBAPIError:
                continue


@contextmanager
def _environment(demo: DemoDatabase) -> Iterator[None]:
    dsn = demo.server.dsn(demo.name, _ROLE)
    changes: dict[str, str | None] = {
        Name.OPS_POSTGRES_DSN: dsn,
        Name.DAGSTER_POSTGRES_DSN: dsn,
        # The demo is complete in itself: what is set for another database does not belong in it.
        Name.OPS_EVENTS_DSN: None,
        Name.OPS_EVENTS_RELATION: None,
        Name.OPS_CONFIG: os.environ.get(Name.OPS_CONFIG) or str(_settings(demo.folder)),
        Name.OPS_FIRST_DAY: (demo.last_day - (DAYS - 1) * ONE_DAY).isoformat(),
        "DAGSTER_HOME": None,
    }
    before = {name: os.environ.get(name) for name in changes}
    _set(changes)
    try:
        yield
    finally:
        _set(before)


def _settings(folder: Path) -> Path:
    """Write the configuration that goes with the sample traffic: its segments are channels."""
    path = folder / "ops.toml"
    path.write_text(f"[taxonomy]\nsegments = {json.dumps(SEGMENTS)}\n", encoding="utf-8")
    return path


def _set(values: dict[str, str | None]) -> None:
    for name, value in values.items():
        if value is None:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value
