"""A webhook: signed so that its receiver can check it, and never sent where it should not be."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cloudevents.core.bindings.http import HTTPMessage, from_http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from standardwebhooks.webhooks import Webhook as Verifier
from standardwebhooks.webhooks import WebhookVerificationError

from interlock.core.actions import State
from interlock.notify.channel import Undelivered
from interlock.notify.telling import Digest, Told, sample, told
from interlock.notify.webhook import Receiver, Webhook, seconds_of
from interlock.ports import Notice
from interlock.system import SystemClock
from tests.support.builders import NOON, a_decision, an_action
from tests.support.fakes import NoonClock

OLD = "whsec_" + base64.b64encode(b"o" * 32).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 32).decode()
URL = "https://interlock.example.com"


@dataclass
class Inbox:
    """Somebody's server: remembers what was posted and answers as it is told."""

    status: int = 204
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    hangs: bool = False
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    url: str = ""

    async def answer(self, request: web.Request) -> web.StreamResponse:
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.got.append((headers, await request.read()))
        self.paths.append(request.path_qs)
        if self.hangs:
            assert request.transport is not None
            while not request.transport.is_closing():
                await request.content.wait_eof()
                break
            request.transport.abort()
        return web.Response(status=self.status, headers=self.headers, body=self.body)


@pytest.fixture
async def inbox() -> AsyncIterator[Inbox]:
    inbox = Inbox()
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", inbox.answer)
    async with TestServer(app) as server:
        inbox.url = str(server.make_url("/hook?token=s3cret"))
        yield inbox


def said(key: str = "1790000000000-1") -> Told:
    action = replace(
        an_action(),
        state=State.HELD,
        version=1,
        decision=a_decision(approvers=("ops",)),
        created=NOON,
        deadline=NOON + 60_000,
    )
    return told(action, Notice.HELD, URL, key=key, with_arguments=True)


class Sender:
    """A webhook that is closed at the end."""

    def __init__(self, url: str, **more: Any) -> None:
        usual: dict[str, Any] = {"name": "ops", "url": url, "secrets": (NEW,), "source": URL}
        clock = more.pop("clock", NoonClock())
        self.hook = Webhook(Receiver(**(usual | more)), clock)

    async def __aenter__(self) -> Webhook:
        return self.hook

    async def __aexit__(self, *error: object) -> None:
        await self.hook.close()


async def test_the_official_library_verifies_what_is_posted(inbox: Inbox) -> None:
    async with Sender(inbox.url, clock=SystemClock()) as hook:
        await hook.send(said())
    ((headers, body),) = inbox.got
    assert Verifier(NEW).verify(body, headers)["subject"] == "a1"
    with pytest.raises(WebhookVerificationError):
        Verifier(NEW).verify(body.replace(b"held", b"sent"), headers)
    with pytest.raises(WebhookVerificationError):
        Verifier(OLD).verify(body, headers)


async def test_while_a_secret_is_replaced_receivers_with_either_verify_it(inbox: Inbox) -> None:
    async with Sender(inbox.url, clock=SystemClock(), secrets=(NEW, OLD)) as hook:
        await hook.send(said())
    ((headers, body),) = inbox.got
    assert len(headers["webhook-signature"].split()) == 2
    assert Verifier(NEW).verify(body, headers) == Verifier(OLD).verify(body, headers)


async def test_the_official_library_reads_it_as_a_cloud_event(inbox: Inbox) -> None:
    async with Sender(inbox.url) as hook:
        await hook.send(said())
    ((headers, body),) = inbox.got
    assert headers["content-type"].startswith("application/cloudevents+json")
    event = from_http(HTTPMessage(headers=headers, body=body), JSONFormat(), CloudEvent)
    assert event.get_type() == "dev.interlock.approval.held"
    assert (event.get_subject(), event.get_source()) == ("a1", URL)
    assert event.get_id() == "1790000000000-1" == headers["webhook-id"]
    time = event.get_time()
    assert time is not None and time.timestamp() * 1000 == NOON
    data: Any = event.get_data()
    assert data["link"] == f"{URL}/review/a1" and data["groups"] == ["ops"]
    assert data["arguments"][0] == {"name": "amount", "value": "900"}
    assert data["deadline"] == "2026-09-21T14:14:20.000+00:00"


async def test_a_digest_is_one_event_with_every_call(inbox: Inbox) -> None:
    one = replace(said(), why=Notice.SENT)
    digest = Digest(key="k-1", told=(one, one), more=3, since=NOON, until=NOON + 1)
    async with Sender(inbox.url) as hook:
        await hook.send_digest(digest)
    event = json.loads(inbox.got[0][1])
    assert event["type"] == "dev.interlock.approval.digest" and event["id"] == "k-1"
    assert len(event["data"]["calls"]) == 2 and event["data"]["more"] == 3


async def test_a_sample_is_no_event_of_a_call(inbox: Inbox) -> None:
    async with Sender(inbox.url) as hook:
        await hook.send(sample(URL, "test-1"))
    assert json.loads(inbox.got[0][1])["type"] == "dev.interlock.test"


async def test_the_query_of_the_url_is_kept_and_nothing_else_is_sent(inbox: Inbox) -> None:
    async with Sender(inbox.url) as hook:
        await hook.send(said())
    assert inbox.paths == ["/hook?token=s3cret"]
    assert not {"cookie", "authorization"} & inbox.got[0][0].keys()


@pytest.mark.parametrize(
    ("status", "headers", "retry", "after"),
    [
        (410, {}, False, None),
        (400, {}, True, None),
        (429, {"Retry-After": "120"}, True, 120.0),
        (503, {"Retry-After": "Mon, 21 Sep 2026 14:14:20 GMT"}, True, 60.0),
        (503, {"Retry-After": "soon"}, True, None),
        (500, {}, True, None),
        (302, {"Location": "/elsewhere"}, True, None),
    ],
)
async def test_an_answer_says_whether_and_when_to_try_again(
    inbox: Inbox, status: int, headers: dict[str, str], retry: bool, after: float | None
) -> None:
    inbox.status, inbox.headers = status, headers
    async with Sender(inbox.url) as hook:
        with pytest.raises(Undelivered) as refused:
            await hook.send(said())
    assert (refused.value.retry, refused.value.after) == (retry, after)
    assert str(status) in refused.value.why and "s3cret" not in refused.value.why
    assert len(inbox.got) == 1, "no redirect is followed"


async def test_of_a_long_answer_only_the_beginning_is_read(inbox: Inbox) -> None:
    inbox.status, inbox.body = 200, b"x" * 20_000_000
    async with Sender(inbox.url) as hook:
        await hook.send(said())
        await hook.send(said())
    assert len(inbox.got) == 2


async def test_a_receiver_that_breaks_off_is_tried_again(inbox: Inbox) -> None:
    inbox.hangs = True
    async with Sender(inbox.url) as hook:
        with pytest.raises(Undelivered, match="HTTP") as refused:
            await hook.send(said())
    assert refused.value.retry and "s3cret" not in refused.value.why


async def test_a_receiver_that_is_not_there_is_tried_again(unused_tcp_port: int) -> None:
    async with Sender(f"http://127.0.0.1:{unused_tcp_port}/s3cret") as hook:
        with pytest.raises(Undelivered, match="cannot be reached") as refused:
            await hook.send(said())
    assert refused.value.retry and "s3cret" not in refused.value.why


async def test_a_receiver_that_says_nothing_is_not_waited_for(inbox: Inbox) -> None:
    async with Sender(inbox.url, timeout=1e-6) as hook:
        with pytest.raises(Undelivered, match="in time"):
            await hook.send(said())


@pytest.mark.parametrize("host", ["10.0.0.1", "169.254.169.254", "[fd00::1]"])
async def test_a_private_address_is_only_reached_where_that_is_said(host: str) -> None:
    async with Sender(f"http://{host}/hook") as hook:
        with pytest.raises(Undelivered) as refused:
            await hook.send(said())
    assert "no tool" not in refused.value.why
    assert "public" in refused.value.why or "nothing may be" in refused.value.why


@pytest.mark.parametrize("text", ["", "-1", "1.5", "never", "٣"])
def test_what_is_no_time_to_wait_is_none(text: str) -> None:
    assert seconds_of(text, NOON) is None


def test_a_time_that_has_passed_is_no_wait() -> None:
    assert seconds_of("Mon, 21 Sep 2020 14:14:20 GMT", NOON) == 0
