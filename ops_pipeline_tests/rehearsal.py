"""The runbook's golden path on two throwaway servers: `make rehearsal` prints one line a step.

Roles, bootstrap, a day's lines, a backup, its restore into an empty server, and the same lines once more; each step
with the role that the documentation names.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ops_pipeline.store.embedded import EmbeddedServer, embedded_server
from ops_pipeline_tests import walkthrough

_OWNER, _DAILY = "ops_owner", "ops_pipeline"

_TRAFFIC = walkthrough.Step(
    "ops-pipeline events sample --out=sample.csv && ops-pipeline events import sample.csv --unique-by=event_id",
    ("events_import status=ok ...",),
)


def _sql(service: str, file: str) -> walkthrough.Step:
    return walkthrough.Step(f"psql --quiet --set=ON_ERROR_STOP=1 --dbname=service={service} --file={file}", ())


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
    _write_files(first, second, folder)
    sections = walkthrough.sections(walkthrough.RUNBOOK)
    config, plan, bootstrap, verify, ops_daily = sections["Bootstrap"]
    dump, readable = sections["Backup"]
    (restore,) = sections["Restore"]
    said: dict[str, tuple[str, ...]] = {}
    for name, server, role, step in (
        ("config", first, _DAILY, config),
        ("plan", first, _DAILY, plan),
        ("roles", first, _OWNER, _sql("admin", "roles.sql")),
        ("bootstrap", first, _OWNER, bootstrap),
        ("rights", first, _OWNER, _sql("ops", "rights.sql")),
        ("verify", first, _DAILY, verify),
        ("traffic", first, _OWNER, _TRAFFIC),
        ("ops_daily", first, _DAILY, ops_daily),
        ("backup", first, _OWNER, dump),
        ("backup_readable", first, _OWNER, readable),
        ("roles_new", second, _OWNER, _sql("admin_new", "roles.sql")),
        ("restore", second, _OWNER, restore),
        ("rights_restored", second, _OWNER, _sql("ops_new", "rights.sql")),
        ("bootstrap_restored", second, _OWNER, bootstrap),
        ("verify_restored", second, _DAILY, verify),
        ("ops_daily_restored", second, _DAILY, ops_daily),
    ):
        environ = {
            **walkthrough.environment(),
            "OPS_POSTGRES_DSN": server.dsn("app", role),
            "DAGSTER_POSTGRES_DSN": server.dsn("dagster", _DAILY),
            "PGSERVICEFILE": str(folder / "services"),
        }
        done = walkthrough.run(step, folder, environ)
        said[name] = done.lines
        ok = done.exit_code == 0 and not done.lacks(step)
        yield Rehearsed(name, ok, " ".join(done.kept(step).values() if ok else done.lines[-1:]) or "done")
        if not ok:
            return
    same = said["ops_daily"] == said["ops_daily_restored"]
    yield Rehearsed("same_lines", same, f"{len(said['ops_daily'])} lines before and after")


def _write_files(first: EmbeddedServer, second: EmbeddedServer, folder: Path) -> None:
    """Write what the steps read: entries of services, and the documented SQL for roles and rights."""
    entries = (
        walkthrough.service("admin", first, "postgres"),
        walkthrough.service("admin_new", second, "postgres"),
        walkthrough.service("ops", first, "app", _OWNER),
        walkthrough.service("ops_new", second, "app", _OWNER),
    )
    (folder / "services").write_text("".join(entries), encoding="utf-8")
    page = walkthrough.RIGHTS.read_text(encoding="utf-8").partition("## Rights\n")[2]
    roles, rights, *_ = re.findall(r"^```sql\n(.*?)^```", page, flags=re.MULTILINE | re.DOTALL)
    (folder / "roles.sql").write_text(f"CREATE DATABASE app;\n{roles}", encoding="utf-8")
    (folder / "rights.sql").write_text(rights, encoding="utf-8")


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
