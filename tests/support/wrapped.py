"""`interlock mcp` before the nasty server, as a client starts it: a process and its three pipes."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

NASTY = Path(__file__).parent / "nasty_server.py"
PATIENCE = 40.0  # seconds; the machine may be busy
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: wrapped, version: 1}
matrix: standard
tools:
  - id: nasty.free
    mcp: {server: nasty, tool: [write, echo, keep, release, silent, exit, add]}
    reversibility: read_only
    facets: {data: public}
  - id: nasty.wipe
    mcp: {server: nasty, tool: wipe}
    reversibility: reversible
    undo: {reason: There is a backup.}
    facets: {data: internal}
rules:
  - {id: wiping, tools: [nasty.wipe], at_least: approve}
levels:
  approve: {quorum: 1, expire_after: 10m}
"""
Document = dict[str, Any]


def configured(folder: Path, people: str = "127.0.0.1:0", **settings: Any) -> Path:
    """Write a configuration and a policy; return the configuration's path."""
    (folder / "policy.yaml").write_text(POLICY)
    config = {
        "agents": {"listen": "127.0.0.1:0", "anonymous": {"id": "local"}},
        "people": {"listen": people, "local": [{"id": "ann"}]},
        "data": str(folder / "data"),
        "policies": [str(folder / "policy.yaml")],
        "servers": {"nasty": {}},
        "store": {"embedded": {"fsync": "everysec"}},
        **settings,
    }
    path = folder / "interlock.yaml"
    path.write_text(json.dumps(config))
    return path


@dataclass
class Wrapped:
    """A running `interlock mcp`, and what came from it."""

    process: asyncio.subprocess.Process
    folder: Path
    stray: list[Document] = field(default_factory=list)  #: read while another was waited for
    said: str = ""
    _ids: itertools.count[int] = field(default_factory=lambda: itertools.count(1))

    # the client ----------------------------------------------------------------------------

    async def write(self, line: bytes | Document) -> None:
        assert self.process.stdin is not None
        text = line if isinstance(line, bytes) else json.dumps(line).encode()
        self.process.stdin.write(text + b"\n")
        await self.process.stdin.drain()

    async def read(self) -> Document:
        """Return the next message; every line must be one."""
        assert self.process.stdout is not None
        async with asyncio.timeout(PATIENCE):
            line = await self.process.stdout.readline()
        assert line, f"standard output ended; {await self.rest()}"
        document: Document = json.loads(line)
        assert document["jsonrpc"] == "2.0"
        return document

    async def until(self, **members: Any) -> Document:
        """Return the first message with these members, read already or yet to come."""
        for document in self.stray:
            if members.items() <= document.items():
                self.stray.remove(document)
                return document
        while True:
            document = await self.read()
            if members.items() <= document.items():
                return document
            self.stray.append(document)

    async def ask(self, method: str, params: Any = None, given: Any = None) -> Any:
        """Send a request; return its id."""
        given = next(self._ids) if given is None else given
        document = {"jsonrpc": "2.0", "id": given, "method": method}
        await self.write(document if params is None else {**document, "params": params})
        return given

    async def call(self, tool: str, given: Any = None, **arguments: Any) -> Any:
        """Ask for a call of *tool*; return the id of the request."""
        return await self.ask("tools/call", {"name": tool, "arguments": arguments}, given)

    async def text(self, tool: str, **arguments: Any) -> str:
        """Call *tool* and return the text of the answer."""
        return words(await self.until(id=await self.call(tool, **arguments)))

    async def initialize(self, version: str = "2025-11-25") -> Document:
        info = {"name": "test", "version": "1"}
        said = {"protocolVersion": version, "capabilities": {}, "clientInfo": info}
        answer = await self.until(id=await self.ask("initialize", said))
        await self.write({"jsonrpc": "2.0", "method": "notifications/initialized"})
        await self.until(id=await self.ask("tools/list"))
        return answer

    def leave(self) -> None:
        """Close the client's side, as a client that goes away."""
        assert self.process.stdin is not None
        self.process.stdin.close()

    async def code(self) -> int:
        async with asyncio.timeout(PATIENCE):
            return await self.process.wait()

    async def rest(self) -> str:
        """Wait for its end; return all that it said on standard error."""
        await self.code()
        await self.hears(None)
        return self.said

    async def hears(self, pattern: str | None) -> str:
        """Read standard error until *pattern* was said (its first group), or to the end."""
        assert self.process.stderr is not None
        while pattern is None or not (found := re.search(pattern, self.said)):
            async with asyncio.timeout(PATIENCE):
                line = await self.process.stderr.readline()
            if not line and pattern is None:
                return self.said
            assert line, f"never said {pattern!r}: {self.said}"
            self.said += line.decode()
        return found[1] if found.re.groups else found[0]

    # people --------------------------------------------------------------------------------

    async def people(self) -> str:
        """Return where people decide."""
        return await self.hears(r"People decide at (\S+)/review")

    async def decide(self, verdict: str, **more: Any) -> str:
        """Decide the one call that is held, once it is; return its id."""
        async with person(await self.people(), self.folder) as ann:
            return await decide(ann, verdict, **more)

    def written(self) -> list[Any]:
        """Return the arguments of every call that reached the server and wrote."""
        path = self.folder / "written"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def words(answer: Document) -> str:
    return str(answer["result"]["content"][-1]["text"])


@asynccontextmanager
async def person(url: str, folder: Path) -> AsyncIterator[aiohttp.ClientSession]:
    """Yield a client of the people's API with ann's key."""
    key = (folder / "data" / "operator.key").read_text().strip()
    headers = {"Authorization": f"Bearer {key}"}
    async with aiohttp.ClientSession(url, headers=headers) as ann:
        yield ann


async def decide(ann: aiohttp.ClientSession, verdict: str, **more: Any) -> str:
    """Decide the one call that is held, once it is; return its id."""
    async with asyncio.timeout(PATIENCE):
        while True:
            async with ann.get("/v1/approvals") as got:
                items = (await got.json())["items"]
            if items:
                break
    (card,) = items
    body = {"type": verdict, "digest": card["digest"], "message": "", **more}
    match = {"If-Match": f'"{card["version"]}"'}
    async with ann.post(f"/v1/approvals/{card['id']}/decision", json=body, headers=match) as got:
        assert got.status < 300, await got.text()
    return str(card["id"])


def command(config: Path, *options: str) -> list[str]:
    return [
        *(sys.executable, "-m", "interlock", "mcp", "--server", "nasty", "--config", str(config)),
        *options,
        "--",
        sys.executable,
        str(NASTY),
    ]


def environment(folder: Path, **env: str) -> dict[str, str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("INTERLOCK")}
    return {**kept, "WRITTEN": str(folder / "written"), **env}


@asynccontextmanager
async def wrapped(
    config: Path, *options: str, env: Mapping[str, str] | None = None
) -> AsyncIterator[Wrapped]:
    """Run `interlock mcp` before the nasty server."""
    folder = config.parent
    process = await asyncio.create_subprocess_exec(
        *command(config, *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=environment(folder, **(env or {})),
        limit=2**24,
    )
    shim = Wrapped(process, folder)
    try:
        yield shim
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGTERM)
        try:
            await shim.code()
        except TimeoutError:
            process.kill()
            await process.wait()
        # what is left in the pipes, so that their transports end
        assert process.stdout is not None
        await process.stdout.read()
        await shim.hears(None)
