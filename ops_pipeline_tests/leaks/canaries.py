"""Words that must never come out: each stands for a kind of secret, and is looked for in whatever was written."""

from __future__ import annotations

import base64
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, fields
from urllib.parse import quote


@dataclass(frozen=True)
class Canaries:
    """One invented word for each kind of secret; all are labels, so that they could be printed if anything could."""

    password: str = "cnrypassword7f3a"  # noqa: S105 - that is the point
    role: str = "cnryrole5b21"
    database: str = "cnrydatabase9c0e"
    host: str = "cnryhost31d7"
    option: str = "cnryoption64aa"
    row: str = "cnryrow8e15"
    label: str = "cnrylabel02bc"
    config: str = "cnryconfig77d0"
    file: str = "cnryfile4a9f"
    environment: str = "cnryenviron6e3b"
    typed: str = "cnrytyped1f58"
    raised: str = "cnryraised90c4"


CANARIES = Canaries()
EMAIL = f"{CANARIES.row}@example.org"
PHONE = "+49 171 5550" + "199"
FREE_TEXT = f"please do not tell {CANARIES.row}"
ODD_TEXT = f"{CANARIES.row}\n\x1b[31m{CANARIES.row}\u202e"


def _forms(word: str) -> Iterator[bytes]:
    plain = word.encode()
    yield plain
    yield quote(word, safe="").encode()
    # Base64 of a longer text holds one of three forms of a word in it, whatever stands before and after.
    for shift in range(3):
        yield base64.b64encode(b"\0" * shift + plain)[4 if shift else 0 : -4]


_WORDS = {item.name: getattr(CANARIES, item.name) for item in fields(CANARIES)}
_FORMS = {name: re.compile(b"|".join(map(re.escape, _forms(word))), re.IGNORECASE) for name, word in _WORDS.items()}
_PHONE = re.compile(rb"171\D{0,2}5550\D?199")


def found_in(content: bytes) -> set[str]:
    """Return the kinds of secret in `content`; what is compressed is looked into."""
    found = {name for name, pattern in _FORMS.items() if pattern.search(content)}
    if _PHONE.search(content):
        found.add("phone")
    return found | {kind for inside in _inflated(content) for kind in found_in(inside)}


def _inflated(content: bytes) -> Iterator[bytes]:
    for start in re.finditer(rb"\x78[\x01\x5e\x9c\xda]|\x1f\x8b\x08", content):
        try:
            yield zlib.decompressobj(zlib.MAX_WBITS | 32).decompress(content[start.start() :])
        except zlib.error:
            continue
