"""Small policies and calls for tests."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from interlock.core.actions import Agent, Content, Context, ToolCall
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Decision
from interlock.core.errors import InvalidDocument
from interlock.core.evaluate import evaluate
from interlock.core.facts import NO_FACTS
from interlock.core.rules import PolicySet
from interlock.policies.load import read_policies

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)

HEAD = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: NAME, version: 1}
"""

PAY = """
stake:
  amount:
    - {upto: 50, stake: low}
    - {upto: 500, stake: medium}
    - {upto: 10000, stake: high}
    - {stake: critical}
tools:
  - id: pay
    description: Pays.
    http: {upstream: bank, method: POST, path: "/accounts/{account}/pay"}
    args_schema:
      type: object
      properties: {amount: {type: number}, to: {type: string}, memo: {type: string}}
    reversibility: compensable
    undo: {reason: Ask for it back.}
    facets: {amount: args.amount}
"""


def policy(*bodies: str) -> PolicySet:
    """Compile one policy file per body; each gets the head that every file needs."""
    return read_policies(
        [(f"{i}.yaml", HEAD.replace("NAME", f"p{i}") + body) for i, body in enumerate(bodies)]
    )


def problems(*bodies: str) -> list[str]:
    """Return the problems that the policy files of *bodies* have, as `line: message`."""
    try:
        policy(*bodies)
    except InvalidDocument as error:
        skipped = HEAD.count("\n")
        return [f"{each.line - skipped}:{each.column}: {each.message}" for each in error.problems]
    return []


def call(
    method: str = "POST",
    target: str = "/accounts/7/pay",
    *,
    upstream: str = "bank",
    media_type: str = "application/json",
    body: bytes = b"",
    value: Any = ...,
    confidence: float | None = None,
    headers: tuple[tuple[str, str], ...] = (),
    service: str = "",
) -> ToolCall:
    """A call as the ingress would parse it; *value* is a JSON body that is already read."""
    path, query = parse_target(target)
    content = parse_content(media_type, body)
    if value is not ...:
        content = Content(kind=type(content.kind).JSON, media_type="application/json", value=value)
    return ToolCall(
        agent=Agent(id="bot", owner="ann"),
        upstream=upstream,
        method=method,
        target=target,
        headers=headers,
        body=body,
        path=path,
        query=query,
        content=content,
        service=service,
        context=Context(confidence=confidence),
    )


def judge(compiled: PolicySet, asked: ToolCall, at: datetime = NOON) -> Decision:
    return evaluate(asked, compiled, NO_FACTS, at)
