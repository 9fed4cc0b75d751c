"""What became of a decision, as whoever made it is told. Pure."""

from __future__ import annotations

from ..core import wording
from ..core.actions import Action
from .models_decisions import Outcome


def outcome(action: Action) -> Outcome:
    """Return what became of a decision."""
    return Outcome(
        id=action.id,
        state=action.state.value,
        version=action.version,
        digest=action.digest,
        votes=len(action.votes),
        quorum=action.decision.quorum if action.decision else 1,
        said=wording.outcome(action),
    )
