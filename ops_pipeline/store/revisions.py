"""The shipped revisions: found, put in order and checked, without any database."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import subprocess
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from alembic.util import load_python_file

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.files import package_path
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import LintRule, RevisionId

# The oldest server that is supported: what is safe there is safe on newer ones.
_POSTGRES = "15.0"
# What squawk says about style, or about limits that db_bootstrap sets itself; everything else is about locks.
_NOT_ABOUT_LOCKS = ("ban-char-field", "require-lock-timeout", "require-statement-timeout")
_STYLE = "prefer-"
_LINT_SECONDS = 60


@contextmanager
def silence() -> Iterator[None]:
    """Show nothing of what a revision prints."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        yield


class Direction(StrEnum):
    """Which of a revision's two functions."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True)
class Revision:
    """One revision file."""

    revision_id: RevisionId
    path: Path
    module: ModuleType

    @property
    def digest(self) -> bytes:
        """SHA-256 of the file."""
        return hashlib.sha256(self.path.read_bytes()).digest()

    @property
    def downs(self) -> tuple[str, ...]:
        """The ids of the revisions before this one: none for the first, one elsewhere, more for a merge."""
        down: Any = getattr(self.module, "down_revision", None)
        return () if down is None else tuple(map(str, down if isinstance(down, list | tuple) else [down]))

    def sql(self, direction: Direction) -> str:
        """Return the statements of one direction, compiled without a database.

        Raises OpsError `missing_downgrade` or `revision_not_offline`, naming the revision.
        """
        statements = io.StringIO()
        context = MigrationContext.configure(
            dialect_name="postgresql", opts={"as_sql": True, "output_buffer": statements}
        )
        reason = Reason.REVISION_NOT_OFFLINE
        try:
            with silence(), Operations.context(context):
                getattr(self.module, direction)()
        except (Exception, SystemExit) as error:  # noqa: BLE001 - a revision can raise anything
            if isinstance(error, NotImplementedError) and direction is Direction.DOWNGRADE:
                reason = Reason.MISSING_DOWNGRADE
        else:
            return statements.getvalue()
        raise OpsError(reason, revision=self.revision_id)


def revisions() -> list[Revision]:
    """Return the shipped revisions from the first to the newest.

    Raises OpsError `no_revisions`, `revision_not_importable`, `invalid_revision_id`, `duplicate_revision`,
    `missing_down_revision`, `several_heads`, `branched` or `revision_cycle`, naming the revision where it is one.
    """
    found = [_load(path) for path in sorted((package_path("migrations") / "versions").glob("*.py"))]
    if not found:
        raise OpsError(Reason.NO_REVISIONS)
    by_id: dict[str, Revision] = {}
    for revision in found:
        if by_id.setdefault(revision.revision_id, revision) is not revision:
            raise OpsError(Reason.DUPLICATE_REVISION, revision=revision.revision_id)
    for revision in found:
        if not by_id.keys() >= set(revision.downs):
            raise OpsError(Reason.MISSING_DOWN_REVISION, revision=revision.revision_id)
    return _in_order(by_id)


def _in_order(by_id: dict[str, Revision]) -> list[Revision]:
    downs = [down for revision in by_id.values() for down in revision.downs]
    heads = by_id.keys() - set(downs)
    if len(heads) > 1:
        raise OpsError(Reason.SEVERAL_HEADS, heads=len(heads))
    first_ones = sum(not revision.downs for revision in by_id.values())
    if len(downs) != len(set(downs)) or first_ones > 1 or any(len(one.downs) > 1 for one in by_id.values()):
        raise OpsError(Reason.BRANCHED)
    in_order: list[Revision] = []
    after: tuple[str, ...] = tuple(heads)
    while after and len(in_order) < len(by_id):
        in_order.append(by_id[after[0]])
        after = in_order[-1].downs
    # Each has one before it and one after it: what the way down from the head does not meet runs in a circle.
    if len(in_order) < len(by_id):
        raise OpsError(Reason.REVISION_CYCLE)
    return in_order[::-1]


def _load(path: Path) -> Revision:
    module = None
    # A revision file can raise anything, and print.
    with suppress(Exception, SystemExit), silence():
        module = load_python_file(str(path.parent), path.name)
    named = RevisionId.or_none(path.stem.partition("_")[0])
    if module is None or not isinstance(getattr(module, "revision", None), str):
        raise OpsError(Reason.REVISION_NOT_IMPORTABLE, revision=named)
    revision_id = RevisionId.or_none(module.revision)
    if revision_id is None:
        raise OpsError(Reason.INVALID_REVISION_ID, revision=named)
    return Revision(revision_id, path, module)


def check_revisions(*, lints: bool = False) -> list[Revision]:
    """Return the shipped revisions, each compiled to SQL in both directions without a database.

    Raises OpsError as `revisions` does, `missing_downgrade` or `revision_not_offline`; and where `lints` is asked
    for, `dangerous_lock` for SQL that would lock others out for long, or `lint_missing`.
    """
    found = revisions()
    upgrades = []
    for revision in found:
        if not hasattr(revision.module, Direction.DOWNGRADE):
            raise OpsError(Reason.MISSING_DOWNGRADE, revision=revision.revision_id)
        upgrade, downgrade = (revision.sql(direction) for direction in Direction)
        if upgrade.strip() and not downgrade.strip():
            raise OpsError(Reason.MISSING_DOWNGRADE, revision=revision.revision_id)
        upgrades.append(upgrade)
    if lints:
        _lint(found, upgrades)
    return found


def _lint(found: Sequence[Revision], upgrades: Sequence[str]) -> None:
    with tempfile.TemporaryDirectory(prefix="ops_pipeline_") as scratch:
        paths = {str(Path(scratch) / f"{revision.revision_id}.sql"): revision for revision in found}
        for path, upgrade in zip(paths, upgrades, strict=True):
            Path(path).write_text(upgrade, encoding="utf-8")
        findings = _squawk(list(paths))
    for path, revision in paths.items():
        rules = {finding["rule_name"] for finding in findings if finding["file"] == path}
        dangerous = sorted(rule for rule in rules if rule not in _NOT_ABOUT_LOCKS and not rule.startswith(_STYLE))
        if dangerous:
            words = tuple(LintRule(rule.replace("-", "_")) for rule in dangerous)
            raise OpsError(Reason.DANGEROUS_LOCK, revision=revision.revision_id, rules=words)


def _squawk(paths: Sequence[str]) -> list[dict[str, str]]:
    scripts = sysconfig.get_path("scripts")
    program = shutil.which("squawk", path=scripts) or shutil.which("squawk")
    if program is None:
        raise OpsError(Reason.LINT_MISSING)
    command = [program, "--reporter=json", f"--pg-version={_POSTGRES}", "--assume-in-transaction", *paths]
    try:
        ended = subprocess.run(command, capture_output=True, check=False, timeout=_LINT_SECONDS)  # noqa: S603 - our own files
        found: list[dict[str, str]] = json.loads(ended.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired):
        pass
    else:
        return found
    raise OpsError(Reason.LINT_MISSING)
