"""Calls, and a name server, for the tests of upstreams."""

from __future__ import annotations

from dataclasses import replace

from aiohttp.abc import AbstractResolver

from interlock.core.actions import Agent, ToolCall

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]
CALL = ToolCall(agent=Agent(id="bot"), upstream="pay", method="GET", target="/a")


def call_of(method="GET", target="/a", body=b"", *headers):
    return replace(CALL, method=method, target=target, body=body, headers=headers)


async def exchange_of(upstream, call=CALL):
    """Send, read to the end, and return status, headers and body."""
    exchange = await upstream.send(call)
    try:
        return exchange.status, exchange.headers, b"".join([c async for c in exchange.chunks()])
    finally:
        await exchange.close()


class Names(AbstractResolver):
    """A name server that gives these answers, one after the other."""

    def __init__(self, *answers):
        self.answers = list(answers)

    async def resolve(self, host, port=0, family=0):
        found = self.answers.pop(0)
        if isinstance(found, OSError):
            raise found
        return [
            {"hostname": host, "host": a, "port": port, "family": 2, "proto": 0, "flags": 0}
            for a in found
        ]

    async def close(self):
        pass
