"""Files: those that ship with the program, and the one way in which a file is written."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

TYPE_CHECKING = False
if TYPE_CHECKING:
    from io import BufferedReader

_PACKAGE = Path(__file__).resolve().parent.parent
PRIVATE = 0o600
PUBLIC = 0o644


class NotAFileError(OSError):
    """It is a folder, pipe, device or socket."""


def package_path(name: str) -> Path:
    """Return the path of the shipped file or folder `name`: inside the wheel, or at the top of a checkout."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError, also for a pipe, device or socket: none of them need ever end."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise NotAFileError
    return path.open("rb")


def read_small(path: Path, longest: int) -> bytes:
    """Return what a file holds. Raises OSError as `open_regular` does, and where it has more bytes than `longest`."""
    with open_regular(path) as file:
        content = file.read(longest + 1)
    if len(content) > longest:
        raise OSError
    return content


def write_whole(path: Path, content: str, *, mode: int = PRIVATE) -> int:
    """Write a text file as a whole or not at all, in place of what was there, and return its bytes.

    It is written beside the old one under a name that nobody can have prepared, so that a link in a shared folder
    leads nowhere. Raises OpsError `file_not_written`.
    """
    data = content.encode()
    part = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    try:
        # Neither through a link nor into a file that is there.
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            os.fchmod(file.fileno(), mode)
        part.replace(path)
    except OSError:
        with suppress(OSError):
            part.unlink()
    else:
        return len(data)
    raise OpsError(Reason.FILE_NOT_WRITTEN)
