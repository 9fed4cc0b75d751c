"""What people share about a call, and what came before it, in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from .console import inside, safe, since
from .render_judged import head, when

Json = Mapping[str, Any]


def desk_sections(item: Json) -> Iterator[list[str]]:
    """Yield who stopped the agent, who is asked, who looks, and whether it was practice."""
    stopped, asked = item["stopped"], item["assigned"]
    if stopped:
        whose = "All agents are" if stopped["everybody"] else "The agent is"
        told = f"{whose} stopped by {safe(stopped['by'])} since {when(stopped['at'])}"
        yield ["", click.style(told, fg="red", bold=True), f"  {inside(stopped['reason'])}"]
    if asked:
        note = f": {inside(asked['message'])}" if asked["message"] else ""
        yield [f"  asked      {safe(asked['to'])}, by {safe(asked['by'])}{note}"]
    if item["looking"]:
        who = ", ".join(
            f"{safe(each['person'])} (for {since(int(item['now']) - each['since'])})"
            for each in item["looking"]
        )
        yield [f"  open now   {who}"]
    if item["practice"]:
        yield ["", *practice(item["practice"])]


def practice(was: Json) -> list[str]:
    """Return what a practice call was, how it ended, and why people rejected the real one."""
    by = " and ".join(map(safe, was["by"])) or "a colleague"
    real = f" See that one: interlock show {safe(was['original'])}" if was["original"] else ""
    return [
        click.style("This was a practice call", bold=True),
        f"  {inside(was['said'])}",
        f"  It was made like a real call that {by} rejected.{real}",
        *([f"  Why they did: {inside(was['why'])}"] if was["why"] else []),
    ]


def changes(differences: Sequence[Json]) -> list[str]:
    """Return a line per part that differs."""
    lines = []
    for each in differences:
        before = "(absent)" if each["before"] is None else inside(each["before"])
        after = "(absent)" if each["after"] is None else inside(each["after"])
        lines.append(
            f"  {safe(each['where'])}: {click.style(before, fg='red')} -> "
            f"{click.style(after, fg='green')}"
        )
    return lines


def compared(item: Json) -> Iterator[list[str]]:
    """Yield how it differs from the last call of its kind that people approved."""
    last = item["compared"]
    if last is None:
        return
    by = ", ".join(map(safe, last["by"]))
    yield ["", head(f"Against the last one that was approved (by {by}, {when(last['at'])})")]
    other = f", of agent {safe(last['agent'])}" if last["agent"] != item["card"]["agent"] else ""
    yield [f"  call {safe(last['id'])}{other}"]
    yield ["  nothing differs"] if last["same"] else changes(last["changes"])


def undo(item: Json) -> Iterator[list[str]]:
    """Yield how what was done is undone, where policy says how."""
    offer = item["undo"]
    if offer is None:
        return
    yield ["", head(f"Undo, with {safe(offer['tool'])}")]
    for each in offer["arguments"]:
        value = f" = {inside(each['visible'])}" if each["visible"] else ""
        yield [f"  {safe(each['name'])}{value}  (from {safe(each['source'])})"]
    if offer["why"]:
        yield [f"  {safe(offer['why'])}"]
    else:
        yield [f"  until {when(offer['until'])}: interlock undo {safe(item['card']['id'])}"]
