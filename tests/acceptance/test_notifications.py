"""People hear of a held call although Interlock was killed before it could tell them."""

from __future__ import annotations

import base64
import threading
from http.server import BaseHTTPRequestHandler
from typing import Any

import httpx
import pytest
from standardwebhooks.webhooks import Webhook as Verifier

from tests.acceptance.world import Call, Tool, gate, short_folder, with_tool

pytestmark = [pytest.mark.slow]
SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()


class Receiver(Tool):
    """Somebody's webhook: answers with `status`; `arrived` is set by what it takes."""

    def __init__(self) -> None:
        super().__init__()
        self.status = 204
        self.arrived = threading.Event()
        self.instead = self._answer

    def _answer(self, handler: BaseHTTPRequestHandler, call: Call) -> None:
        handler.send_response(self.status)
        handler.send_header("Content-Length", "0")
        handler.end_headers()
        if self.status == 204:
            self.arrived.set()


def configured(tool: Tool, receiver: Receiver) -> dict[str, Any]:
    hook = {
        "url": f"{receiver.url}/hook",
        "secrets": [{"from_file": "hook.secret"}],
        "allow_private": True,
    }
    return with_tool(tool) | {"notify": {"log": None, "webhook": {"ops": hook}}}


def test_a_notice_that_was_not_taken_before_kill_9_is_told_after_the_restart() -> None:
    tool, receiver = Tool(), Receiver()
    receiver.status = 503
    with short_folder() as folder:
        (folder / "hook.secret").write_text(SECRET)
        config = configured(tool, receiver)
        with gate(folder, config) as running:
            later = {"Prefer": "respond-async"}
            httpx.post(f"{running.tool}/publish", json={"text": "canary"}, headers=later)
            assert receiver.reached.wait(30), running.said()
            card = running.held()[0]
            running.kill()

        receiver.status = 204
        with gate(folder, config) as again:
            assert receiver.arrived.wait(60), again.said()
            first, told = receiver.calls[0], receiver.calls[-1]
            assert told.headers["webhook-id"] == first.headers["webhook-id"]
            event = Verifier(SECRET).verify(told.body, dict(told.headers))
            assert event["type"] == "dev.interlock.approval.held"
            assert event["data"]["link"].endswith(f"/review/{card['id']}")
            assert b"canary" not in told.body
    tool.stop()
    receiver.stop()


def test_what_a_receiver_wants_no_more_is_listed_and_counted() -> None:
    tool, receiver = Tool(), Receiver()
    receiver.status = 410
    with short_folder() as folder:
        (folder / "hook.secret").write_text(SECRET)
        with gate(folder, configured(tool, receiver)) as running, running.person() as ann:
            later = {"Prefer": "respond-async"}
            httpx.post(f"{running.tool}/publish", json={"text": "one"}, headers=later)
            assert receiver.reached.wait(30), running.said()
            for _ in range(1000):
                listed = ann.get("/v1/notifications").json()
                if listed["dead"]:
                    break
            (dead,) = listed["dead"]
            assert "410" in dead["failed"] and dead["channel"] == "webhook.ops"
            metrics = ann.get("/metrics").text
            assert (
                'interlock_notifications_total{channel="webhook.ops",outcome="dead"} 1' in metrics
            )
            assert "interlock_notifications_dead 1.0" in metrics

            receiver.status = 204
            assert ann.post(f"/v1/notifications/{dead['id']}/retry").status_code == 200
            assert receiver.arrived.wait(30)
            tried = ann.post("/v1/notifications/test", json={"channel": "webhook.ops"}).json()
            assert tried["delivered"]
    tool.stop()
    receiver.stop()
