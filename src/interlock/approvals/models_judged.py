"""What policy said of a call, and why; see `models`."""

from __future__ import annotations

from pydantic import Field

from .models import Model


class Target(Model):
    """An argument that says what is acted on; whether the user's own request names it."""

    name: str
    visible: str
    stated: bool | None = Field(
        description="None: no request is known, or it cannot be told, or it was not looked up"
    )


class LimitHit(Model):
    """A limit or cap that the call met, with its numbers."""

    id: str
    said: str


class SessionState(Model):
    """What the agent's session had done before this call."""

    untrusted_content: bool
    sensitive_data: bool
    points: float
    writes: int
    calls: int


class Later(Model):
    """Groups that may decide as well from `at` on."""

    at: int
    to: list[str]
    due: bool


class GrantOffer(Model):
    """What "do not ask again" would stand for, and the most that policy lets a person give."""

    method: str = Field(description="of an HTTP call; empty: an MCP tool")
    path: str = Field(description="the tool's path template; of an MCP call the tool's own name")
    target: list[Target]
    at_most: str
    longest_ms: int
    uses: int


class Precision(Model):
    """How often people changed or refused what a rule held: *hits* of *of*, 95 % interval."""

    hits: int
    of: int
    value: float
    low: float
    high: float
    few: bool = Field(description="a small sample")


class Rule(Model):
    id: str
    effect: str
    description: str
    indeterminate: str
    precision: Precision | None = Field(
        default=None, description="of decided calls, as of a minute ago; None: not known"
    )


class Judgement(Model):
    """What policy said, and why."""

    level: str
    stake: str
    stake_why: str = Field(description="what decided the stake: a facet with its value, a rule")
    reversibility: str
    facet: str
    description: str
    consequence: str
    rules: list[Rule]
    signals: list[str]
    exceptions: list[str]
    indeterminate: bool
    reason: str
    message: str
    trace: list[str]
    quorum: int
    approvers: list[str]
    require_reason: list[str] = Field(description="verdicts that need a message")
    limits: list[LimitHit]
    shadow: list[LimitHit] = Field(description="what fired in shadow mode, and changed nothing")
    would_be: str = Field(description="the level, were the policy enforced; empty: it is")
    target: list[Target] = Field(description="the first 20; long ones are cut")
    target_more: int = Field(description="how many more there are, see `arguments`")
    session: SessionState | None
    escalation: list[Later]
    remind_ms: int
    dwell_ms: int = Field(description="how long it must be in sight before it is approved")
    step_up: bool = Field(description="approving needs the person's passkey or security key")
    folded: bool = Field(description="the page folds this until the person has judged")
    policy: str
    policy_sha256: str
