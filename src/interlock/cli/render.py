"""How held calls look in a terminal. Everything an agent wrote goes through `console.safe`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from .console import inside, painted, safe, since, table
from .render_desk import changes, compared, desk_sections, undo
from .render_judged import head, is_folded, judged, level_lines, needs, when

Json = Mapping[str, Any]
_HEADS = ("AGE", "LEFT", "VOTES", "PEOPLE")
GIST = 48  #: characters of the first arguments in a row of the queue


def queue_table(listed: Json) -> str:
    """Return the table of one page of calls; who has to do with them where somebody has."""
    now, cards = int(listed["now"]), listed["items"]
    rows = [(*_row(card, now), marks(card)) for card in cards]
    heads = ("ID", "LEVEL", "STAKE", "AGENT", "TOOL", "ARGUMENTS", "CALL", *_HEADS)
    shown = len(heads) if any(row[-1] for row in rows) else len(heads) - 1
    return table(
        heads[:shown], [row[:shown] for row in rows], paint={"LEVEL": painted, "STAKE": painted}
    )


def marks(card: Json) -> str:
    """Return who has to do with a call: its agent is stopped, who is asked, who has it open."""
    said = [f"stopped by {card['stopped']}"] if card["stopped"] else []
    said += [f"asked: {card['assigned']}"] if card["assigned"] else []
    said += [f"open: {', '.join(card['looking'])}"] if card["looking"] else []
    return "; ".join(said)


def _row(card: Json, now: int) -> tuple[object, ...]:
    held = card["state"] == "held"
    return (
        card["id"],
        card["level"],
        card["stake"],
        card["agent"],
        card["tool"] or "(unknown)",
        _cut(card["gist"]),
        f"{card['method']} {card['destination']}",
        since(now - card["created"]),
        since(card["deadline"] - now) if held else card["state"],
        f"{card['votes']}/{card['quorum']}",
    )


def _cut(text: str) -> str:
    """Return the first arguments as far as they fit in a row; `show` has them whole."""
    return text if len(text) <= GIST else f"{text[: GIST - 1]}…"


def item_text(item: Json, *, folded: bool = False) -> str:
    """Return everything about one call, section by section.

    *folded*: without what policy folds until the person has judged, where it does.
    """
    folded = folded and is_folded(item)
    return "\n".join(line for section in _sections(item, folded) for line in section)


def _sections(item: Json, folded: bool) -> Iterator[list[str]]:
    card, call = item["card"], item["call"]
    yield _facts(item, folded)
    yield from desk_sections(item)
    yield from _hidden(item)
    yield from _warnings(item["warnings"])
    yield ["", head("What will be sent"), f"  {safe(call['method'])} {safe(call['url'])}"]
    yield [f"  {safe(name)}: {safe(value)}" for name, value in call["headers"]]
    yield _body(call)
    if item["arguments"]:
        yield ["", head("Arguments, as policy read them")]
        yield [_argument(argument) for argument in item["arguments"]]
    if item["changes"]:
        yield ["", head("Edited, against what the agent asked for"), *changes(item["changes"])]
    yield from compared(item)
    if item["decision"]:
        yield from judged(item["decision"], folded=folded)
    yield from _claimed(item["context"])
    yield from _told(item)
    yield from undo(item)
    if card["state"] == "held":
        yield ["", *needs(item), *_next(item)]


def _facts(item: Json, folded: bool) -> list[str]:
    card, now = item["card"], int(item["now"])
    tool = safe(card["tool"] or "unknown tool")
    hidden = "  level      folded until you have judged; see --verdict"
    lines = [
        head(tool) + f"  {safe(card['description'])}",
        f"  {head(safe(card['consequence']))}",
        f"  call       {safe(card['id'])}, version {card['version']}, {safe(card['state'])}",
        f"  digest     {safe(card['digest'])}",
        *([hidden] if folded else level_lines(item)),
        f"  agent      {safe(card['agent'])}{_owned(item['owner'])}",
        f"  asked      {when(card['created'])}, {since(now - card['created'])} ago",
    ]
    if card["state"] == "held":
        waits = {True: "the caller still waits", False: "the caller has gone away", None: ""}
        lines.append(
            f"  time left  {since(card['deadline'] - now)}; {waits[card['caller_waiting']]}"
        )
        lines.append(f"  votes      {card['votes']} of {card['quorum']}")
    else:
        lines.append(f"  outcome    {safe(card['outcome'])}")
    return lines


def _owned(owner: str) -> str:
    return f" (owner {safe(owner)})" if owner else ""


def _warnings(warnings: Sequence[Json]) -> Iterator[list[str]]:
    if warnings:
        yield ["", click.style("Deceptive characters", fg="red", bold=True)]
        yield [f"  {safe(each['where'])}: {safe(each['text'])}" for each in warnings]


def _hidden(item: Json) -> Iterator[list[str]]:
    if not item["redacted"]:
        return
    names = ", ".join(map(safe, item["redacted"]))
    yield ["", click.style(f"Policy hides {names}", fg="yellow", bold=True)]
    if item["may"]["reveal"]:
        yield [f"  interlock show {safe(item['card']['id'])} --reveal    (this is recorded)"]


def _body(call: Json) -> list[str]:
    body = call["body"]
    if not body["size"]:
        return []
    head = f"  {body['size']} bytes, {safe(body['media_type'] or 'no media type')}"
    if not body["whole"]:
        return ["", f"{head}: too large to show here"]
    if "body" in call["hidden"]:
        return ["", f"{head}: hidden until it is revealed"]
    return ["", head, *_indented(body["visible"])]


def _argument(argument: Json) -> str:
    shown = inside(argument["visible"])
    fixed = "" if argument["editable"] else "  (may not be edited)"
    revealed = "  (revealed)" if argument["revealed"] else ""
    return f"  {safe(argument['name'])} = {shown}{revealed}{fixed}"


def _indented(text: str) -> list[str]:
    return [f"    {inside(text)}"]


def _claimed(context: Json) -> Iterator[list[str]]:
    said = [(name, context[name]) for name in ("task", "reason", "session") if context[name]]
    if said:
        yield ["", head("What the agent's side says (not verified)")]
    for name, text in said:
        yield [f"  {name}: {inside(text)}"]


def _told(item: Json) -> Iterator[list[str]]:
    if item["votes"]:
        yield ["", head("Reviews")]
    for vote in item["votes"]:
        why = " ".join(filter(None, (vote["reason_code"], vote["message"])))
        counts = "" if vote["counts"] else " (no longer counts)"
        yield [f"  {safe(vote['by'])}: {safe(vote['verdict'])}{counts} {inside(why)}".rstrip()]
    if item["earlier"]:
        yield ["", head("Earlier in this session")]
    for card in item["earlier"]:
        yield [
            f"  {safe(card['state'])}: {safe(card['tool'])} {safe(card['method'])} "
            f"{safe(card['destination'])}"
        ]


def _next(item: Json) -> list[str]:
    card, may = item["card"], item["may"]
    call = safe(card["id"])
    lines = [click.style(safe(may["why"]), fg="yellow")] if may["why"] else []
    if may["approve"]:
        lines.append(f"  interlock approve {call} --digest {safe(card['digest'])[:12]}")
    if may["approve"] and item["grant"]:
        lines.append(
            f"  interlock approve {call} --grant 8h --uses {min(10, item['grant']['uses'])}"
        )
    if may["edit"]:
        lines.append(f"  interlock edit {call} --set NAME=VALUE")
    if may["edit_after_reveal"]:
        lines.append(f"  interlock edit {call} --reveal --set NAME=VALUE    (this is recorded)")
    if may["reject"]:
        lines.append(f'  interlock reject {call} -m "why"')
    return lines
