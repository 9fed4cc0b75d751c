"""Decided calls for tests: one with the least said, and any that there can be."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from interlock.core.decisions import Level, Reversibility, Stake
from interlock.core.records import Audited, DecidedCall, Reported, Said, Turned

NOON = 1_790_000_000_000  #: ms
MINUTE, DAY = 60_000, 86_400_000
FINAL = (
    *("denied", "rejected", "responded", "expired", "cancelled", "answered", "resolved"),
    "unknown",
)
VERDICTS = ("approve", "edit", "reject", "respond")


def record(**changes: Any) -> DecidedCall:
    """Return a payment that a person approved as it was, with *changes*."""
    usual: dict[str, Any] = {
        "id": "a1",
        "version": 4,
        "state": "answered",
        "created": NOON,
        "ended": NOON + MINUTE,
        "agent": "bot",
        "owner": "olga",
        "upstream": "bank",
        "tool": "bank.pay",
        "request": {"tool": "bank.pay", "args": {"amount": 900, "to": "bob"}},
        "arguments": {"amount": 900, "to": "bob"},
        "size": 15,
        "session": "s1",
        "reason": "rent is due",
        "confidence": 0.9,
        "level": "approve",
        "stake": "high",
        "reversibility": "compensable",
        "policy": "test@1",
        "policy_sha256": "0" * 64,
        "reviews": (said(),),
        "status": 200,
    }
    return DecidedCall(**(usual | changes))


def unreviewed(**changes: Any) -> DecidedCall:
    """Return a call that policy let through by itself; `share`, `drawn` and `audit` say more."""
    usual: dict[str, Any] = {"level": "notify", "stake": "medium", "reviews": ()}
    return record(**(usual | changes))


def said(verdict: str = "approve", **changes: Any) -> Said:
    usual: dict[str, Any] = {"who": "r-0123456789ab", "at": NOON + MINUTE, "looked_ms": 9_000}
    return Said(verdict=verdict, **(usual | changes))


def audited(turned: Turned = Turned.RIGHT, **changes: Any) -> Audited:
    usual: dict[str, Any] = {"who": "r-ba9876543210", "at": NOON + DAY, "looked_ms": 9_000}
    return Audited(turned=turned, **(usual | changes))


def reported(turned: Turned = Turned.WRONG, **changes: Any) -> Reported:
    usual: dict[str, Any] = {"by": "agent", "at": NOON + DAY}
    return Reported(turned=turned, **(usual | changes))


texts = st.text(max_size=12)
words = st.sampled_from(("", "a", "b", "naïve", "支付", "🙂", "x\u202ey", "a\x00b", '"\\'))
shares = st.sampled_from((0.0, 0.01, 0.05, 0.2, 1.0))
whoever = st.sampled_from(("r-000000000001", "r-000000000002", "r-000000000003"))
_times = st.integers(NOON, NOON + 40 * DAY)
_looks = st.integers(0, 600_000)
_turned = st.sampled_from(Turned)
_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | texts,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(texts, inner, max_size=2),
    max_leaves=4,
)
_mappings = st.dictionaries(texts, _values, max_size=3)
_names = st.lists(words, max_size=3).map(tuple)
_saids = st.builds(
    Said,
    who=whoever,
    verdict=st.sampled_from(VERDICTS),
    at=_times,
    looked_ms=_looks,
    reason_code=words,
    message=texts,
)
_audits = st.builds(
    Audited,
    who=whoever,
    turned=_turned,
    at=_times,
    looked_ms=_looks,
    reason_code=words,
    message=texts,
)
_reports = st.builds(Reported, by=st.just("agent") | whoever, turned=_turned, at=_times)


def _in_order(each: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(sorted(each, key=lambda one: one.at))


def records(**fixed: Any) -> st.SearchStrategy[DecidedCall]:
    """Return any decided call; *fixed* gives fields a value, or a strategy of their own."""
    drawn: dict[str, st.SearchStrategy[Any]] = {
        "id": st.uuids().map(str),
        "version": st.integers(1, 9),
        "told": st.integers(0, 3),
        "state": st.sampled_from(FINAL),
        "created": _times,
        "ended": _times,
        "agent": words,
        "owner": words,
        "upstream": words,
        "tool": words,
        "description": texts,
        "schema": st.sampled_from(("", "ab" * 32)),
        "request": _mappings,
        "final": st.none() | _mappings,
        "arguments": _mappings,
        "final_arguments": _mappings,
        "edited": st.sampled_from(((), ("args.amount",), ("args.amount", "args.to"))),
        "masked": st.booleans(),
        "short": st.booleans(),
        "size": st.integers(0, 100_000),
        "session": words,
        "reason": texts,
        "task": texts,
        "confidence": st.none() | st.floats(0, 1),
        "calibrated": st.none() | st.floats(0, 1),
        "level": st.sampled_from([each.word for each in Level]),
        "would_be": st.sampled_from(("", "approve", "deny")),
        "stake": st.sampled_from([each.word for each in Stake]),
        "reversibility": st.sampled_from([each.word for each in Reversibility]),
        "facet": words,
        "rules": _names,
        "signals": st.sampled_from(((), ("confidence",), ("confidence", "novelty"))),
        "exceptions": _names,
        "limits": _names,
        "grant": words,
        "target": st.none() | _mappings,
        "why": st.sampled_from(("", "unknown_tool")),
        "policy": st.sampled_from(("", "test@1", "test@2")),
        "policy_sha256": st.sampled_from(("", "0" * 64)),
        "facts": _mappings,
        "quorum": st.integers(1, 2),
        "reviews": st.lists(_saids, max_size=3).map(tuple).map(_in_order),
        "cause": words,
        "status": st.sampled_from((0, 200, 404, 500)),
        "share": shares,
        "drawn": st.booleans(),
        "audit": st.none() | _audits,
        "reports": st.lists(_reports, max_size=2).map(tuple).map(_in_order),
    }
    given = {
        name: each if isinstance(each, st.SearchStrategy) else st.just(each)
        for name, each in fixed.items()
    }
    return st.builds(DecidedCall, **(drawn | given))


def histories(size: int = 12, **fixed: Any) -> st.SearchStrategy[list[DecidedCall]]:
    """Return some calls, each of another id."""
    return st.lists(records(**fixed), max_size=size, unique_by=lambda each: each.id)
