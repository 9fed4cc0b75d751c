"""TCP servers on 127.0.0.1 that record what arrives, byte for byte, and misbehave on demand."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request as it came over the wire."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    head: bytes

    @property
    def target(self) -> str:
        return self.line.split(" ")[1]

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key.lower() == name.lower()]
        assert len(found) <= 1, f"{name} came {len(found)} times"
        return found[0] if found else None


Play = Callable[[Received, asyncio.StreamWriter], Awaitable[None]]
"""Answers one request on the raw connection; the connection closes if it closes the writer."""


@dataclass
class RawServer:
    """What a running server saw."""

    port: int
    requests: list[Received] = field(default_factory=list)
    connections: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def hits(self) -> int:
        return len(self.requests)


def answer(status: int = 200, body: bytes = b"", *headers: tuple[str, str]) -> Play:
    """Answer every request with this."""

    async def play(received: Received, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status} Status", *(f"{k}: {v}" for k, v in headers)]
        names = {name.lower() for name, _ in headers}
        if not names & {"content-length", "transfer-encoding"}:
            lines.append(f"Content-Length: {len(body)}")
        payload = b"" if received.line.startswith("HEAD") else body
        writer.write("\r\n".join([*lines, "", ""]).encode() + payload)

    return play


def raw(data: bytes) -> Play:
    """Write these bytes, whatever they are, and close."""

    async def play(received: Received, writer: asyncio.StreamWriter) -> None:
        writer.write(data)
        with contextlib.suppress(ConnectionError):
            await writer.drain()
        writer.close()

    return play


async def drop(received: Received, writer: asyncio.StreamWriter) -> None:
    """Act, and close the connection without an answer."""
    writer.close()


async def reset(received: Received, writer: asyncio.StreamWriter) -> None:
    """Act, and reset the connection."""
    writer.transport.abort()


async def silence(received: Received, writer: asyncio.StreamWriter) -> None:
    """Act, and never answer."""


def script(*plays: Play) -> Play:
    """Answer the first request with the first play, and so on; the last one repeats."""
    left = list(plays)

    async def play(received: Received, writer: asyncio.StreamWriter) -> None:
        await (left.pop(0) if len(left) > 1 else left[0])(received, writer)

    return play


async def _receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> Received:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *lines = head.decode("utf-8", "surrogateescape").split("\r\n")[:-2]
    headers = tuple((line.partition(": ")[0], line.partition(": ")[2]) for line in lines)
    found = {name.lower(): value for name, value in headers}
    if found.get("expect") == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    if "transfer-encoding" in found:
        body = await _chunked(reader)
    else:
        body = await reader.readexactly(int(found.get("content-length", "0")))
    return Received(line=first, headers=headers, body=body, head=head)


async def _chunked(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int(await reader.readline(), 16):
        body += (await reader.readexactly(size + 2))[:-2]
    await reader.readline()
    return body


@contextlib.asynccontextmanager
async def raw_server(
    play: Play | None = None, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawServer]:
    """Serve on a free port until the block ends; `play` answers (default: 200, empty)."""
    replies = play or answer()
    server: RawServer
    writers: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server.connections += 1
        writers.add(writer)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while not writer.is_closing():
                received = await _receive(reader, writer)
                server.requests.append(received)
                await replies(received, writer)
                if not writer.is_closing():
                    await writer.drain()
        writer.close()
        writers.discard(writer)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    server = RawServer(port=listener.sockets[0].getsockname()[1])
    try:
        yield server
    finally:
        listener.close()
        for writer in list(writers):
            writer.close()
        await asyncio.sleep(0)


async def closed_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    listener = await asyncio.start_server(lambda r, w: None, "127.0.0.1", 0)
    port: int = listener.sockets[0].getsockname()[1]
    listener.close()
    await listener.wait_closed()
    return port


def self_signed(folder: Path) -> tuple[Path, Path]:
    """Make key and certificate for 127.0.0.1 and localhost that nobody trusts unless told to."""
    key, chain = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
        + ["-nodes", "-keyout", key, "-out", chain, "-days", "2", "-subj", "/CN=localhost"]
        + ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"],
        check=True,
        capture_output=True,
    )
    return key, chain
