"""The proof: whatever goes wrong, nothing secret is written anywhere. A naive project shows that it would be seen.

Prints a table, scenario by sink, and one figure: leaks 0 of N. `make proofs` runs it.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from ops_pipeline.contract.files import package_path
from ops_pipeline.store.embedded import embedded_server
from ops_pipeline_tests.conftest import PRINTED
from ops_pipeline_tests.leaks import naive
from ops_pipeline_tests.leaks.canaries import CANARIES, EMAIL, FREE_TEXT, found_in
from ops_pipeline_tests.leaks.scenarios import SCENARIOS, SERVED, VIEW
from ops_pipeline_tests.leaks.world import SINKS, World

pytestmark = pytest.mark.slow

C = CANARIES
_FOUND: dict[str, dict[str, set[str]]] = {}


@contextmanager
def _deployment(home_settings: str | None = None) -> Iterator[World]:
    """Yield a deployment on a server of its own, with thirty days of events in tables full of secrets."""
    with tempfile.TemporaryDirectory(prefix="leaks_", ignore_cleanup_errors=True) as scratch:
        folder = Path(scratch)
        folder.chmod(0o755)
        with embedded_server(folder / "pg") as server:
            with psycopg.connect(server.dsn("postgres"), autocommit=True) as connection:
                connection.execute(f"CREATE ROLE {C.role} LOGIN PASSWORD '{C.password}'")  # type: ignore[arg-type]
                connection.execute(f"CREATE DATABASE {C.database}")  # type: ignore[arg-type]
                found = connection.execute("SHOW hba_file").fetchone()
                assert found is not None
                rules = Path(found[0])
                rules.write_text(
                    f"local all {C.role} scram-sha-256\nlocal all {C.role}x scram-sha-256\n{rules.read_text()}"
                )
                connection.execute("SELECT pg_reload_conf()")
            world = World(server, folder / "deployment", home_settings=home_settings)
            world.sql(
                f"GRANT CREATE, CONNECT ON DATABASE {C.database} TO {C.role}",
                f"GRANT ALL ON SCHEMA public TO {C.role}",
                "CREATE SCHEMA app",
                "CREATE TABLE app.inbox (id int, body text, occurred_at timestamptz, touch text, outcome text,"
                " reason text, segment text)",
                "INSERT INTO app.inbox SELECT n, '%s %s', date_trunc('day', now()) - n %% 30 * interval '1 day'"  # noqa: UP031
                " - interval '12 hours', 'first', (ARRAY['attempted', 'queued', 'delivered'])[n %% 3 + 1], NULL, NULL"
                " FROM generate_series(1, 3000) AS n" % (EMAIL, FREE_TEXT),
                f"CREATE VIEW app.events AS {VIEW}",
                f"GRANT USAGE ON SCHEMA app TO {C.role}",
                f"GRANT SELECT ON app.events TO {C.role}",
            )
            yield world


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with _deployment() as found:
        found.run("db_bootstrap", "apply_migrations", "--with-dagster")
        done = found.run("ops_daily", "--mode=prod")
        assert "ops_daily_watchdog status=" in done, done
        assert found.collect().leaks() == {}
        yield found


@pytest.fixture(scope="module")
def served_world(world: World) -> Iterator[World]:
    with world.served("--workspace", str(package_path("workspace.yaml"))):
        yield world


def _assert_no_leak(name: str, world: World, provoke: Callable[[World], object]) -> None:
    provoke(world)
    written = world.collect()
    _FOUND[name] = written.leaks()
    assert _FOUND[name] == {}, written.places()


@pytest.mark.parametrize("name", SCENARIOS)
def test_no_fault_writes_a_secret_anywhere(name: str, world: World) -> None:
    _assert_no_leak(name, world, SCENARIOS[name])


@pytest.mark.parametrize("name", SERVED)
def test_no_fault_in_the_web_server_or_the_daemon_writes_a_secret_anywhere(name: str, served_world: World) -> None:
    _assert_no_leak(name, served_world, SERVED[name])


def test_the_table_says_leaks_none(world: World, record_property: Callable[[str, object], None]) -> None:
    """Comes last: a scenario that did not run is no proof."""
    width = max(map(len, _FOUND), default=0)
    table = [f"{'':{width}} {' '.join(SINKS)}"]
    for name, found in _FOUND.items():
        cells = (",".join(sorted(found.get(sink, ()))) or "-" for sink in SINKS)
        table.append(
            f"{name:{width}} {' '.join(f'{cell:{len(sink)}}' for cell, sink in zip(cells, SINKS, strict=True))}"
        )
    table.append(f"leaks {sum(map(bool, _FOUND.values()))} of {len(_FOUND)}")
    record_property(PRINTED, "\n".join(table))
    if len(_FOUND) < len(SCENARIOS) + len(SERVED):
        pytest.skip("only some scenarios were asked for")
    assert len(_FOUND) >= 80
    assert not any(_FOUND.values())


# The proof of the proof


def test_a_naive_project_leaks_into_every_sink_and_is_seen() -> None:
    with _deployment(naive.SETTINGS) as world:
        (world.folder / "naive.py").write_text(naive.PROGRAM)
        world.sql("CREATE VIEW app.bodies AS SELECT body FROM app.inbox", f"GRANT SELECT ON app.bodies TO {C.role}")
        leaks: dict[str, set[str]] = {}
        with world.served("-f", str(world.folder / "naive.py")):
            for job in naive.JOBS:
                assert world.launch(job, location="naive.py", tags={"ticket": C.typed}) == "FAILURE"
            for sink, found in world.collect().leaks().items():
                leaks.setdefault(sink, set()).update(found)
        world.python(str(world.folder / "naive.py"))
        for sink, found in world.collect().leaks().items():
            leaks.setdefault(sink, set()).update(found)
    assert leaks.keys() >= set(SINKS) - {"ops_tables"}
    assert {"password", "role", "database", "row", "typed"} <= set().union(*leaks.values())


@pytest.mark.parametrize(
    "hidden",
    [
        f"x{C.password.upper()}y".encode(),
        b"%22" + C.password.encode() + b"%22",
        repr({"a": f"b{C.row}"}).encode(),
    ],
)
def test_a_secret_is_found_in_whatever_it_is_wrapped(hidden: bytes) -> None:
    import base64
    import gzip
    import zlib

    for content in (
        hidden,
        gzip.compress(hidden),
        b"abc" + zlib.compress(hidden),
        gzip.compress(zlib.compress(hidden)),
    ):
        assert found_in(content)
    for shift in range(3):
        assert found_in(base64.b64encode(os.urandom(shift) + C.password.encode() + b"rest"))
    assert found_in(b"call +49 (171) 5550" + b"-199 now") == {"phone"}
    assert found_in(b"nothing of that kind") == set()
