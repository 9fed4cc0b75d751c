"""What every driver is asked, what it saw, and how it is told: one line of JSON on stdout.

With `--steps` it says when it is ready; then the calls come on stdin, one line of JSON each, and
each is told as soon as it ended. An empty line ends the session. With `--sessions` the arguments of
one session after another come on stdin, as lists in JSON: a client takes seconds to import.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Step:
    """One call that the model makes."""

    tool: str
    args: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Ask:
    """One session of a client: connect, list the tools, call one of them so many times.

    `listens`: which calls to make comes on stdin instead.
    """

    client: str
    url: str | None
    command: list[str] | None
    env: dict[str, str]
    tool: str
    args: dict[str, Any]
    timeout: float | None
    headers: dict[str, str]
    times: int
    task: bool
    progress: bool
    retries: int
    sse: bool
    listens: bool

    async def steps(self) -> AsyncIterator[Step]:
        """The calls to make, one after another."""
        if not self.listens:
            for _ in range(self.times):
                yield Step(tool=self.tool, args=self.args)
            return
        print(json.dumps({"ready": True}), flush=True)
        while (line := await asyncio.to_thread(sys.stdin.readline)).strip():
            yield Step(**json.loads(line))


@dataclass(kw_only=True)
class Called:
    """One call: what the model is given, and whether the client marks it as an error."""

    told: str | None = None
    is_error: bool | None = None
    error: str | None = None
    seconds: float = 0.0


@dataclass(kw_only=True)
class Seen:
    """What the driver saw. Filled as it happens, so that one that breaks in closing loses none.

    `speaks`: each call is told on stdout as soon as it ended.
    """

    speaks: bool = False
    listed: list[str] = field(default_factory=list)
    protocol: str | None = None
    calls: list[Called] = field(default_factory=list)
    progress: list[str | None] = field(default_factory=list)
    begun: float | None = None

    async def call(self, called: Callable[[], Awaitable[tuple[str | None, bool | None]]]) -> None:
        """Time one call. What it raises is an outcome of the client under test, so it is kept."""
        self.begins()
        try:
            told, is_error = await called()
        except Exception as error:
            self.ends(error=described(error))
        else:
            self.ends(told=told, is_error=is_error)

    def begins(self) -> None:
        self.calls.append(Called())
        self.begun = time.monotonic()

    def ends(self, **outcome: Any) -> None:
        """Keep what became of the call that has begun."""
        assert self.begun is not None
        seconds = round(time.monotonic() - self.begun, 3)
        self.calls[-1], self.begun = Called(**outcome, seconds=seconds), None
        if self.speaks:
            print(json.dumps(asdict(self.calls[-1])), flush=True)


Driver = Callable[[Ask, Seen], Coroutine[Any, Any, None]]


def described(error: BaseException) -> str:
    """The type and text of an exception; of a group, those of what it holds."""
    if isinstance(error, BaseExceptionGroup):
        return "; ".join(described(inner) for inner in error.exceptions)
    return f"{type(error).__name__}: {error}"


def texts(content: list[Any]) -> str:
    """The text of a result's blocks; a block of another kind is named."""
    return "\n".join(block.text if block.type == "text" else f"[{block.type}]" for block in content)


def drive(clients: Sequence[str], load: Callable[[str], Driver], arguments: list[str]) -> None:
    """Drive the client that is asked for, and print what was seen; or one session after another."""
    if arguments != ["--sessions"]:
        _session(clients, load, arguments)
        return
    while line := sys.stdin.readline():
        _session(clients, load, json.loads(line))


def _session(clients: Sequence[str], load: Callable[[str], Driver], arguments: list[str]) -> None:
    ask = _asked(clients, arguments)
    driver = load(ask.client)
    seen = Seen(speaks=ask.listens)
    broke = None
    try:
        asyncio.run(driver(ask, seen))
    except Exception as error:
        broke = described(error)
    if not seen.calls:
        seen.calls.append(Called())
    if seen.calls[-1].told is None and seen.calls[-1].error is None:
        # the client broke as a whole, before the call or beneath it
        seen.calls[-1].error, broke = broke or "the driver was told nothing", None
    last = asdict(seen.calls[-1])
    calls = [asdict(call) for call in seen.calls]
    shown = {
        "client": ask.client,
        "listed": seen.listed,
        "protocol": seen.protocol,
        **last,
        "calls": calls,
        "progress": seen.progress,
        "closing": broke,
    }
    print(json.dumps(shown), flush=True)


def _asked(clients: Sequence[str], arguments: list[str]) -> Ask:
    parser = argparse.ArgumentParser()
    parser.add_argument("--client", required=True, choices=sorted(clients))
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="a server over streamable HTTP")
    where.add_argument("--command", type=shlex.split, help="a server over stdio, as in a shell")
    parser.add_argument("--env", action="append", default=[], help="NAME=VALUE, for --command")
    parser.add_argument("--sse", action="store_true", help="the URL is one of HTTP+SSE")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--tool")
    what.add_argument("--steps", action="store_true", dest="listens", help="calls come on stdin")
    parser.add_argument("--args", type=json.loads, default={}, help="a JSON object")
    parser.add_argument("--timeout", type=float, help="seconds, in the client's own setting")
    parser.add_argument("--header", action="append", default=[], help="'Name: value'")
    parser.add_argument("--times", type=int, default=1, help="calls, one after another")
    parser.add_argument("--task", action="store_true", help="declare the tasks extension")
    parser.add_argument("--progress", action="store_true", help="ask for progress")
    parser.add_argument("--retries", type=int, default=0, help="as the client retries by itself")
    got = vars(parser.parse_args(arguments))
    got["env"] = dict(pair.split("=", 1) for pair in got["env"])
    pairs = (line.split(":", 1) for line in got.pop("header"))
    got["headers"] = {name.strip(): value.strip() for name, value in pairs}
    return Ask(**got)
