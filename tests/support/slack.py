"""A Slack of one workspace: its Web API, what its clients show, and what a press of a button posts.

It speaks the protocol as docs.slack.dev has it: JSON with a bot's token, `ok: false` with HTTP 200,
429 with Retry-After, Block Kit's limits, triggers that work once, interactions that are signed
(v0) and posted as a form. While an interaction is under way nothing else is answered: a receiver
that acknowledges only after it has talked to Slack never does (Slack gives it three seconds).
"""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlencode

import httpx

TOKEN, SECRET = "xoxb-token-of-tests-canary", "signing-secret-of-tests-canary"
APP, TEAM, CHANNEL = "A0INTERLOCK", "T0TEAM", "C0HELD"
PATIENCE = 20.0  #: seconds that a test waits for what must come


class NotAcknowledged(AssertionError):
    """Slack would have told the person that the app does not answer."""


@dataclass
class Message:
    """A message as its channel shows it."""

    channel: str
    ts: str
    content: dict[str, Any]
    edits: int = 0

    @property
    def blocks(self) -> list[dict[str, Any]]:
        return list(self.content.get("blocks", []))

    @property
    def buttons(self) -> dict[str, dict[str, Any]]:
        rows = [block["elements"] for block in self.blocks if block["type"] == "actions"]
        return {each["action_id"]: each for row in rows for each in row}

    @property
    def text(self) -> str:
        """All that a person can read in it, as Slack decodes it."""
        return "\n".join(decoded(each) for each in texts(self.blocks))


@dataclass
class Refusal:
    """How the next call of a method fails: an error's word, or an HTTP status with headers."""

    error: str = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class Slack:
    """Serves at `url` until `stop`."""

    def __init__(self) -> None:
        self.messages: dict[str, Message] = {}
        self.views: list[dict[str, Any]] = []
        self.whispers: list[dict[str, Any]] = []
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.interactions = ""  #: where the app takes interactions
        self._refusals: dict[str, list[Refusal]] = {}
        self._triggers: set[str] = set()
        self._numbers = itertools.count(1)
        self._quiet = threading.Event()
        self._quiet.set()
        self._news = threading.Condition()
        slack = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
                if not slack._quiet.wait(PATIENCE):
                    status, said, headers = 500, {"ok": False, "error": "never_acknowledged"}, {}
                else:
                    status, said, headers = slack._answer(self.path, self.headers, body)
                content = json.dumps(said).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
                with slack._news:
                    slack._news.notify_all()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def api_url(self) -> str:
        return f"{self.url}/api"

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def fails(self, method: str, *refusals: Refusal) -> None:
        """Let the next calls of *method* fail, one after the other."""
        self._refusals.setdefault(method, []).extend(refusals)

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait until something was told to Slack."""
        with self._news:
            if not self._news.wait_for(until, PATIENCE):
                raise AssertionError(f"Slack never saw {what}; it saw {self.calls}")

    # the Web API -----------------------------------------------------------------------------

    def _answer(
        self, path: str, headers: Any, raw: bytes
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        if headers.get("Content-Type") != "application/json":
            return 200, {"ok": False, "error": "invalid_post_type"}, {}
        body = json.loads(raw)
        method = path.removeprefix("/api/") if path.startswith("/api/") else "response_url"
        self.calls.append((method, body))
        waiting = self._refusals.get(method)
        if waiting:
            refusal = waiting.pop(0)
            return refusal.status, {"ok": False, "error": refusal.error}, refusal.headers
        if method == "response_url":
            self.whispers.append(body)
            return 200, {"ok": True}, {}
        if headers.get("Authorization") != f"Bearer {TOKEN}":
            return 200, {"ok": False, "error": "invalid_auth"}, {}
        wrong = unfit(body.get("blocks") or body.get("view", {}).get("blocks", []))
        if wrong:
            return 200, {"ok": False, "error": wrong}, {}
        known: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
            "chat.postMessage": self._post,
            "chat.update": self._update,
            "views.open": self._open,
        }
        return 200, known.get(method, _unknown)(body), {}

    def _post(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["channel"] not in (CHANNEL, "#held"):
            return {"ok": False, "error": "channel_not_found"}
        ts = f"1790000000.{next(self._numbers):06d}"
        self.messages[ts] = Message(channel=CHANNEL, ts=ts, content=body)
        return {"ok": True, "channel": CHANNEL, "ts": ts}

    def _update(self, body: dict[str, Any]) -> dict[str, Any]:
        message = self.messages.get(body["ts"])
        if message is None or message.channel != body["channel"]:
            return {"ok": False, "error": "message_not_found"}
        message.content, message.edits = body, message.edits + 1
        return {"ok": True, "channel": message.channel, "ts": message.ts}

    def _open(self, body: dict[str, Any]) -> dict[str, Any]:
        if body["trigger_id"] not in self._triggers:
            return {"ok": False, "error": "invalid_trigger_id"}
        self._triggers.discard(body["trigger_id"])
        self.views.append(body["view"])
        return {"ok": True, "view": body["view"]}

    # people ----------------------------------------------------------------------------------

    def held(self, count: int = 1) -> Message:
        """Return the latest message, once there are *count*."""
        self.wait(lambda: len(self.messages) >= count, f"{count} messages")
        return list(self.messages.values())[-1]

    def pressed(self, message: Message, name: str, user: str, **more: Any) -> dict[str, Any]:
        """Return what Slack posts when *user* presses the button with the action id *name*."""
        trigger = f"{next(self._numbers)}.trigger"
        self._triggers.add(trigger)
        button = message.buttons[name]
        payload = {
            "type": "block_actions",
            "user": {"id": user, "username": user.lower(), "team_id": TEAM},
            "api_app_id": APP,
            "token": "deprecated",
            "container": {
                "type": "message",
                "message_ts": message.ts,
                "channel_id": message.channel,
                "is_ephemeral": False,
            },
            "trigger_id": trigger,
            "team": {"id": TEAM, "domain": "tests"},
            "enterprise": None,
            "is_enterprise_install": False,
            "channel": {"id": message.channel, "name": "held"},
            "message": message.content | {"ts": message.ts},
            "response_url": f"{self.url}/actions/{TEAM}/{next(self._numbers)}",
            "actions": [
                {
                    "type": "button",
                    "action_id": name,
                    "block_id": "decide",
                    "text": button["text"],
                    "value": button.get("value", ""),
                    "action_ts": "1790000001.000001",
                }
            ],
        }
        return payload | more

    def submitted(
        self, view: dict[str, Any], user: str, reason: str = "", code: str = "", **more: Any
    ) -> dict[str, Any]:
        """Return what Slack posts when *user* sends the form off."""
        option = {"text": {"type": "plain_text", "text": code}, "value": code} if code else None
        values = {
            "reason": {"reason": {"type": "plain_text_input", "value": reason or None}},
            "code": {"code": {"type": "static_select", "selected_option": option}},
        }
        payload = {
            "type": "view_submission",
            "team": {"id": TEAM, "domain": "tests"},
            "user": {"id": user, "username": user.lower(), "team_id": TEAM},
            "api_app_id": APP,
            "token": "deprecated",
            "trigger_id": f"{next(self._numbers)}.trigger",
            "view": view
            | {"id": "V1", "team_id": TEAM, "app_id": APP, "state": {"values": values}},
            "response_urls": [],
            "is_enterprise_install": False,
            "enterprise": None,
        }
        return payload | more

    def deliver(
        self,
        payload: Mapping[str, Any],
        at: float,
        secret: str = SECRET,
        patience: float = PATIENCE / 2,
    ) -> httpx.Response:
        """Post an interaction as Slack does; *at*: seconds since the epoch.

        Raises:
            NotAcknowledged: there was no answer while Slack kept quiet.
        """
        body = urlencode({"payload": json.dumps(payload)}).encode()
        self._quiet.clear()
        try:
            return httpx.post(
                self.interactions,
                content=body,
                headers=signed(body, at, secret)
                | {"Content-Type": "application/x-www-form-urlencoded"},
                timeout=patience,
            )
        except httpx.TimeoutException:
            raise NotAcknowledged("the app did not acknowledge before it talked to Slack") from None
        finally:
            self._quiet.set()


def _unknown(body: dict[str, Any]) -> dict[str, Any]:
    return {"ok": False, "error": "unknown_method"}


def signed(body: bytes, at: float, secret: str = SECRET) -> dict[str, str]:
    """Return the headers by which Slack's requests are known (Slack: verifying requests, v0)."""
    stamp = str(int(at))
    said = b"v0:" + stamp.encode() + b":" + body
    mac = hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()
    return {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={mac}"}


def decoded(text: str) -> str:
    """Return *text* as clients show it: three entities are decoded, once."""
    return text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def texts(part: Any) -> Iterator[str]:
    """Yield every text that is drawn, in order."""
    if isinstance(part, Mapping):
        if isinstance(part.get("text"), str):
            yield part["text"]
        for name, value in part.items():
            if name not in ("confirm", "value") and not isinstance(value, str):
                yield from texts(value)
    elif isinstance(part, list):
        for each in part:
            yield from texts(each)


_LIMITS = {"header": 150, "section": 3000}


def unfit(blocks: list[dict[str, Any]]) -> str:
    """Return why Slack does not take these blocks, in its word, or nothing."""
    if len(blocks) > 50 or any(_too_long(block) for block in blocks):
        return "invalid_blocks"
    if sum(map(len, texts(blocks))) > 11_000:
        return "msg_blocks_too_long"
    return ""


def _too_long(block: dict[str, Any]) -> bool:
    text = block.get("text")
    if isinstance(text, dict) and not 0 < len(text["text"]) <= _LIMITS.get(block["type"], 3000):
        return True
    if block["type"] == "actions" and len(block["elements"]) > 25:
        return True
    buttons = block.get("elements", []) if block["type"] == "actions" else []
    return any(
        len(each.get("value", "-")) > 2000
        or len(each["action_id"]) > 255
        or len(each["text"]["text"]) > 75
        or not each.get("value", "-")
        for each in buttons
    )
