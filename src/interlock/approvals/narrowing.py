"""What a list of calls is narrowed to: words that its cards show, and what one person may decide.

Only what cards show is searched: nobody finds out by searching what policy hides from them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from ..core.actions import Action
from ..core.desk import Absence
from ..core.identity import Principal
from ..core.redaction import visible_line, visible_text
from ..core.wording import gist
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
    return any(wanted in each.casefold() for each in _shown(deps, action))


def _shown(deps: ApiDeps, action: Action) -> Iterator[str]:
    """Yield what a card says, and the agent's reason: what is quick to make comes first."""
    decision, call, masks = action.decision, action.call, masked_for(deps, action)
    yield action.id
    yield from map(visible_line, (call.agent.id, call.context.session))
    if decision is not None:
        yield from map(visible_line, (decision.tool, decision.description))
    yield views.url(call, deps.upstreams, masks)
    yield gist(decision, masks)
    yield visible_text(masks.text(call.context.reason))


async def not_of_others(
    deps: ApiDeps, who: Principal, actions: Sequence[Action], stands: Sequence[Absence]
) -> tuple[Action, ...]:
    """Return *actions* without those that somebody else is asked to decide.

    What somebody for whom they stand in is asked for, is theirs.
    """
    theirs = {"", who.id, *(each.person for each in stands)}
    assigned = await deps.desk.assigned([each.id for each in actions])
    return tuple(
        action
        for action, asked in zip(actions, assigned, strict=True)
        if asked is None or asked.to in theirs
    )
