"""Bounded load on an MCP server of this machine: over HTTP by wrk, else asyncio; or over pipes."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal
from urllib.parse import urlsplit

from benchmarks.load import LONGEST, Round
from benchmarks.mcp_upstream import LEGACY, MODERN

Era = Literal["legacy", "modern"]
Method = Literal["tools/call", "tools/list"]
SCRIPT = Path(__file__).with_name("mcp.lua")
SESSION = "Mcp-Session-Id"
_META = {
    "io.modelcontextprotocol/protocolVersion": MODERN,
    "io.modelcontextprotocol/clientInfo": {"name": "bench", "version": "1"},
    "io.modelcontextprotocol/clientCapabilities": {},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What is asked for: a method, in the way of an era, on sessions if that era has them."""

    method: Method
    era: Era
    sessions: tuple[str, ...] = ()

    def message(self, number: int) -> bytes:
        """Return one JSON-RPC message, on one line."""
        params: dict[str, Any] = {}
        if self.method == "tools/call":
            params = {"name": "read", "arguments": {"amount": 12, "note": f"number {number}"}}
        if self.era == "modern":
            params["_meta"] = _META
        said = {"jsonrpc": "2.0", "id": number, "method": self.method, "params": params}
        return json.dumps(said).encode()

    def headers(self, number: int) -> dict[str, str]:
        """Return the headers of that message over HTTP."""
        given = {
            "Content-Type": "application/json",
            "Accept": "application/json, text/event-stream",
            "MCP-Protocol-Version": MODERN if self.era == "modern" else LEGACY,
        }
        if self.era == "modern":
            given["Mcp-Method"] = self.method
            if self.method == "tools/call":
                given["Mcp-Name"] = "read"
        if self.sessions:
            given[SESSION] = self.sessions[number % len(self.sessions)]
        return given


# HTTP --------------------------------------------------------------------------------------


def sessions(url: str, number: int) -> tuple[str, ...]:
    """Open sessions as clients of 2025-11-25 do, and return their ids."""
    return tuple(_session(url) for _ in range(number))


def _session(url: str) -> str:
    headers = Ask(method="tools/list", era="legacy").headers(0)
    _, given = _post(url, headers, _initialize())
    session: str = given.get(SESSION, "")
    done = {"jsonrpc": "2.0", "method": "notifications/initialized"}
    _post(url, {**headers, SESSION: session}, json.dumps(done).encode())
    return session


def _initialize() -> bytes:
    params = {
        "protocolVersion": LEGACY,
        "capabilities": {},
        "clientInfo": {"name": "b", "version": "1"},
    }
    said = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params}
    return json.dumps(said).encode()


def _post(url: str, headers: dict[str, str], body: bytes) -> tuple[bytes, Any]:
    request = urllib.request.Request(url, body, headers, method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read(), answer.headers


def check(url: str, ask: Ask) -> None:
    """Ask once and look at the answer as a whole.

    Raises:
        RuntimeError: it is not the tool's answer.
    """
    body, headers = _post(url, ask.headers(7), ask.message(7))
    if headers.get_content_type() == "text/event-stream":
        body = next(line[5:] for line in body.splitlines() if line.startswith(b"data:"))
    _must_be(json.loads(body), ask, 7)


def _must_be(answer: dict[str, Any], ask: Ask, number: int) -> None:
    result = answer.get("result", {})
    texts = [each.get("text", "") for each in result.get("content", ())]
    fits = bool(result.get("tools")) if ask.method == "tools/list" else '"seven"' in "".join(texts)
    if answer.get("id") != number or not fits or result.get("isError"):
        raise RuntimeError(f"not the tool's answer to {ask.method} ({ask.era}): {answer}")


def drive(url: str, ask: Ask, *, connections: int, seconds: float) -> Round:
    """Ask over *connections* for *seconds* and return what came.

    Raises:
        ValueError: *url* is not an address of this machine.
        RuntimeError: an answer was not 2xx.
    """
    if urlsplit(url).hostname != "127.0.0.1":
        raise ValueError(f"load goes to 127.0.0.1 only, not to {url}")
    bounded = min(seconds, LONGEST)
    if shutil.which("wrk"):
        measured = _wrk(url, ask, connections, bounded)
    else:
        measured = drive_exactly(url, ask, connections=connections, seconds=bounded)
    if measured.errors:
        raise RuntimeError(f"{measured.errors} of {measured.calls} calls to {url} failed")
    return measured


def _wrk(url: str, ask: Ask, connections: int, seconds: float) -> Round:
    shown = subprocess.run(
        [
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{max(1, round(seconds))}s", "--timeout", "10s"),
            *("--script", str(SCRIPT), url, "--", ask.method, ask.era, *ask.sessions),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST + 30,
    ).stdout
    line = next(line for line in shown.splitlines() if line.startswith("RESULT "))
    return Round(**json.loads(line.removeprefix("RESULT ")))


def drive_exactly(
    url: str, ask: Ask, *, connections: int, seconds: float = LONGEST, calls: int = 10**9
) -> Round:
    """As `drive`, from this process: no call is cut off, so that what was counted is exact."""
    return asyncio.run(_asyncio(url, ask, connections, seconds, calls))


async def _asyncio(url: str, ask: Ask, connections: int, seconds: float, calls: int) -> Round:
    parts = urlsplit(url)
    times: list[float] = []
    errors = 0
    numbers = iter(range(1, calls + 1))
    end = time.perf_counter() + seconds

    async def one() -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
        while (began := time.perf_counter()) < end and (number := next(numbers, None)):
            body = ask.message(number)
            fields = {"Host": parts.netloc, **ask.headers(number), "Content-Length": len(body)}
            lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
            writer.write(f"POST {parts.path} HTTP/1.1\r\n{lines}\r\n".encode() + body)
            status, answer = await _answer(reader)
            errors += not (200 <= status < 300 and b'"result"' in answer)
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(connections)))
    return _round(times, time.perf_counter() - began, errors)


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    fields = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
    }
    if fields.get("transfer-encoding") != "chunked":
        body = await reader.readexactly(int(fields["content-length"]))
    else:
        body = b""
        while size := int(await reader.readline(), 16):
            body += await reader.readexactly(size + 2)
        await reader.readline()
    return int(head.split(" ")[1]), body


# pipes -------------------------------------------------------------------------------------


class Piped:
    """The client's end of a server on pipes; `pid` is that of the process that it speaks with."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        self.pid = process.pid
        self._to: IO[bytes] = process.stdin
        self._from = process.stdout.fileno()
        self._rest = b""

    def greet(self, ask: Ask) -> None:
        """Begin as a client of that era does, and look at one answer as a whole.

        Raises:
            RuntimeError: it is not the tool's answer.
        """
        if ask.era == "legacy":
            self._say(_initialize())
            self._heard()
            self._say(b'{"jsonrpc":"2.0","method":"notifications/initialized"}')
        self._say(ask.message(7))
        _must_be(json.loads(self._heard()[0]), ask, 7)

    def drive(self, ask: Ask, *, at_once: int, seconds: float) -> Round:
        """Keep *at_once* requests open for *seconds*; none is cut off."""
        times: list[float] = []
        since: dict[int, float] = {}  # by id: answers come in any order
        errors = number = 0
        began = time.perf_counter()
        end = began + min(seconds, LONGEST)
        while since or time.perf_counter() < end:
            while len(since) < at_once and time.perf_counter() < end:
                number += 1
                since[number] = time.perf_counter()
                self._say(ask.message(number))
            for line in self._heard() if since else ():
                now = time.perf_counter()
                times.append(now - since.pop(json.loads(line)["id"]))
                errors += b'"result"' not in line or b"EXECUTED" in line
        return _round(times, time.perf_counter() - began, errors)

    def _say(self, line: bytes) -> None:
        self._to.write(line + b"\n")
        self._to.flush()

    def _heard(self) -> list[bytes]:
        while True:
            chunk = os.read(self._from, 1 << 20)
            if not chunk:
                raise RuntimeError("the server on pipes has ended")
            *whole, self._rest = (self._rest + chunk).split(b"\n")
            if whole:
                return whole


@contextmanager
def piped(command: Sequence[str], error: Path) -> Iterator[Piped]:
    """Run a server on pipes until the block ends; what it says of itself goes to *error*."""
    with error.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=said
        )
        try:
            yield Piped(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _round(times: list[float], seconds: float, errors: int) -> Round:
    times.sort()
    return Round(
        calls=len(times),
        seconds=seconds,
        p50_ms=times[len(times) // 2] * 1e3,
        p99_ms=times[int(len(times) * 0.99)] * 1e3,
        errors=errors,
    )
