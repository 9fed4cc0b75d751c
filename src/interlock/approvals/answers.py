"""The tool's answer, as far as people are shown it. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from ..core.actions import Action, State
from ..core.masking import Masks, without_secrets
from ..core.redaction import shown, visible_bytes
from .models_undo import ToolAnswer

_LONGEST = 2_000  #: bytes of a body that are shown
_CHANGED = (
    "The answer was changed outside Interlock, or kept by an earlier version of it:"
    " it is not shown."
)


def shown_answer(action: Action, masks: Masks, detectors: Iterable[str]) -> ToolAnswer | None:
    """Return what the tool answered, cut short; None where it has not.

    Where policy hides something of the call, nothing of the answer is shown: it may repeat it.
    """
    answer = action.answer
    if action.state is not State.ANSWERED or answer is None:
        return None
    if answer.changed:
        return ToolAnswer(status=0, size=0, visible=_CHANGED, cut=True, hidden=False)
    start = b"" if masks else answer.body[:_LONGEST]
    return ToolAnswer(
        status=answer.status,
        size=answer.size or len(answer.body),
        visible=without_secrets(shown(visible_bytes(start)), detectors),
        cut=not masks and len(start) < max(answer.size, len(answer.body)),
        hidden=bool(masks),
    )
