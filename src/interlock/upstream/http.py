"""Calls a tool over HTTP: once, byte for byte, following nothing and adding nothing.

aiohttp by itself would send PUT, DELETE, GET, HEAD and OPTIONS twice, follow redirects, share
cookies between agents, decompress answers, obey proxy variables and normalise `..`. Each of
these is switched off here and each has a test (measured on aiohttp 3.14.5).
"""

from __future__ import annotations

import re
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver
from aiohttp.connector import Connection
from yarl import URL

from ..core.actions import ToolCall
from ..core.errors import UpstreamError, UpstreamLost, UpstreamUnreachable
from ..reach import CheckedResolver, check_host, reach_of
from .credentials import Credential, Headers, NoCredential
from .direct import TRIED, Direct, DirectResponse

DIRECT = TRIED.match(aiohttp.__version__) is not None
_AUTO_HEADERS = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade".split()
)
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f]")
_LARGE = 2**20  # bytes; aiohttp writes larger bodies in one go, and warns
_PIECE = 2**16
_UNCLEAN = 200  # connections of one pool that may all be spoilt
_MAX_HEADER = 2**16

NOT_SENT: tuple[type[Exception], ...] = (
    aiohttp.ClientConnectorError,  # DNS, TCP, TLS: no connection, so no request
    aiohttp.ConnectionTimeoutError,  # neither a free nor a new connection in time
    aiohttp.ServerFingerprintMismatch,
    aiohttp.InvalidURL,
    aiohttp.NonHttpUrlClientError,
)
"""aiohttp's errors that prove that no byte of the request has left. Every other one does not:
a reused connection that breaks (ServerDisconnectedError) may have carried the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpSettings:
    """Where a tool is and how long it may take; times in seconds.

    `url` is the base, to which a call's target is appended. `read_s` is the longest silence
    between two reads. `keep_alive_s` stays under the usual 5 s of servers, so that a connection
    is rarely reused while the other side closes it; 0 opens a new one for every call.
    """

    url: str
    credential: Credential = field(default_factory=NoCredential)
    allow_private: bool = False
    connect_s: float = 5.0
    read_s: float = 60.0
    keep_alive_s: float = 4.0
    max_connections: int = 1000
    tls: ssl.SSLContext | None = None  #: None: the system's certificates

    def __post_init__(self) -> None:
        host = base_url(self.url).host or ""
        check_host(host, reach_of(host, allow_private=self.allow_private))


def base_url(text: str) -> URL:
    """Return the base URL of an upstream, checked.

    Raises:
        ValueError: it is not `http(s)://host[:port][/path]`.
    """
    url = URL(text)
    if url.scheme not in {"http", "https"} or not url.host:
        raise ValueError(f"{text!r} is not an http:// or https:// URL with a host.")
    if url.user is not None or url.password is not None:
        raise ValueError("A URL must not hold a credential; use `credential:` for it.")
    if "?" in text or "#" in text:
        raise ValueError(f"{text!r} must end with its path: no query and no fragment.")
    return url


class HttpUpstream:
    """One tool, one pool of connections, no memory of any caller."""

    def __init__(self, settings: HttpSettings, *, resolver: AbstractResolver | None = None) -> None:
        self._settings = settings
        self._base = settings.url.rstrip("/")
        host = base_url(settings.url).host or ""
        reach = reach_of(host, allow_private=settings.allow_private)
        self._resolver = CheckedResolver(reach, resolver)
        self._session: aiohttp.ClientSession | None = None
        self._direct: Direct | None = None
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            connect=settings.connect_s,
            sock_connect=settings.connect_s,
            sock_read=settings.read_s,
        )

    def serves(self, call: ToolCall) -> bool:
        """Any process can send a call over HTTP."""
        return True

    async def send(self, call: ToolCall) -> HttpExchange:
        """Send *call* once and return as soon as the answer's head is there.

        Raises:
            UpstreamUnreachable: provably nothing was sent.
            UpstreamLost: something may have been sent; the outcome is unknown.
        """
        url = self._base + call.target
        headers = self._authenticated(call, url)
        try:
            response = await self._sent(call, url, headers)
        except UpstreamError:
            raise
        except Exception as error:  # whatever it is, the call may have left: never a retry
            raise translated(error) from error
        if not 200 <= response.status <= 599:
            response.close()
            raise UpstreamLost(
                f"The tool answered with {response.status}, which is no final status."
            )
        return HttpExchange(response)

    async def _sent(
        self, call: ToolCall, url: str, headers: Headers
    ) -> aiohttp.ClientResponse | DirectResponse:
        session = self._open()
        if self._direct is not None:
            request = self._direct.written(call, headers)
            if request is not None:
                return await self._direct.send(call.method, request)
        return await session.request(
            call.method,
            URL(url, encoded=True),
            headers={"Content-Length": str(len(call.body))} if call.body else None,
            data=_payload(call.body),
            allow_redirects=False,
            middlewares=(_once(headers),),
        )

    def _authenticated(self, call: ToolCall, url: str) -> Headers:
        try:
            return self._settings.credential.apply(call, url, call.headers)
        except UpstreamError:
            raise
        except (
            Exception
        ) as error:  # a signer's error: its text may hold the secret, so only its kind
            raise UpstreamUnreachable(
                f"The credential could not be applied ({type(error).__name__})."
            ) from None

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = self._new_connector()
            self._session = self._new_session(connector)
            if DIRECT and self._settings.keep_alive_s > 0:
                base = base_url(self._settings.url)
                self._direct = Direct(self._session, connector, base, self._timeout)
        return self._session

    def _new_connector(self) -> aiohttp.BaseConnector:
        settings = self._settings
        pool: dict[str, Any] = (
            {"keepalive_timeout": settings.keep_alive_s}
            if settings.keep_alive_s > 0
            else {"force_close": True}
        )
        return _Connector(
            resolver=self._resolver,
            use_dns_cache=False,
            limit=settings.max_connections,
            ssl=settings.tls or True,
            **pool,
        )

    def _new_session(self, connector: aiohttp.BaseConnector) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            trust_env=False,
            skip_auto_headers=_AUTO_HEADERS,
            max_line_size=_MAX_HEADER,
            max_field_size=_MAX_HEADER,
            timeout=self._timeout,
        )

    async def close(self) -> None:
        """Close every connection. Calls in flight end as UpstreamLost."""
        if self._session is not None:
            await self._session.close()
            self._session = self._direct = None
        await self._resolver.close()


class _Connector(aiohttp.TCPConnector):
    """Hands out no connection on which something came that nobody asked for.

    aiohttp keeps what a tool sends between two calls and takes it for the answer to the next
    one, which another agent may have made; from then on every answer would be late by one.
    """

    async def connect(
        self,
        req: aiohttp.ClientRequest,
        traces: list[aiohttp.tracing.Trace],
        timeout: aiohttp.ClientTimeout,  # noqa: ASYNC109 -- aiohttp names it
    ) -> Connection:
        for _ in range(_UNCLEAN):
            connection = await super().connect(req, traces, timeout)
            if connection.protocol is not None and not connection.protocol.should_close:
                return connection
            connection.close()
        error = OSError("it speaks before it is asked")
        raise aiohttp.ClientConnectorError(req.connection_key, error)


class HttpExchange:
    """An answer as it arrives; see `ports.Exchange`."""

    def __init__(self, response: aiohttp.ClientResponse | DirectResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers = _end_to_end(response.raw_headers)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the body as it comes, still encoded. Raises UpstreamLost where it breaks off."""
        try:
            async for chunk in self._response.content.iter_any():
                yield chunk
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise UpstreamLost(f"The answer broke off: {_reason(error)}") from error

    async def close(self) -> None:
        """Give the connection back if the answer was read to its end, else close it."""
        self._response.close()


def translated(error: Exception) -> UpstreamError:
    """Return what an exception of the client says about the call: not sent, or unknown."""
    if isinstance(error, NOT_SENT):
        return UpstreamUnreachable(f"The tool could not be reached: {_reason(error)}")
    return UpstreamLost(f"The call was sent and no answer came: {_reason(error)}")


def _reason(error: Exception) -> str:
    said = str(error) or "no further word"
    if isinstance(error, aiohttp.ClientConnectorError) and error.strerror is None:
        said = str(error.os_error)
    return f"{said} ({type(error).__name__})"


def _once(headers: Headers) -> aiohttp.ClientMiddlewareType:
    """Return a middleware that lets one attempt through; aiohttp never sees an error to retry.

    It also writes *headers* itself: aiohttp drops one of `accept: a` and `Accept: b`.
    """
    sent = False

    async def once(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        nonlocal sent
        if sent:
            raise UpstreamLost("The client tried to send the call again and was stopped.")
        sent = True
        length = request.headers.popall("Content-Length", ())
        request.headers.extend([*headers, *(("Content-Length", each) for each in length)])
        try:
            return await handler(request)
        except Exception as error:
            raise translated(error) from error

    return once


def _payload(body: bytes) -> Any:
    if len(body) < _LARGE:
        return body or None
    return _pieces(body)


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]


def _end_to_end(raw: tuple[tuple[bytes, bytes], ...]) -> Headers:
    """Return the answer's headers without those of its connection (RFC 9110 7.6.1).

    No tool speaks in our name, and none breaks the answer with a control character.
    """
    dropped, passed = _HOP_BY_HOP, []
    for name, value in raw:
        if name.lower() == b"connection":
            dropped |= {_text(token).strip().lower() for token in value.split(b",")}
    for name, value in raw:
        said = _text(name)
        lower = said.lower()
        if lower in dropped or lower.startswith("interlock-"):
            continue
        if _CONTROL.search(name) is None and _CONTROL.search(value) is None:
            passed.append((said, _text(value)))
    return tuple(passed)


def _text(raw: bytes) -> str:
    """Decode a header; one that is not UTF-8 is Latin-1, as it was before (RFC 9110 5.5)."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")
