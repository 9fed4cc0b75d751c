"""Tell people in a Slack channel: one message for each held call, kept up to date until it is over.

A message shows the call as it is when Slack is told, whatever it was when the notice was written.
Its buttons are drawn only where pressing them can be trusted: see `_buttons`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from weakref import WeakValueDictionary

from ..core.actions import Action, State, evolve
from ..core.decisions import Decision, Level
from ..core.lifecycle import stricter
from ..core.tickets import Ticket, written
from ..ports import Notice
from . import slack_blocks as blocks
from .channel import ALL, Undelivered
from .delivery import Calls
from .slack_api import SlackApi, SlackError
from .telling import Digest, Told, told

log = logging.getLogger("interlock.notify")

NAME = "slack"
KEPT_MS = 90 * 86_400_000  #: how long it is known which message is about which call
_GONE = frozenset({"message_not_found", "cant_update_message", "edit_window_closed"})
_UNFIT = frozenset(
    {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackWay:
    """Where people are told, and what they may do there.

    `decides`: whether Slack's answers can be checked, so that there are buttons; `approve`:
    whether one of them may approve. `url`: where people reach the page.
    """

    token: str = field(repr=False)
    channel: str
    url: str
    api_url: str = "https://slack.com/api"
    key: bytes = field(default=b"", repr=False)  #: of tickets
    decides: bool = False
    approve: bool = False
    arguments: bool = False
    wants: frozenset[Notice] = ALL
    upstreams: Mapping[str, str] = field(default_factory=dict)


class Notes(Protocol):
    """Small durable notes on calls. Raises StoreUnavailable."""

    async def note(self, channel: str, action_id: str, text: str, keep_ms: int) -> None: ...

    async def noted(self, channel: str, action_id: str) -> str:
        """Return what was noted last, or an empty text."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message is."""

    channel: str
    ts: str


_AGAIN = frozenset({Notice.REMINDER, Notice.ESCALATED, Notice.ASKED})  # told below the message


class Slack:
    """channel.Channel, and what `approvals.channels` answers people with."""

    name = NAME

    def __init__(self, settings: SlackWay, calls: Calls, notes: Notes) -> None:
        self._settings = settings
        self._calls = calls
        self._notes = notes
        self._api = SlackApi(settings.api_url, settings.token)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @property
    def wants(self) -> frozenset[Notice]:
        return self._settings.wants

    @property
    def arguments(self) -> bool:
        return self._settings.arguments

    async def close(self) -> None:
        await self._api.close()

    # telling ---------------------------------------------------------------------------------

    async def send(self, said: Told) -> None:
        """Tell people of one call. Raises Undelivered and StoreUnavailable."""
        action = await self._calls.get(said.id)
        if said.why is Notice.SENT or action is None:
            await self._passing(said, action)
            return
        place = await self._drawn(said.id, said)
        if said.why in _AGAIN and action.state is State.HELD:
            await self._passing(said, action, place)

    async def send_digest(self, digest: Digest) -> None:
        """Tell people of several calls in one message. Raises Undelivered."""
        await self._post(blocks.several(digest))

    async def redraw(self, action_id: str) -> None:
        """Have the message about a call show what it is now; what fails is only logged.

        The notice that the call is settled goes through the outbox besides, and is not lost.
        """
        with _logged():
            await self._drawn(action_id, None)

    async def _passing(self, said: Told, action: Action | None, place: Place | None = None) -> None:
        if action is None:
            if said.why is Notice.HELD and not said.digest:  # a test
                await self._post(blocks.sample(said))
            return  # there is nothing to look at any more
        thread = {"thread_ts": place.ts, "reply_broadcast": True} if place else {}
        await self._post(blocks.passing(said) | thread)

    async def _drawn(self, action_id: str, said: Told | None) -> Place | None:
        """Write or rewrite the message about a held call; return where it is, if anywhere."""
        turn = self._turns.setdefault(action_id, asyncio.Lock())
        async with turn:  # what is read within is not older than what was drawn before
            action, place = await self._calls.get(action_id), await self.place(action_id)
            if action is None or (
                place is None and (said is None or action.state is not State.HELD)
            ):
                return place
            asked = said.asked if said else ()
            try:
                return await self._written(action, place, self._message(action, asked))
            except SlackError as error:
                if error.error not in _UNFIT:
                    raise
            return await self._written(action, place, self._brief(action))

    async def _written(
        self, action: Action, place: Place | None, message: dict[str, Any]
    ) -> Place | None:
        if place is not None:
            try:
                await self._api.call(
                    "chat.update", {"channel": place.channel, "ts": place.ts, **message}
                )
                return place
            except SlackError as error:
                if error.error not in _GONE:
                    raise
                if action.state is not State.HELD:
                    return None  # somebody took it down: nothing is left to mend
        place = await self._post(message)
        await self._notes.note(NAME, action.id, json.dumps([place.channel, place.ts]), KEPT_MS)
        return place

    async def _post(self, message: Mapping[str, Any]) -> Place:
        channel = self._settings.channel
        answer = await self._api.call("chat.postMessage", {"channel": channel, **message})
        return Place(str(answer.get("channel") or channel), str(answer.get("ts") or ""))

    # drawing ---------------------------------------------------------------------------------

    def _message(self, action: Action, asked: tuple[str, ...]) -> dict[str, Any]:
        held = action.state is State.HELD
        said = self._told(action, Notice.HELD if held else Notice.SETTLED, asked)
        if not held:
            return blocks.settled(said, action)
        return blocks.waiting(said, self._buttons(action, said))

    def _brief(self, action: Action) -> dict[str, Any]:
        """Return the message without anything of the agent's: Slack did not take it with that."""
        held = action.state is State.HELD
        said = self._told(action, Notice.HELD if held else Notice.SETTLED, ())
        if not held:
            return blocks.passing(said)
        reject = self._buttons(action, said).reject
        return blocks.waiting(replace(said, arguments=()), blocks.Buttons(reject=reject))

    def _told(self, action: Action, why: Notice, asked: tuple[str, ...]) -> Told:
        return told(
            action,
            why,
            self._settings.url,
            with_arguments=self._settings.arguments,
            assigned=asked,
            redact=self._calls.policy.redact,
            upstreams=self._settings.upstreams,
        )

    def _buttons(self, action: Action, said: Told) -> blocks.Buttons:
        """Return the buttons that may be pressed without looking at the page.

        Reject, where the answer can be checked. Approve only where the message shows all that is
        sent and policy asks for nothing that the page alone can give.
        """
        if not self._settings.decides or not self._calls.genuine(action):
            return blocks.NO_BUTTONS
        reject = self._ticket(action, "reject")
        exact = blocks.request(action.call, self._settings.upstreams)
        if exact is None or not (self._settings.approve and _simple(action, said)):
            return blocks.Buttons(reject=reject)
        return blocks.Buttons(reject=reject, approve=self._ticket(action, "approve"), request=exact)

    def _ticket(self, action: Action, verdict: str, holder: str = "") -> str:
        ticket = Ticket(
            channel=NAME,
            verdict=verdict,
            action=action.id,
            version=action.version,
            digest=action.digest,
            expires=action.deadline,
            holder=holder,
        )
        return written(ticket, self._settings.key)

    # answering -------------------------------------------------------------------------------

    async def place(self, action_id: str) -> Place | None:
        """Return where the message about a call is. Raises StoreUnavailable."""
        text = await self._notes.noted(NAME, action_id)
        try:
            channel, ts = json.loads(text) if text else ("", "")
        except ValueError:
            return None
        return Place(str(channel), str(ts)) if ts else None

    async def stands_at(self, action_id: str, channel: str, ts: str) -> bool:
        """Say whether the message at this place may be about the call. Raises StoreUnavailable."""
        place = await self.place(action_id)
        return place is None or place == Place(channel, ts)

    def may_approve(self, action: Action, present: Decision) -> bool:
        """Say whether the message about a call would have an Approve button now.

        *present*: what policy says of the call today; the stricter of the two counts.
        """
        if action.decision is None:
            return False
        both = evolve(action, decision=stricter(action.decision, present))
        simple = _simple(both, self._told(both, Notice.HELD, ())) and not present.indeterminate
        return simple and bool(self._buttons(action, self._told(action, Notice.HELD, ())).approve)

    async def ask_reason(
        self,
        trigger: str,
        response_url: str,
        ticket: Ticket,
        action: Action,
        reasons: Sequence[tuple[str, str]],
        *,
        required: bool,
    ) -> bool:
        """Open the form for a rejection, to the one who pressed the button; say whether it is."""
        said = self._told(action, Notice.HELD, ())
        name = f"{said.tool}, asked for by {said.agent}" if said.known else said.id
        metadata = json.dumps([written(ticket, self._settings.key), response_url, required])
        view = blocks.rejecting(f"{name}. Nothing is sent.", metadata, reasons, required=required)
        with _logged() as went:
            await self._api.call("views.open", {"trigger_id": trigger, "view": view})
            went.append(True)
        return bool(went)

    async def whisper(self, response_url: str, text: str) -> None:
        """Tell only the person who pressed a button; what fails is logged."""
        with _logged():
            await self._api.respond(response_url, blocks.whisper(text))


@contextlib.contextmanager
def _logged() -> Iterator[list[bool]]:
    """Log that Slack was not reached: nobody sends it again."""
    try:
        yield []
    except Undelivered as error:
        log.warning("%s", error.why)


def _simple(action: Action, said: Told) -> bool:
    """Say whether one press by one person may be all that policy asks for."""
    decision = action.decision
    if decision is None or not said.plain or not decision.tool or action.edited or action.votes:
        return False
    one = decision.level is Level.APPROVE and decision.quorum == 1
    return one and "approve" not in decision.require_reason and not decision.indeterminate
