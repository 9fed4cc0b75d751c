"""The people's side around a real gate and a real store, with a policy made for tests."""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientResponse, ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer

from interlock.approvals.api import add_api
from interlock.approvals.deps import ApiDeps
from interlock.approvals.identity import OneTimeLinks, Sessions
from interlock.core.actions import Action, Agent, Context, Reviewer, State, ToolCall
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Level, PolicyRef, Reversibility, Stake, Undo
from interlock.core.digest import seal
from interlock.core.identity import Kind
from interlock.core.matching import build
from interlock.core.patterns import HttpMatch, Segment
from interlock.core.patterns import Kind as Part
from interlock.core.rules import Facet, Levels, LevelSpec, PolicySet, Rule, Tool
from interlock.gate import Gate
from interlock.health import Health, add_health
from interlock.observe.metrics import Metrics
from interlock.policies.load import read_policies
from interlock.policies.schemas import compile_schema
from interlock.ports import Upstream
from interlock.store.credentials import RedisAuthenticators
from interlock.store.definitions import StoredDefinitions
from interlock.store.desk import RedisDesk
from interlock.store.keyring import RedisKeyRing
from interlock.store.outbox import RedisOutbox
from interlock.store.policies_seen import RedisPoliciesSeen
from interlock.store.practice import RedisPractice
from interlock.store.redis import RedisStore
from interlock.store.sessions import RedisSignIns

from .figures import FakeArchive, FakeAudits, pseudonym

ANN = Reviewer(id="ann", groups=frozenset({"ops"}))
BOB = Reviewer(id="bob", groups=frozenset({"ops"}))
OLGA = Reviewer(id="olga", groups=frozenset({"ops"}))  # owns the agent
UPSTREAMS = {
    "bank": "https://api.bank.example",
    "mail": "https://mail.example",
    "git": "https://git.example/api",
}


class FixedClock:
    """A clock that stands still until it is moved."""

    now = 1_790_000_000_000

    def now_ms(self) -> int:
        return self.now


class CountedIds:
    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    def action_id(self) -> str:
        return f"act_{next(self._numbers):08d}"

    def nonce(self) -> str:
        return f"nonce{next(self._numbers)}"


class SaidAnswer:
    """The answer of the tool: 200, a little JSON."""

    status = 200
    headers = (("Content-Type", "application/json"),)

    async def chunks(self) -> AsyncIterator[bytes]:
        yield b'{"done": true}'

    async def close(self) -> None:
        pass


class RecordingTool:
    """A tool that remembers what reached it."""

    def __init__(self) -> None:
        self.calls: list[ToolCall] = []

    def serves(self, call: ToolCall) -> bool:
        return True

    async def send(self, call: ToolCall) -> SaidAnswer:
        self.calls.append(call)
        return SaidAnswer()


_TRANSFER: dict[str, Any] = {
    "type": "object",
    "required": ["amount", "recipient"],
    "properties": {
        "account": {"type": "string"},
        "amount": {"type": "number", "description": "in euro"},
        "recipient": {"type": "string", "description": "name or IBAN"},
        "memo": {"type": "string"},
        "urgent": {"type": "boolean"},
        "speed": {"type": "string", "enum": ["standard", "instant"]},
        "tags": {"type": "array"},
    },
}
_MAIL: dict[str, Any] = {
    "type": "object",
    "required": ["to", "body"],
    "properties": {
        "to": {"type": "string"},
        "subject": {"type": "string"},
        "body": {"type": "string"},
        "attachments": {"type": "array"},
    },
}


def _tool(
    name: str, method: str, path: str, stake: Stake, reversibility: Reversibility, **more: Any
) -> Tool:
    parts = tuple(
        Segment(Part.PARAMETER, part[1:-1]) if part.startswith("{") else Segment(Part.LITERAL, part)
        for part in path.strip("/").split("/")
    )
    match = HttpMatch(upstream=name.split(".")[0], methods=frozenset({method}), segments=parts)
    facet = Facet(name=more.pop("facet", "blast"), shown="external", stake=stake)
    usual: dict[str, Any] = {"match": match, "facets": (facet,), "reversibility": reversibility}
    return Tool(id=name, **(usual | more))


NEW_RECIPIENT = Rule(
    id="new-recipient",
    description="Money to somebody who was never paid before waits for a person.",
    at_least=Level.APPROVE,
    effect="at least approve",
)


def a_policy(hold_ms: int = 3_600_000) -> PolicySet:
    tools = (
        _tool(
            "bank.transfer",
            "POST",
            "/v1/accounts/{account}/transfers",
            Stake.HIGH,
            Reversibility.COMPENSABLE,
            description="Moves money out of an account",
            args_schema=_TRANSFER,
            undo=Undo(tool="bank.refund", within="24h"),
            rules=(NEW_RECIPIENT,),
            facet="amount",
            egress=True,
        ),
        _tool(
            "mail.send",
            "POST",
            "/messages",
            Stake.MEDIUM,
            Reversibility.IRREVERSIBLE,
            description="Sends an e-mail",
            args_schema=_MAIL,
            egress=True,
        ),
        _tool(
            "git.delete_repo",
            "DELETE",
            "/repos/{owner}/{repo}",
            Stake.CRITICAL,
            Reversibility.IRREVERSIBLE,
            description="Deletes a repository with its history",
        ),
        _tool("bank.note", "PUT", "/v1/notes/{note}", Stake.LOW, Reversibility.REVERSIBLE),
    )
    A, N, P, D = Level.ALLOW, Level.NOTIFY, Level.APPROVE, Level.APPROVE_DUAL
    catalogue, clashes = build({tool.id: tool.match for tool in tools})
    assert not clashes
    return PolicySet(
        ref=PolicyRef(name="payments-and-mail", version=7, sha256="5f" * 32),
        matrix=((A, A, N, P), (P, P, P, P), (N, P, P, D), (N, P, D, D)),
        tools={tool.id: tool for tool in tools},
        catalogue=catalogue,
        rules=(NEW_RECIPIENT,),
        levels=Levels(
            approve=LevelSpec(approvers=("ops",), hold_ms=hold_ms),
            approve_dual=LevelSpec(approvers=("ops",), quorum=2, hold_ms=hold_ms),
        ),
    )


CAREFUL = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: careful, version: 3, owner: ann@example.com, description: All that people see.}
matrix:
  read_only:    [allow,  allow,   notify,       approve]
  reversible:   [notify, approve, approve,      approve]
  compensable:  [notify, approve, approve,      approve_dual]
  irreversible: [notify, approve, approve_dual, deny]
stake:
  data: {public: low, internal: medium, confidential: high, restricted: critical}
tools:
  - id: bank.transfer
    description: Moves money out of an account.
    http: {upstream: bank, method: POST, path: "/v1/accounts/{account}/transfers"}
    args_schema:
      type: object
      required: [amount, recipient]
      properties:
        account: {type: string}
        amount: {type: number}
        recipient: {type: string}
        memo: {type: string}
    reversibility: reversible
    undo: {reason: It can be called back.}
    facets: {data: confidential}
    target: [recipient]
    egress: true
  - id: bank.note
    description: Keeps a note.
    http: {upstream: bank, method: PUT, path: "/v1/notes/{note}"}
    reversibility: reversible
    undo: {reason: Notes have versions.}
    facets: {data: public}
    taints: [untrusted_content]
rules:
  - {id: night, description: Trial., tools: [bank.note], mode: shadow, at_least: approve}
  - id: tainted
    description: It has read what others wrote.
    tools: [bank.transfer]
    when: session.untrusted_content && session.writes > 5
    at_least: approve
signals:
  session_risk: {points: {low: 1, medium: 5, high: 20, critical: 50}, half_life: 30m,
                 raise_at: [{points: 400, raise: 1}]}
limits:
  - {id: money-per-day, tools: [bank.transfer], key: [agent.id], window: 24h, sum: args.amount,
     max: 2000, then: approve}
levels:
  approve: {approvers: [ops], quorum: 1, remind_after: 5m, expire_after: 60m, on_expire: deny,
            escalate: [{after: 15m, to: [leads]}]}
approvals:
  grants: [{tools: [bank.transfer], at_most: notify, longest: 7d, uses: 50}]
"""
HIDDEN = "\nredact:\n  approver: [args.recipient]\n  detectors: [iban]\n"
IBAN = "DE02120300000000202051"


def careful(more: str = "") -> PolicySet:
    """Return a policy with all that people see beside rules; *more* is YAML put at its end."""
    return read_policies([("careful.yaml", CAREFUL + more)])


def paying(recipient: str = IBAN, amount: float = 900, **more: Any) -> ToolCall:
    body = json.dumps({"amount": amount, "recipient": recipient, "memo": f"May to {recipient}"})
    return a_call(body=body.encode(), **more)


def a_call(
    upstream: str = "bank",
    method: str = "POST",
    target: str = "/v1/accounts/DE-4711/transfers",
    body: bytes = b'{"amount": 900.00, "recipient": "Bob GmbH", "memo": "May rent"}',
    *,
    media: str = "application/json",
    headers: tuple[tuple[str, str], ...] = (),
    agent: str = "billing-bot",
    **context: Any,
) -> ToolCall:
    path, query = parse_target(target)
    said = {"session": "s-81", "reason": "Rent is due today.", "confidence": 0.82} | context
    return seal(
        ToolCall(
            agent=Agent(id=agent, owner="olga"),
            upstream=upstream,
            method=method,
            target=target,
            headers=((("Content-Type", media),) if body else ()) + headers,
            body=body,
            path=path,
            query=query,
            content=parse_content(media if body else "", body),
            context=Context(**said),
        )
    )


@dataclass
class Postbox:
    """The channels of a world: one that works, and one that does not."""

    sampled: list[str] = field(default_factory=list)

    def names(self) -> tuple[str, ...]:
        return ("webhook.ops", "webhook.broken")

    async def test(self, channel: str) -> str:
        self.sampled.append(channel)
        return "the receiver answered 500" if channel == "webhook.broken" else ""


@dataclass
class World:
    """Everything that a test needs to act as agents and as people."""

    gate: Gate
    store: RedisStore
    keys: RedisKeyRing
    deps: ApiDeps
    tool: RecordingTool
    clock: FixedClock
    server: TestServer
    metrics: Metrics
    definitions: StoredDefinitions
    archive: FakeArchive
    audits: FakeAudits
    made: dict[Kind, str] = field(default_factory=dict)
    sessions: list[ClientSession] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server.port}"

    async def hold(self, call: ToolCall | None = None) -> Action:
        submission = await self.gate.submit(call or a_call())
        assert submission.action.state is State.HELD, submission.action.state
        return submission.action

    async def now(self, action: Action) -> Action:
        found = await self.store.get(action.id)
        assert found is not None
        return found

    async def settled(self, action: Action) -> Action:
        """Wait until the call has been sent, or will never be."""
        return await self.gate.wait(await self.now(action), 5)

    async def key(self, kind: Kind, subject: str = "", groups: tuple[str, ...] = ("ops",)) -> str:
        name = subject or f"a-{kind.value}"
        return (await self.keys.create(kind, name, "olga", groups, 0))[0]

    async def ask(
        self,
        method: str,
        path: str,
        *,
        key: str = "",
        headers: dict[str, str] | None = None,
        **more: Any,
    ) -> ClientResponse:
        sent = dict(headers or {})
        if key:
            sent["Authorization"] = f"Bearer {key}"
        async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
            response = await client.request(
                method, f"{self.url}{path}", headers=sent, allow_redirects=False, **more
            )
            await response.read()
        return response

    async def decide(self, action: Action, key: str, **body: Any) -> ClientResponse:
        said = {"type": "approve", "digest": action.digest} | body
        etag = {"If-Match": f'"{action.version}"'}
        path = f"/v1/approvals/{action.id}/decision"
        return await self.ask("POST", path, key=key, headers=etag, json=said)


@contextlib.asynccontextmanager
async def a_world(
    store: RedisStore,
    prefix: str,
    *,
    hold_ms: int = 3_600_000,
    whole_bytes: int = 262_144,
    learning: bool = True,
) -> AsyncIterator[World]:
    from interlock.approvals.page import add_page

    clock, tool, metrics = FixedClock(), RecordingTool(), Metrics()
    upstreams: dict[str, Upstream] = dict.fromkeys(UPSTREAMS, tool)  # type: ignore[arg-type]
    gate = Gate(
        policy=a_policy(hold_ms),
        store=store,
        upstreams=upstreams,
        notifiers=(),
        observers=(metrics,),
        clock=clock,
        ids=CountedIds(),
        seal_key=b"s" * 32,
    )
    keys = RedisKeyRing(store.client, pepper=b"p" * 32, clock=clock, prefix=prefix)
    definitions = StoredDefinitions(
        store.client,
        key=b"d" * 32,
        first_use=frozenset({"files"}),
        compile_schema=lambda schema: compile_schema(schema, frozenset()),
        prefix=prefix,
    )
    sign_ins = RedisSignIns(
        store.client, key=b"i" * 32, clock=clock, idle_ms=28_800_000, prefix=prefix
    )
    app = web.Application()
    server = TestServer(app, host="127.0.0.1")
    archive, audits = FakeArchive(), FakeAudits()
    deps = ApiDeps(
        gate=gate,
        store=store,
        keys=keys,
        sessions=Sessions(sign_ins, key=b"c" * 32, clock=clock),
        links=OneTimeLinks(clock, (ANN,)),
        desk=RedisDesk(store.client, key=b"k" * 32, prefix=prefix),
        outbox=RedisOutbox(store.client, prefix),
        channels=Postbox(),
        url="http://127.0.0.1:8081",
        upstreams=UPSTREAMS,
        listen=store.listen,
        poll_seconds=0.2,
        whole_bytes=whole_bytes,
        revealed=metrics.revealed,
        shadowed=metrics.shadowed,
        policy_files=lambda: ("policies/careful.yaml",),
        policies_seen=RedisPoliciesSeen(store.client, prefix=prefix, host="web-1"),
        definitions=definitions,
        practice=RedisPractice(store.client, prefix=prefix),
        authenticators=RedisAuthenticators(store.client, key=b"a" * 32, prefix=prefix),
        archive=archive if learning else None,
        audits=audits if learning else None,
        pseudonym=pseudonym,
    )
    add_api(app, deps)
    add_page(app, deps)
    add_health(app, Health(gate=gate, store=store, metrics=metrics))
    await server.start_server()
    try:
        yield World(
            gate=gate,
            store=store,
            keys=keys,
            deps=deps,
            tool=tool,
            clock=clock,
            server=server,
            metrics=metrics,
            definitions=definitions,
            archive=archive,
            audits=audits,
        )
    finally:
        await gate.close(5)
        await server.close()
