"""Undoing, as people are offered it and ask for it: policy judges the call that undoes another."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from aiohttp import web

from ..core.actions import Action, Reviewer, State
from ..core.decisions import Undo
from ..core.desk import Absence
from ..core.errors import Forbidden
from ..core.masking import HIDDEN, Masks
from ..core.redaction import visible_line
from ..core.undoing import undo_call, undo_of, undoable, until
from ..undoing import Undoing, outcome
from .access import APPROVERS, VISITOR, Route, Visitor, check_token
from .bodies import answer
from .deps import DEPS, ApiDeps
from .identity import undoing
from .models_undo import UndoArgument, Undone, UndoneBy, UndoOffer
from .operation import CSRF, IN_PATH, Operation
from .rights import barred, borrowed

_LONGEST = 200  #: characters of a value as it is offered


def offer(
    deps: ApiDeps,
    visitor: Visitor,
    action: Action,
    masks: Masks,
    now: int,
    stands: tuple[Absence, ...] = (),
    undone: Mapping[str, UndoneBy] = MappingProxyType({}),
) -> UndoOffer | None:
    """Return what undoing *action* would call; None where nothing was done, or policy says no how.

    `why` says what stands against it, for this visitor too. *stands*: for whom they stand in;
    *undone*: what was undone already, by its id.
    """
    undo = undo_of(action, deps.gate.policy) if action.state is State.ANSWERED else None
    if undo is None or not undo.tool:
        return None
    _, why = undoable(action, undo, now)
    values: dict[str, object] = {}
    if not why:
        call = undo_call(action, deps.gate.policy, visitor.principal.id)
        why = call if isinstance(call, str) else barred(action, visitor.principal, now, stands)
        values = {} if isinstance(call, str) else dict(deps.gate.read(call).arguments)
    already = undone.get(action.id)
    why = f"It was undone: {already.said}." if already else why
    session = visitor.session
    return UndoOffer(
        tool=visible_line(undo.tool),
        arguments=_arguments(undo, values, masks),
        until=until(undo, action.changed) if undo.arguments else 0,
        why=visible_line(why),
        csrf=session.token(undoing(action.id)) if session and not why else "",
        undone=already,
    )


def _arguments(undo: Undo, values: dict[str, object], masks: Masks) -> list[UndoArgument]:
    """Return the arguments; where policy hides something of the call, not what repeats it."""
    return [
        UndoArgument(
            name=visible_line(name),
            source=visible_line(source),
            visible=_short(values[name], source, masks) if name in values else "",
        )
        for name, source in undo.arguments
    ]


def _short(value: object, source: str, masks: Masks) -> str:
    if masks and source.partition(".")[2].partition(".")[0] in masks:
        return ""
    text = masks.text(str(value)[:_LONGEST])
    return "" if HIDDEN in text else visible_line(text)


async def ask(request: web.Request) -> web.Response:
    """Propose the call that undoes this one; again, it says what became of the first."""
    deps, visitor = request.app[DEPS], request[VISITOR]
    action_id, who = request.match_info["id"], visitor.principal
    check_token(request, visitor, undoing(action_id))
    action = await deps.gate.get(action_id)
    stands = await deps.desk.stands_in(who.id)
    groups = who.groups
    if action is not None:
        now = await deps.store.now()
        why = barred(action, who, now, stands)
        if why:
            raise Forbidden(why)
        groups = groups | borrowed(action, groups, stands, now)
    person = Reviewer(id=who.id, groups=groups)
    undone = await Undoing(deps.gate, deps.store).undo(action_id, person)
    return answer(Undone(id=undone.id, state=undone.state.value, said=outcome(undone)))


ROUTES = (
    Route(
        method="POST",
        path=r"/v1/approvals/{id:[A-Za-z0-9_-]{1,64}}/undo",
        handler=ask,
        kinds=APPROVERS,
    ),
)
OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/approvals/{id}/undo",
        name="undo",
        summary="Propose the call that undoes this one; policy judges it like any other",
        answers=Undone,
        parameters=(IN_PATH, CSRF),
        refusals=(401, 403, 404, 409, 421, 422, 429, 503),
    ),
)
