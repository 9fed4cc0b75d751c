"""What the people's API takes and gives: the one source of its JSON and of its OpenAPI document.

Texts that an agent wrote are given as people may see them: `redaction.visible_line` for one-line
fields, `visible_text` for longer ones. Times are ms since the epoch by the store's clock.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from .models_signed import StepUp


class Model(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the call")]
Message = Annotated[str, Field(max_length=10_000)]
Code = Annotated[str, Field(pattern=r"^[a-z0-9_]{0,40}$", description="a preset reason")]


# what people send ---------------------------------------------------------------------------


class GrantRequest(Model):
    """Do not ask again: for this agent, this tool and this exact target."""

    scope: Literal["target", "arguments"] = Field(
        default="target", description="`arguments` only where policy names no target"
    )
    uses: int = Field(ge=1, le=1_000_000, description="how many calls in all; policy bounds it")
    lasts: str = Field(
        alias="for",
        pattern=r"^[1-9][0-9]{0,4}[smhd]$",
        description="how long, such as 30m, 8h or 7d; policy bounds it",
    )
    reason: str = Field(default="", max_length=1000)


class DecisionRequest(Model):
    """A person's decision about what they saw: the digest, and the version in If-Match."""

    type: Literal["approve", "edit", "reject", "respond"]
    digest: Digest
    edited_args: dict[str, Any] | None = Field(
        default=None, description="every argument of the edited call; needed for `edit`"
    )
    edited_digest: Digest | None = Field(
        default=None, description="of the previewed edit; refused where the edit gives another"
    )
    message: Message = Field(default="", description="the reason, or the answer for `respond`")
    reason_code: Code = ""
    grant: GrantRequest | None = Field(
        default=None, description="with `approve`, where `grant` of the item is there"
    )
    step_up: StepUp | None = Field(
        default=None, description="where policy asks for it: see `POST .../step-up`"
    )
    visible_ms: int = Field(
        default=0,
        ge=0,
        le=86_400_000,
        description="from the page: for how long the call was in sight since it told so last",
    )


class PreviewRequest(Model):
    """An edit to try."""

    edited_args: dict[str, Any]


class ResolveRequest(Model):
    """What a person found out about a call whose outcome is unknown."""

    happened: bool
    message: Message = Field(min_length=1)


# what people get ----------------------------------------------------------------------------


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


class Body(Model):
    """A request body, in full unless `whole` is false."""

    size: int
    media_type: str
    kind: str
    sha256: str
    whole: bool
    text: str | None = Field(description="where it is UTF-8")
    base64: str | None = Field(description="where it is not")
    visible: str
    pretty: str | None = Field(description="JSON, indented; the bytes are in `visible`")


class Call(Model):
    """The exact call as it will be sent; credentials in headers are masked."""

    method: str
    url: str
    upstream: str
    base: str
    target: str
    service: str
    region: str
    headers: list[tuple[str, str]]
    masked: list[str] = Field(description="names of the headers whose values are masked")
    hidden: list[str] = Field(description="parts not shown until revealed: `target`, `body`")
    body: Body


class Argument(Model):
    """One argument of the tool: its value, its JSON to start an edit from, and what is read."""

    name: str
    source: str
    value: Any
    json_text: str
    visible: str
    editable: bool
    redacted: bool = Field(description="hidden until revealed: `value` is null, `json_text` empty")
    revealed: bool = Field(description="policy hides it; it is shown here by `reveal`")


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


class Claims(Model):
    """What the agent or its framework says about the call. Not verified by anybody."""

    untrusted: Literal[True] = True
    confidence: float | None
    reason: str
    task: str = Field(description="the user's request, as the agent's framework passed it on")
    task_of: Literal["session", "call", ""] = Field(description="what the request came with")
    session: str
    traceparent: str
    calibrated: float | None = Field(
        default=None, description="`confidence` as past decisions corrected it at the time"
    )
    past: LikeThis | None = Field(default=None, description="None: not known, or of no call")


class LikeThis(Model):
    """Calls that claimed about as much: how many of them were right."""

    agent: bool = Field(description="only those of this agent; else those of all agents")
    low: float = Field(description="they claimed at least this")
    high: float = Field(description="and less than this, or this much where it is 1")
    right: float
    of: int
    few: bool = Field(description="a small sample")


class Vote(Model):
    by: str
    verdict: str
    message: str
    reason_code: str
    digest: str
    counts: bool = Field(description="an approval of the call as it is now")


class Moment(Model):
    """One transition."""

    version: int
    at: int
    before: str
    after: str
    what: str


class Difference(Model):
    """One argument, or part of the request, before and after an edit; None: absent."""

    where: str
    before: str | None
    after: str | None
    same_above: int = Field(default=0, description="lines left out of both: they are the same")
    same_below: int = Field(default=0, description="lines left out of both: they are the same")


class Compared(Model):
    """The latest call of this kind that people approved, and how this one differs from it."""

    id: str
    agent: str
    by: list[str]
    at: int
    same: bool = Field(description="nothing of the request differs")
    first_to: str = Field(
        default="", description="what it acts on, where none of that kind was approved for it"
    )
    undone: UndoneBy | None = Field(default=None, description="the approved one was undone")
    changes: list[Difference] = Field(description="`before`: the one that was approved")


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


class Practice(Model):
    """It was a practice call, made from one that people rejected; it would never be sent."""

    outcome: Literal["caught", "missed", "neither", "unanswered"] = Field(
        description="rejected; approved or edited; answered in the tool's place; by nobody"
    )
    right: bool = Field(description="the person did not let it through")
    said: str = Field(description="how it ended, in words for whoever asks")
    by: list[str] = Field(description="who rejected the real one")
    at: int = Field(description="when they did, ms; 0: it is kept no more")
    why: str = Field(description="why they did; empty: it is kept no more")
    reason_code: str = Field(description="the preset reason that they chose; empty: none")
    original: str = Field(description="the id of the real one; empty: it is kept no more")


class Load(Model):
    """How many calls this person approved in the last hour, and how many policy lets them."""

    approved: int
    most: int
    again_at: int = Field(description="when there is room again; 0: there is")


class Rights(Model):
    """What this visitor may do now, and why not."""

    approve: bool
    edit: bool
    reject: bool
    respond: bool
    reveal: bool = Field(description="have shown what policy hides; it is recorded")
    edit_after_reveal: bool = Field(description="no edit yet: it needs what is hidden here")
    why: str


class UndoneBy(Model):
    """The call that undoes another one, as far as it came."""

    id: str
    tool: str
    by: str = Field(description="who asked for it")
    at: int = Field(description="when it came so far")
    done: bool = Field(description="it was sent and answered; else it waits, or is being sent")
    said: str


class ToolAnswer(Model):
    """What the tool answered, or the beginning of it."""

    status: int
    size: int = Field(description="bytes of the body that the tool sent")
    visible: str = Field(description="empty where it is hidden or was not kept")
    cut: bool = Field(description="there is more than `visible`")
    hidden: bool = Field(description="policy hides something of the call, so it is not shown")


class UndoArgument(Model):
    """An argument of the call that undoes: where it comes from, and its value where it is shown."""

    name: str
    source: str = Field(description="`args.NAME` of the call, or `answer.PATH` of its answer")
    visible: str = Field(description="empty where policy hides something of the call")


class UndoOffer(Model):
    """What undoing would call. Where `why` is empty, `POST .../undo` proposes it to policy."""

    tool: str
    arguments: list[UndoArgument]
    until: int
    why: str = Field(description="why it cannot be undone with a button, or not by this person")
    csrf: str = Field(description="the token that undoes this call from a session; else empty")
    undone: UndoneBy | None = Field(default=None, description="then there is nothing more to undo")


class Item(Model):
    """Everything about one action."""

    card: Card
    owner: str
    call: Call
    arguments: list[Argument]
    changes: list[Difference] = Field(description="against what the agent asked for, once edited")
    decision: Judgement | None
    context: Claims
    warnings: list[Warning_]
    votes: list[Vote]
    history: list[Moment]
    earlier: list[Card] = Field(description="earlier calls of the same session, newest first")
    args_schema: dict[str, Any] | None
    may: Rights
    redacted: list[str] = Field(description="arguments that are hidden here; see `reveal`")
    grant: GrantOffer | None
    compared: Compared | None = Field(
        default=None, description="with the last approved one; None: there is none"
    )
    looked_ms: int = Field(default=0, description="how long this person had it in sight")
    looking: list[Looker] = Field(default=[], description="who else has it open now")
    assigned: Asked | None = None
    stopped: Stopped | None = None
    practice: Practice | None = Field(default=None, description="only once it is decided")
    load: Load | None = Field(default=None, description="where policy bounds it")
    undo: UndoOffer | None = Field(default=None, description="where the tool has answered")
    answer: ToolAnswer | None = Field(default=None, description="where the tool has answered")
    whole: bool
    csrf: str = Field(description="the token that decides this call from a session; else empty")
    now: int


class Preview(Model):
    """An edit as it would be sent and judged."""

    digest: str
    call: Call
    changes: list[Difference]
    decision: Judgement
    acceptable: bool
    why: str
    warnings: list[Warning_]


class Outcome(Model):
    """What became of a decision."""

    id: str
    state: str
    version: int
    digest: str
    votes: int
    quorum: int
    said: str
    replaced_grant: str = Field(
        default="", description="the id of the earlier grant that this one took the place of"
    )
    practice: Practice | None = Field(
        default=None, description="what it was, where it was a practice call"
    )


class Undone(Model):
    """Where the call that undoes another one stands; held, people decide about it first."""

    id: str
    state: str
    said: str


class Tick(Model):
    """The queue as it is now, by id and version. `halted`: who stopped all agents, if anybody."""

    held: list[tuple[str, int]]
    total: int
    halted: Stopped | None = None


class Problem(BaseModel):
    """RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    help: str | None = None
