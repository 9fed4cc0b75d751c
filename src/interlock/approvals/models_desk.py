"""What the people's API says of people, agents, batches and the past; see `models`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .models import Card, Code, Digest, Message, Model
from .models_undo import UndoneBy

Words = Annotated[str, Field(max_length=1000)]
Person = Annotated[str, Field(max_length=128)]
DAY_MS = 86_400_000
Csrf = Annotated[str, Field(description="the token that does this from a session; else empty")]


# what people send ---------------------------------------------------------------------------


class LookRequest(Model):
    """How long the call was in sight since the last note; the page says so every 10 seconds."""

    visible_ms: int = Field(
        default=0, ge=0, le=DAY_MS, description="more than the time since is not believed"
    )
    leaving: bool = Field(default=False, description="it is closed now")


class AssignRequest(Model):
    """Ask somebody to decide a call. Others who may decide it still may."""

    to: Person = Field(description="who is asked; empty: nobody any more")
    message: Words = ""


class EscalateRequest(Model):
    """Let those decide now whom policy names for later."""

    message: Words = ""


class AwayRequest(Model):
    """You are away, from now on."""

    until: int = Field(ge=0, description="ms since the epoch; at most 92 days from now")
    to: Person = Field(
        default="", description="who stands in, with your groups; empty: nobody does"
    )


class SuspendRequest(Model):
    """Why an agent is stopped: its owner and your colleagues read this."""

    reason: Words = Field(min_length=1)
    unknown: bool = Field(
        default=False, description="stop the name although no agent is known by it"
    )


class BatchItem(Model):
    """One call of a batch, as it was looked at."""

    id: str = Field(pattern="^[A-Za-z0-9_-]{1,64}$")
    version: int = Field(ge=0, le=999_999_999)
    digest: Digest
    csrf: str = Field(default="", max_length=128, description="from a session: the call's token")


class BatchRequest(Model):
    """The same decision about several calls, each named."""

    type: Literal["approve", "reject"]
    message: Message = ""
    reason_code: Code = ""
    items: list[BatchItem] = Field(min_length=1, max_length=50)


# what people get ----------------------------------------------------------------------------


class Looker(Model):
    """Somebody who has the call open now."""

    person: str
    since: int


class Asked(Model):
    """Who is asked to decide, by whom (`rotation`: by policy), and what they wrote."""

    to: str
    by: str
    at: int
    message: str


class Stopped(Model):
    """Nothing of this agent is sent, nor approved, until somebody resumes it."""

    everybody: bool = Field(description="all agents are stopped, not only this one")
    by: str
    reason: str
    at: int


class Load(Model):
    """How many calls this person approved in the last hour, and how many policy lets them."""

    approved: int
    most: int
    again_at: int = Field(description="when there is room again; 0: there is")


class Tick(Model):
    """The queue as it is now, by id and version. `halted`: who stopped all agents, if anybody."""

    held: list[tuple[str, int]]
    total: int
    halted: Stopped | None = None


class LookView(Model):
    """How long you have had the call in sight, and who else has it open now."""

    id: str
    looked_ms: int
    looking: list[Looker]


class AssignmentView(Model):
    """Who is asked to decide a call now."""

    id: str
    assigned: Asked | None


class AwayView(Model):
    """A person is away."""

    since: int
    until: int
    to: str = Field(description="who stands in; empty: nobody")
    groups: list[str] = Field(description="whose groups the one who stands in has meanwhile")


class PersonView(Model):
    """Somebody who can be asked. `approved`: calls in the last hour."""

    id: str
    groups: list[str]
    seen: int = Field(description="0: not in the last 30 days")
    approved: int
    assigned: int = Field(description="held calls that they are asked to decide")
    away: AwayView | None


class PeopleList(Model):
    """Approvers who were here in the last 30 days or have a key; whoever came last first."""

    items: list[PersonView]
    per_hour: int = Field(description="how many calls one may approve in an hour; 0: any number")
    now: int


class StandIn(Model):
    """Whose groups you have as well, and until when."""

    person: str
    groups: list[str]
    until: int


class Me(Model):
    """Who you are here."""

    id: str
    kind: str
    groups: list[str]
    standing_in: list[StandIn]
    approved: int = Field(description="calls that you approved in the last hour")
    per_hour: int = Field(description="how many policy lets you; 0: any number")
    again_at: int = Field(description="when there is room again; 0: there is")
    away: AwayView | None
    csrf: Csrf
    now: int


class KeyView(Model):
    """An agent's key: never the secret. `expires` 0: never."""

    id: str
    created: int
    expires: int


class AgentView(Model):
    """An agent that is known by its calls, its keys, or its suspension."""

    id: str
    owner: str = Field(
        description="who answers for it, or did when it was stopped; several are parted by commas"
    )
    keys: list[KeyView]
    held: int
    seen: int = Field(description="its latest call that people had to do with; 0: not known")
    stopped: Stopped | None
    barred: str = Field(description="why you may not resume it; empty: you may, or it runs")


class AgentList(Model):
    """Agents by name; those that are stopped first. `everybody`: all of them are stopped."""

    items: list[AgentView]
    everybody: Stopped | None
    barred: str = Field(description="why you may not resume all together; empty: you may")
    unlisted: int = Field(description="how many more names are stopped; each can be resumed")
    csrf: Csrf
    now: int


class AgentState(Model):
    """Whether an agent is stopped now; `-` is every agent."""

    id: str
    stopped: Stopped | None


class BatchVerdict(Model):
    """What became of one call of a batch. `status`: as of a decision by itself."""

    id: str
    status: int
    state: str = Field(description="empty where there is no such call")
    said: str = Field(default="", description="of 200: who decided, and what became of it")
    detail: str = Field(default="", description="of any other: why not, and what to do")


class BatchOutcome(Model):
    """A verdict for each call, in the order that was sent."""

    items: list[BatchVerdict]


class Said(Model):
    """What one person said to a call, or that they asked others to decide it."""

    person: str
    did: str = Field(description="approve, edit, reject, respond, or escalate")
    at: int
    groups: list[str] = Field(description="`for NAME`: whom they stood in for")


class PastCall(Card):
    """A call that people had to do with, and who said what."""

    said: list[Said] = Field(description="in the order in which it was said")
    waited: int = Field(description="ms from its arrival until it waited for people no more")
    why: str = Field(description="the reason that was given, or why it was not sent")
    undone: UndoneBy | None = Field(default=None, description="the call that undid it")


class Past(Model):
    """Calls that people had to do with, latest first. `next`: the cursor of the following page.

    There may be a `next` although there are fewer items than asked for, or none: so many records
    were read without finding more.
    """

    items: list[PastCall]
    next: str | None
    total: int
    now: int
