"""Bounded load on an address of this machine: `wrk` where it is installed, else asyncio."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

SCRIPT = Path(__file__).with_name("wrk.lua")
LONGEST = 60  #: seconds of one round, whatever is asked for


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """What one round measured. Latencies in ms."""

    calls: int
    seconds: float
    p50_ms: float
    p99_ms: float
    errors: int

    @property
    def rate(self) -> float:
        """Calls per second."""
        return self.calls / self.seconds


def generator() -> str:
    """Return which load generator `drive` uses."""
    return "wrk" if shutil.which("wrk") else "asyncio"


def drive(url: str, *, connections: int, seconds: float, key: str = "") -> Round:
    """POST small JSON bodies to *url* over *connections* for *seconds* and return what came.

    Raises:
        ValueError: *url* is not an address of this machine.
        RuntimeError: an answer was not 2xx.
    """
    if urlsplit(url).hostname != "127.0.0.1":
        raise ValueError(f"load goes to 127.0.0.1 only, not to {url}")
    bounded = min(seconds, LONGEST)
    measured = (
        _wrk(url, connections, bounded, key)
        if generator() == "wrk"
        else asyncio.run(_asyncio(url, connections, bounded, key))
    )
    if measured.errors:
        raise RuntimeError(f"{measured.errors} of {measured.calls} calls to {url} failed")
    return measured


def _wrk(url: str, connections: int, seconds: float, key: str) -> Round:
    shown = subprocess.run(
        [
            *("wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{max(1, round(seconds))}s", "--timeout", "10s"),
            *("--script", str(SCRIPT), url, "--", key),
        ],
        capture_output=True,
        text=True,
        check=True,
        timeout=LONGEST + 30,
    ).stdout
    line = next(line for line in shown.splitlines() if line.startswith("RESULT "))
    return Round(**json.loads(line.removeprefix("RESULT ")))


async def _asyncio(url: str, connections: int, seconds: float, key: str) -> Round:
    parts = urlsplit(url)
    times: list[float] = []
    errors = 0
    end = time.perf_counter() + seconds

    async def one(worker: int) -> None:
        nonlocal errors
        reader, writer = await asyncio.open_connection("127.0.0.1", parts.port)
        number = 0
        while (began := time.perf_counter()) < end:
            number += 1
            body = f'{{"amount": 12, "note": "number {worker} {number}"}}'
            head = (
                f"POST {parts.path.rstrip('/')}/records/{number} HTTP/1.1\r\n"
                f"Host: {parts.netloc}\r\nContent-Type: application/json\r\n"
                f"{f'Interlock-Key: {key}' + chr(13) + chr(10) if key else ''}"
                f"Content-Length: {len(body)}\r\n\r\n"
            )
            writer.write((head + body).encode())
            status = await _answer(reader)
            errors += not 200 <= status < 300
            times.append(time.perf_counter() - began)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(connections)))
    taken = time.perf_counter() - began
    times.sort()
    return Round(
        calls=len(times),
        seconds=taken,
        p50_ms=times[len(times) // 2] * 1e3,
        p99_ms=times[int(len(times) * 0.99)] * 1e3,
        errors=errors,
    )


async def _answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    fields = {
        name.lower(): value.strip()
        for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])
    }
    if fields.get("transfer-encoding") == "chunked":
        while size := int(await reader.readline(), 16):
            await reader.readexactly(size + 2)
        await reader.readline()
    else:
        await reader.readexactly(int(fields["content-length"]))
    return int(head.split(" ")[1])
