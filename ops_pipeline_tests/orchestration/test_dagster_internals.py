"""What is not public in Dagster stands in one module, and a new Dagster that lacks it says so in a sentence."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import dagster

from ops_pipeline.orchestration import dagster_internals
from ops_pipeline.store import dagster_tables

PACKAGE = Path(dagster_internals.__file__).parent.parent
PRIVATE = ("dagster._", "dagster_postgres.", "dagster_shared")


def _imports(path: Path) -> list[tuple[str, str]]:
    """Return each imported name with the module that it is from."""
    return [
        (node.module or "", name.name)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    ]


def test_every_private_name_of_dagster_is_there_and_says_why_it_is_needed() -> None:
    names = [
        (module, name) for module, name in _imports(Path(dagster_internals.__file__)) if module.startswith(PRIVATE)
    ]
    known = {**dict.fromkeys(dagster_internals.WHY), "tags": None}
    for module, name in names:
        try:
            is_there = hasattr(importlib.import_module(module), name) or bool(
                importlib.import_module(f"{module}.{name}")
            )
        except ImportError:
            is_there = False
        why = dagster_internals.WHY.get("dagster_tags" if name == "tags" else name)
        assert is_there, f"Dagster {dagster.__version__} has no {module}.{name}, which is needed {why}"
        assert name in known, f"say in WHY what {name} is needed for"


def test_no_other_module_takes_a_private_name_of_dagster() -> None:
    found = {
        path.relative_to(PACKAGE).as_posix(): module
        for path in PACKAGE.rglob("*.py")
        for module, _ in _imports(path)
        if module.startswith(PRIVATE) and path != Path(dagster_internals.__file__)
    }
    assert found == {}


def test_the_names_of_dagsters_tables_are_those_of_the_installed_version() -> None:
    from dagster._core.storage.event_log.schema import SqlEventLogStorageMetadata
    from dagster._core.storage.runs.schema import RunStorageSqlMetadata
    from dagster._core.storage.schedules.schema import ScheduleStorageSqlMetadata

    parts = (SqlEventLogStorageMetadata, RunStorageSqlMetadata, ScheduleStorageSqlMetadata)
    assert set(dagster_tables.ALL) == {table for part in parts for table in part.tables} | {"alembic_version"}
