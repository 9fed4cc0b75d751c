"""A page of records is read whole, or it is said why there is none and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from interlock.cli.client import Access, Refused
from interlock.cli.record_pages import opened, page
from interlock.core.errors import InterlockError

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
Serve = Callable[[Handler], Awaitable[Access]]


@pytest.fixture
async def serve() -> AsyncIterator[Serve]:
    servers: list[TestServer] = []

    async def serving(handler: Handler) -> Access:
        app = web.Application()
        app.router.add_get("/v1/feedback/export", handler)
        server = TestServer(app)
        servers.append(server)
        await server.start_server()
        return Access(url=str(server.make_url("/")), key="ilk_auditor_1_x", place="a file")

    yield serving
    for server in servers:
        await server.close()


async def read(at: Access, path: str = "/v1/feedback/export", **query: str) -> tuple[bytes, str]:
    session = await opened(at)
    try:
        body, headers = await page(session, at, path, query)
        return body, headers.get("interlock-next", "")
    finally:
        await session.close()


async def test_a_page_is_asked_for_with_the_key_and_says_where_the_next_one_is(
    serve: Serve,
) -> None:
    seen: list[tuple[str, dict[str, str]]] = []

    async def one(request: web.Request) -> web.Response:
        seen.append((request.headers["Authorization"], dict(request.query)))
        return web.Response(body=b"{}\n", headers={"Interlock-Next": "7-a"})

    assert await read(await serve(one), cursor="6-b:c") == (b"{}\n", "7-a")
    assert seen == [("Bearer ilk_auditor_1_x", {"cursor": "6-b:c"})]


@pytest.mark.parametrize("status", [401, 403])
async def test_who_may_not_read_is_told_which_key_may(serve: Serve, status: int) -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.json_response({"detail": "Not with this key."}, status=status)

    with pytest.raises(Refused) as refused:
        await read(await serve(refuse))
    assert refused.value.detail == "Not with this key." and refused.value.status == status
    assert "interlock keys create auditor" in refused.value.help


async def test_what_is_not_ours_is_named_by_its_status(serve: Serve) -> None:
    async def other(request: web.Request) -> web.Response:
        return web.Response(text="<h1>Hello</h1>", status=502)

    with pytest.raises(Refused, match="answered 502, and no records"):
        await read(await serve(other))


async def test_nobody_is_led_to_another_server_with_the_key(serve: Serve) -> None:
    asked: list[str] = []

    async def elsewhere(request: web.Request) -> web.Response:
        asked.append(request.path)
        return web.Response(status=302, headers={"Location": "/elsewhere"})

    with pytest.raises(Refused, match="answered 302"):
        await read(await serve(elsewhere))
    assert asked == ["/v1/feedback/export"]


async def test_silence_says_how_to_go_on() -> None:
    nobody = Access(url="http://127.0.0.1:1", key="k", place="a file")
    with pytest.raises(InterlockError, match="does not answer at http://127.0.0.1:1") as silent:
        await read(nobody)
    assert "--records" in silent.value.help
