"""The tutorial holds: its commands print what it shows, on whichever day it is read."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ops_pipeline_tests import walkthrough

SECTIONS = walkthrough.sections(walkthrough.TUTORIAL)


@pytest.mark.slow
def test_every_command_prints_what_is_shown(tmp_path: Path) -> None:
    days: dict[str, str] = {}
    for title, steps in SECTIONS.items():
        for written in steps:
            step = written.filled(days)
            done = walkthrough.run(step, tmp_path, walkthrough.environment())
            assert done.exit_code == 0, (title, done)
            assert done.lacks(step) == [], (title, step.command, done)
            days |= {key.upper(): day for key, day in re.findall(r"(\w+_day)=(\S+)", done.lines[-1])}


def test_the_sections_with_commands_are_all_there() -> None:
    assert list(SECTIONS) == ["A healthy day", "The incident", "Too little to say"]
