"""Actions and decisions for tests, with the least that each needs said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from interlock.core.actions import Action, Agent, Context, Review, Reviewer, ToolCall, Verdict
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Decision, Level, PolicyRef, Reversibility, Stake
from interlock.core.digest import seal

POLICY = PolicyRef(name="test", version=1, sha256="0" * 64)
NOON = 1_790_000_000_000  #: ms
ANN, BOB, CAT = Reviewer(id="ann"), Reviewer(id="bob"), Reviewer(id="cat")


def a_call(
    method: str = "POST",
    target: str = "/pay?to=bob",
    body: bytes = b'{"amount": 900}',
    *,
    agent: str = "bot",
    owner: str = "olga",
    session: str = "s1",
    **more: Any,
) -> ToolCall:
    path, query = parse_target(target)
    media = "application/json" if body else ""
    return seal(
        ToolCall(
            agent=Agent(id=agent, owner=owner),
            upstream="bank",
            method=method,
            target=target,
            headers=(("Content-Type", media),) if media else (),
            body=body,
            path=path,
            query=query,
            content=parse_content(media, body),
            context=Context(session=session, reason="rent is due", confidence=0.9),
            **more,
        )
    )


def a_decision(level: Level = Level.APPROVE, **more: Any) -> Decision:
    quorum = 2 if level is Level.APPROVE_DUAL else 1
    usual: dict[str, Any] = {
        "tool": "bank.pay",
        "stake": Stake.HIGH,
        "reversibility": Reversibility.COMPENSABLE,
        "quorum": quorum,
        "arguments": {"amount": 900, "to": "bob"},
        "sources": {"amount": "json", "to": "query"},
        "hold_ms": 60_000,
    }
    return Decision(level=level, policy=POLICY, **(usual | more))


def an_action(call: ToolCall | None = None, action_id: str = "a1") -> Action:
    call = call or a_call()
    return Action(id=action_id, call=call, digest=call.digest)


def a_review(
    action: Action,
    reviewer: Reviewer = ANN,
    verdict: Verdict = Verdict.APPROVE,
    **more: Any,
) -> Review:
    usual: dict[str, Any] = {
        "message": "" if verdict is Verdict.APPROVE else "because",
        "policy": POLICY.sha256,
    }
    return Review(
        reviewer=reviewer,
        verdict=verdict,
        digest=action.digest,
        version=action.version,
        **(usual | more),
    )


def edited(action: Action, body: bytes = b'{"amount": 90}') -> ToolCall:
    content = parse_content("application/json", body)
    return seal(replace(action.call, body=body, content=content))
