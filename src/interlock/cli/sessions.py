"""`interlock sessions`: who is signed in, and signing them out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from ..keyfiles import derived_keys
from ..people_ports import SignedIn
from ..settings import Config
from ..signing_in import sign_ins_of
from .console import note, say, say_json, table
from .options import config_option, configured_partly, json_option
from .stores import StandingClock, opened


@click.group()
def sessions() -> None:
    """See who is signed in, and sign people out.

    Sessions are those of browsers; keys are `interlock keys`.

    \b
    Example:
      interlock sessions end ann@example.com
    """


@sessions.command("list")
@config_option
@json_option
def list_sessions(file: Path, as_json: bool) -> None:
    """List every session that has not ended.

    \b
    Example:
      interlock sessions list
    """
    found = asyncio.run(_list(configured_partly(file)))
    if as_json:
        say_json([_shown(each) for each in found])
        return
    if not found:
        note("Nobody is signed in.")
        return
    rows = [
        (
            each.person,
            each.kind.value,
            ",".join(each.groups) or "-",
            each.by.partition(" ")[0] or "-",
            _time(each.opened),
            _time(each.used),
            _time(each.ends),
        )
        for each in found
    ]
    say(table(("PERSON", "AS", "GROUPS", "BY", "SINCE", "USED", "ENDS"), rows))


@sessions.command()
@click.argument("person")
@config_option
def end(person: str, file: Path) -> None:
    """End every session of PERSON, in every browser.

    A running Interlock notices at the latest 2 seconds later. Keys stay: see `interlock keys`.

    \b
    Example:
      interlock sessions end ann@example.com
    """
    count = asyncio.run(_end(configured_partly(file), person))
    say(f"Ended {count} session{'' if count == 1 else 's'} of {person}.")


async def _list(config: Config) -> tuple[SignedIn, ...]:
    async with opened(config) as at:
        clock, key = StandingClock(at.now), derived_keys(config).sessions
        return await sign_ins_of(config, at.store, key, clock).listed()


async def _end(config: Config, person: str) -> int:
    async with opened(config) as at:
        clock, key = StandingClock(at.now), derived_keys(config).sessions
        return await sign_ins_of(config, at.store, key, clock).end_all(person)


def _shown(each: SignedIn) -> dict[str, object]:
    return {
        "person": each.person,
        "kind": each.kind.value,
        "groups": list(each.groups),
        "by": each.by.partition(" ")[0],
        "opened": each.opened,
        "used": each.used,
        "ends": each.ends,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
