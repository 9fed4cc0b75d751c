"""What the people's API takes and gives: the one source of its JSON and of its OpenAPI document.

Texts that an agent wrote are given as people may see them: `redaction.visible_line` for one-line
fields, `visible_text` for longer ones. Times are ms since the epoch by the store's clock.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the call")]
Message = Annotated[str, Field(max_length=10_000)]
Code = Annotated[str, Field(pattern=r"^[a-z0-9_]{0,40}$", description="a preset reason")]


class Warning_(Model):
    """Something deceptive in a text: where, and what."""

    where: str
    text: str


class Card(Model):
    """One action in a list."""

    id: str
    version: int
    state: str
    digest: str
    level: str
    stake: str
    reversibility: str
    tool: str
    title: str = Field(default="", description="the tool; METHOD and path where policy has none")
    description: str
    method: str
    destination: str = Field(description="the full URL that is called")
    gist: str = Field(description="the first arguments, cut short; the item has them whole")
    target: str = Field(default="", description="what it acts on, cut short, where policy says")
    consequence: str = Field(description="one line, from policy: can it be undone, and how")
    agent: str
    session: str
    confidence: float | None
    created: int
    changed: int
    deadline: int
    caller_waiting: bool | None = Field(description="None where it no longer matters")
    votes: int
    quorum: int
    edited: bool
    outcome: str = Field(description="who decided, and what became of it; empty while held")
    assigned: str = Field(default="", description="who is asked to decide it; others still may")
    looking: list[str] = Field(default=[], description="who has it open now")
    stopped: str = Field(default="", description="who stopped the agent; empty: nobody has")
    batch: bool = Field(default=False, description="may be approved together with others")
    folded: bool = Field(default=False, description="pages fold the stake until a person judged")
    look_twice: bool = Field(
        default=False, description="something in it is made to be misread; the item says what"
    )
    csrf: str = Field(default="", description="in lists, from an approver's session: decides it")


class Rest(Model):
    """How many calls of one agent are left out of a page, at least; `id` goes into `agent=`."""

    agent: str
    id: str
    count: int


class Queue(Model):
    """One page of actions. `next` is the cursor of the following page.

    There may be a `next` although there are fewer items than asked for, or none: so many records
    were read without finding more. `total` counts what is held in all, whatever the filters say.
    """

    items: list[Card]
    next: str | None
    total: int
    left_out: list[Rest] = Field(description="with `share`: what it keeps out of this page")
    now: int


class Problem(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    help: str | None = None
