"""`interlock sessions`: who is signed in, and signing them out."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import click

from ..config import environment
from ..core.errors import InterlockError
from ..core.identity import person_id
from ..core.numbers import number_of
from ..keyfiles import derived_keys
from ..people_ports import SignedIn
from ..settings import Config
from ..signing_in import sign_ins_of
from .asking import asked, people_options
from .client import access
from .console import note, safe, say, say_json, table
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
    say(f"Ended {number_of(count, 'session')} of {person}.")


@sessions.command()
@click.argument("person", required=False)
@people_options
def link(
    person: str | None, url: str | None, key_file: Path | None, file: Path, as_json: bool
) -> None:
    """Print a fresh one-time link that signs PERSON in, from the running Interlock.

    For somebody in `people.local`, with their own key: `interlock serve` keeps one for each in the
    data directory. Without PERSON: whose key it is. It works once, for 15 minutes.

    \b
    Example:
      interlock sessions link ann
    """
    key_file = key_file or _key_of(person, file)
    said = asked(access(url, key_file, file), lambda people: people.post("/v1/me/link", {}))
    if person is not None and said["id"] != person_id(person):
        raise InterlockError(
            f"The key is {safe(said['id'])}'s, and a link is made with one's own key.",
            help=f"Is {person} in `people.local`? Their key is in the data directory then; else"
            " give it with --key-file.",
        )
    if as_json:
        say_json(said)
        return
    say(safe(said["url"]))
    minutes = number_of(int(said["seconds"]) // 60, "minute")
    note(f"Signs {safe(said['id'])} in, once, within {minutes}.")


def _key_of(person: str | None, file: Path) -> Path | None:
    """Return the file that `interlock serve` keeps a local person's key in, if it is another."""
    if person is None or environment().get("INTERLOCK_KEY") or not file.exists():
        return None
    path = configured_partly(file).data / f"operator-{person_id(person)}.key"
    return path if path.exists() else None


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
