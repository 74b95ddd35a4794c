"""The runbook's golden path on two throwaway servers: `make rehearsal` prints one line a step.

Bootstrap, a day's lines, a backup, its restore into an empty server, and the same lines once more.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops_pipeline.store.embedded import EmbeddedServer, embedded_server
from ops_pipeline_tests import walkthrough

# Every server has this one, empty.
_DATABASE = "postgres"

_TRAFFIC = walkthrough.Step(
    "ops-pipeline events sample --out=sample.csv && ops-pipeline events import sample.csv --unique-by=event_id",
    ("events_import status=ok ...",),
)


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """One step: its name, whether it kept what the runbook promises, and the line that shows it."""

    step: str
    ok: bool
    said: str

    def __str__(self) -> str:
        return f"rehearsal step={self.step} status={'ok' if self.ok else 'fail'} | {self.said}"


def rehearse(first: EmbeddedServer, second: EmbeddedServer, folder: Path) -> Iterator[Rehearsed]:
    """Yield each step when it is done, up to the first that fails. Both servers are empty at the beginning."""
    services = folder / "services"
    entries = walkthrough.service("ops", first, _DATABASE), walkthrough.service("ops_new", second, _DATABASE)
    services.write_text("".join(entries), encoding="utf-8")
    sections = walkthrough.sections(walkthrough.RUNBOOK)
    config, plan, bootstrap, verify, ops_daily = sections["Bootstrap"]
    dump, readable = sections["Backup"]
    (restore,) = sections["Restore"]
    said: dict[str, tuple[str, ...]] = {}
    for name, server, step in (
        ("config", first, config),
        ("plan", first, plan),
        ("bootstrap", first, bootstrap),
        ("verify", first, verify),
        ("traffic", first, _TRAFFIC),
        ("ops_daily", first, ops_daily),
        ("backup", first, dump),
        ("backup_readable", first, readable),
        ("restore", second, restore),
        ("bootstrap_restored", second, bootstrap),
        ("verify_restored", second, verify),
        ("ops_daily_restored", second, ops_daily),
    ):
        environ = {**walkthrough.production(server, _DATABASE), "PGSERVICEFILE": str(services)}
        done = walkthrough.run(step, folder, environ)
        said[name] = done.lines
        ok = done.exit_code == 0 and not done.lacks(step)
        yield Rehearsed(name, ok, " ".join(done.kept(step).values() if ok else done.lines[-1:]) or "done")
        if not ok:
            return
    same = said["ops_daily"] == said["ops_daily_restored"]
    yield Rehearsed("same_lines", same, f"{len(said['ops_daily'])} lines before and after")


def main() -> int:
    """Rehearse on two servers that are gone afterwards. Return 0 if every step held."""
    # Not a private folder: as root the servers run as another user.
    with (
        tempfile.TemporaryDirectory(prefix="rehearsal_", ignore_cleanup_errors=True) as scratch,
        embedded_server(Path(scratch) / "first") as first,
        embedded_server(Path(scratch) / "second") as second,
    ):
        held = True
        for step in rehearse(first, second, Path(scratch)):
            print(step, flush=True)
            held = step.ok
    print(f"rehearsal status={'ok' if held else 'fail'}")
    return 0 if held else 1


if __name__ == "__main__":
    sys.exit(main())
