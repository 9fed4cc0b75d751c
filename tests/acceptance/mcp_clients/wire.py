"""A wire between a client and Interlock that hears what the client says. Nothing is changed."""

from __future__ import annotations

import contextlib
import socket
import socketserver
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field


@dataclass(kw_only=True)
class Wire:
    """`url` leads to Interlock."""

    url: str
    said: bytes = b""
    news: threading.Condition = field(default_factory=threading.Condition)

    def hears(self, words: bytes, times: int = 1, patience: float = 60.0) -> None:
        """Wait until the client has said *words* so many times."""
        with self.news:
            heard = self.news.wait_for(lambda: self.said.count(words) >= times, patience)
        assert heard, f"the client has not said {words!r} {times} times"

    def forgets(self) -> None:
        """Begin anew."""
        with self.news:
            self.said = b""

    def hear(self, data: bytes) -> None:
        with self.news:
            self.said += data
            self.news.notify_all()


@contextlib.contextmanager
def wire(to: str) -> Iterator[Wire]:
    """Lead to the URL *to*, until the block ends."""
    host, _, port = to.removeprefix("http://").partition(":")

    class Pump(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((host, int(port))) as there:
                back = threading.Thread(target=_pump, args=(there, self.request), daemon=True)
                back.start()
                _pump(self.request, there, heard)
                back.join()

    server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Pump)
    server.daemon_threads = True
    heard = Wire(url=f"http://127.0.0.1:{server.server_address[1]}")
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield heard
    finally:
        server.shutdown()
        server.server_close()


def _pump(from_: socket.socket, to: socket.socket, heard: Wire | None = None) -> None:
    with contextlib.suppress(OSError):  # either side may go at any time
        while data := from_.recv(65536):
            if heard is not None:
                heard.hear(data)
            to.sendall(data)
    with contextlib.suppress(OSError):
        to.shutdown(socket.SHUT_WR)
