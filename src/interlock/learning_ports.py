"""What learning from decided calls needs from the world, beside what the gate needs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from .core.actions import Action
from .core.analytics import Analytics, Selected
from .core.calibration import Point
from .core.records import Audited, DecidedCall, Reported


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordsPage:
    """Records in the order in which they ended; `next` goes on behind them, None at the end."""

    records: tuple[DecidedCall, ...]
    next: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """What the archive holds. Times in ms; 0: nothing."""

    records: int
    oldest: int
    newest: int
    behind: int  #: entries of the feed that are not in it yet
    lost: int  #: entries that were dropped before anybody read them
    forged: int  #: entries that nobody with our key wrote, or of which nothing can be believed
    stuck: bool = False  #: whether the latest entries could not be written
    shortened: int = 0  #: records that came short, or were made so: their agent had its share
    size: int = 0  #: bytes on disk


class Archive(Protocol):
    """Decided calls, on disk, in one process of an installation.

    Raises StoreUnavailable from every method when it cannot be read.
    """

    async def page(self, selected: Selected, after: str | None, limit: int) -> RecordsPage:
        """Return records behind the cursor *after* (None: from the oldest).

        Raises:
            MalformedCall: the cursor is none of ours.
        """

    async def get(self, action_id: str) -> DecidedCall | None: ...

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        """Return the JSON Schemas of arguments by their hashes, as far as they are kept."""

    async def analytics(self, selected: Selected) -> Analytics: ...

    async def kept(self) -> Kept: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What calls say of their agents' confidence, in the order in which they ended."""

    points: tuple[Point, ...]
    newest: int  #: when the last of them ended, ms; 0: there is none
    next: str | None  #: goes on behind them; None at the end


class Labels(Protocol):
    """The part of an archive that confidence is fitted on: calls with a claim and a label.

    Raises StoreUnavailable from every method when it cannot be read.
    """

    async def labels(self) -> int:
        """Return how many there are."""

    async def labelled(self, after: str | None, limit: int) -> Labelled:
        """Return what is behind the cursor *after* (None: from the oldest)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """A stretch of the feed: encoded records in order, and what to say to read on behind them."""

    entries: tuple[bytes, ...]
    ended: tuple[str, ...]  #: ids of calls that the store ended by itself: read them there
    next: str
    lost: int  #: how many were dropped between *after* and the first of these


class Records(Protocol):
    """The store's feed of decided calls: written with the transition that it speaks of.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def read(self, after: str, limit: int, wait_ms: int) -> Feed: ...

    async def behind(self, after: str) -> int: ...

    async def oldest(self, after: str) -> int:
        """Return when the first entry behind *after* was written, ms; 0: there is none."""

    async def archived(self, name: str, upto: str) -> None:
        """Note how far the archive *name* has read; what every archive has is dropped."""

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, bytes]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """A call that waits for an auditor and of which nothing can be believed: others changed it."""

    id: str


class Audits(Protocol):
    """Calls that were drawn for an audit, until somebody judges them.

    Raises StoreUnavailable from every method when the store does not answer in time.
    """

    async def waiting(
        self, after: str | None, limit: int
    ) -> tuple[tuple[Action | Changed, ...], str | None]:
        """Return calls that wait for an auditor, oldest first, and the cursor of the next page."""

    async def count(self) -> int:
        """Return how many wait, those that were changed outside among them."""

    async def dropped(self) -> int:
        """Return how many drawn calls were not kept for an auditor: too many waited."""

    async def get(self, action_id: str) -> Action | None:
        """Return a call that waits for an auditor; None: it does not (any more)."""

    async def judge(self, action_id: str, verdict: Audited) -> bool:
        """Keep a verdict; False: somebody else judged it first, or it was not drawn."""

    async def report(self, action_id: str, report: Reported) -> bool:
        """Keep how a call turned out; False: too much was reported of it already."""


class Confidences(Protocol):
    """What past decisions make of an agent's claimed confidence."""

    def calibrated(self, agent: str, tool: str, claimed: float) -> float | None:
        """Return how likely such a call is right; None: too little is known. Answers at once."""
