"""Names of tables and views, as PostgreSQL reads them."""

from __future__ import annotations

import re

_PART = r'(?:[^\W\d][\w$]*|"(?:[^"\x00]|"")+")'
_IDENTIFIER = re.compile(rf"{_PART}(?:\.{_PART})?")


def is_identifier(name: str) -> bool:
    """Return whether `name` can name a table or view, with or without its schema."""
    return _IDENTIFIER.fullmatch(name) is not None
