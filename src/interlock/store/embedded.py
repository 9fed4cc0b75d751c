"""A real Valkey server of our own, on a Unix socket under the data directory.

`<data>/store/` (mode 0700) holds the append-only file, the server's log, the socket and three
lock files. Locks are `flock`s, which the kernel drops when their process dies, however it dies:

* `start.lock`, exclusive: held while a server is started or stopped, so that one happens at once.
* `users.lock`, shared: held by each process that uses the server; the last one out stops it.
* `server.lock`, exclusive: inherited by the server itself, so that it says whether one is alive
  even where Interlock was killed or the socket's name is gone. Two servers on one append-only file
  would ruin it.

A server that outlived a killed Interlock is adopted by the next start. A server that died is
started again by the watchdog; what it held is in its append-only file.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import subprocess
import time
import urllib.parse
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from redis.exceptions import BusyLoadingError, RedisError

from ..core.errors import StoreUnavailable, WeakGround
from ..tasks import Tasks
from .connection import connect
from .ground import binary, cure, last_lines, prepare, socket_path

Fsync = Literal["everysec", "always"]

START_SECONDS = 15.0  #: for a server that does not say that it is loading
LOAD_SECONDS = 600.0  #: for one that does: a large append-only file takes a while
STOP_SECONDS = 20.0  #: before SIGTERM, and again before SIGKILL
RESTARTS = 5  #: within RESTART_WINDOW; more means that it cannot live
RESTART_WINDOW = 60.0
_TICK = 0.02

# Children that this process started, so that whichever store stops a server also reaps it.
_children: dict[int, subprocess.Popen[bytes]] = {}


def _silent(_: str) -> None:
    """Drop what the store has to tell."""


class EmbeddedStore:
    """A Valkey server under *data_dir*, shared by every process that uses the same directory.

    `fsync` is Valkey's `appendfsync`: with `everysec` a kill -9 or a power failure may lose about a
    second when the machine loses power; `always` survives that too. `maxmemory` in bytes, 0: no
    bound; when it is reached, writes are refused, never evicted. `tell` is given one sentence
    whenever the server was started again, or could not be.

    Raises (from `start` and `async with`):
        WeakGround: the directory is not private, or this platform has no server.
        StoreUnavailable: the server does not start; the message has its last words.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        fsync: Fsync = "always",
        maxmemory: int = 0,
        tell: Callable[[str], None] = _silent,
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.directory = self.data_dir / "store"
        self.log = self.directory / "valkey.log"
        self.socket = socket_path(self.directory)
        self.pid = 0
        self._fsync = fsync
        self._maxmemory = maxmemory
        self._tell = tell
        self._tasks = Tasks()
        self._watch: asyncio.Task[None] | None = None
        self._user: int | None = None
        self._line: asyncio.StreamWriter | None = None

    @property
    def url(self) -> str:
        """The server's address, as redis-py takes it."""
        return "unix://" + urllib.parse.quote(str(self.socket))

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Join the running server, or start one, and watch over it until `stop`."""
        prepare(self.data_dir, self.directory, self.socket.parent)
        async with self._starting():
            self._user = self._locked("users.lock", fcntl.LOCK_SH)
            try:
                reader = await self._ensure()
            except BaseException:
                self._leave()
                raise
        self._watch = self._tasks.spawn(self._watchdog(reader), "embedded-store-watchdog")

    async def stop(self) -> None:
        """Leave the server; where nobody else uses it, stop it after it has written everything."""
        if self._watch is not None:
            self._watch.cancel()
            await asyncio.wait((self._watch,))
            self._watch = None
        if self._user is None:
            return
        async with self._starting():
            self._leave()
            last = self._locked("users.lock", fcntl.LOCK_EX)
            if last is None:
                return
            try:
                await self._shut_down()
            finally:
                os.close(last)

    # -- the server ---------------------------------------------------------------------------

    async def _ensure(self) -> asyncio.StreamReader:
        """Return a line to a server that answers, started if need be; under `start.lock`."""
        began = time.monotonic()
        child: subprocess.Popen[bytes] | None = None
        while True:
            loading = False
            try:
                if await self._joined():
                    return await self._hold_line()
            except BusyLoadingError:
                loading = True
            except OSError:
                pass  # it died between its answer and our line: look again
            if child is not None and child.poll() is not None:
                del _children[child.pid]
                raise self._failed(f"The embedded store stopped at once (exit {child.returncode}).")
            if not loading and child is None:
                child = self._launched()
            if time.monotonic() - began > (LOAD_SECONDS if loading else START_SECONDS):
                raise self._failed(
                    f"The embedded store in {self.directory} is there (process {self._recorded()}) "
                    f"but does not answer."
                )
            await asyncio.sleep(_TICK)

    async def _joined(self) -> bool:
        """Say whether a server answers at the socket; remember its pid, tighten its fsync."""
        client = connect(self.url)
        try:
            await client.ping()
            self.pid = int((await client.info("server"))["process_id"])
            if self._fsync == "always":  # a server that we join is only ever made stricter
                await client.config_set("appendfsync", "always")
            return True
        except BusyLoadingError:
            raise
        except (RedisError, OSError):
            return False
        finally:
            await client.aclose()

    def _launched(self) -> subprocess.Popen[bytes] | None:
        """Start a server, or return None while another one is alive (it may be on its way out)."""
        lock = self._locked("server.lock", fcntl.LOCK_EX)
        if lock is None:
            return None
        try:
            self.socket.unlink(missing_ok=True)  # nobody can be behind it: we hold the lock
            with self._log_file() as log:
                child = subprocess.Popen(  # noqa: S603 (our own words)
                    self._command(),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self.directory,
                    pass_fds=(lock,),
                    start_new_session=True,  # Ctrl-C is for us: the server leaves after us
                    umask=0o077,
                )
        except OSError as error:
            raise self._failed(f"The embedded store cannot be started: {error}.") from None
        finally:
            os.close(lock)  # the server's copy keeps the lock
        _children[child.pid] = child
        self.pid = child.pid
        return child

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": str(self.socket),
            "unixsocketperm": "600",
            "protected-mode": "yes",
            "databases": "1",
            "daemonize": "no",
            "dir": str(self.directory),
            "logfile": str(self.log),
            "pidfile": str(self.directory / "valkey.pid"),
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "aof-load-truncated": "yes",
            "save": "",
            "maxmemory": str(self._maxmemory),
            "maxmemory-policy": "noeviction",
        }
        command = [str(binary())]
        for name, value in options.items():
            command += [f"--{name}", value]
        return command

    async def _shut_down(self) -> None:
        """Stop the server: it writes and syncs its file first. Then insist."""
        client = connect(self.url, patience=STOP_SECONDS)
        try:
            await client.shutdown()
        except (RedisError, OSError):
            pass  # the connection breaks when it works, and when the server is already gone
        finally:
            await client.aclose()
        # Each step is tried only while the server's own lock says that it is alive.
        for signal in (0, 15, 9):
            self._send(signal)
            if await self._gone(STOP_SECONDS):
                break
        if (child := _children.pop(self.pid, None)) is not None:
            child.wait(STOP_SECONDS)  # it has dropped its lock: it is all but gone

    def _send(self, signal: int) -> None:
        child = _children.get(self.pid)
        if child is not None:
            child.send_signal(signal)
        elif self._recorded() == str(self.pid):  # never a process that only has its number
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(self.pid, signal)

    async def _gone(self, seconds: float) -> bool:
        began = time.monotonic()
        while (lock := self._locked("server.lock", fcntl.LOCK_EX)) is None:
            self._reap()
            if time.monotonic() - began > seconds:
                return False
            await asyncio.sleep(_TICK)
        self.socket.unlink(missing_ok=True)
        os.close(lock)
        return True

    def _reap(self) -> None:
        for pid in [pid for pid, child in _children.items() if child.poll() is not None]:
            del _children[pid]

    # -- watching -----------------------------------------------------------------------------

    async def _hold_line(self) -> asyncio.StreamReader:
        """Open a connection that says nothing: its end tells at once that the server died."""
        reader, self._line = await asyncio.open_unix_connection(self.socket)
        return reader

    async def _watchdog(self, reader: asyncio.StreamReader) -> None:
        deaths: deque[float] = deque(maxlen=RESTARTS)
        while True:
            with contextlib.suppress(OSError):
                await reader.read()
            self._close_line()
            self._reap()
            now = time.monotonic()
            if len(deaths) == RESTARTS and now - deaths[0] < RESTART_WINDOW:
                self._tell(
                    f"The embedded store died {RESTARTS + 1} times within {RESTART_WINDOW:.0f} s "
                    f"and is left alone; nothing is sent without it. Its log: {self.log}"
                )
                return
            deaths.append(now)
            before = self.pid
            try:
                async with self._starting():
                    reader = await self._ensure()
            except (StoreUnavailable, WeakGround) as error:
                self._tell(f"{error.detail} Nothing is sent without the store. {error.help}")
                return
            if self.pid != before:
                self._tell(f"The embedded store died and was started again (process {self.pid}).")

    def _close_line(self) -> None:
        if self._line is not None:
            self._line.transport.abort()
            self._line = None

    # -- files --------------------------------------------------------------------------------

    @contextlib.asynccontextmanager
    async def _starting(self) -> AsyncIterator[None]:
        began = time.monotonic()
        while (lock := self._locked("start.lock", fcntl.LOCK_EX)) is None:
            if time.monotonic() - began > LOAD_SECONDS + START_SECONDS:
                raise self._failed("Another process has been starting the embedded store too long.")
            await asyncio.sleep(_TICK)
        try:
            yield
        finally:
            os.close(lock)

    def _locked(self, name: str, how: int) -> int | None:
        """Return a descriptor that holds the lock, or None where another process holds it."""
        descriptor = os.open(self.directory / name, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, how | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return None
        return descriptor

    def _leave(self) -> None:
        self._close_line()
        if self._user is not None:
            os.close(self._user)
            self._user = None

    @contextlib.contextmanager
    def _log_file(self) -> Iterator[int]:
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self.log, flags, 0o600)
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _recorded(self) -> str:
        try:
            return (self.directory / "valkey.pid").read_text().strip() or "unknown"
        except OSError:
            return "unknown"

    def _failed(self, what: str) -> StoreUnavailable:
        """Return the error with the server's last words and the likely cure."""
        words = last_lines(self.log)
        said = "".join(f"\n  {line}" for line in words)
        return StoreUnavailable(
            f"{what} Its last words in {self.log}:{said or ' (none)'}",
            help=cure("\n".join(words), self.directory),
        )
