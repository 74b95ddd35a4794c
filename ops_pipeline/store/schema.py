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
    Identity,
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
    "since": "First day of the present episode, of the whole or of the signal; of alerts, as it was told.",
    "change": "What is new on the day.",
    "worst": "How bad the episode has been: of leaks their number, else 2 beyond a limit or without traffic, or 1.",
    "healthy_days": "Healthy days since the last unhealthy one of an open episode.",
    "quiet_days": "Days since then that could not be judged for lack of data.",
    "muted_until": "The last day on which nobody is told of the signal.",
    "previous_status": "The status before, where the day was recomputed and has another one now.",
    "kind": "The most urgent that a message tells.",
    "subject": "What people were told of: a signal, run or watchdog.",
    "told_on": "The last UTC day that a message about it was about.",
    "seen_on": "The last UTC day on which it had not ended.",
    "is_muted": "Whether it was muted on that day.",
    "message": "Number of the message; later ones have higher numbers.",
    "title": "Its first line.",
    "body": "The rest of it.",
    "created_at": "When it was written.",
    "digest": "The first bytes of a SHA-256, by which it is known again.",
    "last_message": "The last message that the address has accepted.",
    "tries": "How often in a row it has refused the next one.",
    "next_try_at": "When it is tried again.",
    "claimed_until": "Until when nobody else sends to it.",
    "seen_at": "When it was last configured.",
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

day_faults = Table(
    "day_faults",
    metadata,
    Column("utc_day", Date, nullable=False),
    Column("reason", Text, _label("reason"), nullable=False),
    *_counts("events"),
    _computed_at(),
    PrimaryKeyConstraint("utc_day", "reason"),
    comment="Days whose stored counts are not what the source has, and why.",
)

alert_states = Table(
    "alert_states",
    metadata,
    Column("touch", Text, _one_of("touch", Scope), nullable=False),
    Column("subject", Text, _label("subject"), nullable=False),
    Column("reason", Text, _label("reason"), nullable=False),
    Column("since", Date, nullable=False),
    Column("worst", Integer, nullable=False),
    Column("told_on", Date, nullable=False),
    Column("seen_on", Date, nullable=False),
    Column("is_muted", Boolean, nullable=False),
    PrimaryKeyConstraint("touch", "subject"),
    comment="What people know of all that has not ended.",
)

alert_messages = Table(
    "alert_messages",
    metadata,
    Column("message", BigInteger, Identity(always=True), primary_key=True),
    Column("utc_day", Date, nullable=False),
    Column("kind", Text, _one_of("kind", AlertKind), nullable=False),
    Column("reason", Text, _label("reason"), nullable=False),
    Column("since", Date, nullable=False),
    Column("title", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    comment="What is told to people, in the order in which it was written.",
)

alert_addresses = Table(
    "alert_addresses",
    metadata,
    Column(
        "digest",
        LargeBinary,
        CheckConstraint("octet_length(digest) = 4", name="digest"),
        comment="The first 4 bytes of the SHA-256 of the address",
    ),
    Column("last_message", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("next_try_at", DateTime(timezone=True)),
    Column("claimed_until", DateTime(timezone=True)),
    Column("seen_at", DateTime(timezone=True), nullable=False),
    PrimaryKeyConstraint("digest"),
    comment="How far each address has been told.",
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
    Column("change", Text, _one_of("change", Change), nullable=False),
    Column("previous_status", Text, _one_of("previous_status", Status)),
    Column("worst", Integer, comment="null: no episode is open"),
    Column("healthy_days", Integer),
    Column("quiet_days", Integer),
    Column("muted_until", Date),
    PrimaryKeyConstraint("utc_day", "position"),
    UniqueConstraint("utc_day", "signal", "touch"),
    comment="What the watchdog said of a day: the whole, then signal by signal.",
)
