"""Reading one HTTP request of the agents' listener: headers as they came, a body within bounds."""

from __future__ import annotations

import asyncio
import hashlib
import re
from urllib.parse import urlsplit

from aiohttp import web

from ..core.actions import Agent
from ..core.errors import CallTooLarge, MalformedCall

BODY_SECONDS = 30.0  #: in which a body must have arrived
_KEY = re.compile(r"[\x21-\x7e]{1,255}\Z")


def headers_of(request: web.BaseRequest) -> tuple[tuple[str, str], ...]:
    return tuple(
        (name.decode("utf-8", "surrogateescape"), value.decode("utf-8", "surrogateescape"))
        for name, value in request.raw_headers
    )


def hostname(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        return None if parts.username is not None else parts.hostname
    except ValueError:
        return None


async def body_of(request: web.BaseRequest, limit: int) -> bytes:
    """Return the body, of at most *limit* bytes.

    Raises:
        CallTooLarge: it is larger.
        MalformedCall: it did not come in time, or waits for something that is not done here.
    """
    await invite(request, limit)
    content = request.content
    if content.is_eof() and content.exception() is None and content.total_bytes <= limit:
        return content.read_nowait()  # all of it is here: no time-out is set up for it
    return await read_in_time(request, limit)


async def invite(request: web.BaseRequest, limit: int) -> None:
    """Ask for the body where the client waits to be asked: only after it is known who it is."""
    expected = request.headers.get("Expect")
    if expected is None:
        return
    if expected.lower() != "100-continue":
        raise MalformedCall(f"This gate cannot do what `Expect: {expected[:40]}` asks for.")
    if (request.content_length or 0) > limit:
        raise CallTooLarge(f"The body is larger than {limit} bytes.")
    writer = request.writer
    await writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    writer.output_size = 0


async def read_in_time(request: web.BaseRequest, limit: int) -> bytes:
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await _read(request, limit)
    except TimeoutError:
        raise MalformedCall(f"The body did not arrive within {BODY_SECONDS:g} s.") from None


async def _read(request: web.BaseRequest, limit: int) -> bytes:
    declared = request.content_length or 0
    if declared > limit:
        raise CallTooLarge(f"The body is larger than {limit} bytes.")
    body = bytearray()
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > limit:
            raise CallTooLarge(f"The body is larger than {limit} bytes.")
    return bytes(body)


def idempotency(headers: tuple[tuple[str, str], ...], agent: Agent) -> str:
    keys = [value for name, value in headers if name.lower() == "idempotency-key"]
    if not keys:
        return ""
    if not _KEY.match(keys[0]):
        raise MalformedCall("Idempotency-Key must be 1 to 255 visible ASCII characters.")
    return hashlib.sha256(f"{agent.id}\0{keys[0]}".encode()).hexdigest()
