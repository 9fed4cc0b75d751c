"""A command that runs as our child, its pipes, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence

from ..core.errors import InterlockError

_LIMIT = 2**16


class Child:
    """A started command in a process group of its own; what it says on stderr is not ours."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        if process.stdin is None or process.stdout is None:
            raise AssertionError("a child is started with both pipes")
        self.input, self.output = process.stdin, process.stdout

    @classmethod
    async def start(cls, command: Sequence[str], env: Mapping[str, str]) -> Child:
        """Start *command* in this working directory.

        Raises:
            InterlockError: it cannot be started.
        """
        try:
            process = await asyncio.create_subprocess_exec(
                *command,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=env,
                process_group=0,
                limit=_LIMIT,
            )
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise InterlockError(
                f"The server's command `{command[0]}` cannot be started: {reason}.",
                help="Check the command behind `--`; clients start with a PATH of their own, so a"
                " full path is safer.",
            ) from None
        return cls(process)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def code(self) -> int | None:
        """Its exit code as shells tell it (128 + n where signal n ended it); None: it runs."""
        given = self._process.returncode
        return given if given is None or given >= 0 else 128 - given

    def signal(self, number: int) -> None:
        """Send a signal to it and to what it started."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)

    async def ended(self, seconds: float | None = None) -> bool:
        """Wait until it has ended; say whether it has."""
        try:
            async with asyncio.timeout(seconds):
                await self._process.wait()
        except TimeoutError:
            return False
        return True

    async def stop(self, patience: Sequence[float]) -> int:
        """Close its input, then ask, then kill; wait *patience* seconds before each next step.

        Returns its exit code.
        """
        with contextlib.suppress(OSError, RuntimeError):
            self.input.close()
        for seconds, number in zip(patience, (signal.SIGTERM, signal.SIGKILL), strict=False):
            if await self.ended(seconds):
                break
            self.signal(number)
        await self.ended()
        self.signal(signal.SIGKILL)  # what it left behind in its group
        return self.code or 0
