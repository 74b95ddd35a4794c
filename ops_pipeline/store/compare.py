"""How the database's tables differ from what the newest revision leaves: Alembic's comparison, in our words."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, Connection, Table, inspect

from ops_pipeline.contract.tokens import Label
from ops_pipeline.store.partitions import EVENTS_TABLE, has_default_partition
from ops_pipeline.store.revision_state import CONTEXT
from ops_pipeline.store.schema import SCHEMA, metadata

_TABLES = {table.name: table for table in metadata.sorted_tables}
# A literal, a cast, a word or number, an operator.
_TOKEN = re.compile(r"'[^']*'|::\w+|\w+|[<>=!~*]+")


@dataclass(frozen=True, slots=True)
class Comparison:
    """Our tables that are missing, and how many differences each of the others has."""

    missing: tuple[Label, ...]
    differences: dict[Label, int]


def missing_tables(connection: Connection) -> tuple[Label, ...]:
    """Return which of our tables are not there, by name."""
    return _missing(_there(connection))


def compare(connection: Connection) -> Comparison:
    """Return how our tables differ in columns, types, defaults, constraints, indexes and comments."""
    there = _there(connection)
    differing = Counter(_alembic_differences(connection))
    for name in sorted(_TABLES.keys() & there):
        differing[name] += _changed_checks(connection, _TABLES[name]) + _has_other_key(connection, _TABLES[name])
    if EVENTS_TABLE in there and not has_default_partition(connection):
        differing[EVENTS_TABLE] += 1
    return Comparison(
        missing=_missing(there),
        differences={Label(name): differing[name] for name in sorted(_TABLES.keys() & there) if differing[name]},
    )


def is_identical(connection: Connection) -> bool:
    """Return whether every table of ours is there and none differs."""
    found = compare(connection)
    return not found.missing and not found.differences


def _there(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names(schema=SCHEMA))


def _missing(there: set[str]) -> tuple[Label, ...]:
    return tuple(Label(name) for name in sorted(_TABLES.keys() - there))


def _alembic_differences(connection: Connection) -> Iterator[str]:
    """Yield the table's name for each difference."""

    def is_ours(name: str | None, kind: str, parent: Any) -> bool:
        if kind == "schema":
            return name == SCHEMA
        if kind == "table":
            return parent["schema_name"] == SCHEMA and name in _TABLES
        return True

    options = {
        **CONTEXT,
        "include_schemas": True,
        "include_name": is_ours,
        "compare_type": True,
        "compare_server_default": True,
        # Check constraints by their names; their text is compared below.
        "autogenerate_plugins": ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"],
    }
    for found in compare_metadata(MigrationContext.configure(connection, opts=options), metadata):
        # A change of a column is a list of changes, each with the table's name third; others hold the thing itself.
        for one in found if isinstance(found, list) else [found]:
            yield one[2] if isinstance(one[1], str) else _table_of(one[1])


def _table_of(thing: Any) -> str:
    return str(thing.name if isinstance(thing, Table) else thing.table.name)


def _changed_checks(connection: Connection, table: Table) -> int:
    """Return how many check constraints say something else than ours of the same name."""
    name_of = connection.dialect.identifier_preparer.format_constraint
    everywhere = (table.constraints, *(column.constraints for column in table.columns))
    checks = (one for there in everywhere for one in there if isinstance(one, CheckConstraint))
    ours = {name_of(check): str(check.sqltext) for check in checks}
    return sum(
        _tokens(found["sqltext"]) != _tokens(ours[found["name"]])
        for found in inspect(connection).get_check_constraints(table.name, schema=SCHEMA)
        if found["name"] in ours
    )


def _tokens(condition: str) -> list[str]:
    """Return what a condition consists of, in our words: PostgreSQL adds casts and brackets, and spells out IN."""
    plain = condition.replace("= ANY (ARRAY[", "IN ([")
    return [token for token in _TOKEN.findall(plain) if not token.startswith("::")]


def _has_other_key(connection: Connection, table: Table) -> bool:
    """Return whether the primary key is another one, which Alembic does not look at."""
    found = inspect(connection).get_pk_constraint(table.name, schema=SCHEMA)
    return list(found["constrained_columns"]) != [column.name for column in table.primary_key]
