"""Which holds always end the same way: of one rule, or of one agent's calls to one target."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from .records import DecidedCall, label_of, target_of
from .risk import Caught

MOST_RULES = 2_000
MOST_TARGETS = 20_000
MOST_FINDINGS = 50
MOST_PEOPLE = 20
EXAMPLES = 5
DAY_MS = 86_400_000


def alone(record: DecidedCall, rule: str) -> bool:
    """Say whether *rule* alone raised a held call, as far as its record tells.

    That the matrix would hold it by itself, a record does not tell: whoever has the policy judges
    the call again without the rule.
    """
    return (
        record.held
        and record.rules == (rule,)
        and not (record.signals or record.limits or record.why)
    )


class Held:
    """What became of the calls that one rule alone held."""

    __slots__ = ("changed", "decided", "examples", "held", "looked_ms")

    def __init__(self) -> None:
        self.held = self.decided = self.changed = self.looked_ms = 0
        self.examples: list[str] = []

    def add(self, record: DecidedCall) -> None:
        self.held += 1
        self.looked_ms += sum(each.looked_ms for each in record.reviews)
        label, answered = label_of(record), record.verdict == "respond"
        self.decided += answered or label is not None
        self.changed += answered or (label is not None and not label.right)
        if len(self.examples) < EXAMPLES:
            self.examples.append(record.id)

    def precision_at_most(self, confidence: float, caught: Caught) -> float:
        """Return the share of decided holds that were worth it, at most; more where people miss."""
        return caught.share_at_most(self.changed, self.decided, confidence)


class Rules:
    """Holds by the rule that alone caused them; *frees* says which did."""

    def __init__(self, frees: Callable[[DecidedCall, str], bool]) -> None:
        self._frees = frees
        self._by: dict[str, Held] = {}
        self.left_out = 0

    def add(self, record: DecidedCall) -> None:
        if not record.held:
            return
        for rule in record.rules:
            if not self._frees(record, rule):
                continue
            if rule not in self._by and len(self._by) >= MOST_RULES:
                self.left_out += 1
                continue
            self._by.setdefault(rule, Held()).add(record)

    def largest(self) -> list[tuple[str, Held]]:
        return sorted(self._by.items(), key=lambda each: (-each[1].held, each[0]))


class Same:
    """Approvals of one agent's calls to one tool with one target, day by day."""

    __slots__ = (
        *("approved", "days", "examples", "looked_ms", "people", "refused", "since"),
        *("target", "until"),
    )

    def __init__(self, target: Mapping[str, Any]) -> None:
        self.target = target
        self.refused = False
        self.days: dict[int, int] = {}  #: approvals by day
        self.approved = self.looked_ms = self.since = self.until = 0
        self.people: set[str] = set()
        self.examples: list[str] = []

    def add(self, record: DecidedCall, days: int) -> None:
        day = record.ended // DAY_MS
        self.days[day] = self.days.get(day, 0) + 1
        for old in [each for each in self.days if each <= day - days]:
            del self.days[old]
        self.looked_ms += sum(each.looked_ms for each in record.reviews)
        self.since, self.until = self.since or record.ended, record.ended
        if len(self.people) < MOST_PEOPLE:
            self.people.update(each.who for each in record.reviews)
        self.examples = [*self.examples, record.id][-EXAMPLES:]


class Grants:
    """Held calls by agent, tool and target; only those that a grant would have spared."""

    def __init__(self, days: int) -> None:
        self._days = days
        self._by: dict[tuple[str, str, str], Same] = {}
        self.left_out = 0

    def add(self, record: DecidedCall) -> None:
        bound_to = target_of(record)
        if not record.held or not record.tool or not bound_to or not _whole(bound_to):
            return
        label = label_of(record)
        if label is None and record.verdict != "respond":
            return
        right = label is not None and label.right
        if right and not _spared(record):
            return
        target = json.dumps(dict(bound_to), sort_keys=True, default=dict)
        key = record.agent, record.tool, target
        same = self._by.get(key)
        if same is None:
            if len(self._by) >= MOST_TARGETS and not self._made_room():
                self.left_out += 1
                return
            same = self._by[key] = Same(bound_to)
        if right:
            same.add(record, self._days)
        else:
            same.refused = True

    def _made_room(self) -> bool:
        """Forget calls that came once; what was refused is never forgotten."""
        once = [
            key
            for key, each in self._by.items()
            if not each.refused and sum(each.days.values()) < 2
        ]
        for key in once:
            del self._by[key]
        self.left_out += len(once)
        return bool(once)

    def largest(self, now: int, least: int) -> Iterator[tuple[tuple[str, str, str], Same]]:
        """Yield what was approved at least *least* times in the days up to *now*, never refused."""
        first = now // DAY_MS - self._days
        found = []
        for key, each in self._by.items():
            each.approved = sum(many for day, many in each.days.items() if day > first)
            if each.approved >= least and not each.refused:
                found.append((key, each))
        yield from sorted(found, key=lambda each: (-each[1].approved, each[0]))[:MOST_FINDINGS]


def _spared(record: DecidedCall) -> bool:
    """Whether no rule, limit or warning held it: at most the agent's own doubt did."""
    # Lowering settles a call whatever novelty or its session said: never learn it from those.
    warned = any(each != "confidence" for each in record.signals)
    settled = record.rules or record.limits or record.why or warned
    # Where every argument is the target, a hidden one, or bytes, may be others in each call.
    unsure = record.target is None and (record.masked or _bytes(record.request))
    return not settled and not unsure and record.state != "expired"


def _bytes(request: Mapping[str, Any]) -> bool:
    """Whether a recorded call has a body that policy cannot look into."""
    media = str(request.get("content_type", ""))
    read = media.endswith("json") or media == "application/x-www-form-urlencoded"
    return "body" in request and not read


def _whole(target: Mapping[str, Any]) -> bool:
    """Whether no value is masked: two that are masked alike need not be the same."""
    return "…" not in json.dumps(dict(target), ensure_ascii=False, default=dict)
