"""The tables of schema `ops`, as the newest revision leaves them. `db_verify` compares the database with this."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    func,
)
from sqlalchemy.dialects.postgresql import JSONB

from ops_pipeline.contract.vocabulary import AlertKind, Change, Outcome, Scope, SignalName, Status, Touch
from ops_pipeline.contract.words import LABEL_PATTERN

SCHEMA = "ops"
VERSION_TABLE = "alembic_version"

MEANING = {
    "occurred_at": "When it happened; only its UTC day is ever used.",
    "utc_day": "The UTC day; of a window, its last.",
    "touch": "first or second; both together where a total or a verdict covers both.",
    "outcome": "What happened, a step of the funnel.",
    "reason": "Why: a declared label, or one of the rollup's own words; of verdicts and alerts, the watchdog's.",
    "segment": "Optional breakdown, such as the channel.",
    "events": "How many such events there were.",
    "window_days": "Days in the window; 1 is the day alone.",
    "delivered": "Messages that reached their recipient.",
    "by_segment": "delivered, by segment; segments with few deliveries are not named.",
    "min_cell": "Deliveries below which a segment is not named.",
    "positive": "Positive acknowledgements, on the day they were given.",
    "positive_rate": "positive / delivered.",
    "offered": "Offers that were made.",
    "suppressed": "Offers that were not made.",
    "suppressed_by": "suppressed, by reason.",
    "attempted": "Sends that were attempted.",
    "attempted_derived": "True where the source logs no attempts, so that they are held + queued.",
    "queued": "Sends handed to delivery.",
    "held": "Sends that were held back.",
    "held_by": "held, by reason.",
    "failed": "Sends that delivery could not complete.",
    "acknowledged": "Reactions of recipients.",
    "acknowledged_by": "acknowledged, by positive, neutral and negative.",
    "disabled": "People for whom the touch was switched off.",
    "disabled_by": "disabled, by reason.",
    "hold_rate": "held / attempted.",
    "suppression_rate": "suppressed / (offered + suppressed).",
    "failure_rate": "failed / (delivered + failed).",
    "computed_at": "When this row was computed.",
    "signal": "watchdog, which is the whole, or what is watched.",
    "status": "healthy, insufficient_data or unhealthy.",
    "n": "The rate's denominator; of delivered, days of history; else events that were looked at.",
    "x": "The rate's numerator; of delivered, deliveries; else events that are wrong.",
    "rate": "x / n.",
    "expected": "What earlier weeks lead one to expect.",
    "critical": "The rate from which the window would be unhealthy by history.",
    "limit_value": "The configured limit.",
    "bound": "The confidence bound of the rate, on the side of its limit.",
    "sees": "The smallest multiple of what is expected that would show.",
    "since": "First day of the present episode.",
    "change": "What is new on the day.",
    "was": "What was said before, where the day was recomputed and is something else now.",
    "kind": "What was told: an episode's beginning, worsening or end, or a failed run.",
    "told_at": "When it was sent.",
    "imported_at": "When the file was imported.",
    "accepted": "Rows that were taken.",
    "rejected": "Rows that were not.",
    "duplicates": "Rows that were there before, by the column that --unique-by names.",
    "revision": "Alembic's name of the revision.",
    "applied_at": "When it was applied.",
}
"""What a column means, wherever it stands."""

metadata = MetaData(
    schema=SCHEMA,
    naming_convention={
        "ck": "%(table_name)s_%(constraint_name)s_check",
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
    },
)


def _one_of(column: str, words: type[StrEnum]) -> CheckConstraint:
    return CheckConstraint(f"{column} IN ({_quoted(words)})", name=column)


def _quoted(words: Iterable[str]) -> str:
    return ", ".join(f"'{word}'" for word in words)


def _label(column: str) -> CheckConstraint:
    return CheckConstraint(f"{column} ~ '{LABEL_PATTERN}'", name=column)


_REASON_REQUIRED = _quoted((Outcome.SUPPRESSED, Outcome.HELD, Outcome.FAILED, Outcome.DISABLED, Outcome.ACKNOWLEDGED))


def _counts(*names: str) -> list[Column[int]]:
    return [Column(name, BigInteger, CheckConstraint(f"{name} >= 0", name=name), nullable=False) for name in names]


def _groups(*names: str) -> list[Column[object]]:
    return [Column(name, JSONB, nullable=False) for name in names]


def _rates(*names: str) -> list[Column[float]]:
    return [Column(name, Double) for name in names]


def _computed_at() -> Column[object]:
    return Column("computed_at", DateTime(timezone=True), nullable=False, server_default=func.now())


applied_revisions = Table(
    "applied_revisions",
    # Not made by a revision: it is there before the first one, beside Alembic's version table.
    MetaData(schema=SCHEMA),
    Column("revision", Text, primary_key=True),
    Column("digest", LargeBinary, nullable=False, comment="SHA-256 of the revision's file"),
    Column("applied_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    comment="The digest of each applied revision, so that a file that is edited afterwards is found.",
)

delivery_events = Table(
    "delivery_events",
    metadata,
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("touch", Text, _one_of("touch", Touch), nullable=False),
    Column("outcome", Text, _one_of("outcome", Outcome), nullable=False),
    Column("reason", Text, _label("reason")),
    Column("segment", Text, _label("segment")),
    CheckConstraint(
        f"(outcome IN ({_REASON_REQUIRED})) = (reason IS NOT NULL)",
        name="reason_required",
    ),
    CheckConstraint(
        "outcome <> 'acknowledged' OR reason IN ('positive', 'neutral', 'negative')",
        name="acknowledged_reason",
    ),
    comment="One event; no identifiers. Partitioned by UTC day.",
    postgresql_partition_by="RANGE (occurred_at)",
)

intake_batches = Table(
    "intake_batches",
    metadata,
    Column(
        "digest",
        LargeBinary,
        CheckConstraint("octet_length(digest) = 32", name="digest"),
        comment="SHA-256 of the file",
    ),
    Column("imported_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    *_counts("accepted", "rejected", "duplicates"),
    PrimaryKeyConstraint("digest"),
    comment="One imported file.",
)

daily_counts = Table(
    "daily_counts",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("touch", Text, _one_of("touch", Touch), nullable=False),
    Column("outcome", Text, _one_of("outcome", Outcome), nullable=False),
    Column("reason", Text, _label("reason")),
    Column("segment", Text, _label("segment")),
    *_counts("events"),
    UniqueConstraint("utc_day", "touch", "outcome", "reason", "segment", postgresql_nulls_not_distinct=True),
    comment="Events of one (UTC day, touch, outcome, reason, segment). "
    "A day that was rolled up has rows for delivered.",
)

delivered_totals = Table(
    "delivered_totals",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("touch", Text, _one_of("touch", Scope), nullable=False),
    Column("window_days", SmallInteger, nullable=False),
    *_counts("delivered", "positive"),
    *_rates("positive_rate"),
    _computed_at(),
    PrimaryKeyConstraint("utc_day", "window_days", "touch"),
    comment="Deliveries in the window of window_days days that ends with utc_day.",
)

delivered_segments = Table(
    "delivered_segments",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("touch", Text, _one_of("touch", Touch), nullable=False),
    *_counts("delivered"),
    *_groups("by_segment"),
    Column("min_cell", SmallInteger, nullable=False),
    _computed_at(),
    PrimaryKeyConstraint("utc_day", "touch"),
    comment="Deliveries of the day by segment, as they were published: no small cell can be computed from them.",
)

hold_suppression_rates = Table(
    "hold_suppression_rates",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("touch", Text, _one_of("touch", Touch), nullable=False),
    Column("window_days", SmallInteger, nullable=False),
    *_counts("offered", "suppressed", "attempted"),
    Column("attempted_derived", Boolean, nullable=False),
    *_counts("held", "delivered", "failed"),
    *_rates("hold_rate", "suppression_rate", "failure_rate"),
    _computed_at(),
    PrimaryKeyConstraint("utc_day", "window_days", "touch"),
    comment="Rates in the window of window_days days that ends with utc_day, with what they are made of.",
)

second_touch_summaries = Table(
    "second_touch_summaries",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("window_days", SmallInteger, nullable=False),
    *_counts("offered", "suppressed"),
    *_groups("suppressed_by"),
    *_counts("attempted"),
    Column("attempted_derived", Boolean, nullable=False),
    *_counts("queued", "held"),
    *_groups("held_by"),
    *_counts("delivered", "failed", "acknowledged"),
    *_groups("acknowledged_by"),
    *_counts("disabled"),
    *_groups("disabled_by"),
    *_rates("suppression_rate", "hold_rate"),
    _computed_at(),
    PrimaryKeyConstraint("utc_day", "window_days"),
    comment="The second touch's funnel in the window of window_days days that ends with utc_day.",
)

alerts = Table(
    "alerts",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("kind", Text, _one_of("kind", AlertKind), nullable=False),
    Column("reason", Text, _label("reason"), nullable=False),
    Column("since", Date),
    Column("told_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    PrimaryKeyConstraint("utc_day", "kind", "reason"),
    comment="What was told to people, so that nothing is told twice.",
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("position", SmallInteger, nullable=False, comment="0: the whole; 1 and up: the signals in their order"),
    Column(
        "signal",
        Text,
        CheckConstraint(f"signal IN ('watchdog', {_quoted(SignalName)})", name="signal"),
        nullable=False,
    ),
    Column("touch", Text, _one_of("touch", Scope), nullable=False),
    Column("status", Text, _one_of("status", Status), nullable=False),
    Column("reason", Text, _label("reason"), nullable=False),
    Column("window_days", Integer, nullable=False),
    Column("n", BigInteger),
    Column("x", BigInteger),
    *_rates("rate", "expected", "limit_value", "bound", "sees"),
    _computed_at(),
    *_rates("critical"),
    Column("since", Date),
    Column("change", Text, _one_of("change", Change)),
    Column("was", Text, _one_of("was", Status)),
    PrimaryKeyConstraint("utc_day", "position"),
    UniqueConstraint("utc_day", "signal", "touch"),
    comment="What the watchdog said of a day: the whole, then signal by signal.",
)
