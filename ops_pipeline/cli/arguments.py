"""Kinds of argument that several tools take."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DIGITS = 12


def whole_number(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high`, both included, written in the digits 0 to 9."""

    def read(text: str) -> int:
        # Neither a sign, nor a digit of another script, nor more digits than the largest number has.
        if not text.isascii() or not text.isdigit() or len(text) > (_DIGITS if high is None else len(str(high))):
            raise ValueError
        number = int(text)
        if number < low or (high is not None and number > high):
            raise ValueError
        return number

    return read
