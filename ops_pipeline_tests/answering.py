"""A server that says one thing, or nothing, whatever it is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager


@contextmanager
def answering(answer: bytes | None) -> Iterator[int]:
    """Yield the port of a server that gives this answer to whatever is asked first, or none at all."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        clients: list[socket.socket] = []

        def serve() -> None:
            try:
                while True:
                    client, _ = server.accept()
                    clients.append(client)
                    if answer is not None and client.recv(1024):
                        client.sendall(answer)
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        for client in clients:
            client.close()
