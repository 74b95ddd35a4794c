"""A server that says one thing, or nothing, or never comes to an end, whatever it is asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress


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


@contextmanager
def dripping() -> Iterator[int]:
    """Yield the port of a server that begins an answer and sends a byte of it now and then, without an end."""
    is_over = threading.Event()
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def drip(client: socket.socket) -> None:
            with client:
                client.sendall(b"HTTP/1.1 200 OK\r\nServer: ")
                while not is_over.wait(0.02):
                    client.sendall(b"x")

        def serve() -> None:
            try:
                while True:
                    threading.Thread(target=_until_gone, args=(drip, server.accept()[0]), daemon=True).start()
            except OSError:
                return

        threading.Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        is_over.set()


def _until_gone(drip: Callable[[socket.socket], None], client: socket.socket) -> None:
    with suppress(OSError):
        drip(client)
