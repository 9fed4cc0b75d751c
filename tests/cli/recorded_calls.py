"""Recorded calls and a policy for tests of the commands that read them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from interlock.core.records import DecidedCall, pack

from ..policies.building import HEAD, PAY
from ..support.records import NOON, record

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
