"""A proxy between Interlock and its store that loses replies, or stops the world, on demand."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")


@dataclass
class Trap:
    """Springs once, at the command that contains *needle*."""

    needle: bytes
    after: bool  #: once the store has acted and replied; else before it hears of the command
    act: Callable[[], None]  #: called when it springs; the connection is cut in any case


@dataclass
class Proxy:
    """Passes bytes on. `traps` spring in order; `sprung` counts them."""

    url: str
    traps: list[Trap] = field(default_factory=list)
    sprung: int = 0
    delay: asyncio.Event | None = None  #: replies are held back until it is set
    connections: int = 0

    def lose_reply(self, needle: bytes, times: int = 1) -> None:
        """Let the store act on the command with *needle*, and lose its reply."""
        self.traps += [Trap(needle, True, lambda: None)] * times

    def lose_command(self, needle: bytes, times: int = 1) -> None:
        """Cut the connection before the store hears the command with *needle*."""
        self.traps += [Trap(needle, False, lambda: None)] * times


@contextlib.asynccontextmanager
async def proxy(upstream: str, folder: Path) -> AsyncIterator[Proxy]:
    """Serve on a socket in *folder*, in front of the server at *upstream* (a unix:// URL)."""
    here = folder / "p.sock"
    made = Proxy(url=f"unix://{here}")
    open_: set[asyncio.StreamWriter] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        made.connections += 1
        there = await asyncio.open_unix_connection(upstream.removeprefix("unix://"))
        open_.update((writer, there[1]))
        link = _Link(made)
        pumps = [
            asyncio.ensure_future(link.commands(reader, there[1])),
            asyncio.ensure_future(link.replies(there[0], writer)),
        ]
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        for end in (writer, there[1]):
            end.close()
            open_.discard(end)
        for pump in pumps:
            pump.cancel()
        await asyncio.gather(*pumps, return_exceptions=True)

    server = await asyncio.start_unix_server(serve, here)
    try:
        yield made
    finally:
        server.close()
        for writer in tuple(open_):
            writer.close()
        await asyncio.sleep(0)


class _Link:
    """One connection: which of its replies is to be lost."""

    def __init__(self, proxy: Proxy) -> None:
        self._proxy = proxy
        self._springing: Trap | None = None

    async def commands(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen = b""
        while data := await reader.read(2**16):
            seen = seen[-200:] + data
            traps = self._proxy.traps
            if traps and self._springing is None and traps[0].needle in seen:
                trap = traps.pop(0)
                if not trap.after:
                    self._spring(trap)
                    return
                self._springing = trap
            writer.write(data)
            await writer.drain()

    async def replies(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(2**16):
            trap, self._springing = self._springing, None
            if trap is not None and data.startswith(b"-NOSCRIPT"):  # the store did not act yet
                self._proxy.traps.insert(0, trap)
            elif trap is not None:
                self._spring(trap)
                return
            if self._proxy.delay is not None:
                await self._proxy.delay.wait()
            writer.write(data)
            await writer.drain()

    def _spring(self, trap: Trap) -> None:
        self._proxy.sprung += 1
        trap.act()


@contextlib.contextmanager
def proxy_in_thread(upstream: str, folder: Path) -> Iterator[Proxy]:
    """Serve as `proxy` does, on a loop of its own, for tests that block."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, T]) -> T:
        return asyncio.run_coroutine_threadsafe(work, loop).result(30)

    context = proxy(upstream, folder)
    made = run(context.__aenter__())  # type: ignore[arg-type]
    try:
        yield made
    finally:
        run(context.__aexit__(None, None, None))  # type: ignore[arg-type]
        run(_ended())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


async def _ended() -> None:
    """Wait for the links that are being taken down."""
    rest = asyncio.all_tasks() - {asyncio.current_task()}
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
