"""What people are told of an action through a channel. Pure: an action in, `Told` out.

Every text is visible as `core.redaction` makes it, on one line, and of bounded length. None of it
is markup: a channel escapes it for its own format.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from ..core.actions import Action, State, ToolCall, evolve
from ..core.decisions import Decision, Escalation, Level, PolicyRef, Reversibility, Stake
from ..core.masking import HIDDEN, Masks, without_secrets
from ..core.redaction import visible_line
from ..core.rules import Redact
from ..core.wording import consequence, hidden, in_short, masks, outcome
from ..ports import Notice

LONGEST = 200  #: characters of one text that an agent wrote
REASON = 500  #: characters of what a person said
MOST = 20  #: arguments that are shown
_UNJUDGED = Decision(level=Level.DENY, policy=PolicyRef(name="", version=0, sha256=""))


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """One notice of one action. Times in ms; texts are visible, plain and on one line."""

    key: str = ""  #: of this notice: the same each time that it is sent again
    why: Notice
    id: str  #: of the action
    version: int
    digest: str
    title: str  #: all of it in one line
    lines: tuple[str, ...]  #: the rest, for channels that know nothing but text
    link: str  #: where people look at it and decide
    tool: str
    known: bool = True  #: policy gave `tool` its name; else an agent's side did
    description: str  #: what policy says that the tool does
    agent: str
    destination: str  #: host, or the name of a server that is no host
    level: str
    stake: str
    reversibility: str
    consequence: str
    quorum: int
    votes: int
    groups: tuple[str, ...]  #: who may decide, or who has to know; empty: everybody
    asked: tuple[str, ...] = ()  #: people who are asked to decide it
    created: int
    deadline: int  #: 0: none
    state: str
    raised: str = ""  #: who is asked since when, of an escalation: `ann asks leads now: MESSAGE`
    outcome: str = ""  #: who decided what, once it is decided: `ann: rejected`
    reason: str = ""  #: why it was rejected, without what policy hides of the call
    arguments: tuple[tuple[str, str], ...] = ()  #: name and value, for channels that ask for them
    whole: bool = False  #: `arguments` are all there are: none hidden, none cut short
    plain: bool = False  #: policy asks for nothing that only the page can give: dwell, step-up ...

    @property
    def sample(self) -> bool:
        """Whether it is of no call: somebody tries the channel out."""
        return not self.digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Digest:
    """Several notices in one message. `more`: how many there were besides; times in ms."""

    key: str
    told: tuple[Told, ...]
    more: int
    since: int
    until: int

    @property
    def title(self) -> str:
        """Return all of it in one line."""
        calls = len(self.told) + self.more
        return f"{calls} call{'s' * (calls != 1)} let through since {moment(self.since)}"


def told(
    action: Action,
    why: Notice,
    url: str,
    *,
    with_arguments: bool = False,
    assigned: tuple[str, ...] = (),
    redact: Redact | None = None,
    upstreams: Mapping[str, str] | None = None,
    key: str = "",
) -> Told:
    """Return what people are told of *action*; *url*: where they reach the page.

    *redact*: of the policy in force; what it hides from approvers or logs is masked. *upstreams*:
    base URLs by name.
    """
    decision, rules = action.decision or _UNJUDGED, redact or Redact()
    paths = (*rules.approver, *rules.logs)
    masking = masks(action, paths)
    host, raised = (
        _host(action.call, upstreams or {}),
        raising(action, why, masking, rules.detectors),
    )
    shown = _arguments(decision, masking, rules.detectors) if with_arguments else ()
    cut = any(text.endswith(HIDDEN) for each in shown for text in each)
    cut = cut or len(decision.arguments) > MOST or shown != _arguments(decision, masking, ())
    what = called(action.call, decision, masking if with_arguments else None)
    link = f"{url.rstrip('/')}/review/{action.id}"
    return Told(
        key=key,
        why=why,
        id=action.id,
        version=action.version,
        digest=action.digest,
        title=titled(action, why, what, assigned),
        lines=_lines(action, decision, raised, assigned, shown, host),
        link=link,
        tool=what,
        known=bool(decision.tool),
        description=visible_line(decision.description),
        agent=_short(action.call.agent.id),
        destination=host,
        level=decision.level.word,
        stake=decision.stake.word,
        reversibility=decision.reversibility.word,
        consequence=consequence(decision),
        quorum=decision.quorum,
        votes=len(action.votes),
        groups=_groups(decision, why),
        asked=tuple(map(_short, assigned)),
        created=action.created,
        deadline=action.deadline if action.state is State.HELD else 0,
        state=action.state.value,
        outcome=outcome(unmarked(action)),
        raised=raised,
        reason=_reason(action, masking, rules.detectors),
        arguments=shown,
        whole=with_arguments and bool(decision.tool) and not masking and not cut,
        plain=_plain(action, decision, paths),
    )


def _reason(action: Action, masking: Masks, detectors: Iterable[str]) -> str:
    """Return what was said last to a rejected call. Who said it may have seen what others do not.

    Of a practice call nothing: how somebody did is told to them.
    """
    if action.state is not State.REJECTED or action.decoy_of:
        return ""
    said = next((each.message for each in reversed(action.reviews) if each.message), "")
    return visible_line(without_secrets(masking.text(said), detectors)[:REASON])


def unmarked(action: Action) -> Action:
    """Return *action* as everybody may read it who was told that it waited.

    A practice call is one that its agent took back: that it was practice, and what became of it, is
    for whoever decided it.
    """
    return evolve(action, decoy_of="", reviews=(), cause="") if action.decoy_of else action


def raising(action: Action, why: Notice, masking: Masks, detectors: Iterable[str]) -> str:
    """Return who may decide as well, and since when or at whose request; empty: no escalation."""
    steps = action.decision.escalate if action.decision else ()
    if why is not Notice.ESCALATED or not steps:
        return ""
    last = action.raised[-1] if action.raised else None
    early = [each for each in steps if last and each.after_ms == last.at - action.created]
    if last is None or not early:  # policy's own time has come
        return "; ".join(map(later, steps))
    to = ", ".join(visible_line(group) for each in early for group in each.to)
    said = visible_line(without_secrets(masking.text(last.message), detectors)[:REASON])
    return f"{_short(last.by)} asks {to} now{': ' if said else ''}{said}"


def titled(action: Action, why: Notice, what: str, assigned: Sequence[str] = ()) -> str:
    """Return in one line what is with *action*, and whom it concerns; *what*: see `called`."""
    decision = action.decision or _UNJUDGED
    to = ", ".join(_groups(decision, why))
    votes = "" if decision.quorum == 1 else f" by {decision.quorum} people"
    match why:
        case Notice.SENT:
            return f"{what} was let through, for {f'the notice of {to}' if to else 'your notice'}"
        case Notice.HELD:
            return f"{what} waits for approval{votes}{to and ' of '}{to}"
        case Notice.REMINDER:
            return f"{what} still waits for approval{votes}{to and ' of '}{to}"
        case Notice.ESCALATED:
            return f"{what} still waits, and more people may decide"
        case Notice.ASKED:
            who = ", ".join(map(_short, assigned)) or "somebody"
            return f"{what} waits, and {who} is asked to decide it"
        case Notice.SETTLED:
            return f"{what} waits no more: {outcome(unmarked(action)) or action.state.value}"


def called(call: ToolCall, decision: Decision, masks: Masks | None) -> str:
    """Return what is called: the tool's id, or what the call says where it is in no entry.

    Without *masks* no path is shown: of such a call, all of it may be arguments.
    """
    if decision.tool:
        return visible_line(decision.tool)
    if call.mcp is not None:
        name = masks.text(call.mcp.name) if masks else call.mcp.name
        return f"{_short(name)} of {visible_line(call.upstream)}"
    if masks is None:
        return f"{_short(call.method)} to {visible_line(call.upstream)} (in no entry of the policy)"
    path = masks.target(call.path)
    return f"{_short(call.method)} {'(hidden)' if path is None else _short(path)}"


def later(step: Escalation) -> str:
    """Return who may decide as well, and when, in words."""
    # policy counts in minutes; a step that a person brought forward has seconds left over
    after = round(step.after_ms / 60_000, 1)
    return f"after {after:g} min {', '.join(map(visible_line, step.to))}"


def moment(at: int) -> str:
    """Return a time in ms as people read it, in UTC."""
    return f"{datetime.fromtimestamp(at / 1000, UTC):%Y-%m-%d %H:%M} UTC"


def sample(url: str, key: str) -> Told:
    """Return a notice that only shows that a channel works."""
    return Told(
        key=key,
        why=Notice.HELD,
        id="test",
        version=0,
        digest="",
        title="Interlock can reach you here. This is a test; nothing waits.",
        lines=("Sent by `interlock notifications test`.",),
        link=f"{url.rstrip('/')}/review",
        tool="test",
        description="Nothing is called.",
        agent="nobody",
        destination="nowhere",
        level=Level.APPROVE.word,
        stake=Stake.LOW.word,
        reversibility=Reversibility.READ_ONLY.word,
        consequence="Reads only.",
        quorum=1,
        votes=0,
        groups=(),
        created=0,
        deadline=0,
        state=State.CANCELLED.value,
    )


def _lines(
    action: Action,
    decision: Decision,
    raised: str,
    assigned: tuple[str, ...],
    arguments: tuple[tuple[str, str], ...],
    host: str,
) -> tuple[str, ...]:
    lines = [visible_line(decision.description)] if decision.description else []
    lines.append(f"Agent {_short(action.call.agent.id)}, to {host}")
    lines.append(f"{decision.stake.word.capitalize()} stake. {consequence(decision)}")
    if raised:
        lines.append(f"{raised[:1].upper()}{raised[1:]}")
    if assigned:
        lines.append(f"Asked to decide: {', '.join(map(_short, assigned))}")
    if action.votes and action.state is State.HELD:
        lines.append(f"{len(action.votes)} of {decision.quorum} have approved")
    if action.deadline and action.state is State.HELD:
        lines.append(f"Lapses at {moment(action.deadline)}")
    return (*lines, *(f"{name}: {text}" for name, text in arguments))


def _arguments(
    decision: Decision, masking: Masks, detectors: Iterable[str]
) -> tuple[tuple[str, str], ...]:
    return in_short(decision, masking, most=MOST, length=LONGEST, detectors=detectors)


def _groups(decision: Decision, why: Notice) -> tuple[str, ...]:
    to = decision.notify if why is Notice.SENT else decision.approvers
    return tuple(map(visible_line, dict.fromkeys(to)))


def _plain(action: Action, decision: Decision, paths: Iterable[str]) -> bool:
    needs = decision.dwell_ms or decision.step_up or decision.folded or hidden(action, paths)
    return action.state is State.HELD and not needs


def _host(call: ToolCall, upstreams: Mapping[str, str]) -> str:
    host = urlsplit(upstreams.get(call.upstream, "")).hostname
    return visible_line(host or call.upstream)


def _short(text: str) -> str:
    return visible_line(text[:LONGEST]) + ("…" if len(text) > LONGEST else "")
