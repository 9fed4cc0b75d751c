"""Recorded calls and a policy for tests of the commands that read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from interlock.core.records import DecidedCall, pack

from ..policies.building import HEAD, PAY
from ..support.records import NOON, audited, record, said

POLICY = HEAD.replace("NAME", "bank") + PAY
RULES = """
rules:
  - id: big             # people see what is large
    tools: [pay]
    when: args.amount > 100
    at_least: approve
"""


def paid(number: int = 1, amount: float = 20, **changes: Any) -> DecidedCall:
    """A payment that a person approved, as it is recorded."""
    request = {
        "upstream": "bank",
        "method": "POST",
        "path": "/accounts/7/pay",
        "json": {"amount": amount, "to": "bob"},
    }
    usual: dict[str, Any] = {
        "id": f"c{number:05}",
        "created": NOON + number * 3_600_000,
        "ended": NOON + number * 3_600_000 + 60_000,
        "request": request,
        "arguments": {"account": "7", "amount": amount, "to": "bob"},
        "tool": "pay",
        "stake": "low" if amount <= 50 else "medium",
        "reversibility": "compensable",
        "facts": {"familiar": True},
    }
    return record(**(usual | changes))


def written(file: Path, calls: Iterable[DecidedCall]) -> str:
    """Write records as they are exported, and return the file's name."""
    file.write_text("".join(json.dumps(pack(each)) + "\n" for each in calls), encoding="utf-8")
    return str(file)


TUNABLE = (
    POLICY.replace(
        "    facets: {amount: args.amount}\n",
        "    facets: {amount: args.amount}\n    target: [account, to]\n",
    )
    + """
rules:
  # somebody asked for it in 2024
  - id: has-memo        # the memo says what it is for
    tools: [pay]
    when: has(args.memo)
    at_least: approve

signals:
  confidence:           # what the agent says of itself
    missing: 0.5
    raise_below: {low: 0.9, medium: 0.9, high: 0.9, critical: 1.0}

approvals:
  repeat_denied: {same_call_within: 1h}
"""
)
GRANTS = "  grants: {tools: [pay]}\n"
HOUR = 3_600_000


def paying(number: int, **arguments: Any) -> dict[str, Any]:
    """What is recorded of payment *number* with these arguments."""
    path = {"account": "7"}
    request = {"upstream": "bank", "method": "POST", "path": "/accounts/7/pay", "json": arguments}
    return {
        "id": f"c{number:05}",
        "created": NOON + number * HOUR // 4,
        "ended": NOON + number * HOUR // 4 + 60_000,
        "request": request,
        "arguments": path | arguments,
        "target": path | {"to": arguments.get("to")},
        "tool": "pay",
        "stake": "low" if arguments["amount"] <= 50 else "medium",
        "reversibility": "compensable",
    }


def with_memo(number: int, **changes: Any) -> DecidedCall:
    """Held by the rule alone, and approved as it was."""
    call = paying(number, amount=20, to=f"p{number}", memo="lunch")
    return record(**(call | {"rules": ("has-memo",), "confidence": 0.95} | changes))


def unsure(number: int, confidence: float, **changes: Any) -> DecidedCall:
    """Held for the agent's doubt alone, and approved as it was."""
    call = paying(number, amount=20, to=f"p{number}")
    return record(**(call | {"signals": ("confidence",), "confidence": confidence} | changes))


def sure(number: int, **changes: Any) -> DecidedCall:
    """Let through, drawn for an audit, and found right."""
    call = paying(number, amount=20, to=f"p{number}")
    how = {"level": "notify", "reviews": (), "share": 1.0, "drawn": True}
    return record(**(call | how | {"confidence": 0.95, "audit": audited()} | changes))


def rent(number: int, **changes: Any) -> DecidedCall:
    """The same payment, again and again, held for its amount, and approved as it was."""
    call = paying(number, amount=400 + number % 3, to="landlord")
    return record(**(call | {"agent": "biller", "confidence": 0.95} | changes))


def month() -> list[DecidedCall]:
    """A month in which a rule, a threshold and one payment only cost people's time."""
    calls: list[DecidedCall] = []
    for number in range(2400):
        kind = number % 8
        if kind < 2:
            calls.append(with_memo(number))
        elif kind < 5:
            calls.append(unsure(number, 0.6 + number % 30 / 100))
        elif kind == 5 and number % 10 == 5:
            calls.append(unsure(number, 0.2, reviews=(said("reject"),), state="rejected"))
        elif kind == 6 and number % 80 == 6:
            calls.append(rent(number))
        else:
            calls.append(sure(number))
    return calls
