"""The kinds of word that a line may hold, each of a fixed shape in which no text of others has room."""

from __future__ import annotations

import re

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Self

LABEL_PATTERN = r"^[a-z][a-z0-9_]{0,39}$"


class Token(str):
    """A string of a fixed shape. Raises ValueError, without repeating the text, for anything else."""

    __slots__ = ()
    _SHAPE: str

    def __new__(cls, text: str) -> Self:
        """Return `text` as a word of this kind."""
        if not re.fullmatch(cls._SHAPE, text):
            raise ValueError("not a word of this kind")
        return super().__new__(cls, text)

    @classmethod
    def or_none(cls, text: str | None) -> Self | None:
        """Return `text` as a word of this kind, or None where it is none."""
        return cls(text) if text is not None and re.fullmatch(cls._SHAPE, text) else None


class Label(Token):
    """A label: lower case, digits, underscores, at most 40 characters."""

    __slots__ = ()
    _SHAPE = LABEL_PATTERN.strip("^$")


class LintRule(Token):
    """The name of one of squawk's rules, with underscores."""

    __slots__ = ()
    _SHAPE = r"[a-z][a-z0-9_]{0,79}"


class SqlState(Token):
    """The five characters of an SQLSTATE."""

    __slots__ = ()
    _SHAPE = r"[0-9A-Z]{5}"


class RevisionId(Token):
    """The id of a migration's revision, such as 0001."""

    __slots__ = ()
    _SHAPE = r"[0-9a-f]{1,32}"


class VersionNumber(Token):
    """A version, such as 1.13.27 or 18.0rc1."""

    __slots__ = ()
    _SHAPE = r"[0-9]{1,4}(\.[0-9]{1,6}){0,4}((a|b|rc)[0-9]{1,4})?"


class SmallCell(Token):
    """A count that is too small to be told: fewer than so many."""

    __slots__ = ()
    _SHAPE = r"lt[0-9]{1,4}"


def is_label(text: str) -> bool:
    """Return whether `text` matches the label pattern: lower case, digits, underscores, at most 40 characters."""
    return Label.or_none(text) is not None


class ConfigKey(Token):
    """A key of the configuration file with its section, such as thresholds.hold_rate."""

    __slots__ = ()
    _SHAPE = r"[a-z_]{1,40}(\.[a-z_]{1,40}){0,3}"


def band(count: int) -> Label:
    """Return the power of ten that the count is below; ten is the smallest, so that no small count shows."""
    return Label(f"lt{10 ** max(1, len(str(count)))}")
