"""The short way to a tool writes what the session would, and leaves to it what is not plain."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from yarl import URL

from interlock.core.errors import UpstreamLost
from interlock.upstream.direct import TRIED, Direct
from interlock.upstream.http import HttpSettings, HttpUpstream
from tests.support.servers import answer, raw_server
from tests.upstream.calls import CALL, METHODS, call_of, exchange_of

TIMES = aiohttp.ClientTimeout(total=None, connect=5, sock_connect=5, sock_read=5)


@pytest.fixture
async def direct():
    connector = aiohttp.TCPConnector()
    async with aiohttp.ClientSession(connector=connector) as session:
        yield Direct(session, connector, URL("http://tool.test/base/"), TIMES)


def test_the_installed_version_is_one_that_it_was_tried_with() -> None:
    assert TRIED.match(aiohttp.__version__)


@pytest.mark.parametrize("version", ["3.13.9", "3.15.0", "4.0.0", "13.14.0"])
def test_other_versions_are_not(version: str) -> None:
    assert TRIED.match(version) is None


@pytest.mark.parametrize("body", [b"", b"x", b"\r\n\r\nGET / HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("method", METHODS)
async def test_either_way_writes_the_same_bytes(monkeypatch, method, body) -> None:
    headers = (("X-One", "1"), ("accept", "a/b"), ("Accept", "c/d"), ("X-Word", "ü"))
    call = call_of(method, "/a%2Fb//c?d=%20&e", body, *headers)
    async with raw_server() as server:
        for direct in (True, False):
            monkeypatch.setattr("interlock.upstream.http.DIRECT", direct)
            upstream = HttpUpstream(HttpSettings(url=server.url + "/base"))
            await exchange_of(upstream, call)
            await upstream.close()
        one, other = server.requests
    assert (one.head, one.body) == (other.head, other.body)


def test_a_plain_call_is_written_here(direct) -> None:
    written = direct.written(call_of("POST", "/a?b", b"{}"), (("A", "b"),))

    assert written == (
        b"POST /base/a?b HTTP/1.1\r\nHost: tool.test\r\nA: b\r\nContent-Length: 2\r\n\r\n{}"
    )


@pytest.mark.parametrize(
    "call",
    [
        call_of("CONNECT", "/"),
        call_of("get", "/"),
        call_of("GET", "/a b"),
        call_of("GET", "/a\r\nX: y"),
        call_of("GET", "/a\n"),
        call_of("GET", "/ü"),
        call_of("GET", "/a#b"),
        call_of("GET", "a"),
        call_of("POST", "/", bytes(2**16)),
    ],
)
def test_what_is_not_plain_is_left_to_the_session(direct, call) -> None:
    assert direct.written(call, ()) is None


@pytest.mark.parametrize(
    "header",
    [
        ("Host", "elsewhere"),
        ("content-length", "1"),
        ("Transfer-Encoding", "chunked"),
        ("Connection", "close"),
        ("Expect", "100-continue"),
        ("A", "b\r\nC: d"),
        ("A\n", "b"),
        ("A", "b\x00"),
        ("A", "\udc80"),
    ],
)
def test_a_header_that_frames_or_breaks_is_left_to_the_session(direct, header) -> None:
    assert direct.written(CALL, (header,)) is None


async def test_a_connection_is_used_again_once_its_answer_was_read(to) -> None:
    async with raw_server(answer(200, b"x" * 70_000)) as server:
        upstream = to(server.url)
        for _ in range(3):
            assert (await exchange_of(upstream))[2] == b"x" * 70_000
        assert (server.hits, server.connections) == (3, 1)


async def test_a_connection_with_the_rest_of_an_answer_is_never_used_again(to) -> None:
    async def half(received, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf!")
        await writer.drain()

    async with raw_server(half) as server:
        upstream = to(server.url)
        for _ in range(2):
            exchange = await upstream.send(CALL)
            await exchange.close()
        assert (server.hits, server.connections) == (2, 2)


async def test_who_reads_an_answer_that_is_closed_hears_of_it(to) -> None:
    async def half(received, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        await writer.drain()

    async with raw_server(half) as server:
        exchange = await to(server.url).send(CALL)
        reading = asyncio.ensure_future(anext(exchange.chunks()))
        await asyncio.sleep(0)
        await exchange.close()
        with pytest.raises(UpstreamLost, match="broke off"):
            await reading
