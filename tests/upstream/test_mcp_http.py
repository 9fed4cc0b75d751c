"""MCP servers over HTTP: called once, at the place that was configured, on the right session."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from interlock.core.actions import Agent, McpTool, ToolCall
from interlock.core.errors import UpstreamLost, UpstreamUnreachable
from interlock.upstream.credentials import BearerCredential, Secret
from interlock.upstream.http import HttpSettings
from interlock.upstream.mcp_http import McpHttpUpstream, slash_only

BODY = b'{"jsonrpc":"2.0","id":1,"method":"tools/call"}'
Script = Callable[[web.BaseRequest], Awaitable[web.StreamResponse]]


def a_call(method: str = "tools/call", body: bytes = BODY, **headers: str) -> ToolCall:
    return ToolCall(
        agent=Agent(id="bot"),
        upstream="shop",
        method=method,
        target="/",
        headers=tuple((name.replace("_", "-"), value) for name, value in headers.items()),
        body=body,
        mcp=McpTool(name="look", session="s-1"),
    )


class Place:
    """A server that remembers what came, and does as its script says."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []
        self.headers: list[dict[str, str]] = []
        self.opened: list[McpHttpUpstream] = []
        self.script: Script | None = None

    async def start(self) -> None:
        self._server = web.Server(self._answer, handler_cancellation=True)
        self._site = await asyncio.get_running_loop().create_server(self._server, "127.0.0.1", 0)
        self.origin = f"http://127.0.0.1:{self._site.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        for each in self.opened:
            await each.close()
        self._site.close()
        await self._server.shutdown(0.1)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        await request.read()
        self.seen.append((request.method, request.path))
        self.headers.append({name.lower(): value for name, value in request.headers.items()})
        return await self.script(request) if self.script else web.Response(text="{}")

    def upstream(self, path: str = "/mcp", **more: Any) -> McpHttpUpstream:
        usual: dict[str, Any] = {"allow_private": True, "read_s": 0.05}
        self.opened.append(McpHttpUpstream(HttpSettings(url=self.origin + path, **(usual | more))))
        return self.opened[-1]

    def moves(self, path: str, to: str, status: int = 307) -> None:
        """Redirect what comes to *path*, as web frameworks do."""

        async def answer(request: web.BaseRequest) -> web.StreamResponse:
            if request.path != path:
                return web.Response(text="{}")
            return web.Response(status=status, headers={"Location": to})

        self.script = answer


@pytest.fixture
async def place() -> AsyncIterator[Place]:
    made = Place()
    await made.start()
    yield made
    await made.stop()


async def body_of(exchange: Any) -> bytes:
    try:
        return b"".join([chunk async for chunk in exchange.chunks()])
    finally:
        await exchange.close()


async def test_a_call_is_posted_to_the_endpoint_on_its_session(place: Place) -> None:
    secret = BearerCredential(token=Secret("t"))
    upstream = place.upstream("/a%2Fb/mcp", credential=secret)
    exchange = await upstream.send(a_call(Accept="x", Content_Type="y", Mcp_Name="look"))
    assert await body_of(exchange) == b"{}"

    assert place.seen == [("OPTIONS", "/a/b/mcp"), ("POST", "/a/b/mcp")]
    headers = place.headers[-1]
    assert headers["accept"] == "application/json, text/event-stream"
    assert headers["content-type"] == "application/json"
    assert headers["mcp-session-id"] == "s-1"
    assert headers["mcp-name"] == "look"
    assert headers["authorization"] == "Bearer t"


async def test_streams_are_passed_on_with_what_the_client_accepts(place: Place) -> None:
    upstream = place.upstream()
    for call in (a_call("GET", b"", Accept="text/event-stream"), a_call("DELETE", b"")):
        await (await upstream.pass_on(call)).close()
    assert place.seen[1:] == [("GET", "/mcp"), ("DELETE", "/mcp")]
    assert place.headers[1]["accept"] == "text/event-stream"
    assert place.headers[2]["mcp-session-id"] == "s-1"
    assert "content-type" not in place.headers[1]


@pytest.mark.parametrize(("given", "found"), [("/mcp", "/mcp/"), ("/mcp/", "/mcp")])
async def test_the_other_spelling_is_found_before_anything_is_sent(
    place: Place, given: str, found: str
) -> None:
    place.moves(given, found)
    upstream = place.upstream(given)
    for _ in range(2):
        await body_of(await upstream.send(a_call()))
    assert place.seen == [("OPTIONS", given), ("POST", found), ("POST", found)]


@pytest.mark.parametrize("to", ["/other", "http://127.0.0.1:1/mcp/", "/mcp/?x=1", ""])
async def test_a_call_follows_no_redirect_to_another_place(place: Place, to: str) -> None:
    place.moves("/mcp", to)
    upstream = place.upstream()
    with pytest.raises(UpstreamUnreachable, match=r"redirects to .* set the `url`"):
        await upstream.send(a_call())
    assert {path for _, path in place.seen} == {"/mcp"}


async def test_a_redirect_that_may_follow_an_execution_leaves_the_outcome_open(
    place: Place,
) -> None:
    place.moves("/mcp", "/result", 303)
    with pytest.raises(UpstreamLost, match="redirects to /result"):
        await place.upstream().send(a_call())


async def test_a_server_that_moves_later_is_looked_for_again(place: Place) -> None:
    upstream = place.upstream()
    await body_of(await upstream.send(a_call()))
    place.moves("/mcp", "/mcp/")
    with pytest.raises(UpstreamUnreachable, match="Nothing was executed"):
        await upstream.send(a_call())
    assert (await upstream.send(a_call())).status == 200


async def test_a_server_that_is_not_there_gets_nothing(place: Place) -> None:
    upstream = place.upstream()
    place._site.close()
    for way in (upstream.send, upstream.pass_on):
        with pytest.raises(UpstreamUnreachable):
            await way(a_call("POST"))


async def test_a_server_that_drops_what_it_does_not_know_is_called_all_the_same(
    place: Place,
) -> None:
    async def posts_only(request: web.BaseRequest) -> web.StreamResponse:
        if request.method != "POST":
            assert request.transport is not None
            request.transport.abort()
        return web.Response(text="{}")

    place.script = posts_only
    assert await body_of(await place.upstream().send(a_call())) == b"{}"


async def test_silence_ends_a_call_and_no_stream(place: Place) -> None:
    go_on = asyncio.Event()

    async def quiet(request: web.BaseRequest) -> web.StreamResponse:
        if request.method == "OPTIONS":
            return web.Response(status=405)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b": hello\n\n")
        await go_on.wait()
        await response.write(b": again\n\n")
        return response

    place.script = quiet
    upstream = place.upstream()
    stream = await upstream.pass_on(a_call("GET", b""))
    with pytest.raises(UpstreamLost):
        await body_of(await upstream.send(a_call()))  # its silence was longer than `read_s`
    go_on.set()
    assert await body_of(stream) == b": hello\n\n: again\n\n"


async def test_statuses_of_the_server_are_left_to_whoever_asked(place: Place) -> None:
    async def gone(request: web.BaseRequest) -> web.StreamResponse:
        return web.Response(status=404)

    place.script = gone
    upstream = place.upstream()
    assert (await upstream.pass_on(a_call("GET", b""))).status == 404
    assert not upstream.forgot("s-1")  # its client is told
    assert (await upstream.send(a_call())).status == 404
    assert (upstream.forgot("s-1"), upstream.forgot("s-1")) == (True, False)


@pytest.mark.parametrize(
    ("location", "only"),
    [
        ("/mcp/", True),
        ("http://h:80/mcp/", True),
        ("mcp/", True),
        ("/mcp", False),
        ("/mcp//", False),
        ("//h.evil/mcp/", False),
        ("https://h/mcp/", False),
        ("http://h:8080/mcp/", False),
        ("http://u@h/mcp/", False),
        ("http://h:x/mcp/", False),
        ("/MCP/", False),
    ],
)
def test_nothing_but_the_slash_may_differ(location: str, only: bool) -> None:
    assert slash_only("http://h/mcp", location) is only


async def test_no_message_is_on_a_connection_on_which_a_notification_was(place: Place) -> None:
    """Fault caught: a server drops that connection late, and another session gets a 504."""
    peers: list[Any] = []

    async def peer(request: web.BaseRequest) -> web.StreamResponse:
        assert request.transport is not None
        peers.append(request.transport.get_extra_info("peername"))
        return web.Response(text="{}")

    place.script = peer
    upstream = place.upstream(read_s=5)
    notice = b'{"jsonrpc":"2.0","method":"notifications/initialized"}'
    for method, body in (("POST", notice), ("POST", BODY), ("DELETE", b""), ("POST", BODY)):
        await body_of(await upstream.pass_on(a_call(method, body)))

    probe, initialized, first, ended, second = peers
    assert len({initialized, first, ended}) == 3 and first == second
