"""`interlock grants list|revoke`: what people said not to be asked about again."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from .asking import Api, api_options
from .console import note, safe, say, say_json, table

_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")


@click.group()
def grants() -> None:
    """See and end grants ("do not ask again").

    \b
    Examples:
      interlock grants list
      interlock grants revoke g5f0c21ab9d3e47f86a10b2c3d4e5f607
    """


@grants.command("list")
@api_options
def list_(api: Api) -> None:
    """List the grants that have not ended, newest first.

    \b
    Example:
      interlock grants list
    """
    listed = api.ask(lambda people: people.get("/v1/grants"))
    if api.as_json:
        say_json(listed)
    elif listed["items"]:
        heads = ("ID", "AGENT", "TOOL", "CALL", "TARGET", "USES LEFT", "UNTIL", "BY")
        say(table(heads, [_row(each) for each in listed["items"]]))
        note("End one: `interlock grants revoke ID`")
    else:
        note("Nobody has granted anything that still holds.")


@grants.command()
@click.argument("grant")
@api_options
def revoke(api: Api, grant: str) -> None:
    """End one GRANT at once: people are asked about such calls again.

    \b
    Example:
      interlock grants revoke g5f0c21ab9d3e47f86a10b2c3d4e5f607
    """
    if not _ID.fullmatch(grant):
        raise click.BadParameter("an id has only letters, digits, - and _", param_hint="GRANT")
    path = f"/v1/grants/{grant}"
    ended = api.ask(lambda people: people.delete(path))
    api.say(ended, f"{safe(ended['id'])} has ended: {safe(ended['agent'])} is asked about again.")


def _row(grant: Mapping[str, Any]) -> tuple[object, ...]:
    until = datetime.fromtimestamp(int(grant["expires"]) / 1000, UTC)
    return (
        grant["id"],
        grant["agent"],
        grant["tool"],
        f"{grant['method']} {grant['path']}".strip(),
        ", ".join(f"{each['name']}={each['visible']}" for each in grant["target"]),
        "used up" if grant["used_up"] else f"{grant['uses'] - grant['used']} of {grant['uses']}",
        until.strftime("%Y-%m-%d %H:%M UTC"),
        grant["by"],
    )
