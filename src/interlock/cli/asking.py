"""Asking the people's API from a command: its options, and finding the call that is meant."""

from __future__ import annotations

import asyncio
import functools
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from ..core.errors import InterlockError
from .client import Access, People, Refused, access
from .console import safe, say, say_json
from .options import config_option, json_option

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SHORTEST = 8  #: characters of an id that may stand for all of it
_RECENT = {"state": "recent", "limit": "200"}
_PAGES, _NAMED = 20, 10  #: pages looked through for it; ids listed where several begin so
_UNITS = {"s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def people_options(command: F) -> F:
    command = config_option(json_option(command))
    command = click.option(
        "--key-file",
        type=click.Path(path_type=Path),
        help="A file with your approver's key. Else INTERLOCK_KEY, else the operator's key.",
    )(command)
    return click.option("--url", help="The people's side, such as http://127.0.0.1:8081.")(command)


class Api:
    """The people's API as the options of a command name it, and how its answer is printed."""

    def __init__(
        self, *, url: str | None, key_file: Path | None, file: Path, as_json: bool
    ) -> None:
        self._url, self._key_file = url, key_file
        self.file, self.as_json = file, as_json

    @functools.cached_property
    def access(self) -> Access:
        """Where it is, and the key to it. Raises as `client.access` does."""
        return access(self._url, self._key_file, self.file)

    def ask(self, ask: Callable[[People], Awaitable[T]]) -> T:
        """Return what it answers. Raises as `client.access` and `client.People` do."""
        return asked(self.access, ask)

    def say(self, answer: Any, text: str) -> None:
        """Print the *answer*, or what it means in words."""
        say_json(answer) if self.as_json else say(text)


def api_options(command: Callable[..., T]) -> Callable[..., T]:
    """Add the options of `people_options`; the command gets them as `api`, an `Api`."""

    @functools.wraps(command)
    def with_api(
        *, url: str | None, key_file: Path | None, file: Path, as_json: bool, **others: Any
    ) -> T:
        return command(api=Api(url=url, key_file=key_file, file=file, as_json=as_json), **others)

    return people_options(with_api)


def reveal_option(command: F) -> F:
    return click.option(
        "--reveal", is_flag=True, help="Also show what policy hides. Who did so is recorded."
    )(command)


def asked(at: Access, ask: Callable[[People], Awaitable[T]]) -> T:
    """Return what the people's API answers. Raises as `client.People` does."""

    async def asking() -> T:
        async with People(at) as people:
            return await ask(people)

    return asyncio.run(asking())


def path_of(call: str) -> str:
    """Return where a call is. Raises click.BadParameter where *call* is no id."""
    if not _ID.fullmatch(call):
        raise click.BadParameter("an id has only letters, digits, - and _", param_hint="CALL")
    return f"/v1/approvals/{call}"


def looking(call: str, reveal: bool = False) -> Callable[[People], Awaitable[dict[str, Any]]]:
    """Return what gets everything about *call*: an id, or its beginning."""
    path = path_of(call)

    def look(people: People, path: str) -> Awaitable[dict[str, Any]]:
        return people.reveal(path) if reveal else people.get(path)

    async def looks(people: People) -> dict[str, Any]:
        try:
            return await look(people, path)
        except Refused as refused:
            if refused.status != 404 or len(call) < SHORTEST:
                raise
            return await look(people, path_of(await _beginning(people, call, refused)))

    return looks


async def _beginning(people: People, call: str, unknown: Refused) -> str:
    """Return the id of the one call that begins with *call*: that waits, or else a recent one."""
    found = await _waiting(people, call)
    if not found:  # perhaps it was decided a moment ago
        found = _beginning_so(await people.get("/v1/approvals", _RECENT), call)
    if not found:
        raise unknown
    if len(found) > 1:
        ids = ", ".join(map(safe, found[:_NAMED])) + (", ..." if len(found) > _NAMED else "")
        raise InterlockError(
            f"{len(found)} calls begin with {call}: {ids}.", help="Give more of the id."
        )
    return found[0]


async def _waiting(people: People, call: str) -> list[str]:
    found, query = [], {"limit": "200"}
    for _ in range(_PAGES):
        listed = await people.get("/v1/approvals", query)
        found += _beginning_so(listed, call)
        if listed["next"] is None:
            return found
        query["cursor"] = listed["next"]
    raise InterlockError("Too many calls wait to look through.", help="Give the whole id.")


def _beginning_so(listed: dict[str, Any], call: str) -> list[str]:
    return [str(card["id"]) for card in listed["items"] if card["id"].startswith(call)]


def span(text: str) -> int | None:
    """Return a span of time such as `30m`, `8h` or `7d` in ms; None where it is none."""
    found = re.fullmatch(r"([1-9][0-9]{0,4})([smhd])", text, re.ASCII)
    return int(found[1]) * _UNITS[found[2]] if found else None


def moment(text: str, hint: str) -> int:
    """Return a date, or a date and time, in ms since the epoch; UTC where it names no offset.

    Raises:
        click.BadParameter: it is neither.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise click.BadParameter(
            "write a time such as 8h or 7d, or a date such as 2026-12-24 or 2026-12-24T18:00 (UTC)",
            param_hint=hint,
        ) from None
    at = at if at.tzinfo else at.replace(tzinfo=UTC)
    return int(at.timestamp() * 1000)
