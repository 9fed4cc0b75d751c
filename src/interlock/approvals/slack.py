"""What Slack posts when somebody presses a button: proven to be Slack's, then read. Pure.

Sources: docs.slack.dev, "Verifying requests from Slack" (v0) and "Handling user interaction".
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qs

from ..core.actions import Action, Reviewer
from ..core.decisions import Decision
from ..core.errors import MalformedCall
from ..core.tickets import Ticket
from ..ports import Clock

FRESH_S = 300  #: how old a request may be, as Slack says
APPROVE, REJECT = "interlock_approve", "interlock_reject"
REJECTING = "interlock_reject_form"
VERDICTS = {APPROVE: "approve", REJECT: "reject"}
_STAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
_CODE = re.compile(r"[a-z0-9_]{0,40}", re.ASCII)


class SlackTalk(Protocol):
    """What is said to Slack; `interlock.notify.slack.Slack` has it. What fails is logged there."""

    async def stands_at(self, action_id: str, channel: str, ts: str) -> bool: ...

    def may_approve(self, action: Action, present: Decision) -> bool:
        """Say whether the message about a call would have an Approve button now.

        *present*: what policy says of the call today; the stricter of the two counts.
        """

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
        """Open the form for a rejection; say whether it was opened."""

    async def whisper(self, response_url: str, text: str) -> None: ...

    async def redraw(self, action_id: str) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SlackDoor:
    """How Slack's requests are checked, and who its users are. `key`: of tickets."""

    secret: str = field(repr=False)
    key: bytes = field(repr=False)
    app: str
    team: str
    people: Mapping[str, Reviewer]
    talk: SlackTalk
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """A button was pressed: `value` is what it carries, `channel` and `ts` are its message."""

    user: str
    name: str
    value: str
    trigger: str
    response_url: str
    channel: str
    ts: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Submitted:
    """A form was sent off."""

    user: str
    ticket: str
    response_url: str
    reason: str
    code: str
    required: bool  #: one of them has to be there


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """Slack asks whether this address listens."""

    challenge: str


Interaction = Pressed | Submitted | Verification


class NotSlack(Exception):
    """The request is not the app's own. The one argument is a word for why, for metrics."""


def proven(door: SlackDoor, headers: Mapping[str, str], raw: bytes) -> None:
    """Check that Slack has signed *raw* for this app, lately.

    Raises:
        NotSlack: it has not.
    """
    stamp = headers.get("X-Slack-Request-Timestamp", "")
    if not _STAMP.fullmatch(stamp):
        raise NotSlack("signature")
    said = b"v0:" + stamp.encode() + b":" + raw
    expected = "v0=" + hmac.new(door.secret.encode(), said, hashlib.sha256).hexdigest()
    given = headers.get("X-Slack-Signature", "")
    if not hmac.compare_digest(expected.encode(), given.encode("utf-8", "replace")):
        raise NotSlack("signature")
    if abs(door.clock.now_ms() // 1000 - int(stamp)) > FRESH_S:
        raise NotSlack("old")


def interaction(door: SlackDoor, media_type: str, raw: bytes) -> Interaction | None:
    """Return what a proven request says; None where there is nothing to do.

    Raises:
        NotSlack: it is of another app or workspace.
        MalformedCall: it cannot be read.
    """
    payload = _payload(media_type, raw)
    kind = payload.get("type")
    if kind == "url_verification":
        return Verification(challenge=_text(payload, "challenge"))
    _check_origin(door, payload)
    if kind == "block_actions":
        return _pressed(payload)
    return _submitted(payload) if kind == "view_submission" else None


def _payload(media_type: str, raw: bytes) -> Mapping[str, Any]:
    try:
        text = raw.decode("utf-8")
        if media_type == "application/x-www-form-urlencoded":
            fields = parse_qs(text, strict_parsing=True, max_num_fields=10)
            [text] = fields["payload"]
        payload = json.loads(text)
    except (ValueError, KeyError, RecursionError):
        raise MalformedCall("The request is not what Slack posts.") from None
    if not isinstance(payload, dict):
        raise MalformedCall("The request is not what Slack posts.")
    return payload


def _check_origin(door: SlackDoor, payload: Mapping[str, Any]) -> None:
    if _text(payload, "api_app_id") != door.app:
        raise NotSlack("app")
    # in a shared channel the message is ours and the person may be of another company
    teams = {_text(_part(payload, "team"), "id"), _text(_part(payload, "user"), "team_id")}
    if teams != {door.team}:
        raise NotSlack("team")


def _pressed(payload: Mapping[str, Any]) -> Pressed | None:
    actions = payload.get("actions")
    if not isinstance(actions, list) or len(actions) != 1 or not isinstance(actions[0], dict):
        raise MalformedCall("Slack posted no action.")
    name, at = _text(actions[0], "action_id"), _part(payload, "container")
    if name not in VERDICTS:
        return None  # a button that is a link posts, too
    return Pressed(
        user=_text(_part(payload, "user"), "id"),
        name=name,
        value=_text(actions[0], "value"),
        trigger=_text(payload, "trigger_id"),
        response_url=_text(payload, "response_url"),
        channel=_text(at, "channel_id"),
        ts=_text(at, "message_ts"),
    )


def _submitted(payload: Mapping[str, Any]) -> Submitted | None:
    view = _part(payload, "view")
    if view.get("callback_id") != REJECTING:
        return None
    values = _part(_part(view, "state"), "values")
    reason = _part(_part(values, "reason"), "reason")
    option = _part(_part(_part(values, "code"), "code"), "selected_option")
    code = _text(option, "value")
    try:
        ticket, url, required = json.loads(_text(view, "private_metadata"))
    except (ValueError, TypeError):
        raise MalformedCall("The form is none of ours.") from None
    return Submitted(
        user=_text(_part(payload, "user"), "id"),
        ticket=str(ticket),
        response_url=str(url),
        reason=_text(reason, "value").strip(),
        code=code if _CODE.fullmatch(code) else "",
        required=required is True,
    )


def _part(of: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    found = of.get(name)
    return found if isinstance(found, dict) else {}


def _text(of: Mapping[str, Any], name: str) -> str:
    found = of.get(name)
    return found if isinstance(found, str) else ""
