"""Reads what a server answers to a request of our own."""

from __future__ import annotations

from ...ports import Exchange
from .answers import response_in
from .session import Document


async def response_of(exchange: Exchange, given: str | int | None, most: int) -> Document | None:
    """Return the response to the request *given*, and close the exchange.

    Reads until the response is there: a stream of events may stay open after it. None: there is
    none within *most* bytes.

    Raises:
        UpstreamLost: the answer broke off.
    """
    body = bytearray()
    try:
        async for chunk in exchange.chunks():
            body += chunk
            if len(body) > most:
                return None
            if chunk.endswith((b"\n", b"\r")) and (found := response_in(bytes(body), given)):
                return found
        return response_in(bytes(body), given)
    finally:
        await exchange.close()
