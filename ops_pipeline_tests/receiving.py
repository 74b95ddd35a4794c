"""Who is told in a test: a receiver on this machine, and the time that passes for it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

from sqlalchemy import text

from ops_pipeline_tests.conftest import Database


@contextmanager
def receiver(received: list[str], answer: Callable[[], int] = lambda: 200) -> Iterator[int]:
    """Put what is posted to a port of this machine into `received`, and answer with the status of `answer`."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            received.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.send_response(answer())
            self.end_headers()

        def log_message(self, *_args: object) -> None:
            return

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def let_pass(database: Database, *, minutes: int) -> None:
    """Let so much time have passed since anything was written, tried or begun to be sent."""
    columns = {"alert_messages": ["created_at"], "alert_addresses": ["next_try_at", "claimed_until"]}
    with database.engine.begin() as connection:
        for table, names in columns.items():
            changes = ", ".join(f"{name} = {name} - make_interval(mins => {minutes})" for name in names)
            connection.execute(text(f"UPDATE ops.{table} SET {changes}"))  # noqa: S608 - our own names
