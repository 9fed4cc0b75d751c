"""What the people's API says of MCP servers' tools; see `models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .models import Model, Warning_

Hash = Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]


class AcceptRequest(Model):
    """A person accepts the definition that they saw."""

    hash: Hash = Field(description="`hash` of the definition that was looked at")


class Line(Model):
    """One line of a diff, visible; joined, `parts` are the line."""

    sign: Literal[" ", "-", "+"] = Field(description="in both, in what was accepted, in what waits")
    parts: list[str] = Field(description="one; or three, of which the second is what differs")


class Member(Model):
    """One member of the definition, all of it; JSON is indented, with sorted keys."""

    name: str
    changed: bool
    diff: list[Line]
    matched: bool = Field(
        description="false: too long to be matched line by line: what was, then what is"
    )


class DefinitionView(Model):
    """What a server says of one tool, against what was accepted of it."""

    server: str
    tool: str
    waits: bool = Field(description="for a person; until then the tool is unknown to policy")
    hash: str = Field(description="of what the server lists now; it is accepted by it")
    since: int = Field(description="when that was first seen")
    size: int = Field(description="bytes of JSON")
    flaw: str = Field(description="why it cannot be accepted; empty: it can")
    accepted_hash: str = Field(description="empty: nothing of it was ever accepted")
    accepted_by: str = Field(description="a person, or `first-use`")
    accepted_at: int
    members: list[Member] | None = Field(
        description="null: left out of a long list; ask with `server` and `tool`"
    )
    warnings: list[Warning_]
    path: str = Field(description="where it is accepted")
    csrf: str = Field(description="the token that accepts it from a session; else empty")


class ServerCount(Model):
    """How many tools of one server there are; `id` goes into `server=`."""

    server: str
    id: str
    waiting: int
    tools: int


class DefinitionList(Model):
    """What waits first, then by server and tool. `next`: the `offset` of the following page."""

    items: list[DefinitionView]
    next: int | None
    total: int
    servers: list[ServerCount]
    now: int
