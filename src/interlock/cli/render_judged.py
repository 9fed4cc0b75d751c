"""What policy said of a call, in a terminal; and what it asks of whoever decides it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import click

from .console import painted, safe

Json = Mapping[str, Any]


def is_folded(item: Json) -> bool:
    """Say whether policy wants the person to judge before they read what it thinks."""
    decision = item["decision"]
    held = item["card"]["state"] == "held" and item["may"]["reject"]
    return bool(decision and decision["folded"] and held)


def level_lines(item: Json) -> list[str]:
    """Return level, stake with why, and how sure the agent says it is: what is folded above."""
    card, decision = item["card"], item["decision"]
    why = f" ({safe(decision['stake_why'])})" if decision and decision["stake_why"] else ""
    return [
        f"  level      {painted(card['level'])}, stake {painted(card['stake'])}{why}, "
        f"{safe(card['reversibility'])}",
        f"  confidence {confidence(card['confidence'])}",
    ]


def confidence(value: float | None) -> str:
    return "not stated" if value is None else f"{value:.2f} (its own claim)"


def verdict_text(item: Json) -> str:
    """Return what was folded."""
    lines = level_lines(item)
    lines += [line for section in reasons(item["decision"]) for line in section]
    return "\n".join(lines)


def needs(item: Json) -> list[str]:
    """Return what policy asks of whoever approves this, a line each."""
    decision = item["decision"] or {}
    lines = []
    dwell = -(-int(decision.get("dwell_ms", 0)) // 1000)
    if dwell:
        lines.append(f"  policy asks that it is in sight for {dwell} s before it is approved")
    if decision.get("step_up"):
        lines.append("  policy asks for your security key or passkey: approve it on the page")
    if is_folded(item):
        lines.append("  policy folds its verdict until you have judged; --verdict unfolds it")
    load = item.get("load")
    if load:
        room = f"; there is room again at {when(load['again_at'])}" if load["again_at"] else ""
        lines.append(f"  you approved {load['approved']} of {load['most']} calls this hour{room}")
    return lines


def judged(decision: Json, *, folded: bool) -> Iterator[list[str]]:
    """Yield why it is held, what it acts on, and who may decide it from when."""
    if not folded:
        yield ["", head(f"Why it is held ({safe(decision['policy'])})")]
        yield from reasons(decision)
    else:
        yield ["", head("What it acts on, and who may decide")]
    yield [f"  acts on {_target(each)}" for each in decision["target"]]
    if decision["target_more"]:
        yield [f"  acts on {decision['target_more']} more, among the arguments"]
    yield _session(decision["session"])
    if not folded:
        yield [f"  {safe(line)}" for line in decision["trace"]]
    if decision["approvers"]:
        yield [f"  only {safe(', '.join(decision['approvers']))} may decide"]
    yield [
        f"  {'since' if later['due'] else 'from'} {when(later['at'])} also"
        f" {safe(', '.join(later['to']))}"
        for later in decision["escalation"]
    ]


def reasons(decision: Json) -> Iterator[list[str]]:
    """Yield what fired: facet, rules, limits, what is on trial."""
    if decision["facet"]:
        yield [f"  stake from {safe(decision['facet'])}"]
    for rule in decision["rules"]:
        unsure = f" (could not be evaluated: {safe(rule['indeterminate'])})"
        yield [
            f"  rule {safe(rule['id'])}: {safe(rule['effect'])}."
            f"{' ' * bool(rule['description'])}{safe(rule['description'])}"
            f"{unsure if rule['indeterminate'] else ''}"
        ]
    yield _named("limit", decision["limits"])
    yield _named("on trial:", decision["shadow"])
    if decision["would_be"]:
        yield [f"  shadow mode: enforced, it would be {safe(decision['would_be'])}"]


def _named(what: str, hits: Sequence[Json]) -> list[str]:
    return [f"  {what} {safe(each['id'])}: {safe(each['said'])}" for each in hits]


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


def when(milliseconds: int) -> str:
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")


def head(text: str) -> str:
    return click.style(text, bold=True)
