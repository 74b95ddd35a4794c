"""The golden path of the runbook holds, and a step that does not is the last one."""

from __future__ import annotations

from pathlib import Path

import pytest

from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline_tests import rehearsal

STEPS = [
    "config",
    "plan",
    "roles",
    "bootstrap",
    "rights",
    "verify",
    "traffic",
    "ops_daily",
    "backup",
    "backup_readable",
    "roles_new",
    "restore",
    "rights_restored",
    "bootstrap_restored",
    "verify_restored",
    "ops_daily_restored",
    "same_lines",
]


@pytest.mark.slow
def test_a_restored_backup_says_the_same_as_before(capfd: pytest.CaptureFixture[str]) -> None:
    assert rehearsal.main() == 0
    *steps, last = capfd.readouterr().out.splitlines()
    assert [line.partition(" | ")[0] for line in steps] == [f"rehearsal step={step} status=ok" for step in STEPS]
    assert last == "rehearsal status=ok"


@pytest.mark.slow
def test_nothing_is_done_after_a_step_that_failed(tmp_path: Path) -> None:
    nowhere = EmbeddedServer(str(tmp_path))
    steps = list(rehearsal.rehearse(nowhere, nowhere, tmp_path))
    assert [step.step for step in steps] == ["config", "plan", "roles"]
    assert [step.ok for step in steps] == [True, True, False]
