"""The tables of schema `ops`, as the newest revision leaves them. `db_verify` compares the database with this."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
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

from ops_pipeline.contract.rates import RATES
from ops_pipeline.contract.tokens import LABEL_PATTERN
from ops_pipeline.contract.vocabulary import AlertKind, AttemptsSource, Change, Outcome, Scope, Status, Touch

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
    "offered": "Offers that were made.",
    "suppressed": "Offers that were not made.",
    "suppressed_by": "suppressed, by reason.",
    "attempts": "Sends that were attempted.",
    "attempts_source": "Where attempts are from: logged, derived (held + queued), or mixed; null of other rates.",
    "queued": "Sends handed to delivery.",
    "held": "Sends that were held back.",
    "held_by": "held, by reason.",
    "failed": "Sends that delivery could not complete.",
    "acknowledged": "Reactions of recipients.",
    "acknowledged_by": "acknowledged, by positive, neutral and negative.",
    "disabled": "People for whom the touch was switched off.",
    "disabled_by": "disabled, by reason.",
    **{rate.name.value: f"{rate.formula}." for rate in RATES},
    "rate": "The name of a rate; of verdicts, count / total.",
    "value": "count / total.",
    "computed_at": "When this row was computed.",
    "signal": "watchdog, which is the whole, or what is watched.",
    "status": "healthy, insufficient_data or unhealthy.",
    "count": "Events: of a rate those above the line, of delivered the deliveries, else those that are wrong.",
    "total": "Events that count is a share of; else events that were looked at.",
    "history_days": "Days of history that expected was learned from.",
    "expected": "What earlier weeks lead one to expect.",
    "critical": "The rate from which the window would be unhealthy by history.",
    "limit_value": "The configured limit.",
    "bound": "The confidence bound of the rate, on the side of its limit.",
    "min_detectable": "The smallest multiple of what is expected that would show.",
    "since": "First day of the present episode.",
    "change": "What is new on the day.",
    "previous_status": "The status before, where the day was recomputed and has another one now.",
    "kind": "What was told: an episode's beginning, worsening or end, or a failed run.",
    "sent_at": "When it was sent.",
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


def _doubles(*names: str) -> list[Column[float]]:
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
    *_doubles("positive_rate"),
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
    Column("rate", Text, _label("rate"), nullable=False),
    *_counts("count", "total"),
    Column("attempts_source", Text, _one_of("attempts_source", AttemptsSource)),
    *_doubles("value"),
    _computed_at(),
    PrimaryKeyConstraint("utc_day", "window_days", "touch", "rate"),
    comment="Every rate in the window of window_days days that ends with utc_day, with what it is made of.",
)

second_touch_summaries = Table(
    "second_touch_summaries",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("window_days", SmallInteger, nullable=False),
    *_counts("offered", "suppressed"),
    *_groups("suppressed_by"),
    *_counts("attempts"),
    Column("attempts_source", Text, _one_of("attempts_source", AttemptsSource), nullable=False),
    *_counts("queued", "held"),
    *_groups("held_by"),
    *_counts("delivered", "failed", "acknowledged"),
    *_groups("acknowledged_by"),
    *_counts("disabled"),
    *_groups("disabled_by"),
    *_doubles("suppression_rate", "hold_rate"),
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
    Column("sent_at", DateTime(timezone=True), nullable=False, server_default=func.clock_timestamp()),
    PrimaryKeyConstraint("utc_day", "kind", "reason"),
    comment="What was told to people, so that nothing is told twice.",
)

verdicts = Table(
    "verdicts",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("position", SmallInteger, nullable=False, comment="0: the whole; 1 and up: the signals in their order"),
    Column("signal", Text, _label("signal"), nullable=False),
    Column("touch", Text, _one_of("touch", Scope), nullable=False),
    Column("status", Text, _one_of("status", Status), nullable=False),
    Column("reason", Text, _label("reason"), nullable=False),
    Column("window_days", Integer, nullable=False),
    Column("count", BigInteger),
    Column("total", BigInteger),
    *_doubles("rate", "expected", "critical", "limit_value", "bound", "min_detectable"),
    Column("history_days", Integer),
    _computed_at(),
    Column("since", Date),
    Column("change", Text, _one_of("change", Change)),
    Column("previous_status", Text, _one_of("previous_status", Status)),
    PrimaryKeyConstraint("utc_day", "position"),
    UniqueConstraint("utc_day", "signal", "touch"),
    comment="What the watchdog said of a day: the whole, then signal by signal.",
)
