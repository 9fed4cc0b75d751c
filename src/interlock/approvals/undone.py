"""Which calls were undone, or are about to be: found by the key that their undo goes by."""

from __future__ import annotations

from collections.abc import Sequence

from ..core.actions import Action, State
from ..core.redaction import visible_line
from ..core.undoing import asked_by
from ..core.wording import outcome
from ..undoing import key_of
from .deps import ApiDeps
from .models_undo import UndoneBy

_FORGOTTEN = frozenset({State.EXPIRED, State.CANCELLED})  #: these may be asked for again


async def undone(deps: ApiDeps, actions: Sequence[Action]) -> dict[str, UndoneBy]:
    """Return, by the id of the call that was undone, the call that did it; waiting ones too."""
    answered = [each for each in actions if each.state is State.ANSWERED and not each.decoy_of]
    found = await deps.store.keyed([key_of(each) for each in answered])
    return {
        action.id: _told(undo)
        for action, undo in zip(answered, found, strict=True)
        if undo is not None and deps.gate.genuine(undo) and undo.state not in _FORGOTTEN
    }


def _done(undo: Action) -> bool:
    return undo.state is State.ANSWERED or undo.state is State.RESOLVED


def _told(undo: Action) -> UndoneBy:
    return UndoneBy(
        id=undo.id,
        tool=visible_line(undo.decision.tool if undo.decision else ""),
        by=visible_line(asked_by(undo.call)),
        at=undo.changed,
        done=_done(undo),
        said=outcome(undo) or "held: people decide about it first",
    )
