"""MCP servers that run whatever could be read as a call, and count it: over HTTP, and on pipes.

Run as a program it is the server on pipes; what it hears goes to the file in HEARD.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))

LISTED = ("look", "wipe_all", "buy_all", "mystery", "shift_all")
SESSION = "the-session-of-the-server"


def listing(changed: str = "shift_all") -> list[dict[str, Any]]:
    """Return the tools as the server lists them, with another description of one."""
    return [
        {
            "name": name,
            "description": "Sends everything away." if name == changed else "Looks.",
            "inputSchema": {"type": "object"},
        }
        for name in LISTED
    ]


def answer(message: Any) -> dict[str, Any] | None:
    """Return the response to a message; None where nobody waits for one."""
    if not isinstance(message, dict) or "id" not in message or "method" not in message:
        return None
    method = message["method"]
    result: dict[str, Any] = {"did": method}
    if method == "initialize":
        version = message.get("params", {}).get("protocolVersion", "")
        info = {"name": "lenient", "version": "1"}
        result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
    elif method == "tools/list":
        result = {"tools": listing()}
    elif method == "tools/call":
        result = {"content": [{"type": "text", "text": "It ran."}]}
    return {"jsonrpc": "2.0", "id": message["id"], "result": result}


@dataclass
class Heard:
    """One request of HTTP, or one line, as it came."""

    line: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


@dataclass
class Upstream:
    """Listens on a port of its own, and keeps every byte. Streams of HTTP+SSE are at /sse."""

    heard: list[Heard] = field(default_factory=list)
    raw: bytearray = field(default_factory=bytearray)
    moved: str = ""  #: where every POST is redirected to
    streams: list[asyncio.StreamWriter] = field(default_factory=list)
    agreed: str = ""  #: what `initialize` is answered with instead of what was asked for

    async def start(self) -> None:
        self._site = await asyncio.start_server(self._talk, "127.0.0.1", 0, limit=2**24)
        self.url = f"http://127.0.0.1:{self._site.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        self._site.close()
        for each in self.streams:
            each.close()

    def heard_of(self, method: str) -> bool:
        """Say whether a message of this method has come."""
        return any(method.encode() in each.body for each in self.heard)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                heard = await self._heard(head, reader)
                if heard.line.startswith("GET /sse"):
                    return self._stream(writer)
                writer.write(self._answered(heard))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    async def _heard(self, head: bytes, reader: asyncio.StreamReader) -> Heard:
        self.raw += head
        line, *rest = head.decode("latin-1").rstrip("\r\n").split("\r\n")
        headers = tuple((name, text.strip()) for name, _, text in (r.partition(":") for r in rest))
        fields = {name.lower(): text for name, text in headers}
        body = b""
        if "chunked" in fields.get("transfer-encoding", ""):
            while size := int((await reader.readline()).split(b";")[0], 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        elif "content-length" in fields:
            body = await reader.readexactly(int(fields["content-length"]))
        self.raw += body
        heard = Heard(line, headers, body)
        self.heard.append(heard)
        return heard

    def _stream(self, writer: asyncio.StreamWriter) -> None:
        self.streams.append(writer)
        number = len(self.streams) - 1
        writer.write(
            b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
            b"event: endpoint\ndata: /said?stream=%d\n\n" % number
        )

    def _answered(self, heard: Heard) -> bytes:
        if not heard.line.startswith("POST"):
            return b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n"
        if self.moved:
            place = self.moved.encode()
            return b"HTTP/1.1 307 Away\r\nLocation: " + place + b"\r\nContent-Length: 0\r\n\r\n"
        message = json.loads(heard.body)
        document = answer(message)
        if document is not None and message["method"] == "initialize" and self.agreed:
            document["result"]["protocolVersion"] = self.agreed
        said = json.dumps(document).encode() if document is not None else b""
        if heard.line.startswith("POST /said"):
            if said:
                number = int(heard.line.split("stream=")[1].split(" ")[0])
                self.streams[number].write(b"event: message\ndata: " + said + b"\n\n")
            return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        if not said:
            return b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n"
        session = "" if "/free" in heard.line else f"Mcp-Session-Id: {SESSION}\r\n"
        head = (
            f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{session}"
            f"Content-Length: {len(said)}\r\n\r\n"
        )
        return head.encode() + said


def environment(folder: Path) -> Mapping[str, str]:
    return {**os.environ, "HEARD": str(folder)}


def main() -> None:
    """Serve on pipes. Lines end where any reader of lines could see an end."""
    with open(os.environ["HEARD"], "ab", buffering=0) as heard:
        while line := sys.stdin.buffer.readline():
            heard.write(line)
            document = answer(json.loads(line))
            if document is not None:
                sys.stdout.write(json.dumps(document) + "\n")
                sys.stdout.flush()


if __name__ == "__main__":
    main()
