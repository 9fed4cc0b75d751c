"""One MCP server on pipes, started for one client, with the gate between them.

The child is started and greeted at once; the gate comes up meanwhile, and what has to be judged
waits for it. Only MCP is ever written to standard output.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import stat
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any

from .aside import Aside
from .core.errors import UpstreamUnreachable
from .ingress.mcp.session import Server
from .ingress.mcp.stdio import Conversation, Judging
from .lines import CHUNK, lines
from .servers import server_of, started_as
from .settings import Config
from .settings_types import Hidden, Node
from .tasks import Tasks, stopped
from .upstream.child import Child
from .upstream.mcp_stdio import PipedServer

IMPORTING = 120.0  #: seconds that reading our own program may take
ANSWERING = 1.0  #: seconds that answers under way get, once the client has no more to say
PATIENCE = (2.0, 2.0)  #: seconds before the child is asked to end, and before it is killed
GATE_SECONDS = 15.0  #: for the gate to finish its records and leave the store
INSIST = 5.0  #: seconds after SIGTERM was passed on
PASSED_ON = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

Guarding = Callable[["Guarded"], AbstractAsyncContextManager[Judging]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Guarded:
    """What the gate has to know of the server that it stands before."""

    config: Config
    server: Server
    session: str
    agent: str  #: as `--agent` says; empty: as configuration or the key says
    key: str  #: INTERLOCK_KEY, or empty
    tell: Callable[[str], None]


async def wrap(
    config: Config,
    name: str,
    command: Sequence[str],
    *,
    agent: str,
    env: Mapping[str, str],
    tell: Callable[[str], None],
    load: Callable[[], Guarding],
) -> int:
    """Run *command* behind the gate until it or its client ends; return its exit code.

    *name* is the server's in *config*; *env* is our environment. The child is not trusted: it gets
    all of it but INTERLOCK_* and the secrets that the configuration reads by `from_env`. *tell* is
    given sentences for people. *load* imports what the gate needs, which takes longer than all
    else at the start.

    Raises:
        InterlockError: it cannot start, and says why.
    """
    ours = sorted(env.keys() & _read_by(config))
    if ours:
        tell(f"The server does not get what the configuration reads: {', '.join(ours)}.")
    inner = {
        key: value
        for key, value in env.items()
        if key not in ours and not key.startswith("INTERLOCK_")
    }
    child = await Child.start(command, inner)
    wrapper = _Wrapper(config, name, started_as(command, os.getcwd()), child, tell, load)
    try:
        return await wrapper.run(agent, env.get("INTERLOCK_KEY", "").strip())
    finally:
        child.signal(signal.SIGKILL)


def _read_by(node: object) -> frozenset[str]:
    """Return the names of the environment variables that hold secrets of a configuration."""
    if isinstance(node, Hidden):
        _, mark, name = node.place.partition("environment variable ")
        return frozenset({name} if mark else ())
    parts: Iterable[object] = ()
    if isinstance(node, Mapping):
        parts = node.values()
    elif isinstance(node, Node):
        parts = (getattr(node, name) for name in type(node).model_fields)
    elif isinstance(node, tuple | list | frozenset):
        parts = node
    return frozenset().union(*map(_read_by, parts))


class _Wrapper:
    """The parts that are there from the beginning, and the order in which they end."""

    def __init__(
        self,
        config: Config,
        name: str,
        command: str,
        child: Child,
        tell: Callable[[str], None],
        load: Callable[[], Guarding],
    ) -> None:
        settings = config.servers[name]
        self._config = config
        self._child = child
        self._tell = tell
        self._load = load
        self._tasks = Tasks()
        self._closing = asyncio.Event()  # the gate ends: nothing new is sent
        self._out = _Outlet()
        self._judging: asyncio.Future[Judging] = asyncio.get_running_loop().create_future()
        self._piped = PipedServer(
            name=name,
            session=f"stdio-{secrets.token_hex(16)}",
            child=child,
            patience=settings.timeout,
            longest=settings.max_answer,
            deliver=self._deliver,
            tell=tell,
            command=command,
        )
        self._server = server_of(config, name, self._piped, command=command)
        self._conversation = Conversation(
            server=self._server,
            session=self._piped.session,
            pipe=self._piped,
            write=self._out.write,
            judging=self._judging,
            tell=tell,
        )

    async def _deliver(self, document: Mapping[str, Any]) -> None:
        await self._conversation.deliver(document)

    async def run(self, agent: str, key: str) -> int:
        """Run until the child or the client ends, or the gate cannot come up."""
        await self._out.open()
        guarded = Guarded(
            config=self._config,
            server=self._server,
            session=self._piped.session,
            agent=agent,
            key=key,
            tell=self._tell,
        )
        gate = self._tasks.spawn(self._guard(guarded), "gate")
        server = self._tasks.spawn(self._piped.run(), "server")
        client = self._tasks.spawn(self._listen(), "client")
        self._pass_signals_on()
        gone = self._tasks.spawn(self._out.gone.wait(), "client-gone")
        first = (gate, server, client, gone)
        try:
            await asyncio.wait(first, return_when=asyncio.FIRST_COMPLETED)
            if gate.done():
                await gate  # it could not come up: nothing can be judged
            return await self._end(server, gate)
        finally:
            await self._child.stop((0.0, PATIENCE[1]))
            await stopped(first)

    async def _end(self, server: asyncio.Task[None], gate: asyncio.Task[None]) -> int:
        """Let what is under way be answered, then end the child, then the gate."""
        if not server.done():
            if self._conversation.waiting:  # for the gate, to be judged
                await asyncio.wait((gate, self._judging), return_when=asyncio.FIRST_COMPLETED)
            await self._settled(gate)
        code = await self._child.stop(PATIENCE)
        if not await _within(server, ANSWERING):
            await stopped([server])  # others hold the pipe of a child that has ended
        if self._judging.done():
            self._closing.set()
            await _within(gate, GATE_SECONDS)
        else:
            await stopped([gate])
            self._judging.set_exception(UpstreamUnreachable("The server ended; nothing was sent."))
            self._judging.exception()  # maybe nobody waits for it
        await self._settled(gate)
        await self._out.close()
        return code

    async def _settled(self, gate: asyncio.Task[None]) -> None:
        """Wait until what can be answered is. Raises what the gate failed with."""
        await self._conversation.settle(ANSWERING)
        if gate.done() and not gate.cancelled():
            await gate

    async def _guard(self, guarded: Guarded) -> None:
        """Bring the gate up, in pieces that leave the loop free, and keep it until the end."""
        guarding: Guarding = await Aside().run(IMPORTING, self._load)
        async with guarding(guarded) as judging:
            self._judging.set_result(judging)
            await self._closing.wait()

    async def _listen(self) -> None:
        """Take what the client says, until it says no more."""
        async with _opened_input() as read:
            async for line in lines(read, self._config.agents.max_body):
                await self._conversation.hear(line)

    def _pass_signals_on(self) -> None:
        loop = asyncio.get_running_loop()

        def passed_on(number: int) -> None:
            self._child.signal(number)
            if number == signal.SIGTERM:
                loop.call_later(INSIST, self._child.signal, signal.SIGKILL)

        for number in PASSED_ON:
            loop.add_signal_handler(number, passed_on, number)


async def _within(task: asyncio.Task[None], seconds: float | None) -> bool:
    done, _ = await asyncio.wait((task,), timeout=seconds)
    return bool(done)


# standard input and output -------------------------------------------------------------------


class _Draining(asyncio.streams.FlowControlMixin):
    """A pipe's writing side whose end can be awaited."""

    def __init__(self) -> None:
        super().__init__()
        self._end = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self._end.done():
            self._end.set_result(None)

    def _get_close_waiter(self, stream: asyncio.StreamWriter) -> asyncio.Future[None]:
        return self._end


class _Outlet:
    """Standard output, for MCP alone: whatever else is printed goes to standard error."""

    def __init__(self) -> None:
        self.gone = asyncio.Event()  #: the client reads no more
        self._fd = -1
        self._writer: asyncio.StreamWriter | None = None

    async def open(self) -> None:
        """Take standard output over."""
        self._fd = os.dup(1)
        os.dup2(2, 1)
        if not _is_stream(self._fd):
            return
        loop = asyncio.get_running_loop()
        transport, protocol = await loop.connect_write_pipe(
            _Draining, os.fdopen(self._fd, "wb", buffering=0)
        )
        self._writer = asyncio.StreamWriter(transport, protocol, None, loop)

    async def write(self, line: bytes) -> None:
        """Write one message. Does nothing once the client has gone."""
        if self.gone.is_set():
            return
        try:
            if self._writer is None:
                os.write(self._fd, line + b"\n")
                return
            self._writer.write(line + b"\n")
            await self._writer.drain()
        except OSError:
            self.gone.set()

    async def close(self) -> None:
        """Write what is left, as far as the client takes it."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(ANSWERING):
                    await self._writer.wait_closed()


@contextlib.asynccontextmanager
async def _opened_input() -> AsyncIterator[Callable[[int], Awaitable[bytes]]]:
    """Yield how to read standard input, which may be a pipe, a terminal or a file."""
    loop = asyncio.get_running_loop()
    if not _is_stream(0):

        async def read_file(most: int) -> bytes:
            return os.read(0, most)

        yield read_file
        return
    reader = asyncio.StreamReader(limit=CHUNK)
    transport, _ = await loop.connect_read_pipe(
        lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(0), "rb", buffering=0)
    )
    try:
        yield reader.read
    finally:
        transport.close()


def _is_stream(fd: int) -> bool:
    """Say whether it can be waited for: /dev/null and files are always ready."""
    mode = os.fstat(fd).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)
