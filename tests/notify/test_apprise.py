"""E-mail, Teams and others through Apprise, each before a local server that speaks its protocol."""

from __future__ import annotations

import contextlib
import email
import email.policy
import json
import logging
import ssl
import sys
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field, replace
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Action, State
from interlock.core.digest import seal
from interlock.core.errors import WeakGround
from interlock.notify.apprise import AppriseChannel, AppriseWay, harmless, lines_of, subject
from interlock.notify.channel import Undelivered
from interlock.notify.telling import Digest, Told, sample, told
from interlock.ports import Notice
from tests.support.builders import a_call, a_decision, an_action
from tests.support.servers import self_signed

URL = "https://interlock.example.com"
CANARY = "canary-password"


def held(**decided: Any) -> Action:
    return replace(an_action(), state=State.HELD, version=1, decision=a_decision(**decided))


def said_of(action: Action, **more: Any) -> Told:
    return told(action, Notice.HELD, URL, key="k1", **more)


def named(name: str) -> Told:
    """Return a notice of a call that policy does not know, as its agent wrote it."""
    call = seal(replace(a_call(), path=f"/{name}"))
    action = replace(an_action(call), state=State.HELD, version=1)
    unknown = a_decision(tool="", arguments={}, sources={})
    return said_of(replace(action, decision=unknown), with_arguments=True)


# servers -------------------------------------------------------------------------------------


@dataclass
class Mail:
    """An SMTP server and what it was sent."""

    url: str = ""
    sent: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        message = email.message_from_bytes(envelope.content, policy=email.policy.default)
        assert isinstance(message, EmailMessage)
        self.sent.append(message)
        self.to.append(list(envelope.rcpt_tos))
        return "250 OK"

    def text(self) -> str:
        [message] = self.sent
        part = message.get_body(("plain",)) or message.get_body(("html",))
        assert part is not None
        return str(part.get_content())


class AnyPort(Controller):
    def _trigger_server(self) -> None:  # port 0: there is nothing to ask before it is known
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mail() -> Iterator[Mail]:
    box = Mail()
    controller = AnyPort(box, hostname="127.0.0.1", port=0)
    controller.start()
    box.url = (
        f"mailto://127.0.0.1:{controller.port}/?from=gate@example.com"
        f"&to=ann@example.com&mode=insecure&smtp=127.0.0.1"
    )
    yield box
    controller.stop()


@dataclass
class Hook:
    """An HTTP server that takes JSON. `status`: of its answers. `quiet`: it never answers."""

    port: int = 0
    server: Any = None
    status: int = 200
    quiet: threading.Event | None = None
    got: list[tuple[str, dict[str, Any]]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    hook = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if hook.quiet is not None:
                hook.quiet.wait(10)
            hook.got.append((self.path, json.loads(body)))
            self.send_response(hook.status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hook.port, hook.server = server.server_address[1], server
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield hook
    server.shutdown()
    server.server_close()


@contextlib.asynccontextmanager
async def to(*urls: str, **more: Any) -> AsyncIterator[AppriseChannel]:
    channel = AppriseChannel(AppriseWay(urls=urls, **more))
    try:
        yield channel
    finally:
        await channel.close()


# e-mail --------------------------------------------------------------------------------------


async def test_a_mail_says_which_call_waits_how_bad_it_is_and_where_to_decide(mail: Mail) -> None:
    async with to(mail.url) as channel:
        await channel.send(said_of(held(approvers=("ops",))))
    [message] = mail.sent
    assert message["Subject"] == "bank.pay waits for approval of ops"
    assert mail.to == [["ann@example.com"]]
    for word in ("bank.pay", "bot", "High stake", "a1", f"{URL}/review/a1"):
        assert word in mail.text()
    assert "900" not in mail.text()


INJECTED = [
    "x\r\nBcc: mallory@example.com",
    "x\nSubject: approved",
    "x\r\n\r\n<b>Approved</b>",
    "x\u2028Bcc: mallory@example.com",
    "x\x00y",
    "x\r\n.\r\nMAIL FROM:<a@b>",
]


@pytest.mark.parametrize("text", INJECTED)
async def test_no_text_of_an_agent_makes_a_header_or_a_receiver(mail: Mail, text: str) -> None:
    async with to(mail.url) as channel:
        await channel.send(named(text))
    for message, receivers in zip(mail.sent, mail.to, strict=True):
        assert receivers == ["ann@example.com"]
        assert message["Bcc"] is None and len(message.get_all("Subject", [])) == 1
        assert "mallory" not in str(message["Subject"]) and "approved" not in message["Subject"]
    assert len(mail.sent) == 1


@pytest.mark.parametrize("form", ["text", "html", "markdown"])
@pytest.mark.parametrize(
    "text",
    ["<img src=x onerror=alert(1)>", "<a href='https://evil.example'>Approve</a>", "&lt;b&gt;"],
)
async def test_no_text_of_an_agent_is_markup_in_a_mail(mail: Mail, text: str, form: str) -> None:
    async with to(f"{mail.url}&format={form}") as channel:
        await channel.send(named(text))
    [message] = mail.sent
    content = "".join(
        str(part.get_content()) for part in message.walk() if part.get_content_maintype() == "text"
    )
    links = content.count("<a ")
    assert "<img" not in content and "<b>" not in content and links == content.count(f'"{URL}')
    assert "https://evil" not in content and "evil.example" not in content


# Teams -----------------------------------------------------------------------------------------


@pytest.fixture
def teams(hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return the URL of a workflow of Teams on this machine; Apprise speaks TLS with it."""
    key, chain = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain, key)
    hook.server.socket = context.wrap_socket(hook.server.socket, server_side=True)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(chain))
    return f"workflow://127.0.0.1:{hook.port}/{'a' * 32}/{CANARY}/"


async def test_teams_gets_a_card_with_a_link(hook: Hook, teams: str) -> None:
    async with to(teams) as channel:
        await channel.send(said_of(held()))
    [(path, card)] = hook.got
    assert path.startswith("/workflows/")
    [attachment] = card["attachments"]
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    title, body = (each["text"] for each in attachment["content"]["body"] if "text" in each)
    assert title == "bank.pay waits for approval"
    assert body.startswith(f"[Open it]({URL}/review/a1)")
    assert "High stake" in body and "a1" in body


@pytest.mark.parametrize(
    "text",
    [
        "<at>everyone</at>",
        "[Approve](https://evil.example)",
        "**Approved** by `security`",
        "![x](https://evil.example/x.png)",
        "https://evil.example/login",
        "# Approved",
    ],
)
async def test_no_text_of_an_agent_is_markup_or_a_mention_in_teams(
    hook: Hook, teams: str, text: str
) -> None:
    async with to(teams) as channel:
        await channel.send(named(text))
    [(_, card)] = hook.got
    content = card["attachments"][0]["content"]
    assert not content.get("msteams", {}).get("entities")
    body = content["body"][-1]["text"]
    assert "evil.example" not in body and "<at>" not in body
    assert body.count("](") == 1 and "**" not in body


# others ----------------------------------------------------------------------------------------


async def test_the_link_comes_first_and_what_the_agent_wrote_last_and_marked(hook: Hook) -> None:
    async with to(f"json://127.0.0.1:{hook.port}/x") as channel:
        said = (said_of(held(), with_arguments=True), named("evil"), said_of(held()))
        for at, each in enumerate(said):
            await channel.send(replace(each, key=f"k{at}"))
    known, unknown, bare = (got["message"].splitlines() for _, got in hook.got)
    assert known[0] == unknown[0] == f"Open: {URL}/review/a1"
    mark = "Written by the agent, not verified:"
    assert known.index("Call: a1") < known.index(mark) < known.index("amount: 900")
    assert unknown.index("Tool: none that policy knows") < unknown.index(mark)
    assert any("evil" in each for each in unknown[unknown.index(mark) :])
    assert mark not in bare and not any("evil" in each for each in unknown[: unknown.index(mark)])


async def test_json_gets_the_same_words(hook: Hook) -> None:
    async with to(f"json://127.0.0.1:{hook.port}/x") as channel:
        await channel.send(said_of(held(), with_arguments=True))
    [(_, got)] = hook.got
    assert got["title"] == "bank.pay waits for approval"
    assert "amount: 900" in got["message"] and f"Open: {URL}/review/a1" in got["message"]


async def test_a_test_and_a_digest_are_told(hook: Hook) -> None:
    async with to(f"json://127.0.0.1:{hook.port}/x") as channel:
        await channel.send(sample(URL, "t"))
        each = told(held(), Notice.SENT, URL)
        await channel.send_digest(Digest(key="d", told=(each,) * 25, more=3, since=0, until=1))
    first, second = (got for _, got in hook.got)
    assert "This is a test" in first["title"]
    assert "28 calls let through" in second["title"] and "and 8 more" in second["message"]
    assert f"Open: {URL}/review" in second["message"]


async def test_only_those_who_were_not_told_are_told_again(hook: Hook, mail: Mail) -> None:
    hook.status = 500
    said = said_of(held())
    async with to(mail.url, f"json://127.0.0.1:{hook.port}/x") as channel:
        with pytest.raises(Undelivered) as caught:
            await channel.send(said)
        assert caught.value.retry and caught.value.why == "Apprise could not tell json"
        hook.status = 200
        await channel.send(said)
    assert len(mail.sent) == 1 and len(hook.got) == 2


async def test_a_service_that_hangs_is_undelivered_in_time(hook: Hook) -> None:
    hook.quiet = threading.Event()
    async with to(f"json://127.0.0.1:{hook.port}/x", timeout=0.2) as channel:
        with pytest.raises(Undelivered) as caught:
            await channel.send(said_of(held()))
        assert caught.value.retry
        hook.quiet.set()


async def test_no_secret_of_a_url_is_in_logs_or_errors(
    hook: Hook, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    hook.status = 500
    urls = (
        f"json://ann:{CANARY}@127.0.0.1:{hook.port}/x?+Key={CANARY}",
        f"mailto://ann:{CANARY}@127.0.0.1:1/?from=a@example.com&to=b@example.com&mode=insecure",
    )
    async with to(*urls, timeout=10.0) as channel:
        with pytest.raises(Undelivered) as caught:
            await channel.send(said_of(held()))
        assert CANARY not in f"{caught.value!r}{channel._way!r}{channel._services!r}"
    assert not [each for each in caplog.records if each.name == "apprise"]
    assert CANARY not in caplog.text and CANARY not in "".join(capfd.readouterr())


@pytest.mark.parametrize("url", ["nonsense", f"nothing://{CANARY}", f"mailto://{CANARY}"])
def test_a_url_that_apprise_does_not_know_is_said_by_its_number(url: str) -> None:
    with pytest.raises(WeakGround, match="number 2") as caught:
        AppriseChannel(AppriseWay(urls=("json://127.0.0.1/x", url)))
    assert CANARY not in str(caught.value) + caught.value.help


def test_without_the_package_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(WeakGround) as caught:
        AppriseChannel(AppriseWay(urls=("json://127.0.0.1/x",)))
    assert "pip install 'interlock[apprise]'" in caught.value.help


# words -----------------------------------------------------------------------------------------


@given(st.text())
def test_harmless_text_has_nothing_that_any_receiver_reads(text: str) -> None:
    made = harmless(text)
    assert not set("<>*`~|\\[]#&") & set(made)
    assert "://" not in made and "@" not in made.replace("［@］", "")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://evil.example", "https［:］//evil［.］example"),
        ("bob@example.com", "bob［@］example［.］com"),
        ("_now_ snake_case", "＿now＿ snake_case"),
        (":tada: 12:30", "：tada: 12:30"),
        ("amount: 3.50 EUR", "amount: 3［.］50 EUR"),
        ("<U+202E>", "‹U+202E›"),
    ],
)
def test_harmless_text_can_still_be_read(text: str, shown: str) -> None:
    assert harmless(text) == shown


def test_an_unknown_tools_name_is_in_no_subject() -> None:
    said = named("approved by security")
    assert subject(said) == "A call to no tool that policy knows waits for approval"
    assert "approved by security" in "".join(lines_of(said))
