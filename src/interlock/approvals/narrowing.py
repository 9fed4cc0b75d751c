"""What a list of calls is narrowed to: words that its cards show, and what one person may decide.

Only what cards show is searched: nobody finds out by searching what policy hides from them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from ..core.actions import Action
from ..core.desk import Absence
from ..core.identity import Principal
from ..core.redaction import visible_line, visible_text
from . import views
from .deps import ApiDeps
from .rights import rights
from .showing import masked_for

LONGEST = 100  #: characters of a text that is searched for


def matches(
    deps: ApiDeps,
    who: Principal,
    now: int,
    action: Action,
    asked: Mapping[str, str],
    stands: Sequence[Absence] = (),
) -> bool:
    """Say whether *action* is what is *asked* for: by agent, level, tool, text, and `mine`.

    *stands*: the absences in which this person stands in.
    """
    decision = action.decision
    said = {
        "agent": action.call.agent.id,
        "level": decision.level.word if decision else "",
        "tool": decision.tool if decision else "",
    }
    if any(asked.get(name, value) != value for name, value in said.items()):
        return False
    if "mine" in asked and not rights(action, who, now, absences=stands).approve:
        return False
    return _mentions(deps, action, asked.get("text", ""))


def _mentions(deps: ApiDeps, action: Action, text: str) -> bool:
    """Say whether what is shown of *action* has *text* in it, in any case."""
    wanted = visible_line(text.strip()[:LONGEST]).casefold()
    if not wanted:
        return True
    masks = masked_for(deps, action)
    card = views.card(action, None, deps.upstreams, masks)
    shown = (card.id, card.tool, card.description, card.agent, card.session, card.destination)
    if any(wanted in each.casefold() for each in (*shown, card.gist)):
        return True
    return wanted in visible_text(masks.text(action.call.context.reason)).casefold()


async def not_of_others(
    deps: ApiDeps, who: Principal, actions: Sequence[Action]
) -> tuple[Action, ...]:
    """Return *actions* without those that somebody else is asked to decide."""
    assigned = await deps.desk.assigned([each.id for each in actions])
    return tuple(
        action
        for action, asked in zip(actions, assigned, strict=True)
        if asked is None or asked.to in ("", who.id)
    )
