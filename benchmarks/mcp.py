"""What Interlock adds to MCP, beside a bare pass-through, FastMCP and mcp-proxy, in one run.

    python benchmarks/mcp.py [--rounds N] [--seconds S] [--only NAME,...] [--json FILE]

Everything runs on 127.0.0.1, before one fake server that answers at once. Rounds alternate between
the targets, so that a slow moment of the machine hits all of them. At the end, the calls that the
client and the tool counted are compared with those that Interlock has on record; the run fails
where they differ. What the columns mean: benchmarks/README.md.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import os
import statistics
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks import load
from benchmarks import mcp_servers as servers
from benchmarks.load import Round
from benchmarks.mcp_load import (
    Ask,
    Piped,
    check,
    drive,
    drive_exactly,
    piped,
    sessions,
)
from benchmarks.mcp_record import Record, Tally
from benchmarks.mcp_table import Measured, summaries, table
from benchmarks.overhead import machine
from benchmarks.servers import children, folder, processor_seconds

NAMES = (
    *("direct", "pass-through", "interlock", "fastmcp", "mcp-proxy"),
    *("http-direct", "http-interlock", "pipes-direct", "pipes-interlock"),
)
LOADS = (1, 32)  #: requests that are open at once
PAUSE = 0.3  #: seconds after a round in which what its end cut off may finish
EXACT = 200  #: calls of each era that are compared one to one
KINDS: dict[str, Ask] = {
    f"{method}, {era}": Ask(method=method, era=era)
    for method in ("tools/call", "tools/list")
    for era in ("legacy", "modern")
}

Drive = Callable[[int, float], Round]


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is measured: how it is driven, by kind, and the processes whose time is counted."""

    name: str
    pid: int
    others: tuple[int, ...] = ()  #: processes that work for it: its store, its child
    kinds: dict[str, Drive] = field(default_factory=dict)

    def measured(self, kind: str, at_once: int, seconds: float) -> Measured:
        """Drive one round and return it with the processor time of a call."""
        before = [processor_seconds(pid) for pid in (self.pid, *self.others)]
        one = self.kinds[kind](at_once, seconds)
        time.sleep(PAUSE)
        after = [processor_seconds(pid) for pid in (self.pid, *self.others)]
        used = [(b - a) * 1e3 / max(one.calls, 1) for a, b in zip(before, after, strict=True)]
        return Measured(round=one, cpu_ms=used[0], others_ms=sum(used[1:]))


class Stage:
    """Everything that one run starts."""

    def __init__(self, stack: contextlib.ExitStack, only: frozenset[str], fsync: str) -> None:
        self._stack = stack
        self._only = only
        self._fsync = fsync
        self.where = stack.enter_context(folder())
        tool, self.port = stack.enter_context(servers.upstream())
        self._tool = tool.pid
        self.targets: list[Target] = []
        self.skipped: dict[str, str] = {}
        self.gate: servers.Interlock | None = None

    @property
    def url(self) -> str:
        """The fake server's endpoint."""
        return f"http://127.0.0.1:{self.port}/mcp"

    def count(self) -> int:
        """Return how many calls reached the fake server over HTTP."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/count", timeout=10) as said:
            return int(said.read())

    def set(self) -> None:
        """Start what is asked for."""
        if self._wants("direct"):
            self._http("direct", self._tool, self.url)
        if self._wants("pass-through"):
            running, url = self._stack.enter_context(servers.pass_through(self.port))
            self._http("pass-through", running.pid, url)
        if any("interlock" in name for name in self._only):
            self._interlock()
        if self._wants("fastmcp"):
            self._other("fastmcp", lambda: servers.fastmcp(self.where, self.port))
        if self._wants("mcp-proxy"):
            self._other("mcp-proxy", lambda: servers.mcp_proxy(self.where))
        if self._wants("http-direct"):
            self._plain("http-direct", self._tool, f"http://127.0.0.1:{self.port}/")
        if self._wants("pipes-direct"):
            self._pipes("pipes-direct", servers.pipes_command())

    def _wants(self, name: str) -> bool:
        return name in self._only

    def _interlock(self) -> None:
        gate = self.gate = self._stack.enter_context(
            servers.interlock(self.where, self.port, self._fsync)
        )
        store = Record(gate).store_pid
        base = f"http://127.0.0.1:{gate.agents}"
        if self._wants("interlock"):
            self._http("interlock", gate.process.pid, f"{base}/mcp/fake", store)
        if self._wants("http-interlock"):
            self._plain("http-interlock", gate.process.pid, f"{base}/t/tool/", store)
        if self._wants("pipes-interlock"):
            self._pipes("pipes-interlock", servers.wrapped_command(gate.config))

    def _other(self, name: str, start: Callable[[], servers.Started]) -> None:
        try:
            running, url = self._stack.enter_context(start())
        except servers.NotThere as why:
            self.skipped[name] = str(why)
            return
        self._http(name, running.pid, url, *children(running.pid), optional=True)

    def _http(self, name: str, pid: int, url: str, *others: int, optional: bool = False) -> None:
        target = Target(name=name, pid=pid, others=others)
        opened: tuple[str, ...] = ()
        for kind, ask in KINDS.items():
            try:
                if ask.era == "legacy" and not opened:
                    opened = sessions(url, max(LOADS))
                asks = _on(ask, opened)
                check(url, asks(1))
            except (RuntimeError, OSError) as error:
                if not optional:
                    raise
                self.skipped[f"{name}, {kind}"] = str(error)[:200]
                continue
            target.kinds[kind] = _over_http(url, asks)
        self.targets.append(target)

    def _plain(self, name: str, pid: int, url: str, *others: int) -> None:
        def run(at_once: int, seconds: float) -> Round:
            return load.drive(url, connections=at_once, seconds=seconds)

        self.targets.append(Target(name=name, pid=pid, others=others, kinds={"plain HTTP": run}))

    def _pipes(self, name: str, command: Sequence[str]) -> None:
        log = self.where / f"{name}.log"
        speaking = self._stack.enter_context(piped(command, log))
        ask = Ask(method="tools/call", era="legacy")
        try:
            speaking.greet(ask)
        except (RuntimeError, OSError) as error:
            raise RuntimeError(f"{name}: {error}; it said: {log.read_text()[-2000:]}") from None
        kinds = {"tools/call, pipes": _over_pipes(speaking, ask)}
        others = tuple(children(speaking.pid))
        self.targets.append(Target(name=name, pid=speaking.pid, others=others, kinds=kinds))


def _on(ask: Ask, opened: tuple[str, ...]) -> Callable[[int], Ask]:
    """Return what makes *ask* on as many sessions as there are connections."""

    def asks(at_once: int) -> Ask:
        used = opened[:at_once] if ask.era == "legacy" else ()
        return Ask(method=ask.method, era=ask.era, sessions=used)

    return asks


def _over_http(url: str, asks: Callable[[int], Ask]) -> Drive:
    def run(at_once: int, seconds: float) -> Round:
        return drive(url, asks(at_once), connections=at_once, seconds=seconds)

    return run


def _over_pipes(speaking: Piped, ask: Ask) -> Drive:
    def run(at_once: int, seconds: float) -> Round:
        one = speaking.drive(ask, at_once=at_once, seconds=seconds)
        if one.errors:
            raise RuntimeError(f"{one.errors} of {one.calls} calls over pipes failed")
        return one

    return run


Found = dict[tuple[str, int], dict[str, list[Measured]]]


def measure(stage: Stage, tally: Tally, *, rounds: int, seconds: float) -> Found:
    """Return what was measured: (kind, requests at once) -> target -> rounds."""
    found: Found = {}
    for target in stage.targets:  # connections and caches are warm
        for kind in target.kinds:
            with tally.counting(target.name, kind, 8) as counted:
                counted(target.measured(kind, 8, 1).round)
    kinds = dict.fromkeys(kind for target in stage.targets for kind in target.kinds)
    for number in range(rounds):  # outermost: whatever is compared was measured close together
        for kind, at_once in itertools.product(kinds, LOADS):
            able = [target for target in stage.targets if kind in target.kinds]
            rows = found.setdefault((kind, at_once), {target.name: [] for target in able})
            first = number % len(able)
            for target in able[first:] + able[:first]:
                with tally.counting(target.name, kind, at_once) as counted:
                    one = target.measured(kind, at_once, seconds)
                    counted(one.round)
                rows[target.name].append(one)
    return found


def compare_exactly(stage: Stage, record: Record) -> None:
    """Make calls of which none is cut off, and find each of them on record.

    Raises:
        RuntimeError: client, tool, metrics and store do not agree.
    """
    assert stage.gate is not None
    url = f"http://127.0.0.1:{stage.gate.agents}/mcp/fake"
    for era in ("legacy", "modern"):
        asks = _on(Ask(method="tools/call", era=era), sessions(url, 8))
        before = record.seen(stage.count)
        one = drive_exactly(url, asks(8), connections=8, calls=EXACT)
        after = record.seen(stage.count)
        if one.errors or any(b - a != EXACT for a, b in zip(before, after, strict=True)):
            raise RuntimeError(f"{era}: {EXACT} calls, {one.errors} failed; {before} -> {after}")
    print(f"\n{2 * EXACT} calls one to one: client, tool, metrics and store agree.")


def write_ms(where: Path) -> float:
    """Return what a small write takes until it is on the disk: each recorded call waits for one."""
    times = []
    with (where / "probe").open("wb", buffering=0) as probe:
        for _ in range(100):
            began = time.perf_counter()
            probe.write(b"x" * 700)
            os.fdatasync(probe.fileno())
            times.append(time.perf_counter() - began)
    return statistics.median(times) * 1e3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--rounds", type=int, default=3, help="per target and load (at most 20)")
    parser.add_argument("--seconds", type=float, default=3, help="per round (at most 60)")
    parser.add_argument("--only", default=",".join(NAMES), help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--fsync", choices=("always", "everysec"), default="always", help="of Interlock's store"
    )
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    asked = parser.parse_args()
    only = frozenset(asked.only.split(","))
    if unknown := only - set(NAMES):
        parser.error(f"--only: no {', '.join(sorted(unknown))}; there is {', '.join(NAMES)}")
    with contextlib.ExitStack() as stack:
        stage = Stage(stack, only, asked.fsync)
        stage.set()
        for name, why in stage.skipped.items():
            print(f"{name}: skipped: {why}")
        disk = [write_ms(stage.where)]
        tally = Tally(stage.count)
        found = measure(stage, tally, rounds=min(asked.rounds, 20), seconds=asked.seconds)
        result = summaries(found)
        disk.append(write_ms(stage.where))
        print(table(result))
        print(f"\n700 bytes to this disk took {disk[0]:.2f} ms before, {disk[1]:.2f} after.")
        if stage.gate is not None and "interlock" in only:
            record = Record(stage.gate)
            print(f"\n{tally.held_against(record)}")
            compare_exactly(stage, record)
    if asked.json:
        said = {"machine": machine(), "disk_ms": disk, "skipped": stage.skipped, "result": result}
        asked.json.write_text(json.dumps(said, indent=2) + "\n")


if __name__ == "__main__":
    main()
