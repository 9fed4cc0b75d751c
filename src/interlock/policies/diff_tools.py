"""In what two policies differ in their tools: what they are, and what may be edited and granted."""

from __future__ import annotations

from ..core.decisions import Stake
from ..core.rules import Facet, GrantSpec, Tool
from .diff_pair import Pair
from .diff_sheet import LOOSER, STRICTER


def compare_tools(pair: Pair) -> None:
    """Note how the tools that both policies have differ; new and old ones are for calls to show."""
    old, new = pair.old.policy.tools, pair.new.policy.tools
    for name in old:
        if name in new:
            _tool(pair, old[name], new[name])
            _facets(pair, old[name], new[name])
            _editing(pair, old[name], new[name])
            _grants(pair, name, old[name].grants, new[name].grants)


def _tool(pair: Pair, old: Tool, new: Tool) -> None:
    who, path = f"tool {old.id}", ("tools", old.id)
    rows = old.reversibility, new.reversibility
    pair.word(f"{who}: reversibility", *rows, *path, "reversibility")
    pair.flag(f"{who}: egress", old.egress, new.egress, STRICTER, *path, "egress")
    pair.members(f"{who}: taint", old.taints, new.taints, STRICTER, *path, "taints")
    targets = [each.target or ("all arguments",) for each in (old, new)]
    pair.equal(f"{who}: target", targets[0], targets[1], *path, "target")
    pair.equal(f"{who}: args_schema", old.args_schema, new.args_schema, *path, "args_schema")
    pair.equal(f"{who}: what it matches", old.match, new.match, *path)
    pair.equal(f"{who}: multi", tuple(sorted(old.multi)), tuple(sorted(new.multi)), *path, "http")
    pair.equal(f"{who}: body", old.bodies, new.bodies, *path, "http", "body")
    pair.equal(f"{who}: undo", old.undo, new.undo, *path, "undo")
    orphans = old.orphans == "execute", new.orphans == "execute"
    pair.flag(f"{who}: orphans are executed", *orphans, LOOSER, *path, "orphans")
    trusted = old.trusted, new.trusted
    pair.flag(
        f"{who}: the server's annotations are trusted", *trusted, LOOSER, *path, "annotations"
    )
    _pins(pair, old, new)
    pair.shadow(who, old.shadow, new.shadow, LOOSER, "mode")


def _pins(pair: Pair, old: Tool, new: Tool) -> None:
    who, path = f"tool {old.id}: pin", ("tools", old.id, "annotations", "pin")
    if old.pins and new.pins:
        pair.members(who, old.pins, new.pins, LOOSER, *path)
    elif old.pins or new.pins:
        kind, said = (STRICTER, "now") if new.pins else (LOOSER, "no longer")
        pair.add(kind, f"{who}: definitions are pinned {said}", *path)


# ---- facets ----------------------------------------------------------------------------------


def _facets(pair: Pair, old: Tool, new: Tool) -> None:
    was = {each.name: each for each in old.facets}
    now = {each.name: each for each in new.facets}
    for name in [*was, *(each for each in now if each not in was)]:
        path = ("tools", old.id, "facets", name)
        if name in was and name in now:
            _facet(pair, old.id, was[name], now[name])
        else:
            kind, said = (LOOSER, "dropped") if name in was else (STRICTER, "added")
            pair.add(kind, f"tool {old.id}: facet {name} {said}", *path)


def _facet(pair: Pair, tool: str, old: Facet, new: Facet) -> None:
    who, path = f"tool {tool}: {old.name}", ("tools", tool, "facets", old.name)
    if old.value is None and new.value is None:
        pair.word(f"{who} {new.shown}: stake", old.stake, new.stake, *path)
        return
    pair.equal(who, old.shown, new.shown, *path)
    if old.value is None or new.value is None:
        return
    bounds = {band.upto for band in (*old.bands, *new.bands)}
    for upto in sorted(bounds, key=lambda each: float("inf") if each is None else each):
        shown = "above all bounds" if upto is None else f"at {upto:.15g}"
        stakes = _stake(old, upto), _stake(new, upto)
        pair.word(f"bands of {old.name} {shown}: stake", *stakes, "stake", old.name)


def _stake(facet: Facet, amount: float | None) -> Stake:
    for band in facet.bands:
        if band.upto is None or (amount is not None and amount <= band.upto):
            return band.stake
    return Stake.CRITICAL


# ---- edits and grants ------------------------------------------------------------------------


def _editing(pair: Pair, old: Tool, new: Tool) -> None:
    who, path = f"tool {old.id}: edit.allow", ("edit", "allow", old.id)
    if old.editable is not None and new.editable is not None:
        pair.members(who, frozenset(old.editable), frozenset(new.editable), LOOSER, *path)
    elif old.editable != new.editable:
        shown = [_listed(each.editable) for each in (old, new)]
        kind = LOOSER if new.editable is None else STRICTER
        pair.add(kind, f"{who} {shown[0]} -> {shown[1]}", *path)
    musts = [frozenset(each.shown for each in tool.must) for tool in (old, new)]
    for text in sorted(musts[1] - musts[0]):
        pair.add(STRICTER, f"tool {old.id}: edit.must `{text}` added", "edit", "must", text)
    for text in sorted(musts[0] - musts[1]):
        if new.editable != ():
            pair.add(LOOSER, f"tool {old.id}: edit.must `{text}` dropped", "edit", "must", text)


def _listed(names: tuple[str, ...] | None) -> str:
    return "everything" if names is None else ", ".join(names) or "nothing"


def _grants(pair: Pair, tool: str, old: GrantSpec | None, new: GrantSpec | None) -> None:
    who, path = f"grants for {tool}", ("approvals", "grants")
    if old is not None and new is not None:
        pair.word(f"{who}: at_most", old.at_most, new.at_most, *path, "at_most")
        times = old.longest_ms, new.longest_ms
        pair.time(f"{who}: longest", *times, LOOSER, *path, "longest")
        pair.number(f"{who}: uses", old.uses, new.uses, LOOSER, *path, "uses")
    elif old is not None or new is not None:
        kind, said = (LOOSER, "may be given") if old is None else (STRICTER, "may not be given")
        pair.add(kind, f"{who} {said} any more" if new is None else f"{who} {said}", *path)
