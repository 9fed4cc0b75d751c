"""`interlock practice`: how people did with practice calls."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from .asking import Api, api_options
from .console import note, say, say_json, table


@click.command()
@api_options
def practice(api: Api) -> None:
    """Say how people did with practice calls in the last 30 days.

    Everybody, with an admin's or auditor's key; you, with an approver's.

    \b
    Example:
      interlock practice
    """
    told = api.ask(lambda people: people.get("/v1/practice"))
    if api.as_json:
        say_json(told)
        return
    since = datetime.fromtimestamp(int(told["since"]) / 1000, UTC).strftime("%Y-%m-%d")
    if not told["items"]:  # an admin asks, and nobody had one
        note(f"Nobody decided a practice call since {since}. Policy: `attention.decoys`.")
        return
    say(table(("PERSON", "CAUGHT", "LET THROUGH", "SURE"), [_row(each) for each in told["items"]]))
    note(f"Since {since}. SURE: what they catch at least, with a confidence of 95 %.")


def _row(each: Mapping[str, Any]) -> tuple[object, ...]:
    return (each["person"], each["caught"], each["missed"], f"{float(each['sure']):.0%}")
