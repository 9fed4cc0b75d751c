"""What is made to be misread in a call: every place of it, or as much as a card may take. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from ..core.actions import Action, ToolCall
from ..core.actions import Body as Kind
from ..core.decisions import Decision
from ..core.lookalikes import unusual, warnings
from ..core.masking import Masks
from ..core.redaction import visible_line
from ..core.wording import told_whole
from .models import Warning_

_GLANCE = 100_000  #: characters of one call that a card looks through
_CLOSER = 1_000  #: of those in texts that are not plain Latin: looking at them takes longer


def warned(call: ToolCall, decision: Decision | None, task: str, masks: Masks) -> list[Warning_]:
    """Return what is deceptive in any text that the agent wrote."""
    found = [
        Warning_(where=where, text=masks.text(each))
        for where, text in _places(call, decision, task)
        for each in warnings(text)
    ]
    return list({(each.where, each.text): each for each in found}.values())


def at_a_glance(action: Action) -> bool | None:
    """Say whether the page of *action* would warn of something; None: there is too much to say."""
    call, decision = action.call, action.decision
    task = decision.facts.task if decision and decision.facts.task else call.context.task
    left, closer = _GLANCE, _CLOSER
    for _, text in _places(call, decision, task):
        left -= len(text)
        if left < 0:
            return None
        if not unusual(text):
            continue
        if _deceives(text[:closer]):
            return True
        closer -= len(text)
        if closer < 0:
            return None
    return False


@functools.lru_cache(maxsize=2048)  # the same cards are read again whenever the queue moves
def _deceives(text: str) -> bool:
    return bool(warnings(text))


def told_by_card(action: Action, masks: Masks) -> bool:
    """Say whether a card shows all that there is to decide about: only then is it one of a batch.

    Nothing is hidden, no argument is cut, and nothing in it is made to be misread.
    """
    return not masks and told_whole(action.decision) and at_a_glance(action) is False


def _places(call: ToolCall, decision: Decision | None, task: str) -> Iterator[tuple[str, str]]:
    """Yield every text of the agent's, and where it is."""
    yield from (("URL", call.target), ("agent", call.agent.id), ("session", call.context.session))
    yield from (("stated reason", call.context.reason), ("user's task", task))
    yield from ((f"header {visible_line(name)}", value) for name, value in call.headers)
    for name, value in (decision.arguments if decision else {}).items():
        yield from ((f"argument {visible_line(name)}", text) for text in _texts(value))
    if call.content.kind is Kind.OPAQUE:
        yield "body", call.body.decode("utf-8", "replace")


def _texts(value: Any) -> Iterator[str]:
    """Yield every text inside a value, names of members included."""
    rest = [value]
    while rest:
        each = rest.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, (list, tuple)):
            rest.extend(reversed(each))
        elif isinstance(each, Mapping):
            rest.extend(reversed([part for pair in each.items() for part in pair]))
