"""learning_ports.Audits: what is said of calls once they have ended, and which wait for that.

What is said is sealed, written to the feed in the same step, and kept with the call, so that who
can only write to the store says nothing. It has nothing of the call itself: what the store holds of
one is signed by nobody's verdict. Nobody judges a call that was changed outside Interlock.
"""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, cast

from redis.asyncio import Redis

from ..core.actions import Action
from ..core.errors import MalformedCall, StoreUnavailable
from ..core.records import BY_AGENT, Audited, DecidedCall, Reported
from ..learning_ports import Changed
from ..noting import Noting, to_note, with_audit, with_report
from ..noting_entries import only_told
from .codec import DAMAGED, decode_action
from .connection import patiently
from .lua import Script

_WORDS = 2000  #: characters of a message that are kept
_TRIES = 8  #: where others say something of the same call at the same time


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class _Read:
    """A call as it stands. `waits`: for an auditor. `now`: ms, by the store's clock."""

    action: Action
    waits: bool
    now: int


class RedisAudits:
    """Implements learning_ports.Audits. *notes*: the gate's, which makes and seals records."""

    def __init__(self, client: Redis, notes: Noting, prefix: str = "interlock") -> None:
        self._client = client
        self._notes = notes
        self._prefix = "{" + prefix + "}"
        self._script = Script("audits")

    async def waiting(
        self, after: str | None, limit: int
    ) -> tuple[tuple[Action | Changed, ...], str | None]:
        """Return calls that wait for an auditor, oldest first, and the cursor of the next page.

        They have body and answer, up to `operations.AUDITED` bytes of each. Of one that was changed
        outside, or cannot be read any more, there is only the id.

        Raises:
            MalformedCall: the cursor is none of ours.
            StoreUnavailable: it did not answer.
        """
        place = "" if after is None else _place(after)
        rows = await self._ask("waiting", place, max(1, limit))
        found = [(name.decode("utf-8", "replace"), flat) for name, _, flat in rows]
        full = len(rows) == max(1, limit)
        following = f"{rows[-1][1].decode()}-{found[-1][0]}" if full else None
        return tuple(self._believed(*each) for each in found), following

    async def count(self) -> int:
        key = f"{self._prefix}:audits"
        return int(cast(int, await patiently(lambda: self._client.zcard(key))))

    async def dropped(self) -> int:
        """Return how many drawn calls were not kept for an auditor: too many waited."""
        key = f"{self._prefix}:audits:dropped"
        return int(await patiently(lambda: self._client.get(key)) or 0)

    async def get(self, action_id: str) -> Action | None:
        """Return a call that waits for an auditor; None: it does not (any more).

        Raises:
            StoreUnavailable: it did not answer.
        """
        read = await self._read(action_id)
        return self._ours(read.action) if read is not None and read.waits else None

    async def judge(self, action_id: str, verdict: Audited) -> bool:
        """Keep a verdict, of which the store's clock says when it was given.

        *verdict*: `who` is a pseudonym (`Noting.pseudonym`). False: somebody else judged the call
        first, or it was not drawn.
        """

        def judged(read: _Read, record: DecidedCall) -> DecidedCall | None:
            if not read.waits or record.audit is not None:
                return None
            if self._notes.vouched(read.action) is None:
                return None
            said = self._words(read.action, verdict.message)
            return with_audit(record, replace(verdict, at=read.now, message=said))

        return await self._tell(action_id, "audit", judged)

    async def report(self, action_id: str, report: Reported) -> bool:
        """Keep how a call that has ended turned out; the store's clock says when that was told.

        *report*: `by` is `agent`, or a pseudonym. False: there is no room for it (see
        `core.reporting.heard`), it has not ended, or there is none.
        """

        def reported(read: _Read, record: DecidedCall) -> DecidedCall | None:
            said = self._words(read.action, report.message)
            if report.by == BY_AGENT:
                said = self._notes.within_share(read.action, said, read.now)
            return with_report(record, replace(report, at=read.now, message=said))

        return await self._tell(action_id, "report", reported)

    def _words(self, action: Action, message: str) -> str:
        """Return *message* masked first, then cut: half of a secret would not be found."""
        return self._notes.words(action, message)[:_WORDS]

    async def _tell(
        self, action_id: str, kind: str, made: Callable[[_Read, DecidedCall], DecidedCall | None]
    ) -> bool:
        """Write the record that *made* returns, unless the call has moved meanwhile."""
        nonce = secrets.token_hex(16)
        for _ in range(_TRIES):
            read = await self._read(action_id)
            if read is None or not to_note(read.action):
                return False
            known = self._notes.told(read.action)
            record = made(read, only_told(action_id, read.action.version, known))
            if record is None:
                return False
            before = record.told - 1
            sealed = self._notes.encode(record)
            said = (nonce, read.action.version, before, kind, sealed)
            (answer,) = await self._ask("tell", action_id, *said)
            if answer != b"STALE":
                return bool(answer == b"OK")
        raise StoreUnavailable("Others say something of this call at the same time; try again.")

    async def _read(self, action_id: str) -> _Read | None:
        now, waits, flat = await self._ask("read", action_id)
        action = self._decoded(action_id, flat) if flat else None
        if action is None:
            return None
        return _Read(action=action, waits=waits == b"1", now=int(now))

    def _believed(self, name: str, flat: Sequence[bytes]) -> Action | Changed:
        action = self._decoded(name, flat)
        ours = None if action is None else self._notes.vouched(action)
        return Changed(id=name) if ours is None else ours

    def _ours(self, action: Action) -> Action:
        """Return what of *action* is under its seal; a changed one as it is, which shows in it."""
        return self._notes.vouched(action) or action

    def _decoded(self, name: str, flat: Sequence[bytes]) -> Action | None:
        try:
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            return decode_action(name, fields, self._notes.answer_key)
        except DAMAGED:
            return None  # nobody can judge what cannot be read

    async def _ask(self, what: str, *given: str | int | bytes) -> Any:
        return await patiently(lambda: self._script(self._client, self._prefix, what, *given))


def _place(cursor: str) -> str:
    score, _, name = cursor.partition("-")
    if not (score.isascii() and score.isdecimal() and name) or " " in name:
        raise MalformedCall("This cursor is none of ours; start again without one.")
    return f"{score} {name}"
