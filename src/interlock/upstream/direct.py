"""One exchange over a pooled connection of aiohttp, past its session.

The session takes three times the processor time of the exchange itself, for what is switched off
here anyway: redirects, cookies, proxies, traces, middlewares, and a loop that sends again. What is
written is one block of bytes made here, once; there is nothing on this way that could repeat it.

It takes plain calls only, and relies on parts of aiohttp that are not documented: `http.py` uses
it with the versions that it was tried with, and goes through the session in every other case.
"""

from __future__ import annotations

import asyncio
import re

import aiohttp
from aiohttp.connector import Connection
from aiohttp.http import RawResponseMessage
from yarl import URL

from ..core.actions import ToolCall
from .credentials import Headers

TRIED = re.compile(r"3\.14\.")  #: versions of aiohttp
_SMALL = 2**16  #: bytes; a larger body may be answered before it is sent as a whole
_MAX_HEADER = 2**16
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})  #: say nothing of the length of no body
_TARGET = re.compile(r"/[!-~]*")
_FRAMING = frozenset({"connection", "content-length", "expect", "host", "transfer-encoding"})
_CONTROL = re.compile("[\x00-\x08\x0a-\x1f\x7f\ud800-\udfff]")


class DirectResponse:
    """An answer whose head is here: the parts of `aiohttp.ClientResponse` that are used."""

    __slots__ = ("_connection", "content", "raw_headers", "status")

    def __init__(
        self, connection: Connection, message: RawResponseMessage, content: aiohttp.StreamReader
    ) -> None:
        self.status = message.code
        self.raw_headers = message.raw_headers
        self.content = content
        self._connection: Connection | None = connection
        content.on_eof(self._ended)

    def _ended(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.release()

    def close(self) -> None:
        """Cut what has not come yet; without effect at the end of the answer."""
        connection, self._connection = self._connection, None
        if connection is not None:
            if self.content.exception() is None:
                self.content.set_exception(aiohttp.ClientConnectionError("Connection closed"))
            connection.close()


class Direct:
    """Sends plain calls to one tool over the pool of *session*, which is that of *connector*."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        connector: aiohttp.BaseConnector,
        base: URL,
        timeout: aiohttp.ClientTimeout,
    ) -> None:
        self._connector = connector
        self._timeout = timeout
        self._path = base.raw_path.rstrip("/")
        self._host = base.host_port_subcomponent
        loop = asyncio.get_running_loop()
        # where to connect to is all that a connector reads of a request
        self._where = aiohttp.ClientRequest("GET", base, loop=loop, session=session)

    def written(self, call: ToolCall, headers: Headers) -> bytes | None:
        """Return the request as it will be written, or None where it is not a plain one."""
        body, said = call.body, "".join([part for pair in headers for part in pair])
        if len(body) >= _SMALL or call.method not in _METHODS or _CONTROL.search(said):
            return None
        if not _TARGET.fullmatch(call.target) or "#" in call.target:
            return None
        lines = [f"{call.method} {self._path}{call.target} HTTP/1.1\r\nHost: {self._host}\r\n"]
        for name, value in headers:
            if name.lower() in _FRAMING:
                return None
            lines.append(f"{name}: {value}\r\n")
        if body or call.method not in _BODILESS:
            lines.append(f"Content-Length: {len(body)}\r\n")
        lines.append("\r\n")
        return "".join(lines).encode() + body

    async def send(self, method: str, request: bytes) -> DirectResponse:
        """Write *request* once and return as soon as the head of its answer is there.

        Raises:
            Exception: those of aiohttp; see `http.translated`.
        """
        try:
            connection = await self._connector.connect(self._where, [], self._timeout)
        except TimeoutError as error:
            raise aiohttp.ConnectionTimeoutError("Connection timeout") from error
        try:
            return await self._exchanged(connection, method, request)
        except BaseException:
            connection.close()
            raise

    async def _exchanged(
        self, connection: Connection, method: str, request: bytes
    ) -> DirectResponse:
        protocol, transport = connection.protocol, connection.transport
        if protocol is None or transport is None:
            raise aiohttp.ServerDisconnectedError
        protocol.set_response_params(
            skip_payload=method == "HEAD",
            read_until_eof=True,
            auto_decompress=False,
            read_timeout=self._timeout.sock_read,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
        )
        transport.write(request)
        protocol.start_timeout()
        while True:
            message, content = await protocol.read()
            if not 100 <= message.code <= 199 or message.code == 101:
                return DirectResponse(connection, message, content)
