"""In what two policies differ in their rules and exceptions.

What a condition does is for calls to show. Where they show that it applies less often, or show
nothing at all, that is said here: at the same level something else may ask for as much today.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

from ..core.rules import Exception_, Rule
from .diff_pair import Pair
from .diff_sheet import CHANGED, LOOSER, STRICTER, Sheet
from .explain_conditions import Written


def compare_rules(pair: Pair, fewer: Set[str], more: Set[str]) -> None:
    """Note rules that went, came, weigh less or more, or apply to other tools or calls."""
    old = {rule.id: rule for rule in pair.old.policy.rules}
    new = {rule.id: rule for rule in pair.new.policy.rules}
    renamed = _renamed(pair, old, new)
    for name in [*old, *(each for each in new if each not in old)]:
        path = ("rules", name)
        if name in old and name in new:
            _rule(pair, old[name], new[name])
            _condition(pair, f"rule {name}", name, fewer, more)
            _reach(pair, f"rule {name}", name, "rules", STRICTER)
        elif name not in renamed and not (old.get(name) or new[name]).shadow:
            kind, said = (LOOSER, "dropped") if name in old else (STRICTER, "added")
            pair.add(kind, f"rule {name} {said}", *path)


def _renamed(pair: Pair, old: Mapping[str, Rule], new: Mapping[str, Rule]) -> set[str]:
    """Return the ids, old and new, of rules that only got another id."""
    found: set[str] = set()
    gone = [name for name in old if name not in new]
    came = {name: _said(pair.new, new[name]) for name in new if name not in old}
    for name in gone:
        said = _said(pair.old, old[name])
        same = next((each for each in came if came[each] == said and each not in found), None)
        if same is not None:
            found |= {name, same}
    return found


def _said(sheet: Sheet, rule: Rule) -> tuple[Any, ...]:
    tools = frozenset(
        tool.id for tool in sheet.policy.tools.values() if any(e.id == rule.id for e in tool.rules)
    )
    everything = any(each.id == rule.id for each in sheet.policy.unknown_rules)
    text = _text(sheet.written.get(rule.id))
    return text, tools, everything, rule.effect, bool(rule.deny), rule.shadow


def _text(written: Written | None) -> tuple[str | None, str]:
    """Return a condition with the constants that it reads."""
    when = None if written is None else written.when
    if written is None or when is None:
        return when, ""
    read = {name: value for name, value in written.variables.items() if f"vars.{name}" in when}
    return when, repr(sorted(read.items()))


def _rule(pair: Pair, old: Rule, new: Rule) -> None:
    who, path = f"rule {old.id}", ("rules", old.id)
    for name in ("at_least", "stake", "reversibility"):
        pair.word(f"{who}: {name}", getattr(old, name), getattr(new, name), *path, name)
    denies = old.deny is not None, new.deny is not None
    pair.flag(f"{who}: denies", *denies, STRICTER, *path, "deny")
    pair.shadow(who, old.shadow, new.shadow, LOOSER, *path, "mode")


def compare_exceptions(pair: Pair, fewer: Set[str], more: Set[str]) -> None:
    """Note exceptions that went, came, lower further, last longer, or apply to other calls."""
    old = {each.id: each for each in pair.old.policy.exceptions}
    new = {each.id: each for each in pair.new.policy.exceptions}
    for name in [*old, *(each for each in new if each not in old)]:
        if name in old and name in new:
            _exception(pair, old[name], new[name])
            _condition(pair, f"exception {name}", name, more, fewer)
            _reach(pair, f"exception {name}", name, "exceptions", LOOSER)
        elif not (old.get(name) or new[name]).shadow:
            kind, said = (STRICTER, "dropped") if name in old else (LOOSER, "added")
            pair.add(kind, f"exception {name} {said}", "exceptions", name)


def _exception(pair: Pair, old: Exception_, new: Exception_) -> None:
    who, path = f"exception {old.id}", ("exceptions", old.id)
    pair.word(f"{who}: at_most", old.at_most, new.at_most, *path, "at_most")
    if old.expires != new.expires:
        kind = LOOSER if new.expires > old.expires else STRICTER
        pair.add(kind, f"{who}: expires {old.expires} -> {new.expires}", *path, "expires")
    pair.shadow(who, old.shadow, new.shadow, STRICTER, *path, "mode")


def _condition(pair: Pair, who: str, name: str, weaker: Set[str], stronger: Set[str]) -> None:
    """Say what calls show of a condition that changed: *weaker* and *stronger* are their ids."""
    one, other = _text(pair.old.written.get(name)), _text(pair.new.written.get(name))
    if one == other:
        return
    path = ("rules" if who.startswith("rule ") else "exceptions", name, "when")
    if (one[0] is None) != (other[0] is None):
        wider = other[0] is None
        grew = STRICTER if path[0] == "rules" else LOOSER
        kind = grew if wider else (LOOSER if grew == STRICTER else STRICTER)
        pair.add(
            kind, f"{who}: {'no condition any more' if wider else 'has a condition now'}", *path
        )
    elif name in weaker:
        often = "less often" if path[0] == "rules" else "more often"
        pair.add(LOOSER, f"{who}: `when` or its vars changed, it applies {often}", *path)
    elif name in stronger:
        often = "more often" if path[0] == "rules" else "less often"
        pair.add(STRICTER, f"{who}: `when` or its vars changed, it applies {often}", *path)
    else:
        pair.add(
            CHANGED, f"{who}: `when` or its vars changed, and no call shows what that does", *path
        )


def _reach(pair: Pair, who: str, name: str, section: str, more: str) -> None:
    both = set(pair.old.policy.tools) & set(pair.new.policy.tools)
    old, new = (
        {
            tool.id
            for tool in sheet.policy.tools.values()
            if tool.id in both and any(each.id == name for each in getattr(tool, section))
        }
        for sheet in (pair.old, pair.new)
    )
    pair.members(f"{who}: tool", old, new, more, section, name, "tools")
    if section == "rules":
        unknown = [
            any(each.id == name for each in sheet.policy.unknown_rules)
            for sheet in (pair.old, pair.new)
        ]
        here = (section, name, "tools")
        pair.flag(f"{who}: for unknown tools", unknown[0], unknown[1], more, *here)
