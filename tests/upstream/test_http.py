"""One call, one send, byte for byte; and an honest word about what became of it."""

from __future__ import annotations

import asyncio
import inspect
import ssl

import aiohttp
import pytest
from aiohttp import client_exceptions

from interlock.core.errors import UpstreamLost, UpstreamUnreachable
from interlock.upstream.http import NOT_SENT, translated
from tests.support.servers import (
    answer,
    closed_port,
    drop,
    raw,
    raw_server,
    reset,
    script,
    self_signed,
    silence,
)
from tests.upstream.calls import CALL, METHODS, Names, call_of, exchange_of

# ---- once --------------------------------------------------------------------------------------


@pytest.mark.parametrize("failure", [drop, reset], ids=["drop", "reset"])
@pytest.mark.parametrize("method", METHODS)
async def test_a_tool_that_acts_and_drops_the_line_is_called_once(to, method, failure):
    async with raw_server(failure) as server:
        body = b"x" if method in {"POST", "PUT", "PATCH"} else b""
        with pytest.raises(UpstreamLost):
            await to(server.url).send(call_of(method, "/effect", body))
        assert server.hits == 1


@pytest.mark.parametrize("method", METHODS)
async def test_a_kept_alive_connection_that_drops_is_not_retried_either(to, method):
    async with raw_server(script(answer(200), drop)) as server:
        upstream = to(server.url)
        await exchange_of(upstream)
        with pytest.raises(UpstreamLost):
            await upstream.send(call_of(method, "/effect", b"x"))
        assert (server.hits, server.connections) == (2, 1)


async def test_without_keep_alive_every_call_has_its_own_connection(to):
    async with raw_server() as server:
        upstream = to(server.url, keep_alive_s=0)
        await exchange_of(upstream)
        await exchange_of(upstream)
        assert (server.hits, server.connections) == (2, 2)


async def test_the_client_alone_would_have_sent_it_twice():
    async with raw_server(drop) as server, aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ServerDisconnectedError):
            await session.put(server.url + "/effect", data=b"x")
        assert server.hits == 2, "aiohttp has changed: the guard may be simplified"


# ---- not sent, or unknown ------------------------------------------------------------------------


async def test_a_refused_connection_is_provably_not_sent(to):
    with pytest.raises(UpstreamUnreachable, match="could not be reached"):
        await to(f"http://127.0.0.1:{await closed_port()}").send(CALL)


async def test_a_name_that_does_not_resolve_is_provably_not_sent(to):
    resolver = Names(OSError(-2, "Name or service not known"))
    with pytest.raises(UpstreamUnreachable, match="not known"):
        await to("http://tool.test", resolver=resolver).send(CALL)


async def test_a_connection_that_is_not_made_in_time_is_provably_not_sent(to):
    class Slow(Names):
        async def resolve(self, host, port=0, family=0):
            await asyncio.Event().wait()

    with pytest.raises(UpstreamUnreachable):
        await to("http://tool.test", resolver=Slow(), connect_s=0.05).send(CALL)


async def test_a_pool_without_a_free_connection_is_provably_not_sent(to):
    async def hang(received, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n")

    async with raw_server(hang) as server:
        upstream = to(server.url, max_connections=1, connect_s=0.05)
        held = await upstream.send(CALL)
        with pytest.raises(UpstreamUnreachable):
            await upstream.send(CALL)
        assert server.hits == 1
        await held.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A self-signed certificate that nobody trusts."""
    return self_signed(tmp_path_factory.mktemp("tls"))


async def test_a_certificate_that_is_not_trusted_is_provably_not_sent(to, certificate):
    key, chain = certificate
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(chain, key)
    hits = []

    async def serve(reader, writer):
        hits.append(await reader.read(10))
        writer.close()

    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda *_: None)  # the failed handshake of the server's side
    listener = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server_side)
    port = listener.sockets[0].getsockname()[1]
    with pytest.raises(UpstreamUnreachable, match="certificate"):
        await to(f"https://127.0.0.1:{port}").send(CALL)
    listener.close()
    assert hits == []


async def test_a_trusted_certificate_is_taken(to, certificate):
    key, chain = certificate
    server_side = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server_side.load_cert_chain(chain, key)
    async with raw_server(answer(200, b"ok"), tls=server_side) as server:
        tls = ssl.create_default_context(cafile=chain)
        upstream = to(f"https://127.0.0.1:{server.port}", tls=tls)
        assert (await exchange_of(upstream))[2] == b"ok"


async def test_tls_to_a_server_that_speaks_none_is_provably_not_sent(to):
    async with raw_server() as server:
        with pytest.raises(UpstreamUnreachable):
            await to(f"https://127.0.0.1:{server.port}", connect_s=0.3).send(CALL)
        assert server.hits == 0


async def test_silence_after_the_request_is_an_unknown_outcome(to):
    async with raw_server(silence) as server:
        with pytest.raises(UpstreamLost):
            await to(server.url, read_s=0.05).send(CALL)
        assert server.hits == 1


@pytest.mark.parametrize(
    "nonsense",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA",
        b"HTTP/1.1 200 OK\r\nA\0: b\r\n\r\n",
    ],
)
async def test_an_answer_that_is_not_http_is_an_unknown_outcome(to, nonsense):
    async with raw_server(raw(nonsense)) as server:
        with pytest.raises(UpstreamLost):
            await to(server.url).send(CALL)
        assert server.hits == 1


@pytest.mark.parametrize(
    "head",
    ["Content-Length: 100", "Transfer-Encoding: chunked"],
)
async def test_an_answer_cut_in_the_middle_says_so_after_what_came(to, head):
    part = b"5\r\nhello\r\n" if "chunked" in head else b"hello"
    async with raw_server(raw(f"HTTP/1.1 200 OK\r\n{head}\r\n\r\n".encode() + part)) as server:
        exchange = await to(server.url).send(CALL)
        came = b""
        with pytest.raises(UpstreamLost, match="broke off"):
            async for chunk in exchange.chunks():
                came += chunk
        await exchange.close()
        assert (exchange.status, came, server.hits) == (200, b"hello", 1)


def _client_errors():
    found = vars(client_exceptions).values()
    kinds = {c for c in found if inspect.isclass(c) and issubclass(c, Exception)}
    return {c for c in kinds if c.__module__ == client_exceptions.__name__}


PROVEN = {
    "ClientConnectorError",
    "ClientConnectorDNSError",
    "ClientProxyConnectionError",
    "UnixClientConnectorError",
    "ClientSSLError",
    "ClientConnectorSSLError",
    "ClientConnectorCertificateError",
    "ConnectionTimeoutError",
    "ServerFingerprintMismatch",
    "InvalidURL",
    "InvalidUrlClientError",
    "InvalidUrlRedirectClientError",
    "NonHttpUrlClientError",
    "NonHttpUrlRedirectClientError",
}


def test_every_error_of_the_client_is_not_sent_or_unknown_and_the_list_is_known():
    kinds = _client_errors()
    assert len(kinds) > 20
    assert {kind.__name__ for kind in kinds if issubclass(kind, NOT_SENT)} == PROVEN


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ServerDisconnectedError(),
        aiohttp.SocketTimeoutError(),
        aiohttp.ClientOSError(104, "reset"),
        aiohttp.ClientPayloadError(),
        TimeoutError(),
        ConnectionResetError(),
        RuntimeError("something new"),
        ValueError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_what_proves_nothing_is_an_unknown_outcome(error):
    assert isinstance(translated(error), UpstreamLost)


async def test_what_a_tool_sends_unasked_is_nobodys_answer(to) -> None:
    """Fault caught: it waits in the pool, and every later answer goes to the wrong agent."""
    planted = asyncio.Event()
    idle = asyncio.Event()

    async def play(received, writer) -> None:
        path = received.head.split(b" ")[1]
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(path), path))
        if path == b"/1":
            await idle.wait()
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\nPLANTED")
            await writer.drain()
            planted.set()

    async with raw_server(play) as server:
        upstream = to(server.url)
        assert (await exchange_of(upstream, call_of("GET", "/1")))[2] == b"/1"
        idle.set()
        await planted.wait()
        for _ in range(100):  # it is here before the next call is made
            await asyncio.sleep(0)
        for path in ("/2", "/3", "/4"):
            assert (await exchange_of(upstream, call_of("GET", path)))[2] == path.encode()
        assert server.connections == 2
