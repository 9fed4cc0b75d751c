"""What a server answers, on its way to the client: read message by message, unchanged or amended.

Nothing passes that a client could read and Interlock cannot, nor a response to another request than
the one that was sent. What is not changed passes as the bytes that came. Where an answer breaks
off, or ends without the response that was asked for, the client is told so instead of left waiting,
unless it can resume the stream itself.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from aiohttp import web

from ...core.errors import MalformedMessage, UpstreamLost
from ...core.messages import Kind, read_sent, server_kind, write_message
from ...core.sse import Event, Reader, written
from .headers import EVENTS
from .replying import Coming, Reply, charset, media, value, whole
from .session import Document

LARGEST = 32 * 2**20  #: bytes of an answer that is read as a whole
_BODILESS = frozenset({202, 204, 205, 304})
_JSON = "application/json"
_ENDED = "The server ended its answer without a response."
_FOREIGN = "The server answered, but not to this request."
_ODD_ENDS = re.compile(rb"[\v\f\x1c-\x1e]|\xc2\x85|\xe2\x80[\xa8\xa9]")  # lines end here for some
_BEFORE_JSON = b"\xef\xbb\xbf\xfe\xff\0 \t\r\n"  #: marks of encodings, and spaces

Told = Callable[[UpstreamLost], Document]
"""Returns the response that tells a client that the server's own was lost."""

Change = Callable[[Document], Awaitable[Document | None]]
"""Returns what the client gets of a message of the server; None: nothing."""


def answering(given: str | int | None, change: Change | None = None) -> Change:
    """Return what lets of all responses only that to the request *given* pass, as *change* says."""

    async def own(document: Document) -> Document | None:
        if "method" not in document and not _is_for(document, given):
            return None
        return document if change is None else await change(document)

    return own


def _is_for(document: Document, given: str | int | None) -> bool:
    """A response without an id is one to a message that the server could not read."""
    named = document.get("id")
    return named is None or (type(named) is type(given) and named == given)


async def pass_answer(
    reply: Reply, answer: Coming, told: Told, change: Change
) -> web.StreamResponse:
    """Pass the answer to a request on, each message of it as *change* returns it.

    Where the stream to the client has begun already, a JSON answer becomes its last event.
    """
    if not 200 <= answer.status < 300:
        try:
            return await pass_refusal(answer, change)
        except UpstreamLost as broken:
            return await reply.say(told(broken))
    unread = _unreadable(answer)
    if unread:
        return await reply.say(told(UpstreamLost(f"The server's answer cannot be read: {unread}.")))
    if media(answer.headers) == EVENTS:
        return await _pass_events(reply, answer, told, change)
    try:
        body = await read_whole(answer)
        document = _response_in(body)
        changed = await change(document)
        if changed is None:
            raise UpstreamLost(_FOREIGN)
    except UpstreamLost as broken:
        return await reply.say(told(broken))
    if changed is document and not reply.began:
        return whole(200, answer.headers, body)
    return await reply.say(changed, 200, without_body(answer))


async def pass_stream(reply: Reply, answer: Coming, change: Change) -> web.StreamResponse:
    """Pass a stream on that answers no request. Raises UpstreamLost where it cannot be read."""
    if not 200 <= answer.status < 300 or answer.status in _BODILESS:
        return await pass_refusal(answer, change)
    unread = _unreadable(answer)
    if unread or media(answer.headers) != EVENTS:
        raise UpstreamLost(f"The server's stream cannot be read: {unread or 'it has no events'}.")
    return await _pass_events(reply, answer, None, change)


async def pass_refusal(answer: Coming, change: Change) -> web.StreamResponse:
    """Pass an answer on that is none to a request; its body only if it holds no other message.

    Raises:
        UpstreamLost: it broke off, or is too long.
    """
    body = b"" if answer.status in _BODILESS else await read_whole(answer)
    document = _refusal_in(body)
    if document is None or (body and value(answer.headers, "content-encoding")):
        return whole(answer.status, without_body(answer), b"")
    if not document:
        return whole(answer.status, answer.headers, body)
    changed = await change(document)
    if changed is document:
        return whole(answer.status, answer.headers, body)
    said = b"" if changed is None else write_message(changed)
    return whole(answer.status, (*without_body(answer), ("Content-Type", _JSON)), said)


def pass_accepted(answer: Coming) -> web.StreamResponse:
    """Pass on that a message was accepted that has no response: nothing may be said with it."""
    return whole(answer.status, without_body(answer), b"")


async def read_whole(answer: Coming, largest: int = LARGEST) -> bytes:
    """Return the body of an answer. Raises UpstreamLost where it breaks off or is too long."""
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > largest:
            raise UpstreamLost(f"The server answered with more than {largest} bytes.")
    return bytes(body)


def _unreadable(answer: Coming) -> str:
    """Say why an answer that has to be read cannot be: a client might read it all the same."""
    if answer.status != 200:
        return f"it came with HTTP {answer.status}"
    if value(answer.headers, "content-encoding"):
        return "it is encoded, though nobody asked for that"
    if charset(answer.headers) not in ("", "utf-8", "utf8"):
        return "it is not in UTF-8"
    types = [said for name, said in answer.headers if name.lower() == "content-type"]
    if len(types) != 1 or media(answer.headers) not in (_JSON, EVENTS):
        return f"it is neither {_JSON} nor {EVENTS}"
    return ""


def _response_in(body: bytes) -> Document:
    """Return the response that a JSON answer is. Raises UpstreamLost where it is none."""
    try:
        said = read_sent(body)
    except MalformedMessage as refused:
        raise UpstreamLost(f"The server's answer cannot be read: {refused.detail}") from None
    if server_kind(said) is not Kind.RESPONSE:
        raise UpstreamLost("The server's answer cannot be read: it is no response of JSON-RPC.")
    found: Document = said
    return found


def _refusal_in(body: bytes) -> Document | None:
    """Return the response in the body of a refusal; empty: no message; None: nobody can tell."""
    try:
        said = read_sent(body)
    except MalformedMessage:
        return None if body.lstrip(_BEFORE_JSON).startswith((b"{", b"[")) else {}
    if server_kind(said) is Kind.RESPONSE:
        found: Document = said
        return found
    claims = said if isinstance(said, list) else [said]
    return None if any(isinstance(each, dict) and "jsonrpc" in each for each in claims) else {}


async def _pass_events(
    reply: Reply, answer: Coming, told: Told | None, change: Change
) -> web.StreamResponse:
    if not reply.began:
        await reply.begin(200, without_body(answer, but="content-type"))
    responded, resumable, lost = False, False, UpstreamLost(_ENDED)
    broken = False
    try:
        async for event in _events(answer):
            passed, responds = await _changed(event, change)
            for each in passed:
                await reply.pipe(written(each))
            responded = responded or responds
            resumable = resumable or any(each.id is not None for each in passed)
    except UpstreamLost as error:
        lost, broken = error, True
    if told is not None and not responded and not resumable:
        return await reply.say(told(lost))
    return reply.cut() if broken else await reply.end()


async def _changed(event: Event, change: Change) -> tuple[list[Event], bool]:
    """Return what is written of an event, and whether that holds a response."""
    given = messages_in(event)
    if given is None:
        return [], False
    changed = [await change(each) if server_kind(each) else None for each in given]
    kept = [each for each in changed if each is not None]
    responds = any("method" not in each for each in kept)
    if all(a is b for a, b in zip(given, changed, strict=True)) and not _has_odd_ends(event):
        return [event], responds
    plain = Event(lines=tuple(line for line in event.lines if not _ODD_ENDS.search(line)))
    if not given:
        return [plain] if plain.lines else [], False
    return [plain.saying(write_message(each)) for each in kept], responds


def _has_odd_ends(event: Event) -> bool:
    return any(_ODD_ENDS.search(line) for line in event.lines)


def messages_in(event: Event) -> list[Any] | None:
    """Return the messages that an event carries: one, or in 2025-03-26 several, or none at all.

    None: it says what cannot be read, or not as a message: some client could read one in it.
    """
    data = event.data
    if data is None or not data.strip():
        return []
    if event.name != b"message":
        return None
    try:
        said = read_sent(data)
    except MalformedMessage:
        return None
    return said if isinstance(said, list) else [said]


async def _events(answer: Coming) -> AsyncIterator[Event]:
    reader = Reader()
    async for chunk in answer.chunks():
        for event in reader.feed(chunk):
            yield event


def without_body(answer: Coming, *, but: str = "") -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer without those that speak of its body."""
    gone = {"content-length", "content-type", "etag", "content-encoding"} - {but}
    return tuple(pair for pair in answer.headers if pair[0].lower() not in gone)
