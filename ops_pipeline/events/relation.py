"""The events relation: is it usable, and the one statement that ever reads its rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

from sqlalchemy import Connection, TextClause, text
from sqlalchemy.exc import DBAPIError

from ops_pipeline.contract.config import Config
from ops_pipeline.contract.days import ONE_DAY, start_of
from ops_pipeline.contract.errors import OpsError, sqlstate_of
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import LABEL_PATTERN, Label, SqlState
from ops_pipeline.contract.vocabulary import Outcome, Touch
from ops_pipeline.events.identifier import is_identifier
from ops_pipeline.store.daily_counts import DailyCount

_TEXT_COLUMNS = ("touch", "outcome", "reason", "segment")
_COLUMNS = ("occurred_at", *_TEXT_COLUMNS)
# pg_type.typcategory: S holds text in all its forms, E enums.
_TEXT_CATEGORIES = frozenset({"S", "E"})

# SQLSTATE, or its class, of what is the relation's own fault and not the database's.
_FAULTS = {
    # An expression that cannot be computed, such as a cast or a division.
    "22": Reason.EVENTS_RELATION_INVALID,
    "42": Reason.EVENTS_RELATION_INVALID,
    "55000": Reason.EVENTS_RELATION_UNFILLED,
    # A function, or a query in it or in the view.
    **dict.fromkeys(("21", "2F", "38", "39", "54", "P0"), Reason.EVENTS_RELATION_FAILED),
    # A foreign server: our own connection lives, or there would be no answer.
    **dict.fromkeys(("08", "HV", "2F003", "57P01", "57P02", "57P03"), Reason.EVENTS_SERVER_FAILED),
}
_NO_PRIVILEGE = "42501"

# A domain is what it is made of, however many domains lie between.
_FIND = text("""
    SELECT c.relispopulated, a.attname, t.typname, t.typcategory,
        quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS quoted,
        has_column_privilege(c.oid, a.attnum, 'SELECT') AS is_readable
    FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    CROSS JOIN LATERAL (
        WITH RECURSIVE made_of AS (
            SELECT typname, typcategory, typbasetype FROM pg_type WHERE oid = a.atttypid
            UNION ALL
            SELECT b.typname, b.typcategory, b.typbasetype FROM pg_type b JOIN made_of m ON b.oid = m.typbasetype
        )
        SELECT typname, typcategory FROM made_of WHERE typbasetype = 0
    ) t
    WHERE c.oid = to_regclass(:name) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
""")

# The first step is the GROUP BY over the events; all that follows works on its few hundred groups.
_COUNT = """
    WITH counted AS MATERIALIZED (
        SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS date) AS utc_day, CAST(touch AS text) AS touch,
            CAST(outcome AS text) AS outcome, NULLIF(CAST(reason AS text), '') AS reason,
            NULLIF(CAST(segment AS text), '') AS segment, count(*) AS events
        FROM {relation}
        WHERE occurred_at >= :start AND occurred_at < :stop
        GROUP BY 1, 2, 3, 4, 5
    ), labelled AS (
        SELECT utc_day, events,
            CASE WHEN touch = ANY(:touches) THEN touch END AS touch,
            CASE WHEN outcome = ANY(:outcomes) THEN outcome END AS outcome,
            CASE
                WHEN NOT outcome = ANY(:outcomes_with_reason) THEN NULL
                WHEN reason IS NULL THEN 'missing_reason'
                WHEN reason !~ :label THEN 'invalid_label'
                WHEN NOT (outcome || ' ' || reason) = ANY(:declared) THEN 'undeclared'
                ELSE reason
            END AS reason,
            CASE
                WHEN segment = ANY(:segments) THEN segment
                WHEN segment ~ :label THEN 'undeclared'
                WHEN segment IS NOT NULL THEN 'invalid_label'
            END AS segment
        FROM counted
    ), wide AS (
        SELECT utc_day FROM counted GROUP BY utc_day HAVING count(DISTINCT segment) > :max_segments
    )
    SELECT utc_day, touch, outcome, reason,
        CASE WHEN wide.utc_day IS NULL THEN segment ELSE 'not_a_segment' END AS segment,
        CAST(sum(events) AS bigint) AS events
    FROM labelled LEFT JOIN wide USING (utc_day)
    GROUP BY 1, 2, 3, 4, 5
"""

# Two columns less than the other: an index on the time alone can answer it.
_COUNT_DAYS = """
    SELECT CAST(occurred_at AT TIME ZONE 'UTC' AS date), count(*)
    FROM {relation}
    WHERE occurred_at >= :start AND occurred_at < :stop
    GROUP BY 1
"""


def find_relation(connection: Connection, name: str) -> str:
    """Return the quoted, schema-qualified name of the table or view `name`.

    Raises OpsError `events_relation_missing`, `events_relation_invalid` where a column of the event contract is
    missing or has another type, `no_privilege` where the role may not read it, or `events_relation_unfilled` for a
    materialized view that was never filled.
    """
    # What PostgreSQL cannot parse as an identifier would be an error that quotes it.
    found = connection.execute(_FIND, {"name": name}).all() if is_identifier(name) else []
    if not found:
        raise OpsError(Reason.EVENTS_RELATION_MISSING)
    usable = {row.attname for row in found if row.attname in _TEXT_COLUMNS and row.typcategory in _TEXT_CATEGORIES}
    usable |= {row.attname for row in found if (row.attname, row.typname) == ("occurred_at", "timestamptz")}
    if unusable := tuple(Label(column) for column in _COLUMNS if column not in usable):
        raise OpsError(Reason.EVENTS_RELATION_INVALID, columns=unusable)
    if not all(row.is_readable for row in found if row.attname in _COLUMNS):
        raise OpsError(Reason.NO_PRIVILEGE)
    if not found[0].relispopulated:
        raise OpsError(Reason.EVENTS_RELATION_UNFILLED)
    return str(found[0].quoted)


def count_events(connection: Connection, relation: str, first: date, last: date, config: Config) -> list[DailyCount]:
    """Return the counts of the UTC days from `first` to `last`, from one GROUP BY on the quoted `relation`.

    A reason or segment that is no label or not declared, a reason that is missing where one is required, and
    segments that are none come back as reserved words, so that no text of the source travels. Raises OpsError
    `events_relation_invalid` for a touch or outcome that the contract does not have, and as `_fault` says.
    """
    # A colon would start a parameter.
    statement = text(_COUNT.format(relation=relation.replace(":", r"\:")))
    declared = config.taxonomy.reasons
    parameters = {
        "start": start_of(first),
        "stop": start_of(last + ONE_DAY),
        "touches": list(Touch),
        "outcomes": list(Outcome),
        "outcomes_with_reason": list(declared),
        "declared": [f"{outcome} {reason}" for outcome, reasons in declared.items() for reason in reasons],
        "segments": list(config.taxonomy.segments),
        "label": LABEL_PATTERN,
        "max_segments": config.privacy.max_segments,
    }
    # Whose day it is shows only where one day alone was asked for.
    day = {"day": first} if first == last else {}
    rows = _executed(connection, statement, parameters, day)
    unknown = {name for row in rows for name in ("touch", "outcome") if getattr(row, name) is None}
    if unknown:
        raise OpsError(Reason.EVENTS_RELATION_INVALID, columns=tuple(map(Label, sorted(unknown))), **day)
    return [DailyCount(*row) for row in rows]


def _executed(
    connection: Connection, statement: TextClause, parameters: Mapping[str, object], day: Mapping[str, date]
) -> Sequence[Any]:
    try:
        return connection.execute(statement, parameters).all()
    except DBAPIError as error:
        fault = None if connection.invalidated else _fault(sqlstate_of(error))
        if fault is None:
            raise
    fault.fields |= day
    raise fault


def _fault(state: str | None) -> OpsError | None:
    """Return what is wrong with the relation where the database answers with this SQLSTATE; None: nothing is."""
    if state is None or state == _NO_PRIVILEGE:
        return None
    reason = _FAULTS.get(state) or _FAULTS.get(state[:2])
    if reason is None:
        return None
    return (
        OpsError(reason) if reason is Reason.EVENTS_RELATION_INVALID else OpsError(reason, sqlstate=SqlState(state))
    )


def events_per_day(connection: Connection, relation: str, first: date, last: date) -> dict[date, int]:
    """Return how many events each UTC day from `first` to `last` has that has any, in the quoted `relation`."""
    statement = text(_COUNT_DAYS.format(relation=relation.replace(":", r"\:")))
    parameters = {"start": start_of(first), "stop": start_of(last + ONE_DAY)}
    rows = _executed(connection, statement, parameters, {})
    return {day: int(events) for day, events in rows}
