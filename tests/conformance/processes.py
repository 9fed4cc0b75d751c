"""Programs that serve until they are stopped, and print their URL as their first line."""

from __future__ import annotations

import contextlib
import shlex
import subprocess
import sys
from collections.abc import Iterator

from tests.conformance.suite import ROOT

FIXTURE = shlex.join([sys.executable, "-m", "tests.conformance.everything_server"])
PASS_THROUGH = shlex.join([sys.executable, "-m", "tests.conformance.pass_through"])


@contextlib.contextmanager
def serving(command: str, *arguments: str) -> Iterator[str]:
    """The URL that *command* prints; at the end it is stopped, and killed if it stays.

    Raises:
        RuntimeError: it ended without a word.
    """
    whole = [*shlex.split(command), *arguments]
    with subprocess.Popen(whole, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not (url := process.stdout.readline().strip()):
                raise RuntimeError(f"`{command}` printed no URL and ended with {process.wait()}")
            yield url
        finally:
            process.terminate()
            try:
                process.wait(5)
            except subprocess.TimeoutExpired:
                process.kill()


@contextlib.contextmanager
def fixture(through: str | None = None) -> Iterator[str]:
    """The URL of a fixture server; with *through*, of that proxy command before it."""
    with contextlib.ExitStack() as running:
        url = running.enter_context(serving(FIXTURE))
        yield running.enter_context(serving(through, url)) if through else url
