"""What an event may say, and what may be said of it: touches, outcomes, reasons; statuses and signals.

Belongs here: the words of the contracts. Does not belong here: what is computed from them (`health`), which reasons a
deployment declares (`config`).
"""

from __future__ import annotations

from enum import StrEnum


class Touch(StrEnum):
    """Which contact with a person an event belongs to."""

    FIRST = "first"
    SECOND = "second"


class Scope(StrEnum):
    """Which touches a figure covers."""

    FIRST = "first"
    SECOND = "second"
    BOTH = "both"


class Outcome(StrEnum):
    """What happened, in the order of the funnel."""

    OFFERED = "offered"
    SUPPRESSED = "suppressed"
    ATTEMPTED = "attempted"
    HELD = "held"
    QUEUED = "queued"
    DELIVERED = "delivered"
    FAILED = "failed"
    ACKNOWLEDGED = "acknowledged"
    DISABLED = "disabled"


class Reserved(StrEnum):
    """Labels that the rollup itself writes, in place of what it must not repeat."""

    INVALID_LABEL = "invalid_label"
    """A reason or segment that is no label."""
    UNDECLARED = "undeclared"
    """A reason that the taxonomy does not declare."""
    MISSING_REASON = "missing_reason"
    """No reason where the contract requires one."""
    NOT_A_SEGMENT = "not_a_segment"
    """A segment column with too many distinct labels on one day: an identifier in disguise."""


class Status(StrEnum):
    """The answer: delivery is healthy, unhealthy, or there is too little data to say."""

    HEALTHY = "healthy"
    INSUFFICIENT_DATA = "insufficient_data"
    UNHEALTHY = "unhealthy"


class RunMode(StrEnum):
    """What ops_daily ran on: strictly on the configured databases, or for a smoke test on sample traffic."""

    STRICT = "strict"
    SMOKE = "smoke"


class SignalName(StrEnum):
    """What is watched."""

    IDENTITY_LEAK = "identity_leak"
    DELIVERED = "delivered"
    HOLD_RATE = "hold_rate"
    SUPPRESSION_RATE = "suppression_rate"
    FAILURE_RATE = "failure_rate"
    POSITIVE_RATE = "positive_rate"
    FUNNEL = "funnel"
    LABELS = "labels"


DATA_SIGNALS = (SignalName.FUNNEL, SignalName.LABELS)
"""The signals about the data itself: can the counts be right, and do they say something?"""


class Change(StrEnum):
    """What is new on a day: what an alert is sent for."""

    NONE = "none"
    OPENED = "opened"
    SPREAD = "spread"
    """Of the whole: another signal became unhealthy while one was."""
    WORSENED = "worsened"
    EASED = "eased"
    """Of the whole: a signal recovered while another one is still unhealthy."""
    RECOVERED = "recovered"


class AlertKind(StrEnum):
    """What people are told, the most urgent first."""

    OPENED = "opened"
    """A signal became unhealthy, and none was before."""
    SPREAD = "spread"
    """Another signal became unhealthy."""
    WORSENED = "worsened"
    """A signal became worse: a limit was crossed, traffic stopped, or more identities leaked."""
    FAILED = "failed"
    """The daily run failed: nobody knows."""
    BLIND = "blind"
    """There has been too little data to judge for some days: nobody knows."""
    LATE = "late"
    """A day before the newest was unhealthy and is over, which shows only now that its events have come."""
    REMINDER = "reminder"
    """Something that was told some days ago is still so."""
    EASED = "eased"
    """A signal recovered, while something else goes on."""
    RECOVERED = "recovered"
    """Nothing that was told goes on."""
    TEST = "test"


class AlertSubject(StrEnum):
    """What an alert can be about besides the signals."""

    RUN = "run"
    """The daily run."""
    WATCHDOG = "watchdog"
    """The whole verdict."""


class Severity(StrEnum):
    """How an alert is to be shown by whoever receives it."""

    FAILURE = "failure"
    WARNING = "warning"
    SUCCESS = "success"


class AttemptsSource(StrEnum):
    """Where the number of attempts is from."""

    LOGGED = "logged"
    """The source logs events `attempted`."""
    DERIVED = "derived"
    """It logs none, or fewer than have an outcome: attempts are held + queued."""
    MIXED = "mixed"
    """Some days are logged, others derived."""


ATTEMPTS = "attempts"
"""How many sends were attempted, decided day by day: see `AttemptsSource`."""
POSITIVE = "positive"
OTHER = "other"
"""All segments that are not named, and none."""
IDENTITY_LEAK = "identity_leak"

ACKNOWLEDGED_REASONS = (POSITIVE, "neutral", "negative")
HELD_REASONS = (
    "rate_limited",
    "cooldown_active",
    "disabled",
    "crisis_window",
    IDENTITY_LEAK,
    "offer_unavailable",
    "risk_level_2",
)
SUPPRESSED_REASONS = (
    "rate_limited",
    "cooldown_active",
    "disabled_until_active",
    "disabled_permanent",
    "crisis_blocked",
    "unknown",
)
DISABLED_REASONS = ("negative_ack", IDENTITY_LEAK)
FAILED_REASONS = ("bounced_hard", "bounced_soft", "blocked", "expired", "complaint")
