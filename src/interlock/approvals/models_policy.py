"""What the people's API says of grants and of policy; see `models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .models import Model
from .models_judged import Target


class GrantView(Model):
    """A grant that has not ended."""

    id: str
    agent: str
    tool: str
    method: str = Field(description="of an HTTP call; empty: an MCP tool")
    path: str = Field(description="the tool's path template; of an MCP call the tool's own name")
    target: list[Target]
    by: str
    action_id: str
    created: int
    expires: int
    uses: int
    used: int
    used_up: bool = Field(description="it lowers nothing any more")
    reason: str


class GrantList(Model):
    """Newest first. `csrf`: the token that revokes from a session; else empty."""

    items: list[GrantView]
    csrf: str
    now: int


class Tried(Model):
    """How often something in shadow mode fired since this process started."""

    rule: str = Field(description="the id of a rule or a limit; `policy`: the whole of it")
    level: str = Field(description="what it asked for; `other`: a stake or a reversibility")
    fired: int
    more: int = Field(description="how many of these calls got less than it asked for")


class Covered(Model):
    """What the policy has of one kind, and how much of it some test touches."""

    kind: str = Field(description="rule, exception, limit or signal")
    touched: int
    total: int
    never: list[str] = Field(description="the ids of what no test touches")


class TestedView(Model):
    """What the suites beside the files touched when the policy was tried out last."""

    __test__ = False  # no test, for pytest

    suites: int
    passed: int = Field(description="cases and properties")
    cells: int = Field(description="of the sixteen cells of the matrix: those that a test reaches")
    parts: list[Covered]


class PolicyVersion(Model):
    """A policy that came into force."""

    name: str
    version: int
    sha256: str
    since: int
    by: str = Field(description="start or reload")
    host: str


class Preset(Model):
    """Why a call may be rejected: the code for statistics, the text for the agent."""

    code: str
    text: str


class PolicyView(Model):
    """The policy in force, and what is wrong with its files where they are not it."""

    name: str
    version: int
    sha256: str
    mode: Literal["enforce", "shadow"]
    loaded_at: int
    files: list[str]
    stale: bool = Field(description="the files are wrong, and an earlier policy decides")
    failed_at: int = Field(description="when that was found; 0: they are not wrong")
    problems: list[str] = Field(description="`file:line:col: what is wrong`")
    tools: int
    rules: int
    limits: int
    exceptions: int
    shadow: list[Tried]
    vanished: list[str] = Field(description="what the policy before enforced and this one does not")
    reasons: list[Preset] = Field(
        description="presets for rejecting: policy's, else the usual ones"
    )
    tested: TestedView | None = Field(description="null: it was not tried out here")
    versions: list[PolicyVersion] = Field(description="that came into force, the latest first")
