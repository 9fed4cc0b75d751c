"""A model behind a real client: it makes one call after another, and reads what it is told."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tests.acceptance.mcp_clients.environments import (
    TYPESCRIPT,
    Call,
    ClientHung,
    DriverBroke,
    driver,
    surroundings,
)


class Model:
    """The model of one session of a client. Its calls block until they are told."""

    def __init__(self, process: subprocess.Popen[str], name: str) -> None:
        self.name = name
        self.protocol: str | None = None
        self._process = process
        self._lines: queue.Queue[str | None] = queue.Queue()
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def is_ready(self) -> None:
        """Wait until the client has connected and listed the tools."""
        document = self._next(60)
        if "ready" not in document:
            raise DriverBroke(f"{self.name} ended: {document}")

    def asks(self, tool: str, **args: Any) -> None:
        """Make a call, and do not wait for what is told."""
        self._write(json.dumps({"tool": tool, "args": args}))

    def _write(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def is_told(self, patience: float = 60.0) -> Call:
        """Return what became of the call that was made first."""
        document = self._next(patience)
        if "client" in document:
            raise DriverBroke(f"{self.name} ended: {document}")
        return Call(**document)

    def calls(self, tool: str, **args: Any) -> Call:
        """Make a call and return what became of it."""
        self.asks(tool, **args)
        return self.is_told()

    def comes(self, arguments: Sequence[str]) -> None:
        """Begin a session of the client."""
        self.protocol = None
        self._write(json.dumps(list(arguments)))

    def goes(self) -> None:
        """End the session, as the client does."""
        self._write("")
        while "client" not in (document := self._next(30)):
            pass  # what it was told and nobody asked for
        self.protocol = document["protocol"]

    def close(self) -> None:
        """End the process, with all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._listening.join()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):
                pipe.close()

    def _next(self, patience: float) -> dict[str, Any]:
        try:
            line = self._lines.get(timeout=patience)
        except queue.Empty:
            raise ClientHung(f"{self.name} gave no answer in {patience} s") from None
        if line is None:
            raise DriverBroke(f"{self.name} told nothing more")
        document: dict[str, Any] = json.loads(line)
        return document


class Models:
    """Runs sessions of clients, those of one Python client in one process: it imports for seconds.

    A process that a session has broken is not used again.
    """

    def __init__(self) -> None:
        self._idle: dict[str, Model] = {}

    def end(self) -> None:
        """End every process."""
        while self._idle:
            self._idle.popitem()[1].close()

    @contextlib.contextmanager
    def model(
        self,
        client: str,
        *,
        url: str = "",
        command: str = "",
        env: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        retries: int = 0,
        sse: bool = False,
        task: bool = False,
    ) -> Iterator[Model]:
        """Run a session of *client* until the block ends. Settings: as of `environments.drive`."""
        asked = [
            *("--client", client),
            *([f"--url={url}"] if url else [f"--command={command}"]),
            *(f"--env={name}={value}" for name, value in (env or {}).items()),
            *(f"--header={name}: {value}" for name, value in (headers or {}).items()),
            *([f"--timeout={timeout}"] if timeout is not None else []),
            *([f"--retries={retries}"] if retries else []),
            *(["--sse"] if sse else []),
            *(["--task"] if task else []),
            "--steps",
        ]
        # who has once declared tasks goes on doing so in the same process
        several = client not in TYPESCRIPT and not task
        running = self._idle.pop(client, None) if several else None
        if running is None:
            options = ["--sessions"] if several else asked
            running = Model(_started([*driver(client), *options]), client)
        try:
            if several:
                running.comes(asked)
            running.is_ready()
            yield running
            running.goes()
        except BaseException:
            running.close()
            raise
        if several:
            self._idle[client] = running
        else:
            running.close()


def _started(command: Sequence[str]) -> subprocess.Popen[str]:
    # a session of its own: a client ends together with the stdio server that it started
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=surroundings(),
        start_new_session=True,
    )
