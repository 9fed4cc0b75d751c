"""What a server answers, on its way to the client: untouched, or message by message.

An answer that is not looked into passes in the pieces in which it came. Where one breaks off, or
ends without the response that was asked for, the client is told so instead of left waiting, unless
it can resume the stream itself.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable

from aiohttp import web

from ...core.errors import MalformedMessage, UpstreamLost
from ...core.messages import Kind, Message, read_message, write_message
from ...core.sse import Event, Reader, written
from .headers import EVENTS
from .replying import Coming, Reply, media, value, whole
from .session import Document

ONE_WRITE = 65_536  #: bytes; longer answers are passed on piece by piece
LARGEST = 32 * 2**20  #: bytes of an answer that is read as a whole
_BODILESS = frozenset({204, 304})
_JSON = "application/json"

Told = Callable[[UpstreamLost], Document]
"""Returns the response that tells a client that the server's own was lost."""

Change = Callable[[Document], Awaitable[Document | None]]
"""Returns what the client gets of a message of the server; None: nothing."""


async def pass_through(
    reply: Reply, answer: Coming, message: Message | None = None, told: Told | None = None
) -> web.StreamResponse:
    """Pass an answer on as it comes. *message*: the request that it must answer, if it is one."""
    if _length(answer) <= ONE_WRITE and not reply.began:
        return await _pass_at_once(answer, message, told)
    await reply.begin(answer.status, answer.headers)
    events = answer.status == 200 and media(answer.headers) == EVENTS
    watch = Watch()
    try:
        async for chunk in answer.chunks():
            if events:
                watch.saw(chunk)
            await reply.pipe(chunk)
    except UpstreamLost as broken:
        if told is None or not events or not watch.can_add:
            return reply.cut()
        return await reply.say(told(broken))
    if events and told is not None and watch.can_add:
        return await reply.say(told(UpstreamLost(_ENDED)))
    return await reply.end()


_ENDED = "The server ended its answer without a response."


class Watch:
    """What has to be known of a stream that is not read: whether a response is still missing."""

    def __init__(self) -> None:
        self._tail = b"\n\n"
        self._satisfied = False

    def saw(self, chunk: bytes) -> None:
        """Look through a piece for what only a response, or a stream to resume, can hold."""
        seen = self._tail + chunk
        if not self._satisfied:
            signs = (b'"result"', b'"error"', b"\nid:", b"\rid:")
            self._satisfied = any(sign in seen for sign in signs)
        self._tail = seen[-8:]

    @property
    def can_add(self) -> bool:
        """Whether no response came, none can be asked for, and no event is half said."""
        return not self._satisfied and self._tail.endswith((b"\n\n", b"\r\r", b"\r\n\r\n"))


async def _pass_at_once(
    answer: Coming, message: Message | None, told: Told | None
) -> web.StreamResponse:
    try:
        body = b"".join([chunk async for chunk in answer.chunks()])
        if message is not None and answer.status == 200 and media(answer.headers) == _JSON:
            _must_answer(body, message)
    except UpstreamLost as broken:
        if told is None:
            raise
        return whole(200, (("Content-Type", _JSON),), write_message(told(broken)))
    if answer.status in _BODILESS:
        body = b""
    return whole(answer.status, answer.headers, body)


def _must_answer(body: bytes, message: Message) -> None:
    """Let no answer pass that its client would wait on for ever. Raises UpstreamLost."""
    for sign in (b'"id":', b'"id": '):
        if sign + json.dumps(message.id).encode() in body:
            return  # by far the usual case; a client finds what else may be wrong
    answers(_read(body), message)


def answers(given: Message, message: Message) -> bool:
    """Say whether *given* is the response to *message*. Raises UpstreamLost where it is to another.

    A response without an id is one to a message that the server could not read.
    """
    if given.kind is not Kind.RESPONSE:
        return False
    if given.id is not None and given.id != message.id:
        raise UpstreamLost("The server answered with the id of another request.")
    return True


async def read_whole(answer: Coming, largest: int = LARGEST) -> bytes:
    """Return the body of an answer. Raises UpstreamLost where it breaks off or is too long."""
    body = bytearray()
    async for chunk in answer.chunks():
        body += chunk
        if len(body) > largest:
            raise UpstreamLost(f"The server answered with more than {largest} bytes.")
    return bytes(body)


async def pass_changed(
    reply: Reply, answer: Coming, told: Told | None, change: Change
) -> web.StreamResponse:
    """Pass an answer on message by message, each as *change* returns it.

    Where the stream to the client has begun already, a JSON answer becomes its last event.
    """
    kind = media(answer.headers)
    unread = _unreadable(answer, kind)
    if unread and answer.status == 200 and told is not None:
        return await reply.say(told(UpstreamLost(f"The server's answer cannot be read: {unread}.")))
    if unread:
        return await pass_through(reply, answer)
    if kind == EVENTS and answer.status == 200:
        return await _pass_events(reply, answer, told, change)
    try:
        body = await read_whole(answer)
        if answer.status != 200 and not _is_message(body):
            return whole(answer.status, answer.headers, body)
        document = await change(_read(body).document)
        if document is None:
            raise UpstreamLost(_ENDED)
    except UpstreamLost as broken:
        if told is None:
            raise
        return await reply.say(told(broken))
    return await reply.say(document, answer.status, without_body(answer))


def _unreadable(answer: Coming, kind: str) -> str:
    """Say why an answer that has to be read cannot be: a client might read it all the same."""
    if value(answer.headers, "content-encoding"):
        return "it is encoded, though nobody asked for that"
    return "" if kind in (_JSON, EVENTS) else f"it is neither {_JSON} nor {EVENTS}"


def _is_message(body: bytes) -> bool:
    try:
        read_message(body)
    except MalformedMessage:
        return False
    return True


async def _pass_events(
    reply: Reply, answer: Coming, told: Told | None, change: Change
) -> web.StreamResponse:
    if not reply.began:
        await reply.begin(200, without_body(answer, but="content-type"))
    reader, responded = Reader(), False
    lost = UpstreamLost(_ENDED)
    try:
        async for event in _events(answer, reader):
            responded = await _pipe(reply, event, change) or responded
    except UpstreamLost as broken:
        lost = broken
        if told is None or responded or reader.resumable:
            return reply.cut()
    if told is None or responded or reader.resumable:
        return await reply.end()
    return await reply.say(told(lost))


async def _pipe(reply: Reply, event: Event, change: Change) -> bool:
    """Write an event as it is changed; return whether it held a response."""
    given = _messages_in(event)
    changed = [await change(each) for each in given]
    if all(a is b for a, b in zip(given, changed, strict=True)):
        await reply.pipe(written(event))
    else:
        for each in changed:
            if each is not None:
                await reply.pipe(written(event.saying(write_message(each))))
    return any("method" not in each for each in given)


async def _events(answer: Coming, reader: Reader) -> AsyncIterator[Event]:
    async for chunk in answer.chunks():
        for event in reader.feed(chunk):
            yield event


def _messages_in(event: Event) -> list[Document]:
    """Return the messages that an event carries: one, or in 2025-03-26 several."""
    data = event.data
    if data is None or event.name != b"message":
        return []
    try:
        said = json.loads(data)
    except (ValueError, RecursionError):
        return []  # what we cannot read, the client cannot: it says so itself
    return [each for each in (said if isinstance(said, list) else [said]) if isinstance(each, dict)]


def _read(body: bytes) -> Message:
    try:
        return read_message(body)
    except MalformedMessage as refused:
        raise UpstreamLost(f"The server's answer cannot be read: {refused.detail}") from None


def _length(answer: Coming) -> float:
    said = value(answer.headers, "content-length")
    if said.isdecimal():
        return int(said)
    return 0 if answer.status in _BODILESS else float("inf")


def without_body(answer: Coming, *, but: str = "") -> tuple[tuple[str, str], ...]:
    """Return the headers of an answer without those that speak of its body."""
    gone = {"content-length", "content-type", "etag", "content-encoding"} - {but}
    return tuple(pair for pair in answer.headers if pair[0].lower() not in gone)
