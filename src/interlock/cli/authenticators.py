"""`interlock authenticators`: whose security keys and passkeys there are, and taking them away."""

from __future__ import annotations

import asyncio
import logging
from datetime import UTC, datetime
from pathlib import Path

import click

from ..core.redaction import visible_line
from ..keyfiles import derived_keys
from ..parts import authenticators_of
from ..people_ports import Authenticator
from ..settings import Config
from .console import note, say, say_json, table
from .options import config_option, configured_partly, json_option
from .stores import opened

audit = logging.getLogger("interlock.audit")


@click.group()
def authenticators() -> None:
    """See and take away the security keys and passkeys that people sign decisions with.

    People add and remove their own on the page; this is for who has lost all of theirs.

    \b
    Example:
      interlock authenticators forget ann@example.com
    """


@authenticators.command("list")
@click.argument("person")
@config_option
@json_option
def list_authenticators(person: str, file: Path, as_json: bool) -> None:
    """List those of PERSON.

    \b
    Example:
      interlock authenticators list ann@example.com
    """
    found = asyncio.run(_list(configured_partly(file), person))
    if as_json:
        say_json([_shown(each) for each in found])
        return
    if not found:
        note(f"{person} has no security key or passkey here.")
        return
    rows = [
        (
            visible_line(each.label),
            "synced" if each.synced else "one device",
            _time(each.created),
            _time(each.used) if each.used else "-",
            each.id[:16],
        )
        for each in found
    ]
    say(table(("LABEL", "KIND", "ADDED", "USED", "ID"), rows))


@authenticators.command()
@click.argument("person")
@config_option
def forget(person: str, file: Path) -> None:
    """Take all of PERSON away: they add a new one within ten minutes of signing in.

    Be certain who asks: until then, whoever signs in as PERSON can add theirs. End their sessions
    first: `interlock sessions end PERSON`.

    \b
    Example:
      interlock authenticators forget ann@example.com
    """
    gone = asyncio.run(_forget(configured_partly(file), person))
    for each in gone:
        said = (person, each.id, each.label)
        audit.warning(
            "authenticator removed person=%s id=%s label=%s confirmed-by=operator",
            *map(visible_line, said),
        )
    say(f"Took {len(gone)} away from {person}.")


async def _list(config: Config, person: str) -> tuple[Authenticator, ...]:
    async with opened(config) as at:
        return await authenticators_of(config, at.store, derived_keys(config)).of(person)


async def _forget(config: Config, person: str) -> tuple[Authenticator, ...]:
    async with opened(config) as at:
        kept = authenticators_of(config, at.store, derived_keys(config))
        return await kept.forget(person, at.now)


def _shown(each: Authenticator) -> dict[str, object]:
    return {
        "id": each.id,
        "label": each.label,
        "synced": each.synced,
        "backed_up": each.backed_up,
        "created": each.created,
        "used": each.used,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M")
