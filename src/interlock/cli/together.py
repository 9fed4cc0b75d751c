"""Deciding several calls at once: each as it was looked at, each with a verdict of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click

from ..core.errors import InterlockError
from .asking import asked
from .client import Access
from .console import note, painted, safe, say, say_json
from .deciding import Deciding, must_be_asked, reason_for
from .render_desk import practice

MOST = 50  #: calls in one batch
Card = Mapping[str, Any]


def decide_together(at: Access, cards: Sequence[Card], how: Deciding) -> bool:
    """List *cards* once more, ask, decide each as it is there; say whether all was recorded.

    Raises:
        click.Abort: the person would rather not.
        click.UsageError: nobody can be asked; or there are too many.
    """
    if len(cards) > MOST:
        raise click.UsageError(f"At most {MOST} calls are decided at once; these are {len(cards)}.")
    if not how.yes:
        must_be_asked()
        say("\n".join(line for card in cards for line in _listed(card)))
    message, code = reason_for(at, how, needed=how.verdict == "reject")
    if not how.yes:
        many = f"these {len(cards)} calls" if len(cards) > 1 else "this call"
        click.confirm(f"{how.verdict.capitalize()} {many}?", abort=True)
    items = [{name: card[name] for name in ("id", "version", "digest")} for card in cards]
    body = {"type": how.verdict, "message": message, "reason_code": code, "items": items}
    outcome = asked(at, lambda people: people.post("/v1/approvals/decisions", body))
    if how.as_json:
        say_json(outcome)
    else:
        for verdict in outcome["items"]:
            say(_told(verdict))
    failed = sum(verdict["status"] != 200 for verdict in outcome["items"])
    if failed and not how.as_json:
        note(f"{failed} of {len(cards)} were not decided; the others were.")
    return not failed


def _listed(card: Card) -> list[str]:
    tool, destination = safe(card["tool"] or "unknown tool"), safe(card["destination"])
    return [
        f"{click.style(tool, bold=True)}  {safe(card['id'])}, stake {painted(card['stake'])},"
        f" agent {safe(card['agent'])}",
        f"  {safe(card['method'])} {destination}",
        f"  {safe(card['gist'])}",
        f"  {safe(card['consequence'])}  digest {safe(card['digest'])[:12]}",
    ]


def _told(verdict: Mapping[str, Any]) -> str:
    call = safe(verdict["id"])
    if verdict["status"] == 200:
        was = verdict.get("practice")
        more = "".join(f"\n  {line}" for line in practice(was)) if was else ""
        return f"{call}  {click.style('done', fg='green')}  {safe(verdict['said'])}{more}"
    why = safe(verdict["detail"])
    return f"{call}  {click.style('not decided', fg='red')} ({verdict['status']})  {why}"


def checked(ids: Sequence[str]) -> None:
    """Raise InterlockError where a call is named twice."""
    twice = sorted({call for call in ids if ids.count(call) > 1})
    if twice:
        raise InterlockError(f"{', '.join(map(safe, twice))}: named twice. Nothing was decided.")
