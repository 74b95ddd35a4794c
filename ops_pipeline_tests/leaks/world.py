"""A deployment full of secrets, and everything that it writes: where a leak could come out."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
from sqlalchemy import Engine, text

from ops_pipeline.contract.environment import Name
from ops_pipeline.contract.files import package_path
from ops_pipeline.store.embedded import EmbeddedServer
from ops_pipeline.store.engine import engine_for
from ops_pipeline_tests.leaks.canaries import CANARIES, found_in

SINKS = (
    "standard_output",
    "standard_error",
    "dagster_storage",
    "ops_tables",
    "dagster_home",
    "temporary_files",
    "graphql",
    "reports",
    "alerts",
    "arguments",
)
ROOT = Path(__file__).resolve().parent.parent.parent
_SECONDS = 180
_WATCH_SECONDS = 0.02
_LINE_LENGTH = 400

_RUNS = """
    query($limit: Int!) { runsOrError(limit: $limit) { __typename
      ... on PythonError { message stack causes { message } }
      ... on Runs { results { runId status runConfigYaml tags { key value } assetSelection { path }
        eventConnection { events { __typename ... on MessageEvent { message level stepKey }
          ... on ExecutionStepFailureEvent { error { message stack errorChain { error { message stack } } }
            failureMetadata { metadataEntries { label description } } }
          ... on RunFailureEvent { error { message stack } }
          ... on AssetCheckEvaluationEvent { evaluation { checkName description
            metadataEntries { label description ... on TextMetadataEntry { text }
              ... on MarkdownMetadataEntry { mdStr } } } }
          ... on MaterializationEvent { label description metadataEntries { label
              ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr } } }
          ... on EngineEvent { error { message stack } } } } } } } }
"""
_REST = """
    query { workspaceOrError { __typename ... on PythonError { message stack }
        ... on Workspace { locationEntries { name locationOrLoadError { __typename
          ... on PythonError { message stack } } } } }
      instance { info daemonHealth { allDaemonStatuses { daemonType lastHeartbeatErrors { message stack } } } }
      partitionBackfillsOrError { __typename ... on PartitionBackfills { results {
        id status title description tags { key value } error { message stack } } } }
      assetNodes { assetKey { path } description metadataEntries { label description } } }
"""
LAUNCH = """
    mutation($parameters: ExecutionParams!) { launchPipelineExecution(executionParams: $parameters) { __typename
      ... on LaunchRunSuccess { run { runId } } ... on PythonError { message stack }
      ... on RunConfigValidationInvalid { errors { reason } } } }
"""


@dataclass
class Written:
    """What was written, by sink."""

    by_sink: dict[str, list[bytes]] = field(default_factory=lambda: defaultdict(list))

    def add(self, sink: str, content: bytes | str) -> None:
        """Keep `content` as something that came out of `sink`."""
        self.by_sink[sink].append(content if isinstance(content, bytes) else content.encode(errors="replace"))

    def leaks(self) -> dict[str, set[str]]:
        """Return the kinds of secret that are found in each sink that has any."""
        kinds = {sink: set().union(*map(found_in, contents)) for sink, contents in self.by_sink.items() if contents}
        return {sink: found for sink, found in kinds.items() if found}

    def places(self) -> str:
        """Return the lines that hold a secret, each after its sink: where to mend."""
        return "\n".join(
            f"{sink}: {line[:_LINE_LENGTH].decode(errors='replace')}"
            for sink, contents in self.by_sink.items()
            for content in contents
            for line in content.splitlines()
            if found_in(line)
        )


class World:
    """One deployment in a folder: its server, database, role, views, and the tools that are run on it."""

    def __init__(self, server: EmbeddedServer, folder: Path, *, home_settings: str | None = None) -> None:
        self.server = server
        self.folder = folder
        self.home = folder / "home"
        self.scratch = folder / "tmp"
        self.socket_folder = folder / CANARIES.host
        for made in (self.home, self.scratch):
            made.mkdir(parents=True)
        self.socket_folder.symlink_to(server.socket_folder)
        # As the runs of a deployment share it.
        psycopg2_dsn = self.dsn().replace("postgresql", "postgresql+psycopg2", 1)
        settings = package_path("dagster.yaml").read_text() if home_settings is None else home_settings
        (self.home / "dagster.yaml").write_text(settings.replace("@DSN@", psycopg2_dsn))
        self.written = written = Written()

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                written.add("alerts", self.rfile.read(int(self.headers["Content-Length"])))
                self.do_GET()

            def do_GET(self) -> None:
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_args: object) -> None:
                return

        self.receiver = HTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.receiver.serve_forever, daemon=True).start()
        self._rows_before: set[int] = set()
        self._looked_until = 0
        self.port: int | None = None

    # Its database

    def dsn(self, **changes: str) -> str:
        """Return the DSN of the pipeline's role, with these parts changed; every part is a secret."""
        parts = {
            "role": CANARIES.role,
            "password": CANARIES.password,
            "database": CANARIES.database,
            "host": str(self.socket_folder),
            "query": f"&options={quote(f'-c cnry.x={CANARIES.option}')}",
            **changes,
        }
        host = quote(parts["host"], safe="")
        return f"postgresql://{parts['role']}:{parts['password']}@/{parts['database']}?host={host}{parts['query']}"

    @property
    def engine(self) -> Engine:
        """The engine of the superuser on the deployment's database."""
        return engine_for(Name.OPS_POSTGRES_DSN, self.server.dsn(CANARIES.database))

    def sql(self, *statements: str) -> None:
        """Execute statements as the superuser, each committed."""
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement in statements:
                connection.execute(text(statement.replace(":", r"\:")))

    # Its processes

    def environ(self, **changes: str) -> dict[str, str]:
        """Return the environment of the deployment; an empty value is left out."""
        found = {
            **{name: found for name, found in os.environ.items() if not name.startswith(("OPS_", "DAGSTER_"))},
            "OPS_POSTGRES_DSN": self.dsn(),
            "DAGSTER_POSTGRES_DSN": self.dsn(),
            "OPS_EVENTS_RELATION": "app.events",
            "DAGSTER_HOME": str(self.home),
            "TMPDIR": str(self.scratch),
            "PYTHONWARNINGS": "default",
            "SERVICE_TOKEN": CANARIES.environment,
            "OPS_ALERT_URLS": f"json://{CANARIES.role}:{CANARIES.password}@127.0.0.1:{self.receiver.server_port}/",
            "OPS_HEARTBEAT_URL": f"http://127.0.0.1:{self.receiver.server_port}/{CANARIES.environment}",
            "PYTHONPATH": str(ROOT),
            **changes,
        }
        return {name: value for name, value in found.items() if value}

    def start(self, *arguments: str, before: str = "", **environ: str) -> subprocess.Popen[bytes]:
        """Start a tool, after the Python statements `before`."""
        program = f"import sys\n{before}\nfrom ops_pipeline.cli.main import main\nsys.exit(main(sys.argv[1:]))"
        return self.start_python("-c", program, *arguments, **environ)

    def start_python(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """Start Python with these arguments."""
        return subprocess.Popen(
            [sys.executable, *arguments],
            cwd=self.folder,
            env=self.environ(**environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )

    def end(self, process: subprocess.Popen[bytes]) -> str:
        """Wait for a process, keep what it wrote and return its standard output."""
        with _watching(self.written, [process.pid], own=process.args):
            try:
                out, err = process.communicate(timeout=_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                out, err = process.communicate()
        self.written.add("standard_output", out)
        self.written.add("standard_error", err)
        return out.decode(errors="replace")

    def run(self, *arguments: str, before: str = "", **environ: str) -> str:
        """Run a tool to its end."""
        return self.end(self.start(*arguments, before=before, **environ))

    def python(self, *arguments: str, **environ: str) -> str:
        """Run Python to its end."""
        return self.end(self.start_python(*arguments, **environ))

    def wait_for_backend(self, condition: str) -> int:
        """Wait until a session of the pipeline's role satisfies `condition`; return its process id."""
        query = f"SELECT pid FROM pg_stat_activity WHERE usename = '{CANARIES.role}' AND {condition}"
        deadline = time.monotonic() + _SECONDS
        with self.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while time.monotonic() < deadline:
                pid: int | None = connection.scalar(text(query))
                if pid is not None:
                    return pid
                connection.execute(text("SELECT pg_sleep(0.02)"))
        raise AssertionError("nobody waits")

    def wait_for_server(self) -> None:
        """Wait until the server, which was killed, has recovered."""
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            with suppress(psycopg.OperationalError):
                psycopg.connect(self.server.dsn("postgres")).close()
                return
            time.sleep(0.1)
        raise AssertionError("the server does not come back")

    @contextmanager
    def holding(self, statement: str) -> Iterator[None]:
        """Hold what `statement` locks."""
        with self.engine.connect() as connection, connection.begin():
            connection.execute(text(statement))
            yield

    # Its web server and daemon

    @contextmanager
    def served(self, *workspace: str) -> Iterator[None]:
        """Run web server and daemon on the deployment; what they write is searched like the rest."""
        self.port = _free_port()
        logs = {name: self.folder / f"{name}.log" for name in ("webserver", "daemon")}
        commands = {
            "webserver": ["dagster_webserver", "--host=127.0.0.1", f"--port={self.port}", *workspace],
            "daemon": ["dagster._daemon", "run", *workspace],
        }
        processes = {}
        for name, command in commands.items():
            with logs[name].open("wb") as log:
                processes[name] = subprocess.Popen(
                    [sys.executable, "-m", *command],
                    cwd=self.folder,
                    env=self.environ(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                )
        self._logs = dict.fromkeys(logs.values(), 0)
        try:
            with _watching(self.written, [process.pid for process in processes.values()]):
                self._wait_until_served(processes["webserver"])
                yield
        finally:
            for process in processes.values():
                process.send_signal(signal.SIGTERM)
            for process in processes.values():
                with suppress(subprocess.TimeoutExpired):
                    process.wait(30)
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
            self.port = None

    def _wait_until_served(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            with suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{self.port}/server_info", timeout=5):
                return
            time.sleep(0.2)
        raise AssertionError("the web server does not answer")

    def ask(self, query: str, *, is_kept: bool = True, **variables: object) -> dict[str, Any]:
        """Return what GraphQL answers; `is_kept` False where the answer repeats what was asked."""
        body = json.dumps({"query": query, "variables": variables}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}/graphql", data=body, headers={"Content-Type": "application/json"}
        )
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                answer = response.read()
        except urllib.error.HTTPError as error:
            answer = error.read()
        if is_kept:
            self.written.add("graphql", answer)
        found: dict[str, Any] = json.loads(answer).get("data") or {}
        return found

    def launch(
        self,
        job: str,
        *,
        location: str = "ops_pipeline",
        tags: Mapping[str, str] | None = None,
        config: str = "{}",
        is_kept: bool = True,
    ) -> str:
        """Launch a job as the UI does, wait for its end, and return how it ended."""
        parameters = {
            "selector": {
                "repositoryLocationName": location,
                "repositoryName": "__repository__",
                "jobName": job,
            },
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in (tags or {}).items()]},
            "runConfigData": config,
            "mode": "default",
        }
        answer = self.ask(LAUNCH, parameters=parameters, is_kept=is_kept)
        launched = answer.get("launchPipelineExecution") or {}
        if "run" not in launched:
            return str(launched.get("__typename"))
        query = "query($id: ID!) { runOrError(runId: $id) { ... on Run { status } } }"
        deadline = time.monotonic() + _SECONDS
        while time.monotonic() < deadline:
            status = str((self.ask(query, id=launched["run"]["runId"]).get("runOrError") or {}).get("status"))
            if status in {"SUCCESS", "FAILURE", "CANCELED"}:
                return status
            time.sleep(0.2)
        return "TIMEOUT"

    # Everything that it wrote

    def collect(self) -> Written:
        """Return what was written to every sink since the last call."""
        kept = Written(self.written.by_sink)
        self.written.by_sink = defaultdict(list)
        self._collect_rows(kept)
        self._collect_files(kept)
        if self.port is not None:
            self._collect_graphql(kept)
        return kept

    def _collect_rows(self, kept: Written) -> None:
        with psycopg.connect(self.server.dsn(CANARIES.database)) as connection:
            tables = connection.execute(
                "SELECT schemaname, tablename, format('%I.%I', schemaname, tablename) FROM pg_tables"
                " WHERE schemaname = 'public' OR schemaname = 'ops' AND tablename NOT LIKE 'delivery_events%'"
            ).fetchall()
            # Rows of transactions that had ended when it last looked were seen then: Dagster's log grows and grows.
            since = self._looked_until
            oldest = connection.execute("SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint").fetchone()
            assert oldest is not None
            (self._looked_until,) = oldest
            for schema, table, name in tables:
                sink = "dagster_storage" if schema == "public" else "ops_tables"
                query = f"SELECT * FROM {name} WHERE xmin::text::bigint >= {since}"
                for row in connection.execute(query.encode()).fetchall():
                    values = [bytes(value) if isinstance(value, memoryview) else value for value in row]
                    content = b"\0".join(
                        value if isinstance(value, bytes) else str(value).encode() for value in values
                    )
                    key = hash((table, content))
                    if key not in self._rows_before:
                        self._rows_before.add(key)
                        kept.add(sink, content)

    def _collect_files(self, kept: Written) -> None:
        for path, offset in getattr(self, "_logs", {}).items():
            with path.open("rb") as log:
                log.seek(offset)
                kept.add("standard_error", log.read())
                self._logs[path] = log.tell()
        for sink, folder in (("dagster_home", self.home), ("temporary_files", self.scratch)):
            for path in sorted(folder.rglob("*")):
                if path.is_file() and path.name != "dagster.yaml":
                    kept.add(sink, path.relative_to(folder).as_posix())
                    kept.add(sink, path.read_bytes())
        for path in sorted(self.folder.glob("*.html")):
            kept.add("reports", path.read_bytes())

    def collect_answers(self) -> None:
        """Ask for everything that the UI shows."""
        self.ask(_RUNS, limit=5)
        self.ask(_REST)

    def _collect_graphql(self, kept: Written) -> None:
        self.collect_answers()
        for answer in self.written.by_sink.pop("graphql", []):
            kept.add("graphql", answer)


@contextmanager
def _watching(written: Written, pids: Iterable[int], own: object = None) -> Iterator[None]:
    """Keep the arguments of every process that these start, until the end."""
    seen: set[bytes] = set()
    is_over = threading.Event()
    roots = list(pids)
    typed = b"" if own is None else b"\0".join(os.fsencode(str(one)) for one in own)  # type: ignore[attr-defined]

    def look() -> None:
        while not is_over.wait(_WATCH_SECONDS):
            for root in roots:
                for pid in _with_descendants(root):
                    with suppress(OSError):
                        arguments = Path(f"/proc/{pid}/cmdline").read_bytes()
                        # What was typed is the operator's own.
                        if arguments not in seen and arguments.rstrip(b"\0") != typed:
                            seen.add(arguments)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
        for arguments in seen:
            written.add("arguments", arguments)


def _with_descendants(pid: int) -> Iterator[int]:
    """Yield a process and all that it started, as the kernel says: psutil reads about every process there is."""
    yield pid
    with suppress(OSError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):
                for child in (thread / "children").read_text().split():
                    yield from _with_descendants(int(child))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
