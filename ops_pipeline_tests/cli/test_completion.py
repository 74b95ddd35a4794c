"""Shell completion: what a shell offers after the Tab key."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from ops_pipeline.cli.catalogue import TOOLS
from ops_pipeline.cli.main import SHELLS, main
from ops_pipeline_tests.conftest import Lines


def _offered(script: Path, *words: str) -> list[str]:
    """Return what bash offers for the last of these words."""
    typed = " ".join(f"'{word}'" for word in ("ops-pipeline", *words))
    commands = f"source {script}; COMP_WORDS=({typed}); COMP_CWORD={len(words)}; _shtab_ops_pipeline"
    ended = subprocess.run(
        ["/bin/bash", "-c", f'{commands}; echo "${{COMPREPLY[@]}}"'], capture_output=True, text=True, check=True
    )
    return ended.stdout.split()


@pytest.fixture
def script(tmp_path: Path, lines: Lines) -> Path:
    assert main(["--print-completion=bash"]) == 0
    path = tmp_path / "ops-pipeline"
    path.write_text("\n".join(lines()))
    return path


def test_bash_offers_every_tool_its_options_and_their_values(script: Path) -> None:
    assert set(_offered(script, "")) == set(TOOLS)
    assert _offered(script, "db_v") == ["db_verify"]
    assert {"--json", "--quiet", "--format", "--help", "--with-dagster"} <= set(_offered(script, "db_verify", "--"))
    assert _offered(script, "db_bootstrap", "ap") == ["apply_migrations"]
    assert _offered(script, "events", "") == ["import", "sample"]
    assert _offered(script, "events", "import", "--uni") == ["--unique-by"]


@pytest.mark.parametrize("shell", SHELLS)
def test_every_shell_gets_a_script_that_it_can_read(shell: str, tmp_path: Path, lines: Lines) -> None:
    assert main([f"--print-completion={shell}"]) == 0
    script = "\n".join(lines())
    assert all(tool in script for tool in TOOLS)
    if program := shutil.which(shell):
        (tmp_path / "script").write_text(script)
        subprocess.run([program, "-n", str(tmp_path / "script")], check=True, capture_output=True)


@pytest.mark.parametrize("argument", ["--print-completion", "--print-completion=", "--print-completion=fish"])
def test_a_shell_that_is_not_known_is_a_wrong_command_line(argument: str, lines: Lines) -> None:
    assert main([argument]) == 1
    assert lines() == ["ops_pipeline status=fail reason=usage"]
