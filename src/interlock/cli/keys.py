"""`interlock keys`: who may call tools and who may decide."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..core.errors import InterlockError
from ..core.identity import PEOPLE, KeyRecord, Kind, person_id
from ..settings import Config
from ..settings_types import duration, reviewed_name
from .console import note, say, say_json, table
from .options import config_option, configured_partly, json_option
from .stores import opened

_USE = {
    Kind.AGENT: "The agent sends it as `Interlock-Key: {key}` (or as a bearer token).",
    Kind.APPROVER: "Use it with `interlock queue --key-file FILE`, or as a bearer token.",
    Kind.ADMIN: "Use it as a bearer token at {people}/v1/. It may not approve.",
    Kind.AUDITOR: "Use it as a bearer token at {people}/v1/, to read. It changes nothing.",
    Kind.METRICS: "Scrape {people}/metrics with it as a bearer token.",
}


@click.group()
def keys() -> None:
    """Make, list and revoke API keys.

    A key belongs to an agent, an approver, an admin, an auditor or a scraper, and is only ever
    one of them.
    It is shown once, when it is made; the store keeps a hash.

    \b
    Example:
      interlock keys create agent billing-bot --owner olga
    """


@keys.command()
@click.argument("kind", type=click.Choice([kind.value for kind in Kind]))
@click.argument("subject")
@click.option("--owner", default="", help="Of an agent: who answers for it, and may not approve.")
@click.option("--group", "groups", multiple=True, help="A group that the person is in. Repeatable.")
@click.option("--expires", metavar="TIME", help="Until when it is valid, from now: 12h, 90d.")
@config_option
@json_option
def create(
    kind: str,
    subject: str,
    owner: str,
    groups: tuple[str, ...],
    expires: str | None,
    file: Path,
    as_json: bool,
) -> None:
    """Make a key for SUBJECT and show it once.

    \b
    KIND is one of
      agent      calls tools, follows and cancels its own calls
      approver   sees what waits, and decides
      admin      settles unknown outcomes; may not approve
      auditor    sees all that approvers see; changes nothing
      metrics    reads /metrics

    \b
    Examples:
      interlock keys create agent billing-bot --owner olga
      interlock keys create approver ann --group payments --expires 90d
      interlock keys create auditor iris
    """
    for name, value in (
        ("SUBJECT", subject),
        ("--owner", owner),
        *(("--group", g) for g in groups),
    ):
        _checked(name, value)
    config, which = configured_partly(file), Kind(kind)
    if owner and which is not Kind.AGENT:
        raise click.UsageError("--owner is for agents' keys.")
    spent, owner = _span(expires), person_id(owner)
    subject = person_id(subject) if which in PEOPLE else subject
    key, record = asyncio.run(_create(config, which, subject, owner, groups, spent))
    if as_json:
        say_json(_shown(record) | {"key": key})
        return
    note(f"{kind} key {record.key_id} for {subject}. It is shown only now:")
    say(key)
    note(_USE[which].format(key=f"ilk_{kind}_...", people=config.people_url))


@keys.command("list")
@config_option
@json_option
def list_keys(file: Path, as_json: bool) -> None:
    """List every key, without its secret.

    \b
    Example:
      interlock keys list
    """
    records, now = asyncio.run(_list(configured_partly(file)))
    if as_json:
        say_json([_shown(record) | {"state": _state(record, now)} for record in records])
        return
    if not records:
        note("There are no keys. Make one: `interlock keys create agent NAME`")
        return
    rows = [
        (
            record.key_id,
            record.kind.value,
            record.subject,
            record.owner or "-",
            ",".join(record.groups) or "-",
            _date(record.created),
            _date(record.expires) if record.expires else "never",
            _state(record, now),
        )
        for record in records
    ]
    say(table(("ID", "KIND", "SUBJECT", "OWNER", "GROUPS", "MADE", "EXPIRES", "STATE"), rows))


@keys.command()
@click.argument("key_id")
@config_option
def revoke(key_id: str, file: Path) -> None:
    """Revoke the key with this id, for good.

    A running Interlock refuses it at the latest 5 seconds later.

    \b
    Example:
      interlock keys revoke 9f86d081884c
    """
    if key_id.startswith("ilk_"):  # somebody pasted the key itself
        key_id = (key_id.split("_") + ["", ""])[2]
    if not asyncio.run(_revoke(configured_partly(file), key_id)):
        raise InterlockError(f"There is no key {key_id}.", help="See `interlock keys list`.")
    say(f"Revoked {key_id}. It stops working within 5 seconds.")


async def _create(
    config: Config, kind: Kind, subject: str, owner: str, groups: tuple[str, ...], spent: int
) -> tuple[str, KeyRecord]:
    async with opened(config) as at:
        expires = at.now + spent if spent else 0
        return await at.keys.create(kind, subject, owner, groups, expires)


async def _list(config: Config) -> tuple[tuple[KeyRecord, ...], int]:
    async with opened(config) as at:
        return await at.keys.records(), at.now


async def _revoke(config: Config, key_id: str) -> bool:
    async with opened(config) as at:
        return await at.keys.revoke(key_id)


def _checked(name: str, value: str) -> None:
    try:
        if value:
            reviewed_name(value)
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint=name) from None


def _span(text: str | None) -> int:
    """Return a duration in ms; 0 where none was given."""
    try:
        return int(duration(text) * 1000) if text is not None else 0
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None


def _shown(record: KeyRecord) -> dict[str, Any]:
    return {
        "id": record.key_id,
        "kind": record.kind.value,
        "subject": record.subject,
        "owner": record.owner,
        "groups": list(record.groups),
        "created": record.created,
        "expires": record.expires,
        "revoked": record.revoked,
    }


def _state(record: KeyRecord, now: int) -> str:
    if record.revoked:
        return "revoked"
    return "expired" if record.expires and record.expires <= now else "valid"


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d")
