"""Policies made of values, calls, and the judge, for tests of the core."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from interlock.core.actions import Agent, Body, Content, Context, McpTool, ToolCall
from interlock.core.decisions import Decision, Level, PolicyRef, Reversibility, Stake
from interlock.core.evaluate import Prepared, evaluate
from interlock.core.facts import NO_FACTS, Facts, Grant
from interlock.core.matching import build
from interlock.core.messages import call_envelope
from interlock.core.patterns import Discriminator, HttpMatch, Kind, McpMatch, Pattern, Segment
from interlock.core.rules import Band, Environment, Facet, Indeterminate, PolicySet, Tool

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
REF = PolicyRef(name="test", version=1, sha256="0" * 64)
A, N, H, D, X = Level
STANDARD = ((A, A, N, H), (A, N, H, H), (N, H, H, D), (N, H, D, X))


def judge(
    policy: PolicySet, asked: ToolCall, at: datetime = NOON, facts: Facts = NO_FACTS
) -> Decision:
    return evaluate(asked, policy, facts, at)


def http(upstream: str = "bank", path: str = "pay", method: str = "POST") -> HttpMatch:
    segments = tuple(Segment(Kind.LITERAL, part) for part in path.split("/"))
    return HttpMatch(upstream=upstream, methods=frozenset({method}), segments=segments)


def mcp(server: str, *names: str) -> McpMatch:
    return McpMatch(server=server, tool=Discriminator("tool", tuple(map(Pattern, names))))


def arg(name: str) -> Any:
    """A value that reads one argument, as a compiled condition would."""

    def read(seen: Environment) -> Any:
        if seen["args"].get(name) is None:
            raise Indeterminate(f"args.{name} is missing")
        return seen["args"][name]

    return read


AMOUNT = Facet(
    name="amount",
    shown="args.amount",
    value=arg("amount"),
    bands=tuple(
        Band(upto=upto, stake=stake)
        for upto, stake in zip((50.0, 500.0, 10_000.0, None), Stake, strict=True)
    ),
)
PAY = Tool(
    id="pay", match=http(), reversibility=Reversibility.COMPENSABLE, facets=(AMOUNT,), editable=None
)


def policy(*tools: Tool, **settings: Any) -> PolicySet:
    catalogue, clashes = build({tool.id: tool.match for tool in tools})
    assert not clashes
    by_id = {tool.id: tool for tool in tools}
    return PolicySet(ref=REF, matrix=STANDARD, tools=by_id, catalogue=catalogue, **settings)


def call(_path: str = "pay", _confidence: float | None = None, **arguments: Any) -> ToolCall:
    return ToolCall(
        agent=Agent(id="bot", owner="ann"),
        upstream="bank",
        method="POST",
        target=f"/{_path}",
        path=f"/{_path}",
        content=Content(kind=Body.JSON, media_type="application/json", value=arguments),
        context=Context(confidence=_confidence, session="s1"),
    )


def mcp_call(server: str, tool: str, definition: str = "", **arguments: Any) -> ToolCall:
    return replace(
        call(**arguments),
        upstream=server,
        method="tools/call",
        target="/",
        path="/",
        body=call_envelope(tool, arguments),
        mcp=McpTool(name=tool, definition=definition),
    )


def a_grant(prepared: Prepared, tool: str) -> Grant:
    """A grant that fits *prepared* in all but what the core itself has to refuse."""
    return Grant(
        id="g",
        key=prepared.needs.grant,
        agent="bot",
        tool=tool,
        target={},
        by="ann",
        action_id="a",
        level=3,
        stake=3,
        created=2**59,
        expires=2**60,
        uses=1,
    )
