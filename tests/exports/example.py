"""The call that docs/exports.md works through: a transfer that ann edited."""

from __future__ import annotations

from interlock.core.records import DecidedCall, Said

HASH = "3a" * 32
SCHEMAS = {
    HASH: {
        "type": "object",
        "required": ["amount", "recipient"],
        "properties": {"amount": {"type": "number"}, "recipient": {"type": "string"}},
    }
}
_AT = 1_790_000_000_000
CALL = DecidedCall(
    id="act_7Q",
    version=4,
    state="answered",
    created=_AT,
    ended=_AT + 60_000,
    agent="billing-bot",
    owner="olga",
    upstream="bank",
    tool="bank.transfer",
    description="Moves money out of an account.",
    schema=HASH,
    request={
        "upstream": "bank",
        "method": "POST",
        "path": "/transfers",
        "json": {"amount": 9000, "recipient": "Bob GmbH"},
    },
    final={
        "upstream": "bank",
        "method": "POST",
        "path": "/transfers",
        "json": {"amount": 900, "recipient": "Bob GmbH"},
    },
    arguments={"amount": 9000, "recipient": "Bob GmbH"},
    final_arguments={"amount": 900, "recipient": "Bob GmbH"},
    edited=("args.amount",),
    session="s-81",
    reason="Rent is due today.",
    task="Pay the rent of May to Bob.",
    confidence=0.82,
    level="approve",
    stake="high",
    reversibility="compensable",
    rules=("new-recipient",),
    policy="payments@7",
    policy_sha256="5f" * 32,
    facts={"familiar": False},
    reviews=(
        Said(
            who="r-5d41402abc4b",
            verdict="edit",
            at=_AT + 60_000,
            looked_ms=21_000,
            reason_code="amount",
            message="The rent is 900.",
        ),
    ),
    status=200,
)
