"""The least that an aiohttp reverse proxy does: one server, one client session, streamed answers.

It judges nothing and records nothing: what Interlock adds is measured against it.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal

import aiohttp
from aiohttp import web
from yarl import URL

HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding "
    "upgrade host content-length".split()
)


class BareProxy:
    """Passes every request on to *upstream*, and its answer back."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream.rstrip("/")
        self._session: aiohttp.ClientSession | None = None

    async def __call__(self, request: web.BaseRequest) -> web.StreamResponse:
        session = self._session
        if session is None:
            session = self._session = aiohttp.ClientSession(
                auto_decompress=False, connector=aiohttp.TCPConnector(limit=1000)
            )
        body = await request.read()
        headers = [(k, v) for k, v in request.headers.items() if k.lower() not in HOP_BY_HOP]
        async with session.request(
            request.method,
            URL(self._upstream + request.raw_path, encoded=True),
            headers=headers,
            data=body or None,
            allow_redirects=False,
        ) as answer:
            response = web.StreamResponse(status=answer.status)
            for name, value in answer.headers.items():
                if name.lower() not in HOP_BY_HOP:
                    response.headers.add(name, value)
            if "Content-Length" in answer.headers:
                response.content_length = int(answer.headers["Content-Length"])
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            await response.write_eof()
            return response

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


async def serve(upstream: str, port: int) -> None:
    """Serve on 127.0.0.1 until SIGTERM; print the port once it listens."""
    logging.getLogger("aiohttp.server").disabled = True  # a load generator just hangs up at its end
    proxy = BareProxy(upstream)
    server = web.Server(proxy, auto_decompress=False, access_log=None)
    listener = await asyncio.get_running_loop().create_server(server, "127.0.0.1", port)
    print(listener.sockets[0].getsockname()[1], flush=True)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await stop.wait()
    listener.close()
    await server.shutdown(1)
    await proxy.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("upstream", help="base URL, such as http://127.0.0.1:9000")
    parser.add_argument("--port", type=int, default=0)
    asked = parser.parse_args()
    asyncio.run(serve(asked.upstream, asked.port))


if __name__ == "__main__":
    main()
