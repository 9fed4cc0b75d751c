"""The least that a proxy may do to MCP over HTTP and keep all of it: the harness is proved on it.

    python -m tests.conformance.pass_through [--fault defs] [--fault 404] URL

It parses every body strictly, sends on the object it parsed, and streams the answer back. Its
first line of output is the URL to use instead of URL. A fault is one that proxies really have:
`defs` loses `$defs` from schemas, `404` answers 200 where the server says that a session is gone.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Collection
from typing import Any

import aiohttp
from aiohttp import web
from yarl import URL

HOP_BY_HOP = frozenset(
    "connection host keep-alive te trailer transfer-encoding upgrade content-length".split()
)
SESSION = web.AppKey("session", aiohttp.ClientSession)
LOCAL = ("127.0.0.1", "localhost")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) != len(dict(pairs)):
        raise ValueError("a member is named twice")
    return dict(pairs)


def _strict(body: bytes) -> bytes:
    """*body*, written anew from what it says; ValueError where two parsers could differ on it."""
    message = json.loads(body, object_pairs_hook=_unique, parse_constant=float.fromhex)
    if not isinstance(message, dict):
        raise ValueError("not one JSON-RPC message")
    return json.dumps(message, ensure_ascii=False).encode()


def _is_local(request: web.Request) -> bool:
    origin = request.headers.get("Origin")
    return URL(f"//{request.host}").host in LOCAL and (not origin or URL(origin).host in LOCAL)


def pass_through(upstream: URL, faults: Collection[str] = ()) -> web.Application:
    """An application that passes every request on to *upstream*."""

    async def handle(request: web.Request) -> web.StreamResponse:
        if not _is_local(request):
            return web.Response(status=403, text="this proxy serves this machine alone")
        try:
            body = _strict(await request.read()) if request.method == "POST" else None
        except ValueError as problem:
            return web.Response(status=400, text=str(problem))
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP]
        session = request.app[SESSION]
        async with session.request(request.method, upstream, headers=headers, data=body) as answer:
            lied = "404" in faults and answer.status == 404
            kept = [(k, v) for k, v in answer.headers.items() if k.lower() not in HOP_BY_HOP]
            response = web.StreamResponse(status=200 if lied else answer.status, headers=kept)
            await response.prepare(request)
            with contextlib.suppress(aiohttp.ClientConnectionResetError):  # the client has left
                async for chunk in answer.content.iter_any():
                    lost = chunk.replace(b'"$defs":', b'"$gone":') if "defs" in faults else chunk
                    await response.write(lost)
            return response

    app = web.Application(client_max_size=16 * 1024 * 1024)
    app.router.add_route("*", "/{path:.*}", handle)
    app.cleanup_ctx.append(_session)
    return app


async def _session(app: web.Application) -> AsyncIterator[None]:
    timeout = aiohttp.ClientTimeout(total=None)
    async with aiohttp.ClientSession(auto_decompress=False, timeout=timeout) as app[SESSION]:
        yield


async def _serve(upstream: URL, faults: Collection[str]) -> None:
    # a client that leaves takes its request to the server along: that is how 2026-07-28 cancels
    runner = web.AppRunner(pass_through(upstream, faults), handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(upstream.with_host("127.0.0.1").with_port(runner.addresses[0][1]), flush=True)
    await asyncio.Event().wait()


def main(argv: list[str] | None = None) -> None:
    """Serves until the process is stopped."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--fault", action="append", choices=("defs", "404"), default=[])
    parser.add_argument("url", type=URL)
    options = parser.parse_args(argv)
    asyncio.run(_serve(options.url, options.fault))


if __name__ == "__main__":
    main()
