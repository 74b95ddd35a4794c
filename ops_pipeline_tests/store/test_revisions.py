"""The revisions themselves: what `db_bootstrap --dry-run` finds wrong with them, without any database."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.store import revisions as module
from ops_pipeline.store.revisions import Direction, check_revisions, revisions

HEAD = """
from alembic import op
revision, down_revision, branch_labels, depends_on = {revision!r}, {down!r}, None, None
"""
UP = "def upgrade():\n    op.execute({sql!r})\n"
DOWN = "def downgrade():\n    op.execute('DROP TABLE ops.made_up')\n"
CREATE = "CREATE TABLE ops.made_up (a text)"

Write = Callable[..., None]


def _source(revision: str, down: object = None, up: str = UP.format(sql=CREATE), undo: str = DOWN) -> str:
    return HEAD.format(revision=revision, down=down) + up + undo


@pytest.fixture
def ship(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Ship these revision files instead of ours."""
    (tmp_path / "versions").mkdir()
    monkeypatch.setattr(module, "package_path", lambda _name: tmp_path)

    def write(*sources: str) -> None:
        for number, source in enumerate(sources, start=1):
            (tmp_path / "versions" / f"{number:04}_made_up.py").write_text(source)

    return write


def _refused(reason: Reason, **fields: object) -> None:
    with pytest.raises(OpsError) as caught:
        check_revisions(lints=reason is Reason.DANGEROUS_LOCK)
    assert (caught.value.reason, caught.value.fields) == (reason, fields)
    assert (caught.value.__cause__, caught.value.__context__) == (None, None)


def test_ours_are_in_order_undoable_and_lock_nobody_out() -> None:
    found = check_revisions(lints=True)
    assert [one.revision_id for one in found] == [f"{number:04}" for number in range(1, len(found) + 1)]
    assert all(one.sql(direction).strip() for one in found for direction in Direction)


def test_in_order_is_by_what_follows_what_and_not_by_the_files_names(ship: Write) -> None:
    ship(_source("c1", "b2"), _source("b2", "0a"), _source("0a"))
    assert [one.revision_id for one in revisions()] == ["0a", "b2", "c1"]


def test_none_at_all(ship: Write) -> None:
    _refused(Reason.NO_REVISIONS)


@pytest.mark.parametrize(
    ("sources", "reason", "fields"),
    [
        ([_source("01"), _source("02", "01"), _source("03", "01")], Reason.SEVERAL_HEADS, {"heads": 2}),
        ([_source("01"), _source("02")], Reason.SEVERAL_HEADS, {"heads": 2}),
        (
            [_source("01"), _source("02", "01"), _source("03", "01"), _source("04", ("02", "03"))],
            Reason.BRANCHED,
            {},
        ),
        ([_source("01"), _source("02"), _source("03", ("01", "02"))], Reason.BRANCHED, {}),
        ([_source("01"), _source("01", "01")], Reason.DUPLICATE_REVISION, {"revision": "01"}),
        ([_source("01"), _source("02", "00")], Reason.MISSING_DOWN_REVISION, {"revision": "02"}),
        ([_source("01", "02"), _source("02", "01")], Reason.REVISION_CYCLE, {}),
        ([_source("01"), _source("02", "03"), _source("03", "02")], Reason.REVISION_CYCLE, {}),
        ([_source("01", "01")], Reason.REVISION_CYCLE, {}),
    ],
)
def test_what_does_not_form_one_line_is_refused(
    ship: Write, sources: list[str], reason: Reason, fields: dict[str, object]
) -> None:
    ship(*sources)
    _refused(reason, **fields)


@pytest.mark.parametrize("down", [5, "", b"01", {"01": 1}, ("01", "01", "99"), [["01"]], "01@head"])
def test_a_down_revision_that_is_no_id_is_refused(ship: Write, down: object) -> None:
    ship(_source("01"), _source("02", down))
    _refused(Reason.MISSING_DOWN_REVISION, revision="02")


@pytest.mark.parametrize(
    "source",
    [
        "this is no Python",
        "text = 'a string without an end",
        "nul = '\x00'",
        "raise ValueError('s3cr3t')",
        "import sys\nsys.exit('s3cr3t')",
        "from no_such_package import s3cr3t",
        "print('s3cr3t')",
        "revision = None",
        "revision = 1",
    ],
)
def test_a_file_that_is_no_revision_is_named_by_its_number(
    ship: Write, source: str, capfd: pytest.CaptureFixture[str]
) -> None:
    ship(source)
    _refused(Reason.REVISION_NOT_IMPORTABLE, revision="0001")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("revision", ["add_phone", "0001-a", "s3cr3t!", ""])
def test_an_id_that_could_be_text_is_refused_and_not_repeated(ship: Write, revision: str) -> None:
    ship(_source(revision))
    _refused(Reason.INVALID_REVISION_ID, revision="0001")


@pytest.mark.parametrize(
    "undo",
    [
        "",
        "def downgrade():\n    pass\n",
        "def downgrade():\n    '''There is no way back.'''\n",
        "def downgrade():\n    raise NotImplementedError('s3cr3t')\n",
    ],
)
def test_what_cannot_be_undone_is_refused(ship: Write, undo: str) -> None:
    ship(_source("01", undo=undo))
    _refused(Reason.MISSING_DOWNGRADE, revision="01")


def test_a_revision_that_does_nothing_needs_no_undoing(ship: Write) -> None:
    ship(_source("01", up="def upgrade():\n    pass\n", undo="def downgrade():\n    pass\n"))
    assert len(check_revisions()) == 1


@pytest.mark.parametrize(
    "body",
    ["op.get_bind().scalar('SELECT 1')", "raise ValueError('s3cr3t')", "import sys; sys.exit(1)", "op.no_such()"],
)
@pytest.mark.parametrize("direction", Direction)
def test_what_does_not_compile_without_a_database_is_refused(ship: Write, direction: Direction, body: str) -> None:
    broken = f"def {direction}():\n    {body}\n"
    ship(_source("01", up=broken) if direction is Direction.UPGRADE else _source("01", undo=broken))
    _refused(Reason.REVISION_NOT_OFFLINE, revision="01")


@pytest.mark.parametrize(
    ("sql", "rule"),
    [
        ("ALTER TABLE ops.daily_counts ALTER COLUMN events TYPE numeric", "changing_column_type"),
        ("CREATE INDEX by_day ON ops.daily_counts (utc_day)", "require_concurrent_index_creation"),
        (
            "COMMENT ON TABLE ops.daily_counts IS 'a'; CREATE INDEX CONCURRENTLY a ON ops.daily_counts (utc_day)",
            "ban_concurrent_index_creation_in_transaction",
        ),
        ("ALTER TABLE ops.daily_counts ADD CONSTRAINT a CHECK (events < 9)", "constraint_missing_not_valid"),
        ("ALTER TABLE ops.daily_counts ALTER COLUMN segment SET NOT NULL", "adding_not_nullable_field"),
    ],
)
def test_what_would_lock_others_out_is_refused_with_the_rule_that_it_breaks(ship: Write, sql: str, rule: str) -> None:
    ship(_source("01", up=UP.format(sql=sql)))
    assert len(check_revisions()) == 1
    _refused(Reason.DANGEROUS_LOCK, revision="01", rules=(rule,))


def test_the_first_revision_that_breaks_a_rule_is_named(ship: Write) -> None:
    drop = "ALTER TABLE ops.daily_counts ALTER COLUMN events TYPE numeric"
    ship(_source("01"), _source("02", "01", up=UP.format(sql=drop)), _source("03", "02"))
    _refused(Reason.DANGEROUS_LOCK, revision="02", rules=("changing_column_type",))


def test_without_squawk_nothing_is_called_harmless(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "squawk"
    broken.write_text("#!/bin/sh\necho s3cr3t\n")
    broken.chmod(0o755)
    for program in (None, str(broken), str(tmp_path / "missing")):
        monkeypatch.setattr(shutil, "which", lambda *_args, program=program, **_options: program)
        with pytest.raises(OpsError) as caught:
            check_revisions(lints=True)
        assert caught.value.reason is Reason.LINT_MISSING


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_what_a_revision_prints_is_not_shown(ship: Write, capfd: pytest.CaptureFixture[str], stream: str) -> None:
    say = f"import sys; print('s3cr3t', file=sys.{stream})\n"
    ship(say + _source("01", up=f"def upgrade():\n    {say}    op.execute({CREATE!r})\n"))
    assert len(check_revisions()) == 1
    assert capfd.readouterr() == ("", "")
