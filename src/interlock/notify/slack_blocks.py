"""What Slack shows, in Block Kit. Pure.

What agents wrote is only ever in boxes of preformatted text, which Slack reads no markup, link,
mention or emoji in; everything else is ours or policy's, and escaped. So no text of an agent looks
like a button, a heading or a word of Interlock.

Limits (docs.slack.dev/reference/block-kit): 50 blocks, 3000 characters in a section, 150 in a
header, 2000 in a button's value, about 12,000 in all blocks of a message (bolt-js #2509).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..core.actions import Action, State, ToolCall
from ..core.lookalikes import warnings
from ..core.redaction import (
    SECRET_HEADERS,
    original,
    shown,
    visible_bytes,
    visible_line,
)
from ..core.wording import outcome
from ..ports import Notice
from .telling import Digest, Told, moment, unmarked

Block = dict[str, Any]

HEADER, SECTION, BOX = 150, 3000, 2800  #: characters
MOST = 6000  #: characters of a request that may be approved in Slack; more is for the page
LINES = 80  #: and lines: a box that is higher is folded by some clients
FEW = 20  #: calls in one message about several
APPROVE, REJECT, OPEN = "interlock_approve", "interlock_reject", "interlock_open"
REJECTING = "interlock_reject_form"
REASON, CODE = "reason", "code"
_ENTITY = re.compile(r"&#?[0-9A-Za-z]{1,32};")
_FALLBACK = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Buttons:
    """The values of the buttons of a held call; an empty one is not drawn.

    `request`: all that an approval sends, as `request` returns it; drawn above the button.
    """

    reject: str = ""
    approve: str = ""
    request: tuple[str, str] = ("", "")


NO_BUTTONS = Buttons()


def escaped(text: str) -> str:
    """Return *text* as Slack shows it literally: it decodes these three, and no others."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def plain(text: str, most: int = SECTION) -> Block:
    """Return a text object without markup and emoji, of at most *most* characters as written."""
    return {"type": "plain_text", "text": _cut(text, most) or "-", "emoji": False}


def _cut(text: str, most: int) -> str:
    written = escaped(text)
    if len(written) <= most:
        return written
    while len(escaped(text)) >= most:
        text = text[: most - 1] if len(text) >= most else text[:-1]
    return f"{escaped(text)}…"


def boxed(text: str) -> list[Block]:
    """Return *text* in boxes of text that is shown as it is, none longer than Slack takes."""
    return [
        {
            "type": "rich_text",
            "elements": [
                {
                    "type": "rich_text_preformatted",
                    "elements": [{"type": "text", "text": text[at : at + BOX]}],
                }
            ],
        }
        for at in range(0, len(text), BOX)
    ]


def _section(text: str) -> Block:
    return {"type": "section", "text": plain(text), "expand": True}


def _header(text: str) -> Block:
    return {"type": "header", "text": plain(text, HEADER)}


def _aside(text: str) -> Block:
    return {"type": "context", "elements": [plain(text)]}


def _button(label: str, name: str, **more: Any) -> Block:
    return {"type": "button", "action_id": name, "text": plain(label, 75), **more}


# what is held ------------------------------------------------------------------------------


def waiting(said: Told, buttons: Buttons) -> dict[str, Any]:
    """Return the message about a call that waits."""
    blocks = [_header(_heading(said)), *_facts(said)]
    if buttons.approve:
        head, body = buttons.request
        blocks += [_aside("What an approval sends, all of it:"), *boxed(head), *boxed(body)]
    elif said.arguments:
        text = "\n".join(f"{name}: {value}" for name, value in said.arguments)
        more = "…" if len(text) > MOST else ""
        blocks.append(_aside("From the agent, cut short; the page has all of it:"))
        blocks += boxed(text[:MOST] + more)
    blocks.append({"type": "actions", "block_id": "decide", "elements": _actions(said, buttons)})
    blocks.append(_aside(f"Call {said.id}, version {said.version}"))
    return _message(f"{_heading(said)}: {said.link}", blocks)


def _heading(said: Told) -> str:
    """Return the heading: no text of an agent, so not what it calls a tool that nobody knows."""
    return f"A call waits for approval ({said.stake} stake)"


def _facts(said: Told) -> list[Block]:
    lines = [said.description] if said.description else []
    lines.append(f"Tool: {said.tool}" if said.known else "Tool: none that policy knows")
    lines.append(f"Agent: {said.agent}, to {said.destination}")
    lines.append(f"{said.stake.capitalize()} stake. {said.consequence}")
    if said.quorum > 1:
        lines.append(f"{said.votes} of {said.quorum} people have approved.")
    if said.groups:
        lines.append(f"May decide: {', '.join(said.groups)}")
    if said.asked:
        lines.append(f"Asked to decide: {', '.join(said.asked)}")
    if said.raised:
        lines.append(f"{said.raised[:1].upper()}{said.raised[1:]}")
    if said.deadline:
        lines.append(f"Lapses at {moment(said.deadline)}")
    blocks = [_section("\n".join(lines))]
    return (
        blocks
        if said.known
        else [*blocks, _aside("Called, as the agent wrote it:"), *boxed(said.tool)]
    )


def _actions(said: Told, buttons: Buttons) -> list[Block]:
    drawn = [_button("Open", OPEN, url=said.link)]
    if buttons.reject:
        drawn.append(_button("Reject…", REJECT, value=buttons.reject, style="danger"))
    if buttons.approve:
        drawn.append(
            _button(
                "Approve",
                APPROVE,
                value=buttons.approve,
                style="primary",
                confirm={
                    "title": plain("Approve this call?", 100),
                    "text": plain("It is sent at once, exactly as shown.", 300),
                    "confirm": plain("Approve", 30),
                    "deny": plain("Not yet", 30),
                },
            )
        )
    return drawn


def request(call: ToolCall, upstreams: Mapping[str, str]) -> tuple[str, str] | None:
    """Return head and body of the request that an approval sends, in which everything is visible.

    None where not all of it can be shown in Slack for certain: it is too long, carries a
    credential, is made to be misread, or holds what Slack might decode.
    """
    if any(name.strip().lower() in SECRET_HEADERS for name, _ in call.headers):
        return None
    body = shown(visible_bytes(call.body))
    head = "\n".join((_first_line(call, upstreams), *_header_lines(call.headers)))
    text = f"{head}\n{body}"
    if len(text) > MOST or text.count("\n") > LINES or _ENTITY.search(text):
        return None
    if warnings(original(text)):
        return None
    return head, body or "(no body)"


def _first_line(call: ToolCall, upstreams: Mapping[str, str]) -> str:
    base = upstreams.get(call.upstream, "")
    signed = f" (signed for {call.service} {call.region})" if call.service else ""
    if call.mcp is not None:
        where = call.mcp.command or base or call.upstream
        return f"{visible_line(call.mcp.name)} of {visible_line(where)}"
    where = base.rstrip("/") if base else f"{call.upstream}:"
    return visible_line(f"{call.method} {where}{call.target}") + visible_line(signed)


def _header_lines(headers: Iterable[tuple[str, str]]) -> Iterable[str]:
    return (f"{visible_line(name)}: {visible_line(value)}" for name, value in headers)


# what is over, or only told ------------------------------------------------------------------


def settled(said: Told, action: Action) -> dict[str, Any]:
    """Return what a message about a held call becomes once nobody can decide it any more."""
    how = ended(action)
    lines = [how, f"Tool: {said.tool}"] if said.known else [how]
    lines.append(f"Agent: {said.agent}, to {said.destination}")
    if said.reason:
        lines.append(f"Reason: {said.reason}")
    blocks = [_header(how.rstrip(".")), _section("\n".join(lines))]
    blocks.append({"type": "actions", "elements": [_button("Open", OPEN, url=said.link)]})
    blocks.append(_aside(f"Call {said.id}, version {said.version}"))
    return _message(f"{how} {said.link}", blocks)


def ended(action: Action) -> str:
    """Return what became of a call and by whom: `Rejected by ann.`

    A practice call ends for the channel as if its agent had taken it back: that it was practice is
    told to whoever decided it.
    """
    action = unmarked(action)
    people = list(dict.fromkeys(visible_line(each.reviewer.id) for each in action.reviews))
    who = " and ".join(people)
    match action.state:
        case State.REJECTED if people:
            return f"Rejected by {who}."
        case State.RESPONDED if people:
            return f"Answered in the tool's place by {who}."
        case State.APPROVED | State.FORWARDING | State.ANSWERED | State.UNKNOWN if people:
            done = "Edited and approved" if action.edited else "Approved"
            return f"{done} by {who}."
        case _:
            said = outcome(action) or action.state.value
            return f"{said[:1].upper()}{said[1:]}."


def passing(said: Told) -> dict[str, Any]:
    """Return a message without a decision: let through, still waiting."""
    heading = _TOLD[said.why].format(stake=said.stake)
    blocks = [_header(heading), *_facts(said)]
    blocks.append({"type": "actions", "elements": [_button("Open", OPEN, url=said.link)]})
    return _message(f"{heading}: {said.link}", blocks)


def sample(said: Told) -> dict[str, Any]:
    """Return a message that only shows that Slack can be reached."""
    return _message(said.title, [_section(said.title)])


_TOLD = {
    Notice.SENT: "A call was let through ({stake} stake)",
    Notice.HELD: "A call waits for approval ({stake} stake)",
    Notice.REMINDER: "A call still waits for approval ({stake} stake)",
    Notice.ESCALATED: "A call still waits; more people may decide ({stake} stake)",
    Notice.ASKED: "Somebody is asked to decide a call ({stake} stake)",
    Notice.SETTLED: "A call waits no more ({stake} stake)",
}


def several(digest: Digest) -> dict[str, Any]:
    """Return one message about several calls."""
    blocks = [_header(digest.title), *map(_row, digest.told[:FEW])]
    more = len(digest.told[FEW:]) + digest.more
    if more:
        blocks.append(_aside(f"and {more} more"))
    return _message(digest.title, blocks)


def _row(said: Told) -> Block:
    text = f"{moment(said.created)}, {said.agent}, {said.stake} stake: "
    parts: list[Block] = [
        {"type": "text", "text": text},
        {"type": "text", "text": said.tool, "style": {"code": True}},
        {"type": "text", "text": " "},
        {"type": "link", "url": said.link, "text": "open"},
    ]
    return {"type": "rich_text", "elements": [{"type": "rich_text_section", "elements": parts}]}


# what is asked -------------------------------------------------------------------------------


def rejecting(
    what: str, metadata: str, reasons: Sequence[tuple[str, str]], *, required: bool
) -> Block:
    """Return the form that asks why a call is rejected; *what*: which call, in our words."""
    options = [{"text": plain(text, 75), "value": code} for code, text in reasons]
    return {
        "type": "modal",
        "callback_id": REJECTING,
        "private_metadata": metadata,
        "title": plain("Reject this call", 24),
        "submit": plain("Reject", 24),
        "close": plain("Back", 24),
        "blocks": [
            _section(what),
            {
                "type": "input",
                "block_id": CODE,
                "optional": True,
                "label": plain("Why not"),
                "element": {"type": "static_select", "action_id": CODE, "options": options},
            },
            {
                "type": "input",
                "block_id": REASON,
                "optional": True,
                "label": plain("In your words; the agent is told"),
                "hint": plain(
                    "Policy asks for a reason: choose one above or write it here."
                    if required
                    else "It is kept in the record."
                ),
                "element": {
                    "type": "plain_text_input",
                    "action_id": REASON,
                    "multiline": True,
                    "max_length": 3000,
                },
            },
        ],
    }


def whisper(text: str) -> dict[str, Any]:
    """Return an answer that only who pressed the button sees."""
    return {
        "response_type": "ephemeral",
        "replace_original": False,
        "text": escaped(text[:_FALLBACK]),
        "blocks": [_section(text)],
    }


def _message(text: str, blocks: list[Block]) -> dict[str, Any]:
    """Return a message; *text* is what notifications show. Nothing in it is looked up or linked."""
    return {
        "text": escaped(text[:_FALLBACK]),
        "blocks": blocks,
        "mrkdwn": False,
        "parse": "none",
        "link_names": False,
        "unfurl_links": False,
        "unfurl_media": False,
    }
