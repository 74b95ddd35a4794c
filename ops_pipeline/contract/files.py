"""Files: those that ship with the program, and the one way in which a file is written."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason

_PACKAGE = Path(__file__).resolve().parent.parent
PRIVATE = 0o600
PUBLIC = 0o644


def package_path(name: str) -> Path:
    """Return the path of the shipped file or folder `name`: inside the wheel, or at the top of a checkout."""
    inside = _PACKAGE / name
    return inside if inside.exists() else _PACKAGE.parent / name


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
