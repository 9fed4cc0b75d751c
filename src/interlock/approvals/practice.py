"""Practice calls once they ended: what they were, and how people did.

While one is held, nothing here says anything of it. Who decided it hears at once; admins and
auditors may look it up. To anybody else it is a practice call, and how a colleague did is not said.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from aiohttp import web

from ..core import wording
from ..core.actions import Action, Review, State, Verdict
from ..core.identity import Principal
from ..core.masking import NO_MASKS, Masks
from ..core.practice import KEPT_MS, Figures, Practised, decider, practised
from ..core.redaction import visible_line, visible_text
from .access import OVERSEERS, PEOPLE, VISITOR, Route, Visitor
from .bodies import answer
from .deps import DEPS, ApiDeps
from .models_decisions import Outcome
from .models_item import Item
from .models_practice import PersonPractice, Practice, PracticeReport
from .outcomes import outcome as outcome_of

_SAID = {
    Practised.CAUGHT: "Good catch: {who} did not let it through.",
    Practised.MISSED: "{Who} let this one through. It was practice, so nothing was sent.",
    Practised.NEITHER: "{Who} answered in the tool's place: neither right nor wrong.",
    Practised.UNANSWERED: "Nobody decided it in time.",
}


async def told(deps: ApiDeps, visitor: Visitor, after: Action) -> Outcome:
    """Return what became of a decision; of a practice call, that it was one."""
    outcome, was = outcome_of(after), await ended(deps, visitor, after)
    if was is None:
        return outcome
    return outcome.model_copy(update={"practice": was, "said": in_a_line(was)})


async def on_item(deps: ApiDeps, visitor: Visitor, item: Item, action: Action) -> Item:
    """Return *item* with what a practice call was, or without who decided it and how."""
    if practised(action) is None:
        return item
    was = await ended(deps, visitor, action)
    if was is not None:
        return item.model_copy(update={"practice": was})
    begun = [each for each in item.history if each.after == State.HELD.value]
    return item.model_copy(update={"history": begun, "votes": []})


async def ended(deps: ApiDeps, visitor: Visitor, action: Action) -> Practice | None:
    """Return what a practice call was for; None while it is held, and to who has no part in it."""
    end, who = practised(action), visitor.principal
    own = decider(action) in ("", who.id)
    if end is None or not (own or who.kind in OVERSEERS):
        return None
    real = await deps.gate.get(action.decoy_of)
    if real is not None and not deps.gate.genuine(real):
        real = None
    masks = wording.masks(real, deps.gate.policy.redact.approver) if real else NO_MASKS
    name = "you" if own else visible_line(decider(action))
    return _practice(end, name, real, masks, dict(deps.gate.policy.attention.reasons))


def _practice(
    end: Practised, who: str, real: Action | None, masks: Masks, presets: Mapping[str, str]
) -> Practice:
    said = [each for each in real.reviews if each.verdict is Verdict.REJECT] if real else []
    first = said[0] if said else None
    return Practice(
        outcome=end.value,
        right=end is Practised.CAUGHT,
        said=_SAID[end].format(who=who, Who=who[:1].upper() + who[1:] if who == "you" else who),
        by=list(dict.fromkeys(visible_line(each.reviewer.id) for each in said)),
        at=first.at if first else 0,
        why=visible_text(masks.text(_why(first, presets))) if first else "",
        reason_code=visible_line(first.reason_code) if first else "",
        original=real.id if real else "",
    )


def _why(review: Review, presets: Mapping[str, str]) -> str:
    preset = presets.get(review.reason_code, review.reason_code)
    return "\n".join(each for each in (preset, review.message.strip()) if each)


def in_a_line(was: Practice) -> str:
    """Say what a practice call was, for a terminal or a banner."""
    said = f"This was a practice call. {was.said}"
    if not was.original:
        return said
    when = datetime.fromtimestamp(was.at / 1000, UTC).date().isoformat()
    by, why = " and ".join(was.by) or "A colleague", visible_line(was.why)
    return f"{said} {by} rejected the real one ({was.original}) on {when}: {why}"


async def report(request: web.Request) -> web.Response:
    """Answer how people did, as far as the visitor may read it."""
    deps, who = request.app[DEPS], request[VISITOR].principal
    now = await deps.store.now()
    items = [shown(each) for each in await figures(deps, who, now)]
    return answer(PracticeReport(items=items, since=now - KEPT_MS, now=now))


async def figures(deps: ApiDeps, who: Principal, now: int) -> tuple[Figures, ...]:
    """Return how people did: overseers read of everybody, anybody else of themselves."""
    if deps.practice is None:
        return ()
    people = await deps.practice.people(now) if who.kind in OVERSEERS else (who.id,)
    return await deps.practice.figures(people, now)


def shown(did: Figures) -> PersonPractice:
    """Return how one person did as people see it."""
    return PersonPractice(
        person=visible_line(did.person), caught=did.caught, missed=did.missed, sure=did.sure
    )


ROUTES = (Route(method="GET", path="/v1/practice", handler=report, kinds=PEOPLE),)
