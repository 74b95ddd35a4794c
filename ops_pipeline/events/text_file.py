"""Is a text file whole: checked to its end before a row of it is taken.

DuckDB looks at less. It takes a damaged gzip file as it is, drops a line that does not fit into its memory without a
word, and finds bytes that are no UTF-8 in the columns only that a query needs.
"""

from __future__ import annotations

import codecs
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import open_regular
from ops_pipeline.contract.reasons import Reason

LONGEST_LINE = 1 << 20
"""Bytes; a part that is read is no longer, so that only a line that goes on from part to part can be."""
_CR, _LF = b"\r", b"\n"


def has_mixed_ends(path: Path) -> bool:
    """Check a text file, and return whether some of its lines end with CR LF and others with LF.

    Raises OpsError `file_unreadable` for a gzip file that is damaged, cut off, or followed by something else;
    `file_not_utf8` and `line_too_long` with the `line`, from 1.
    """
    decoder = codecs.getincrementaldecoder("utf-8")()
    lines, length, pairs, feeds, last = 1, 0, 0, 0, b""
    for part in _parts(path):
        at = _fault(decoder, part)
        if at is not None:
            raise OpsError(Reason.FILE_NOT_UTF8, line=lines + part.count(_LF, 0, at))
        ends = [end for end in (part.find(_LF), part.find(_CR)) if end >= 0]
        if length + min(ends, default=len(part)) > LONGEST_LINE:
            raise OpsError(Reason.LINE_TOO_LONG, line=lines)
        length = len(part) - 1 - max(part.rfind(_LF), part.rfind(_CR)) + (0 if ends else length)
        pairs += part.count(_CR + _LF) + (last == _CR and part.startswith(_LF))
        feeds += part.count(_LF)
        lines, last = 1 + feeds, part[-1:]
    if decoder.getstate()[0]:
        raise OpsError(Reason.FILE_NOT_UTF8, line=lines)
    return 0 < pairs < feeds


def has_mark(path: Path) -> bool:
    """Return whether a text file begins with a byte order mark. Raises OpsError `file_unreadable`."""
    return next(_parts(path), b"").startswith(codecs.BOM_UTF8)


def write_plain(path: Path, target: Path) -> None:
    """Write a text file anew: no byte order mark, and lines that end with LF. Raises OpsError `file_not_written`."""
    is_written = True
    try:
        with target.open("wb") as out:
            kept, mark = b"", codecs.BOM_UTF8
            for part in _parts(path):
                piece = kept + part.removeprefix(mark)
                # Its other half may come with the next part.
                kept, mark = _CR if piece.endswith(_CR) else b"", b""
                out.write(piece.removesuffix(kept).replace(_CR + _LF, _LF))
            out.write(kept)
    except OSError:
        is_written = False
    if not is_written:
        raise OpsError(Reason.FILE_NOT_WRITTEN)


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Yield the file, unpacked where it is a gzip file. Raises OSError, EOFError or zlib.error."""
    with open_regular(path) as file:
        if path.suffix.lower() == ".gz":
            with gzip.open(file) as unpacked:
                yield unpacked  # type: ignore[misc]
        else:
            yield file


def _parts(path: Path) -> Iterator[bytes]:
    try:
        with opened(path) as file:
            while part := file.read(LONGEST_LINE):
                yield part
            return
    except (OSError, EOFError, zlib.error):
        pass
    raise OpsError(Reason.FILE_UNREADABLE)


def _fault(decoder: codecs.IncrementalDecoder, part: bytes) -> int | None:
    """Return where `part` has what no text in UTF-8 has; None: nowhere."""
    kept = len(decoder.getstate()[0])
    found = [at for at in (part.find(b"\0"),) if at >= 0]
    # Most text is ASCII, which is faster to see than to decode.
    if kept or not part.isascii():
        try:
            decoder.decode(part)
        except UnicodeDecodeError as error:
            found.append(max(0, error.start - kept))
    return min(found, default=None)
