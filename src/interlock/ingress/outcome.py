"""`POST /v1/calls/{id}/outcome`: an agent says afterwards how a call of its own turned out.

What it says is a claim: it can only count against the call. Its words reach auditors and
records, masked as everything there.
"""

from __future__ import annotations

import re

from aiohttp import web

from ..core import reporting
from ..core.actions import Action, Agent, State
from ..core.content import parse_content
from ..core.errors import (
    IllegalTransition,
    InterlockError,
    MalformedCall,
    NotFound,
    QueueFull,
    StoreUnavailable,
)
from ..core.lifecycle import FINAL
from ..core.records import Reported, Turned
from ..gate import Gate
from ..learning_ports import Audits
from .problems import Notice, Rendered, problem
from .reading import body_of

OUTCOME_PATH = re.compile(r"/v1/calls/([a-z0-9]{8,40})/outcome\Z")
LONGEST_MESSAGE = 2000  #: characters
LARGEST_BODY = 32 * 1024  #: bytes
REPORTS = reporting.MOST  #: of one call, by its agent
_SHAPE = 'Send JSON such as {"turned": "wrong", "message": "Paid the wrong invoice."}.'


def parse_outcome(media_type: str, body: bytes) -> tuple[Turned, str]:
    """Return how a call turned out, and the words about it.

    Raises:
        MalformedCall: it is not `{"turned": "right" | "wrong"}`, with or without a `message`.
    """
    document = parse_content(media_type, body).value
    if not isinstance(document, dict) or not {"turned"} <= set(document) <= {"turned", "message"}:
        raise MalformedCall(
            f"The body must be an object with `turned`, and `message` if you have one. {_SHAPE}"
        )
    turned, message = document["turned"], document.get("message", "")
    if turned not in ("right", "wrong"):
        raise MalformedCall(f"`turned` must be `right` or `wrong`. {_SHAPE}")
    if not isinstance(message, str):
        raise MalformedCall(f"`message` must be text. {_SHAPE}")
    if len(message) > LONGEST_MESSAGE:
        raise MalformedCall(
            f"`message` has {len(message)} characters; at most {LONGEST_MESSAGE} are kept. Say it"
            " in short."
        )
    return Turned(turned), message


class Outcomes:
    """Takes what agents report of their own calls."""

    def __init__(self, gate: Gate, audits: Audits) -> None:
        self._gate = gate
        self._audits = audits

    async def take(self, request: web.BaseRequest, agent: Agent, action_id: str) -> Rendered:
        """Keep one report and say so, or why not."""
        try:
            await self._take(request, agent, action_id)
        except InterlockError as error:
            return problem(_notice(error))
        return Rendered(status=204, headers=(("Cache-Control", "no-store"),), body=b"")

    async def _take(self, request: web.BaseRequest, agent: Agent, action_id: str) -> None:
        if request.method != "POST":
            raise NotFound("Only POST is possible here.")
        action = await self._gate.of_agent(action_id, agent.id)
        if action is None:
            raise NotFound(f"You have no call {action_id}; calls are kept for a while only.")
        if not _ended(action):
            raise IllegalTransition(
                f"The call is {action.state.value}; it has not turned out yet. Report it once"
                f" /v1/calls/{action_id} says that it has ended."
            )
        body = await body_of(request, LARGEST_BODY)
        turned, message = parse_outcome(request.headers.get("Content-Type", ""), body)
        report = Reported(by="agent", turned=turned, at=0, message=message)
        if not await self._audits.report(action_id, report):
            raise QueueFull(
                f"You reported this call {REPORTS} times already. Your latest report stands; do not"
                " send more."
            )


def _ended(action: Action) -> bool:
    return action.state in FINAL or action.state is State.UNKNOWN


def _notice(error: InterlockError) -> Notice:
    """Return what the agent is told: that the call itself is as it was goes without saying."""
    later = isinstance(error, StoreUnavailable)
    kind, title = error.kind, error.kind.replace("-", " ").capitalize()
    detail = "The store does not answer; try again in a few seconds." if later else error.detail
    if isinstance(error, QueueFull):
        kind, title = "too-many-reports", "Too many reports"
    elif isinstance(error, IllegalTransition):
        kind, title = "not-ended", "Not ended"
    return Notice(
        kind=kind,
        status=error.status,
        title=title,
        detail=f"NOT REPORTED. {detail}",
        headers=(("Retry-After", "5"),) if later else (),
    )
