"""What was known of the past when a call was decided: into a record, and back; and causes, in which
nobody who decided is named."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any

from .core.actions import Action, State
from .core.evaluate import Prepared
from .core.facts import NO_FACTS, Facts, Grant, Session
from .noting_calls import Cleaner

Pseudonym = Callable[[str], str]
_SETTLED_BY = re.compile(r"(It (?:took effect|did not take effect), says )(.+?)(: )", re.DOTALL)


def pack_facts(
    facts: Facts,
    cleaner: Cleaner | None = None,
    clean: Callable[[str], str] = str,
    pseudonym: Pseudonym = str,
) -> dict[str, Any]:
    """Return what was known of the past as JSON can say it, without what is as usual."""
    packed: dict[str, Any] = {}
    for name, usual in _USUAL_FACTS.items():
        value = getattr(facts, name)
        if value is not usual and value != usual:
            packed[name] = value
    if facts.used:
        packed["used"] = dict(facts.used)
    if facts.task:
        packed["task"] = clean(facts.task)
    if facts.session is not None:
        packed["session"] = {each: getattr(facts.session, each) for each in _SESSION}
    if facts.grant is not None:
        packed["grant"] = _grant(facts.grant, cleaner, clean, pseudonym)
    return packed


def unguessable(packed: Mapping[str, Any], prepared: Prepared) -> Mapping[str, Any]:
    """Return facts without the counters that are named by the arguments of *prepared*.

    Such a name is a hash of what a record hides: whoever tries values would find the one.
    """
    if "used" not in packed:
        return packed
    told = {counter.key for limit, counter in prepared.shares if not limit.by_arguments}
    told |= {cap.key for cap in prepared.caps if cap is not None}
    # Where none is left it still says that they were asked for.
    return {**packed, "used": {key: each for key, each in packed["used"].items() if key in told}}


def _grant(
    grant: Grant, cleaner: Cleaner | None, clean: Callable[[str], str], pseudonym: Pseudonym
) -> dict[str, Any]:
    said = {each: getattr(grant, each) for each in _GRANT if each not in ("mac", "key")}
    target = dict(grant.target) if cleaner is None else cleaner.arguments(grant.target)
    return said | {"target": target, "by": pseudonym(grant.by), "reason": clean(grant.reason)}


def facts_from(packed: Mapping[str, Any]) -> Facts:
    """Return the facts that a record has (`DecidedCall.facts`), as `evaluate.decide` takes them.

    Raises:
        TypeError: they are none.
    """
    if not packed:
        return NO_FACTS
    rest = dict(packed)
    session, grant = rest.pop("session", None), rest.pop("grant", None)
    return Facts(
        used=MappingProxyType(dict(rest.pop("used", {}))),
        session=None if session is None else Session(**session),
        grant=None if grant is None else Grant(**{"key": "", **grant}),
        **rest,
    )


_USUAL_FACTS = {
    each.name: getattr(NO_FACTS, each.name) for each in fields(Facts) if each.name != "used"
}
_SESSION = tuple(each.name for each in fields(Session))
_GRANT = tuple(each.name for each in fields(Grant))


def anonymous(text: str, action: Action, pseudonym: Pseudonym) -> str:
    """Return a cause without the names of those who decided, where Interlock wrote them into it.

    What the agent and people wrote stays as it is: a name may be part of a word of theirs.
    """
    if action.state is State.REJECTED:  # the person's own words
        return text
    if action.state is State.RESOLVED:
        text = _SETTLED_BY.sub(lambda found: found[1] + pseudonym(found[2]) + found[3], text, 1)
        return text
    for who in {review.reviewer.id for review in action.reviews}:
        if who in text:
            whole = rf"(?<![\w@.-]){re.escape(who)}(?![\w@-])"
            text = re.sub(whole, pseudonym(who), text)  # hex: nothing in it is an escape
    return text
