"""What an export took and left out: what its card says."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.records import DecidedCall, label_of

MOST_NAMES = 1_000  #: names of one kind that are kept; what a card lists is fewer


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts over one export: `read` is `used` and all that is `left_out`, each record once.

    `dropped` says why lines of used records were not kept.
    """

    read: int = 0
    used: int = 0  #: records that gave at least one line
    lines: int = 0
    first: int = 0  #: ms, when the first used record ended
    last: int = 0
    masked: int = 0  #: used records with masks in them
    without_task: int = 0  #: used records whose user's request is not known
    without_schema: int = 0  #: used records, of training sets, whose tool's schema is not known
    good: int = 0  #: lines that say of themselves that they are right
    twice: bool = False  #: whether so much was exported that lines may be there twice
    left_out: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    verdicts: Counter[str] = field(default_factory=Counter)
    labels: Counter[str] = field(default_factory=Counter)
    policies: Counter[str] = field(default_factory=Counter)
    tools: Counter[str] = field(default_factory=Counter)
    agents: Counter[str] = field(default_factory=Counter)
    reviewers: Counter[str] = field(default_factory=Counter)

    def add(self, record: DecidedCall, lines: int) -> None:
        """Count a record that gave *lines*."""
        self.used += 1
        self.lines += lines
        self.first = min(self.first or record.ended, record.ended)
        self.last = max(self.last, record.ended)
        self.masked += record.masked
        self.without_task += not record.task
        label = label_of(record)
        self.labels["none" if label is None else "right" if label.right else "not right"] += 1
        self.verdicts[_verdict(record)] += 1
        for names, name in (
            (self.policies, record.policy),
            (self.tools, record.tool or "(unknown)"),
            (self.agents, record.agent),
            *((self.reviewers, who) for who in _judges(record)),
        ):
            if name in names or len(names) < MOST_NAMES:
                names[name] += 1

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON can say it."""
        return {name: _plain(getattr(self, name)) for name in self.__slots__}

    @classmethod
    def from_json(cls, said: Mapping[str, Any]) -> Tally:
        """Return what `to_json` wrote. Raises TypeError."""
        read: dict[str, Any] = {
            name: Counter(each) if isinstance(each, Mapping) else each
            for name, each in said.items()
        }
        return cls(**read)


def _verdict(record: DecidedCall) -> str:
    if record.verdict:
        return record.verdict
    return "audited" if record.audit is not None else "nobody"


def _judges(record: DecidedCall) -> set[str]:
    audited = set() if record.audit is None else {record.audit.who}
    return {said.who for said in record.reviews} | audited


def _plain(value: Any) -> Any:
    return dict(value) if isinstance(value, Counter) else value
