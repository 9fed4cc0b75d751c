"""Whether every call that the client and the tool counted is on Interlock's record."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import redis

from benchmarks.load import Round
from benchmarks.mcp_servers import Interlock

_ANSWERED = re.compile(
    r'^interlock_call_outcomes_total\{(?=[^}]*upstream="fake")([^}]*)\} ([0-9.e+]+)$', re.MULTILINE
)


class Record:
    """What Interlock says that it has recorded, in its metrics and in its store."""

    def __init__(self, gate: Interlock) -> None:
        self._gate = gate
        self._store = redis.Redis(unix_socket_path=str(gate.socket))
        self.store_pid = int(self._store.info("server")["process_id"])

    def outcomes(self) -> dict[str, int]:
        """Return how calls of the fake server ended: outcome -> how many."""
        found: dict[str, int] = {}
        for labels, value in _ANSWERED.findall(self._gate.metrics):
            [outcome] = re.findall(r'outcome="([a-z_]+)"', labels)
            found[outcome] = found.get(outcome, 0) + int(float(value))
        return found

    def stored(self) -> int:
        """Return how many calls the store has."""
        return sum(1 for _ in self._store.scan_iter("{interlock}:c:*", count=5000))

    def seen(self, tool: Callable[[], int]) -> tuple[int, int, int]:
        """Return the calls that the tool counted, that metrics count, and that are stored."""
        return tool(), self.outcomes().get("answered", 0), self.stored()


@dataclass(slots=True)
class Tally:
    """What was counted on both sides of Interlock while `tools/call` was measured over HTTP."""

    tool: Callable[[], int]
    client: int = 0  #: answers that the client counted
    reached: int = 0  #: calls that reached the tool through Interlock
    cut: int = 0  #: calls that the end of a round may have cut off, at most
    checks: int = field(default=0)

    @contextlib.contextmanager
    def counting(self, name: str, kind: str, at_once: int) -> Iterator[Callable[[Round], None]]:
        """Count a round; nothing where it calls no tool through Interlock over HTTP."""
        if name != "interlock" or kind not in ("tools/call, legacy", "tools/call, modern"):
            yield lambda _: None
            return
        before = self.tool()
        yield self._counted
        self.reached += self.tool() - before
        self.cut += at_once

    def _counted(self, one: Round) -> None:
        self.client += one.calls

    def held_against(self, record: Record) -> str:
        """Compare with the record and return a sentence.

        Raises:
            RuntimeError: something was answered, or reached the tool, that is not on record.
        """
        outcomes = record.outcomes()
        on_record, stored = sum(outcomes.values()), record.stored()
        said = (
            f"{self.client} answers counted by the client, {self.reached} calls by the tool,"
            f" {on_record} outcomes on record ({outcomes}), {stored} records stored"
            f" (plain HTTP and pipes included); rounds cut off at most {self.cut}."
        )
        if not self.client <= self.reached <= on_record <= stored:
            raise RuntimeError(f"not every call is on record: {said}")
        if on_record > self.client + self.cut + 10:
            raise RuntimeError(f"more on record than was called: {said}")
        return said
