"""Where secrets stand in files: what the detector finds in them, and the environment's own values.

The files are laid out in a private folder first: archives unpacked, long files cut, each piece with a number for a
name, since by their own names Kingfisher would leave out pages, pictures, tests and more. It gets none of the
environment's secrets, and of what it prints only numbers and the names of rules get any further.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import itertools
import json
import lzma
import os
import re
import shutil
import stat
import subprocess
import sysconfig
import tarfile
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, NamedTuple

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import NotAFileError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label

ENVIRONMENT_VALUE = Label("environment_value")

RULES = Path(__file__).with_name("rules.yaml")
# The DSNs that this project's pages show, whole.
_SHOWN = (
    "postgresql://("
    "user:password@host:5432/database"
    r"|user@/database\?host=/path/of/its/folder"
    r"|ops_pipeline:PASSWORD@(OTHER_)?HOST:5432/(app|dagster)\?sslmode=require"
    ")"
)
_OPTIONS = (
    "--quiet",
    "--no-update-check",
    "--no-validate",
    "--no-limits",
    "--no-ignore",
    "--no-dedup",
    "--redact",
    "--git-history=none",
    "--confidence=medium",
    "--format=json",
    f"--skip-regex={_SHOWN}",
    f"--rules-path={RULES}",
)
_FOUND = 200
_PASSED_ON = ("HOME", "PATH", "XDG_CACHE_HOME")

_DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS)
_DEEPEST = 8
_PIECE = 1 << 24
_OVERLAP = 1 << 16
_LONGEST_LABEL = 40
_COMPRESSED = ((b"\x1f\x8b\x08", gzip.open), (b"BZh", bz2.open), (b"\xfd7zXZ\x00", lzma.open))
_ZIP = b"PK\x03\x04"
_TAR = slice(257, 262)


class Finding(NamedTuple):
    """Where a rule found something: the numbers of the argument, of the file below it, and of the line."""

    argument: int
    file: int
    line_number: int
    rule: Label


class _Piece(NamedTuple):
    argument: int
    file: int
    lines_before: int


def files_below(path: Path) -> list[Path]:
    """Return the regular files at or below `path`, by the bytes of their paths. Raises OSError.

    A symbolic link is followed where it is `path` itself; below it, links are left out.
    """
    mode = path.stat().st_mode
    if stat.S_ISREG(mode):
        return [path]
    if not stat.S_ISDIR(mode):
        raise NotAFileError
    below = (Path(folder) / name for folder, _, names in os.walk(path, onerror=_refuse) for name in names)
    return sorted((file for file in below if stat.S_ISREG(file.lstat().st_mode)), key=os.fsencode)


def _refuse(error: OSError) -> None:
    raise error


class Scan:
    """A scan in a private folder of its own: add the files, then look at `findings`."""

    def __init__(self, folder: Path, secrets: Sequence[bytes]) -> None:
        """Prepare a scan that looks for `secrets` too. Raises OpsError `guard_missing`."""
        scripts = sysconfig.get_path("scripts")
        program = shutil.which("kingfisher", path=scripts) or shutil.which("kingfisher")
        if program is None:
            raise OpsError(Reason.GUARD_MISSING)
        self._program = program
        self._secrets = secrets
        self._unpacked = folder / "unpacked"
        self._laid_out = folder / "pieces"
        for made in (self._unpacked, self._laid_out):
            made.mkdir()
        self._numbers = itertools.count()
        self._pieces: list[_Piece] = []
        self._values: set[Finding] = set()

    def add(self, path: Path, argument: int, file: int) -> None:
        """Lay out a file. Raises OpsError `file_unreadable` or `file_not_written`."""
        try:
            self._add(path, argument, file, depth=0)
        except Exception as error:  # noqa: BLE001 - a damaged archive makes the libraries raise nearly anything
            is_full = isinstance(error, OSError) and error.errno in _DISK_FULL
            failure = Reason.FILE_NOT_WRITTEN if is_full else Reason.FILE_UNREADABLE
        else:
            return
        raise OpsError(failure, argument=argument, file=file)

    def _add(self, path: Path, argument: int, file: int, depth: int) -> None:
        with path.open("rb") as content:
            head = content.read(_TAR.stop)
        is_archive = False
        for member in _members(path, head):
            is_archive = True
            if depth == _DEEPEST:
                raise ValueError
            unpacked = self._unpacked / str(next(self._numbers))
            with member, unpacked.open("wb") as out:
                shutil.copyfileobj(member, out)
            self._add(unpacked, argument, file, depth + 1)
            unpacked.unlink()
        if not is_archive or (zipfile.is_zipfile(path) and not head.startswith(_ZIP)):
            with path.open("rb") as content:
                self._cut(content, argument, file)

    def _cut(self, content: IO[bytes], argument: int, file: int) -> None:
        """Write pieces that overlap, so that nothing is lost where one ends; a long file as a whole has no lines."""
        kept, lines_before = b"", 0
        while some := content.read(_PIECE):
            piece = kept + some
            for line in _lines_with(self._secrets, piece):
                self._values.add(Finding(argument, file, lines_before + line, ENVIRONMENT_VALUE))
            (self._laid_out / str(len(self._pieces))).write_bytes(piece)
            self._pieces.append(_Piece(argument, file, lines_before))
            kept = piece[-_OVERLAP:]
            lines_before += piece.count(b"\n", 0, len(piece) - len(kept))

    def findings(self) -> list[Finding]:
        """Return what was found, sorted. Raises OpsError `guard_failed` if the detector did not look at all of it."""
        try:
            found = self._detected() if self._pieces else set()
        except (OSError, ValueError, LookupError, TypeError):
            found = None
        if found is None:
            raise OpsError(Reason.GUARD_FAILED)
        return sorted(found | self._values)

    def _detected(self) -> set[Finding]:
        environ = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
        ended = subprocess.run(  # noqa: S603 - the arguments are ours, and so are the names in the folder
            [self._program, "scan", *_OPTIONS, "."],
            cwd=self._laid_out,
            env={**environ, "TMPDIR": str(self._unpacked)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            check=False,
        )
        if ended.returncode not in (0, _FOUND):
            raise ValueError
        # A summary follows the report.
        report, _ = json.JSONDecoder().raw_decode(ended.stdout.decode())
        done = report["audit"]["summary"]
        if done["scan_succeeded"] != 1 or report["metadata"]["summary"]["blobs_scanned"] < len(self._pieces):
            raise ValueError
        return {self._finding(one["finding"], str(one["rule"]["id"])) for one in report["findings"]}

    def _finding(self, where: dict[str, object], rule: str) -> Finding:
        place = re.match(r"\./([0-9]+)(?:!|$)", str(where["path"]))
        line = where["line"]
        if place is None or not isinstance(line, int):
            raise ValueError
        piece = self._pieces[int(place[1])]
        label = Label(re.sub("[^a-z0-9]", "_", rule.lower())[:_LONGEST_LABEL])
        return Finding(piece.argument, piece.file, piece.lines_before + line, label)


def _members(path: Path, head: bytes) -> Iterator[IO[bytes] | gzip.GzipFile | bz2.BZ2File | lzma.LZMAFile]:
    """Yield what a file holds that is an archive or compressed, whatever its name; of another, nothing."""
    for magic, opened in _COMPRESSED:
        if head.startswith(magic):
            yield opened(path, "rb")
            return
    if head.startswith(_ZIP) or zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            if head.startswith(_ZIP) and not archive.infolist():
                raise zipfile.BadZipFile
            for info in archive.infolist():
                if not info.is_dir():
                    yield archive.open(info)
    elif head[_TAR] == b"ustar":
        with tarfile.open(path, "r:") as archive:
            for entry in archive:
                content = archive.extractfile(entry) if entry.isfile() else None
                if content is not None:
                    yield content


def _lines_with(secrets: Sequence[bytes], piece: bytes) -> Iterator[int]:
    """Yield the number of each line of `piece` that one of `secrets` begins on."""
    for secret in secrets:
        line, seen = 1, 0
        at = piece.find(secret)
        while at >= 0:
            line += piece.count(b"\n", seen, at)
            yield line
            seen, at = at, piece.find(secret, at + 1)
