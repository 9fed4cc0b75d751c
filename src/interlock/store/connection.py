"""The client: one table of errors, no repeat that we did not ask for, a short patience."""

from __future__ import annotations

import asyncio
import builtins
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import AbstractConnection
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ChildDeadlockedError,
    ConnectionError,
    IncorrectPolicyType,
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
    TimeoutError,
)

from ..core.errors import StoreUnavailable

T = TypeVar("T")

PATIENCE = 2.0  #: seconds that one command may take
ATTEMPTS = 3  #: how often a lost reply is asked for again; every script is idempotent by nonce
PAUSE = 0.05  #: seconds before the first repeat; doubles

_LOST = (ConnectionError, TimeoutError, BusyLoadingError, OSError, asyncio.TimeoutError)

_ADDRESS = re.compile(r" connecting to .*?(?=\. [A-Z]|\.?$)")
"""Where the store is, in the driver's words: agents read our errors, and need not know."""

_DRIVER = (
    RedisError,
    RedisClusterException,
    ChildDeadlockedError,
    IncorrectPolicyType,
)
"""Every root of the driver's errors: not all are RedisErrors."""

_MEANING: tuple[tuple[type[Exception], str], ...] = (
    (AuthenticationError, "The store refuses our password; check `store.url` in interlock.yaml."),
    (OutOfMemoryError, "The store is full; raise its maxmemory or let finished calls expire."),
    (ReadOnlyError, "The store is read-only (a replica?); point `store.url` at the primary."),
    (BusyLoadingError, "The store is still loading its data; try again in a moment."),
    (TimeoutError, "The store did not answer in time."),
    (ConnectionError, "The store cannot be reached."),
    (OSError, "The store cannot be reached."),
    (ResponseError, "The store refused the write."),
    *((kind, "The store failed.") for kind in _DRIVER),
)


def connect(url: str, *, patience: float = PATIENCE) -> Redis:
    """Return a client for *url* that repeats nothing by itself (redis-py would, ten times)."""
    pool = BlockingConnectionPool.from_url(  # more commands than connections wait their turn
        url,
        timeout=patience,
        retry=Retry(NoBackoff(), 0),
        socket_timeout=patience,
        socket_connect_timeout=patience,
        max_connections=64,
    )
    return Redis.from_pool(pool)


class Lane:
    """Connections of its own for what every call needs, without the client's way around each.

    Takes the scripts of `lua.Script` as `Redis` does, at a third of its processor time; errors are
    those of the driver. Repeats nothing.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        self._patience = patience
        self._pool = BlockingConnectionPool.from_url(  # used to make connections, never to share
            url,
            retry=Retry(NoBackoff(), 0),
            socket_timeout=None,  # one time-out around a command, in place of one for each half
            socket_connect_timeout=patience,
        )
        self._idle: list[AbstractConnection] = []
        self._closed = False

    async def evalsha(self, sha: str, numkeys: int, *keys_and_args: str | bytes | int) -> Any:
        return await self._command("EVALSHA", sha, numkeys, *keys_and_args)

    async def script_load(self, script: str) -> Any:
        return await self._command("SCRIPT LOAD", script)

    async def _command(self, *words: str | bytes | int) -> Any:
        connection = self._idle.pop() if self._idle else self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            async with asyncio.timeout(self._patience):
                if connection.is_connected and await connection.can_read():
                    await connection.disconnect(nowait=True)  # closed, or a reply nobody asked for
                await connection.send_command(*words, check_health=False)
                return await connection.read_response()
        except builtins.TimeoutError:
            raise TimeoutError("Timeout reading from the store") from None
        finally:  # one that failed is closed by now, and opens again when it is used
            if self._closed:
                await connection.disconnect(nowait=True)
            else:
                self._idle.append(connection)

    async def close(self) -> None:
        self._closed = True
        while self._idle:
            await self._idle.pop().disconnect()


def translated(error: Exception) -> StoreUnavailable:
    """Say what a driver's exception means for an operator. Nothing was sent, whatever it was."""
    meaning = next(text for kind, text in _MEANING if isinstance(error, kind))
    said = _ADDRESS.sub("", str(error))
    return StoreUnavailable(f"{meaning} Nothing was sent. ({type(error).__name__}: {said})")


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Ask, and ask again when the reply was lost. Only for reads and idempotent scripts.

    Raises:
        StoreUnavailable: it did not answer, or refused.
    """
    pause = PAUSE
    for attempt in range(ATTEMPTS):
        try:
            return await ask()
        except _LOST as error:
            if attempt == ATTEMPTS - 1:
                raise translated(error) from error
        except _DRIVER as error:
            raise translated(error) from error
        await asyncio.sleep(pause)
        pause *= 2
    raise AssertionError("unreachable")
