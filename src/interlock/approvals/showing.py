"""One action for whoever asks: read from the store here, made into a view apart."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from aiohttp import web

from ..core import wording
from ..core.actions import Action, State, Verdict, evolve
from ..core.decisions import Decision
from ..core.desk import Absence, Suspension
from ..core.duties import needing_reason
from ..core.errors import Forbidden, IllegalTransition, NotFound
from ..core.identity import Kind
from ..core.lifecycle import stricter
from ..core.masking import NO_MASKS, Masks
from ..core.redaction import visible_line
from . import answers, desk_view, granting, judged, past, practice, undo, views
from .access import VISITOR, Visitor
from .changes import compared, differences, same_target
from .deps import DEPS, ApiDeps, apart
from .identity import deciding
from .models import Card
from .models_call import Difference
from .models_item import Compared, Item
from .models_undo import UndoneBy
from .rights import barred, rights
from .undone import undone

audit = logging.getLogger("interlock.audit")
_SESSION_CALLS = 20
_LET_THROUGH = frozenset({Verdict.APPROVE, Verdict.EDIT})


async def cards(deps: ApiDeps, actions: list[Action] | tuple[Action, ...]) -> list[Card]:
    actions = [_hidden_too(deps, action) for action in actions]
    waiting = await deps.store.attended([action.id for action in actions])
    made = [
        views.card(action, waits, deps.upstreams, masked_for(deps, action))
        for action, waits in zip(actions, waiting, strict=True)
    ]
    return await desk_view.on_cards(deps, made)


async def listed(request: web.Request, actions: Sequence[Action]) -> list[Card]:
    """Return *actions* as cards; for approvers' sessions with the token that decides each."""
    deps, session = request.app[DEPS], request[VISITOR].session
    made = await cards(deps, tuple(actions))
    if session is None or session.kind is not Kind.APPROVER:
        return made
    return [
        card.model_copy(update={"csrf": session.token(deciding(card.digest))})
        if card.state == State.HELD.value
        else card
        for card in made
    ]


def _hidden_too(deps: ApiDeps, action: Action) -> Action:
    hides = action.decision is not None and action.decision.redacted
    return readable(deps, action) if hides or deps.gate.policy.redact.approver else action


def readable(deps: ApiDeps, action: Action) -> Action:
    """Return *action* with its arguments: the record of a call that nobody had to decide has none.

    They are read as policy reads them today. Where that is another tool by now, what policy hid
    then may be anything in it: nothing of the request can be shown for sure.
    """
    decision = action.decision
    if decision is None or decision.arguments:
        return action
    read = deps.gate.read(action.call)
    arguments = dict(read.arguments)
    if read.tool != decision.tool:
        arguments |= dict.fromkeys(decision.redacted)
    known = replace(decision, arguments=arguments, sources=read.sources)
    return evolve(action, decision=known)


def masked_for(deps: ApiDeps, action: Action) -> Masks:
    """Return what policy hides of *action*: policy as it was, and as it is."""
    return wording.masks(action, deps.gate.policy.redact.approver)


async def item(request: web.Request, *, limit: int = 0) -> Item:
    """Return the action that the path names, without what policy hides of it.

    With a *limit* in bytes, bodies beyond it and the arguments read from them are left out, and
    `whole` is false: the page then asks for all of it before it lets anybody approve.
    """
    return await item_of(request, await shown_action(request), limit=limit)


async def item_of(request: web.Request, action: Action, *, limit: int = 0) -> Item:
    """Return *action* as `item` returns the one that the path names."""
    return await _item(request, action, masked_for(request.app[DEPS], action), limit)


async def barring(deps: ApiDeps, visitor: Visitor, action: Action) -> str:
    """Return why the call is not the visitor's to decide, in whatever state it is; or nothing."""
    who = visitor.principal
    return barred(action, who, await deps.store.now(), await deps.desk.stands_in(who.id))


async def revealed(request: web.Request, action: Action) -> Item:
    """Return everything about *action*, and record who had it shown.

    Raises:
        Forbidden: the call is not this person's to decide.
    """
    deps, who = request.app[DEPS], request[VISITOR].principal
    why = await barring(deps, request[VISITOR], action)
    if why:
        raise Forbidden(f"{why} What policy hides is shown to nobody else.")
    hidden = wording.hidden(action, deps.gate.policy.redact.approver)
    if hidden:
        said = (action.id, who.id, ",".join(hidden), action.digest[:12])
        audit.warning("call %s revealed by=%s arguments=%s digest=%s", *map(visible_line, said))
        deps.revealed()
        await deps.desk.reveal(action.id, who.id, action.digest)
    return await _item(request, action, NO_MASKS, 0)


async def check_comparing(deps: ApiDeps, visitor: Visitor, action: Action) -> None:
    """Raise Forbidden where what an edit would change told the visitor what policy hides.

    Whoever may guess a hidden value, and hear whether it is right, knows it; so it is revealed
    to them first, which is on record.
    """
    hidden = wording.hidden(action, deps.gate.policy.redact.approver)
    who = visitor.principal.id
    if hidden and not await deps.desk.revealed(action.id, who, action.digest):
        raise Forbidden(
            f"Policy hides {visible_line(', '.join(hidden))} of this call, and an edit is compared"
            " with it. Nothing was changed.",
            help="Reveal the call first; who does so is recorded.",
        )


async def _item(request: web.Request, action: Action, masks: Masks, limit: int) -> Item:
    deps, size = request.app[DEPS], views.weight(action)
    like = await _like(deps, action)
    reversed_ = await undone(deps, [action] if like is None else [action, like])
    read = _Read(
        waits=(await deps.store.attended([action.id]))[0],
        history=await deps.store.history(action.id),
        earlier=await cards(deps, await deps.store.session(action, _SESSION_CALLS)),
        like=like,
        undone=reversed_,
        stands=await deps.desk.stands_in(request[VISITOR].principal.id),
        stopped=await deps.store.stopped(action.call.agent.id),
        present=await _present(deps, action),
        now=await deps.store.now(),
        whole=not limit or size <= limit,
    )
    size += views.weight(like) if like and read.whole else 0
    item = await apart(request.app, size, _made, deps, request[VISITOR], action, masks, read)
    item = await practice.on_item(deps, request[VISITOR], item, action)
    item = past.on_item(request.app[past.PAST], item, action, read.now)
    return await desk_view.on_item(deps, item, action, request[VISITOR], masks)


async def _present(deps: ApiDeps, action: Action) -> Decision | None:
    held = action.state is State.HELD and action.decision is not None
    return await deps.gate.judge(action.call, action.id) if held else None


def _asked(held: Decision, present: Decision | None) -> Decision:
    """Return what it is held under, with the duties that the *present* policy adds to it."""
    if present is None:
        return held
    both = stricter(held, present)
    needing = needing_reason(held) | needing_reason(present)
    return replace(held, dwell_ms=both.dwell_ms, step_up=both.step_up, require_reason=needing)


async def _like(deps: ApiDeps, action: Action) -> Action | None:
    """Return the latest call of this kind that people approved, where its record is genuine."""
    like = await deps.store.like(action)
    return like if like is not None and deps.gate.genuine(like) else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """What an item takes from the store beside the action."""

    waits: bool
    history: Sequence[Mapping[str, str]]
    earlier: list[Card]
    like: Action | None
    undone: Mapping[str, UndoneBy]  #: by the id of what was undone
    stands: tuple[Absence, ...]  #: in which the visitor stands in
    stopped: Suspension | None
    present: Decision | None  #: what policy says of it today, while it is held
    now: int
    whole: bool


def _made(deps: ApiDeps, visitor: Visitor, action: Action, masks: Masks, read: _Read) -> Item:
    call, decision, whole = action.call, action.decision, read.whole
    hides = wording.hidden(action, deps.gate.policy.redact.approver)
    who, session = visitor.principal, visitor.session
    may = rights(
        action,
        who,
        read.now,
        bool(hides),
        absences=read.stands,
        stopped=read.stopped,
        present=read.present,
    )
    asked = _asked(decision, read.present) if decision else None
    task = judged.task_of(call, decision)
    seen = () if masks else hides
    arguments = views.arguments(decision, masks, seen) if whole else []
    named = [*map(visible_line, masks.names), *(each.name for each in arguments if each.redacted)]
    # a form without all of the arguments would leave some out
    if masks or not whole:
        later = may.edit and may.reveal and bool(masks)
        may = may.model_copy(update={"edit": False, "edit_after_reveal": later})
    return Item(
        card=views.card(action, read.waits, deps.upstreams, masks),
        owner=visible_line(call.agent.owner),
        call=views.call_view(call, deps.upstreams, masks, limit=0 if whole else 1),
        arguments=arguments,
        changes=_edits(deps, action, masks) if whole else [],
        decision=judged.judgement(asked, action, read.now, masks, task[0]) if asked else None,
        context=views.claims(call, task, masks),
        warnings=views.warned(call, decision, task[0], masks),
        votes=views.votes(action, masks),
        history=views.history(read.history, masks),
        earlier=read.earlier,
        args_schema=schema(deps, action),
        may=may,
        redacted=list(dict.fromkeys(named)),
        grant=granting.offered(deps, action, masks, task[0]),
        compared=_compared(deps, action, masks, read) if whole else None,
        undo=undo.offer(deps, visitor, action, masks, read.now, read.stands, read.undone),
        answer=answers.shown_answer(action, masks, deps.gate.policy.redact.detectors),
        whole=whole,
        csrf=session.token(deciding(action.digest)) if session else "",
        now=read.now,
    )


def schema(deps: ApiDeps, action: Action) -> dict[str, object] | None:
    """Return the JSON Schema of the tool's arguments, where policy has one."""
    tool = deps.gate.policy.tools.get(action.decision.tool) if action.decision else None
    return dict(tool.args_schema) if tool and tool.args_schema is not None else None


def _edits(deps: ApiDeps, action: Action, masks: Masks) -> list[Difference]:
    if action.original is None or action.decision is None:
        return []
    read = deps.gate.read(action.original)
    names = (*read.redacted, *masks.names)
    hidden = Masks(read.arguments, read.sources, dict.fromkeys(names)) if masks else NO_MASKS
    before = (action.original, read, hidden)
    return differences(before, (action.call, action.decision, masks))


def _compared(deps: ApiDeps, action: Action, masks: Masks, read: _Read) -> Compared | None:
    """Compare with what is like it; what policy hides of that one stays hidden."""
    like = read.like
    if like is None or like.decision is None or action.decision is None:
        return None
    before = (like.call, like.decision, masked_for(deps, like))
    changes = compared(before, (action.call, action.decision, masks))
    approvals = [each for each in like.reviews if each.verdict in _LET_THROUGH]
    return Compared(
        id=like.id,
        agent=visible_line(like.call.agent.id),
        by=list(dict.fromkeys(visible_line(each.reviewer.id) for each in approvals)),
        at=max((each.at for each in approvals), default=like.changed),
        same=not changes,
        first_to=_first_to(action.decision, like.decision, masks),
        undone=read.undone.get(like.id),
        changes=changes,
    )


def _first_to(decision: Decision, before: Decision, masks: Masks) -> str:
    """Return what *decision* acts on, where it is something else than *before*."""
    if not decision.target or same_target(decision, before):
        return ""
    return wording.aimed_at(decision, masks)


async def found(request: web.Request) -> Action:
    action = await request.app[DEPS].gate.get(request.match_info["id"])
    if action is None:
        raise NotFound(f"There is no call {request.match_info['id']} (any more).")
    return action


async def shown_action(request: web.Request) -> Action:
    """Return the action asked for, where its record is what Interlock wrote."""
    return trusted(request, await found(request))


def trusted(request: web.Request, action: Action) -> Action:
    """Return *action* with its arguments. Raises IllegalTransition: others changed its record."""
    if not request.app[DEPS].gate.genuine(action):
        raise IllegalTransition(
            "The record of this call was changed outside Interlock: what it shows cannot be"
            " trusted. While it waits it is not sent: reject it with `interlock reject`. Look who"
            " can write to the store."
        )
    return readable(request.app[DEPS], action)
