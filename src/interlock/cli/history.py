"""`interlock history`: calls that people had to do with, as long as they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from .asking import Api, api_options, moment, span
from .client import People
from .console import note, say, say_json, table
from .render_judged import when

_PAGES = 20  #: that are looked through for as many calls as were asked for


@click.command()
@click.option("--agent", help="Only calls of this agent.")
@click.option("--tool", help="Only calls of this tool.")
@click.option("--state", help="Only calls in this state, such as rejected or answered.")
@click.option("--by", metavar="PERSON", help="Only calls that this person had to do with.")
@click.option("--text", "q", help="Only where this is in tool, destination, arguments or reasons.")
@click.option("--since", metavar="TIME", help="From then on: 8h or 7d ago, or a date.")
@click.option("--until", metavar="TIME", help="Up to then: 8h or 7d ago, or a date.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@api_options
def history(
    api: Api, since: str | None, until: str | None, limit: int, **filters: str | None
) -> None:
    """List calls that people had to do with, latest first.

    \b
    Examples:
      interlock history --since 7d --by ann
      interlock history --state rejected --tool bank.transfer
      interlock history --text DE-4711 --json
    """
    query = {name: value for name, value in filters.items() if value} | {"limit": str(limit)}
    times = {
        name: (span(text), text) for name, text in (("since", since), ("until", until)) if text
    }
    fixed = {name: moment(text, f"--{name}") for name, (ago, text) in times.items() if ago is None}
    spans = {name: ago for name, (ago, _) in times.items() if ago is not None}

    async def look(people: People) -> dict[str, Any]:
        now = int((await people.get("/v1/me"))["now"]) if spans else 0
        at = fixed | {name: now - ago for name, ago in spans.items()}
        return await _found(people, query | {name: str(ms) for name, ms in at.items()}, limit)

    found = api.ask(look)
    if api.as_json:
        say_json(found)
    elif found["items"]:
        heads = ("ID", "WHEN", "AGENT", "TOOL", "CALL", "OUTCOME")
        say(table(heads, [_row(each) for each in found["items"]]))
        if found["next"]:
            note("There is more; see --limit and --until.")
        note("Look at one: `interlock show ID`")
    else:
        note("Nothing is found.")


async def _found(people: People, query: Mapping[str, str], limit: int) -> dict[str, Any]:
    """Return as many calls as asked for: one page may be short although more follow."""
    asked_for = dict(query)
    found = await people.get("/v1/history", asked_for)
    for _ in range(_PAGES):
        if found["next"] is None or len(found["items"]) >= limit:
            break
        asked_for |= {"cursor": found["next"], "limit": str(limit - len(found["items"]))}
        more = await people.get("/v1/history", asked_for)
        found = more | {"items": found["items"] + more["items"]}
    return found


def _row(card: Mapping[str, Any]) -> tuple[object, ...]:
    return (
        card["id"],
        when(card["changed"]),
        card["agent"],
        card["tool"] or "(unknown)",
        f"{card['method']} {card['destination']}",
        card["outcome"] or card["state"],
    )
