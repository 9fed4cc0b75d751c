"""One client's conversation with a gate, and an MCP server that counts what reaches it."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from interlock.core.actions import Action, Agent, ToolCall
from interlock.core.definitions import definition_hash
from interlock.core.messages import MODERN, Message, message_of
from interlock.ingress.mcp import answers, results
from interlock.ingress.mcp.calls import Calls, Tasking
from interlock.ingress.mcp.session import (
    VERSION_KEY,
    Caller,
    Document,
    Holding,
    Live,
)
from interlock.ingress.mcp.session import Server as McpServer
from interlock.mcp_ports import Definition
from interlock.policies.load import read_policies
from interlock.store.redis import RedisStore
from interlock.tasks import Tasks
from tests.support.builders import NOON
from tests.support.fakes import NoonClock, World

KEY = b"a key for tokens, and only these"
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: files, version: 1, owner: ann@example.com, description: One tool for each level.}
matrix:
  read_only:    [allow,  allow,   notify,       approve]
  reversible:   [allow,  notify,  approve,      approve]
  compensable:  [notify, approve, approve,      approve_dual]
  irreversible: [notify, approve, approve_dual, deny]
stake:
  data: {public: low, internal: medium, confidential: high, restricted: critical}
tools:
"""
ENTRY = """
  - id: files.{name}
    description: Handles files.
    mcp: {{server: files, tool: {name}}}
    reversibility: {reversibility}
    undo: {{reason: It can be put back.}}
    facets: {{data: {data}}}
"""
ENTRIES = {
    "read": ("read_only", "public"),
    "write": ("reversible", "confidential"),
    "wipe": ("irreversible", "restricted"),
}
TOOLS = [
    {
        "name": name,
        "description": f"It is to {name}.",
        "inputSchema": {"type": "object"},
        "outputSchema": {"type": "object"},
    }
    for name in (*ENTRIES, "other")
]


def policy(more: str = "", **levels: tuple[str, str]) -> Any:
    text = "".join(
        ENTRY.format(name=name, reversibility=how, data=data)
        for name, (how, data) in (ENTRIES | levels).items()
    )
    return read_policies([("files.yaml", POLICY + text + more)])


@dataclass
class Listed:
    """ports.Definitions: what was listed is accepted, but for the names in `changed`."""

    tools: dict[tuple[str, str], Definition] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)
    whole: set[str] = field(default_factory=set)
    times: int = 0

    def current(self, server: str, tool: str) -> Definition | None:
        found = self.tools.get((server, tool))
        return found and replace(found, accepted=tool not in self.changed)

    def known(self, server: str) -> bool:
        return server in self.whole

    async def listed(self, server: str, tools: Sequence[Mapping[str, Any]], *, whole: bool) -> None:
        self.times += 1
        for tool in tools:
            self.tools[server, tool["name"]] = Definition(
                server=server,
                tool=tool["name"],
                hash=definition_hash(tool),
                document=tool,
                accepted=True,
                invalid=lambda _: "",
            )
        if whole:
            self.whole.add(server)


@dataclass
class Sent:
    """ports.Exchange."""

    body: tuple[bytes, ...]
    status: int = 200
    headers: tuple[tuple[str, str], ...] = (("Content-Type", "application/json"),)

    async def chunks(self) -> AsyncIterator[bytes]:
        for chunk in self.body:
            yield chunk

    async def close(self) -> None:
        pass


@dataclass
class FilesServer:
    """ports.McpServer: counts, and answers with what it was asked for, as JSON or as events."""

    ran: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[ToolCall] = field(default_factory=list)
    lists: list[Mapping[str, Any]] = field(default_factory=list)
    fails: list[Exception] = field(default_factory=list)
    tools: list[dict[str, Any]] = field(default_factory=lambda: list(TOOLS))
    page: int = 100
    events: bool = False
    status: int = 200
    result: Mapping[str, Any] = field(default_factory=dict)  #: joined to every result
    raw: bytes | None = None  #: in place of every answer
    free: asyncio.Event | None = None  #: lists only once it is set

    def serves(self, call: ToolCall) -> bool:
        return True

    async def send(self, call: ToolCall) -> Sent:
        if self.fails:
            raise self.fails.pop(0)
        self.calls.append(call)
        message = json.loads(call.body)
        self.ran.append(message["params"])
        done = json.dumps(message["params"].get("arguments"))
        result = {"content": [{"type": "text", "text": f"done {done}"}], **self.result}
        body = json.dumps({"jsonrpc": "2.0", "id": message["id"], "result": result}).encode()
        if self.events:
            body = b": hello\r\n\r\nevent: message\r\nid: 7\r\ndata: " + body + b"\r\n\r\n"
        return Sent((self.raw if self.raw is not None else body,), status=self.status)

    async def pass_on(self, call: ToolCall) -> Sent:
        if self.fails:
            raise self.fails.pop(0)
        message = json.loads(call.body)
        assert message["method"] == "tools/list"
        self.lists.append(message)
        if self.free is not None:
            await self.free.wait()
        start = int(message["params"].get("cursor", 0))
        result: dict[str, Any] = {"tools": self.tools[start : start + self.page]}
        if start + self.page < len(self.tools):
            result["nextCursor"] = str(start + self.page)
        body = {"jsonrpc": "2.0", "id": message["id"], "result": result}
        return Sent((json.dumps(body).encode(),))


@dataclass
class Line:
    """session.Channel: keeps what was sent while the request was held."""

    streams: bool = True
    kept: list[Document | None] = field(default_factory=list)

    async def keep(self, progress: Document | None) -> None:
        self.kept.append(progress)


class SetClock(NoonClock):
    """ports.Clock of the tokens, which a test can put forward."""

    now = NOON

    def now_ms(self) -> int:
        return self.now


class Talk:
    """A client of one agent at the server `files`, and what a test says in one line."""

    def __init__(
        self,
        store: RedisStore,
        *,
        holding: Holding | None = None,
        version: str = "2025-11-25",
        rules: Any = None,
        tasks: Tasking | None = None,
        name: str = "a",
        **server: Any,
    ) -> None:
        self.files, self.listed, self.clock = FilesServer(), Listed(), SetClock()
        self.world = World(
            store,
            name=name,
            policy=rules or policy(),
            upstreams={"files": self.files},
            definitions=self.listed,
        )
        self.gate = self.world.gate
        self.calls = Calls(self.gate, self.listed, KEY, self.clock, tasks=tasks)
        self.caller = Caller(
            agent=Agent(id="bot", owner="olga"),
            server=McpServer(name="files", upstream=self.files, **server),
            holding=holding or Holding(seconds=0.0),
            version=version,
            session="s1",
        )
        self.line = Line()
        self._ids = itertools.count(1)
        self._asked = Tasks()

    def message(self, tool: str = "write", *, method: str = "tools/call", **params: Any) -> Message:
        meta = dict(params.pop("meta", {}))
        if self.caller.modern:
            meta |= {VERSION_KEY: MODERN}
        said: dict[str, Any] = {} if method != "tools/call" else {"name": tool, "arguments": {}}
        said |= params | ({"_meta": meta} if meta else {})
        document = {"jsonrpc": "2.0", "id": next(self._ids), "method": method, "params": said}
        return message_of(document)

    async def send(self, message: Message, caller: Caller | None = None) -> Document:
        """Send, and read the answer as a transport passes it on."""
        caller = caller or self.caller
        answer = await self.calls.answer(message, caller, self.line)
        if not isinstance(answer, Live):
            return answer
        return await self.read(answer, message, caller)

    async def read(self, live: Live, message: Message, caller: Caller) -> Document:
        async with live.relay:
            body = b"".join([chunk async for chunk in live.relay.chunks()])
        to = results.asker(message, caller)
        amend = answers.amender(live, to.id, to.progress, tell_edits=to.tell_edits)
        found = answers.response_in(body, answers.sent_id(live.action))
        assert found is not None
        return amend(found) if amend else found

    async def call(self, tool: str = "write", **params: Any) -> Document:
        return await self.send(self.message(tool, **params))

    def start(self, asked: Coroutine[Any, Any, Document]) -> asyncio.Task[Document]:
        """Send without waiting for the answer."""
        return self._asked.spawn(asked, "asked")

    async def held(self) -> Action:
        """Return the one call that waits for people."""
        while True:
            found = (await self.gate.store.held(None, 10)).actions
            if found:
                assert len(found) == 1
                return found[0]
            await asyncio.sleep(0.005)

    def progressing(self) -> Sequence[float]:
        return [kept["params"]["progress"] for kept in self.line.kept if kept is not None]


Start = Callable[..., Talk]
"""Starts a conversation with what `Talk` takes, beside the store."""


def text(document: Document) -> str:
    """Return what the model reads of a result, which must be one block."""
    (block,) = document["result"]["content"]
    assert block["type"] == "text"
    said: str = block["text"]
    return said
