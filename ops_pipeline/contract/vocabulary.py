"""What an event may say: touches, outcomes, labels and the taxonomy of reasons.

Belongs here: the words of the event contract. Does not belong here: what is computed from them (`health`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

LABEL_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"
_SQLSTATE = re.compile(r"[0-9A-Z]{5}\Z")
_LABEL = re.compile(LABEL_PATTERN.replace("$", r"\Z"))


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


POSITIVE = "positive"
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


def is_label(text: str) -> bool:
    """Return whether `text` matches the label pattern: lower case, digits, underscores, at most 40 characters."""
    return _LABEL.match(text) is not None


class Label(str):
    """A string known to be a label. Raises ValueError, without repeating the text, for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> Label:
        """Return `text` as a label."""
        if not is_label(text):
            raise ValueError("not a label")
        return super().__new__(cls, text)


class SqlState(str):
    """The five characters of an SQLSTATE. Raises ValueError, without repeating the text, for anything else."""

    __slots__ = ()

    def __new__(cls, text: str) -> SqlState:
        """Return `text` as an SQLSTATE."""
        if not _SQLSTATE.match(text):
            raise ValueError("not an SQLSTATE")
        return super().__new__(cls, text)


@dataclass(frozen=True, slots=True, kw_only=True)
class Taxonomy:
    """The reasons a deployment declares, for each outcome that needs one.

    Raises ValueError for a reason that is no label or is one of the reserved words.
    """

    held: tuple[str, ...] = HELD_REASONS
    suppressed: tuple[str, ...] = SUPPRESSED_REASONS
    disabled: tuple[str, ...] = DISABLED_REASONS
    failed: tuple[str, ...] = FAILED_REASONS

    def __post_init__(self) -> None:
        reserved = set(Reserved)
        for reasons in (self.held, self.suppressed, self.disabled, self.failed):
            if any(not is_label(reason) or reason in reserved for reason in reasons):
                raise ValueError("a declared reason is no label, or is reserved")

    @property
    def reasons(self) -> Mapping[Outcome, tuple[str, ...]]:
        """The declared reasons of every outcome that requires a reason; acknowledgements are fixed."""
        return {
            Outcome.HELD: self.held,
            Outcome.SUPPRESSED: self.suppressed,
            Outcome.DISABLED: self.disabled,
            Outcome.FAILED: self.failed,
            Outcome.ACKNOWLEDGED: ACKNOWLEDGED_REASONS,
        }
