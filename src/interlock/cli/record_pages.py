"""Pages of records as the running Interlock exports them, or why there is none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import aiohttp

from ..core.errors import InterlockError
from .client import Access, Refused

_PATIENCE = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=120)


async def opened(at: Access) -> aiohttp.ClientSession:
    """Return one connection for all pages; whoever opened it closes it."""
    headers = {"Authorization": f"Bearer {at.key}"}
    return aiohttp.ClientSession(headers=headers, timeout=_PATIENCE)


async def page(
    session: aiohttp.ClientSession, at: Access, path: str, query: Mapping[str, str] | None = None
) -> tuple[bytes, Mapping[str, str]]:
    """Return the body at *path* and its headers.

    Raises:
        InterlockError: there is no answer.
        Refused: it is not what was asked for.
    """
    address = at.url.rstrip("/") + path
    try:
        async with session.get(address, params=query, allow_redirects=False) as answer:
            body = await answer.read()
    except (aiohttp.ClientError, TimeoutError) as error:
        raise InterlockError(
            f"Interlock does not answer at {at.url} ({type(error).__name__}).",
            help="Start it with `interlock serve`, say where it is with --url, or read a file with"
            " --records.",
        ) from None
    if answer.status != 200:
        raise _refused(at, answer.status, body)
    return body, answer.headers


def _refused(at: Access, status: int, body: bytes) -> Refused:
    members: Any = None
    with suppress(ValueError):
        members = json.loads(body)
    if not isinstance(members, dict):
        members = {"detail": f"{at.url} answered {status}, and no records."}
    help = ""
    if status in (401, 403):
        help = "Records are for auditors and admins: `interlock keys create auditor NAME`, and give"
        help += " that key with --key-file."
    return Refused(status, members, help)
