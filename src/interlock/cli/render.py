"""How held calls look in a terminal. Everything an agent wrote goes through `console.safe`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from .console import painted, safe, since, table

Json = Mapping[str, Any]


def queue_table(listed: Json) -> str:
    """Return the table of one page of calls."""
    now = int(listed["now"])
    rows = [_row(card, now) for card in listed["items"]]
    heads = ("ID", "LEVEL", "STAKE", "AGENT", "TOOL", "CALL", "AGE", "LEFT", "VOTES")
    return table(heads, rows, paint={"LEVEL": painted, "STAKE": painted})


def _row(card: Json, now: int) -> tuple[object, ...]:
    held = card["state"] == "held"
    return (
        card["id"],
        card["level"],
        card["stake"],
        card["agent"],
        card["tool"] or "(unknown)",
        f"{card['method']} {card['destination']}",
        since(now - card["created"]),
        since(card["deadline"] - now) if held else card["state"],
        f"{card['votes']}/{card['quorum']}",
    )


def item_text(item: Json) -> str:
    """Return everything about one call, section by section."""
    return "\n".join(line for section in _sections(item) for line in section)


def _sections(item: Json) -> Iterator[list[str]]:
    card, call = item["card"], item["call"]
    yield _facts(item)
    yield from _hidden(item)
    yield from _warnings(item["warnings"])
    yield ["", _head("What will be sent"), f"  {safe(call['method'])} {safe(call['url'])}"]
    yield [f"  {safe(name)}: {safe(value)}" for name, value in call["headers"]]
    yield _body(call)
    if item["arguments"]:
        yield ["", _head("Arguments, as policy read them")]
        yield [_argument(argument) for argument in item["arguments"]]
    if item["changes"]:
        yield ["", _head("Edited, against what the agent asked for"), *changes(item["changes"])]
    if item["decision"]:
        yield from _judged(item["decision"])
    yield from _claimed(item["context"])
    yield from _told(item)
    if card["state"] == "held":
        yield ["", *_next(item)]


def _facts(item: Json) -> list[str]:
    card, now = item["card"], int(item["now"])
    tool = safe(card["tool"] or "unknown tool")
    lines = [
        click.style(f"{tool}", bold=True) + f"  {safe(card['description'])}",
        f"  call       {safe(card['id'])}, version {card['version']}, {safe(card['state'])}",
        f"  level      {painted(card['level'])}, stake {painted(card['stake'])}, "
        f"{safe(card['reversibility'])}",
        f"  undo       {safe(card['consequence'])}",
        f"  agent      {safe(card['agent'])}{_owned(item['owner'])}, "
        f"confidence {_confidence(card['confidence'])}",
        f"  asked      {_when(card['created'])}, {since(now - card['created'])} ago",
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


def _confidence(value: float | None) -> str:
    return "not stated" if value is None else f"{value:.2f} (its own claim)"


def _when(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def _head(text: str) -> str:
    return click.style(text, bold=True)


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
    shown = safe(argument["visible"]).replace("\n", "\n    ")
    fixed = "" if argument["editable"] else "  (may not be edited)"
    revealed = "  (revealed)" if argument["revealed"] else ""
    return f"  {safe(argument['name'])} = {shown}{revealed}{fixed}"


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in safe(text).split("\n")]


def changes(differences: Sequence[Json]) -> list[str]:
    """Return a line per part that differs."""
    lines = []
    for each in differences:
        before = "(absent)" if each["before"] is None else safe(each["before"])
        after = "(absent)" if each["after"] is None else safe(each["after"])
        lines.append(
            f"  {safe(each['where'])}: {click.style(before, fg='red')} -> "
            f"{click.style(after, fg='green')}"
        )
    return lines


def _judged(decision: Json) -> Iterator[list[str]]:
    yield ["", _head(f"Why it is held ({safe(decision['policy'])})")]
    if decision["facet"]:
        yield [f"  stake from {safe(decision['facet'])}"]
    for rule in decision["rules"]:
        unsure = f" (could not be evaluated: {safe(rule['indeterminate'])})"
        yield [
            f"  rule {safe(rule['id'])}: {safe(rule['effect'])}."
            f"{' ' * bool(rule['description'])}{safe(rule['description'])}"
            f"{unsure if rule['indeterminate'] else ''}"
        ]
    yield [f"  limit {safe(each['id'])}: {safe(each['said'])}" for each in decision["limits"]]
    yield [f"  on trial: {safe(each['id'])}: {safe(each['said'])}" for each in decision["shadow"]]
    if decision["would_be"]:
        yield [f"  shadow mode: enforced, it would be {safe(decision['would_be'])}"]
    yield [f"  acts on {_target(each)}" for each in decision["target"]]
    if decision["target_more"]:
        yield [f"  acts on {decision['target_more']} more, among the arguments"]
    yield _session(decision["session"])
    yield [f"  {safe(line)}" for line in decision["trace"]]
    if decision["approvers"]:
        yield [f"  only {safe(', '.join(decision['approvers']))} may decide"]
    yield [
        f"  {'since' if later['due'] else 'from'} {_when(later['at'])} also"
        f" {safe(', '.join(later['to']))}"
        for later in decision["escalation"]
    ]


def _target(target: Json) -> str:
    named = {True: " (the user's request names it)", False: " (the user's request does not)"}
    return f"{safe(target['name'])} = {safe(target['visible'])}{named.get(target['stated'], '')}"


def _session(past: Json | None) -> list[str]:
    if past is None:
        return []
    read = [word for word in ("untrusted_content", "sensitive_data") if past[word]]
    seen = f"; it has read {' and '.join(read).replace('_', ' ')}" if read else ""
    calls = f"{past['calls']} call{'' if past['calls'] == 1 else 's'} sent"
    points = f"{past['points']:g} point{'' if past['points'] == 1 else 's'} of risk"
    return [f"  session: {calls}, {points}{seen}"]


def _claimed(context: Json) -> Iterator[list[str]]:
    said = [(name, context[name]) for name in ("task", "reason", "session") if context[name]]
    if said:
        yield ["", _head("What the agent's side says (not verified)")]
    for name, text in said:
        shown = safe(text).replace("\n", "\n    ")
        yield [f"  {name}: {shown}"]


def _told(item: Json) -> Iterator[list[str]]:
    if item["votes"]:
        yield ["", _head("Reviews")]
    for vote in item["votes"]:
        why = " ".join(filter(None, (vote["reason_code"], vote["message"])))
        counts = "" if vote["counts"] else " (no longer counts)"
        yield [f"  {safe(vote['by'])}: {safe(vote['verdict'])}{counts} {safe(why)}".rstrip()]
    if item["earlier"]:
        yield ["", _head("Earlier in this session")]
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
