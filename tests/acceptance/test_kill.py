"""kill -9 of a real Interlock at every point of a call's way, and of its store.

The process is killed from outside, at a moment that is seen on the wire: by a proxy before the
store (which command, heard or already answered) or by the tool (how much has arrived). So the
shipped program has no hooks for faults, and dies where it really is.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from tests.acceptance.world import CONFIG, LOOKS, Gate, gate, short_folder
from tests.support.proxy import Proxy, Trap, proxy_in_thread
from tests.support.stores import Server

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("kill")]
LATER = {"Prefer": "respond-async"}
BODY = {"text": "x" * 3_000_000}  #: larger than what socket buffers swallow
SIZE = 3_000_000
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 11\r\n\r\n"


class RawTool:
    """Counts the calls of which even one byte arrived; calls `hook` at one stage of the first."""

    def __init__(self) -> None:
        self.hits = 0
        self.stage = ""
        self.hook: Callable[[], None] = lambda: None
        self.stood = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def stop(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._answer, args=(link,), daemon=True).start()

    def _answer(self, link: socket.socket) -> None:
        with link, contextlib.suppress(OSError):
            seen = link.recv(1)
            if not seen:
                return
            self.hits += 1
            self._reach("first byte")
            while not self._whole(seen) and (data := link.recv(2**16)):
                seen += data
                if len(seen) > SIZE // 2:
                    self._reach("mid body")
            self._reach("after body")
            link.sendall(ANSWER)
            self._reach("after status")
            link.sendall(b'{"did": ')
            self._reach("mid answer")
            link.sendall(b"42}")

    def _whole(self, seen: bytes) -> bool:
        head, end, body = seen.partition(b"\r\n\r\n")
        return bool(end) and len(body) >= int(
            head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
        )

    def _reach(self, stage: str) -> None:
        if stage == self.stage:
            self.stage = ""
            self.hook()
            self.stood.set()


@pytest.fixture
def tool() -> Iterator[RawTool]:
    tool = RawTool()
    yield tool
    tool.stop()


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


@pytest.fixture
def lossy(own_server: Server, folder: Path) -> Iterator[Proxy]:
    with proxy_in_thread(own_server.url, folder) as made:
        yield made


class Case:
    """An Interlock that is to be killed, and the one that follows it."""

    def __init__(self, folder: Path, tool: RawTool, lossy: Proxy, server: Server) -> None:
        self.folder, self.tool, self.lossy, self.server = folder, tool, lossy, server
        upstream = {"url": tool.url, "allow_private": True}
        agents = {**CONFIG["agents"], "max_body": 8_000_000}
        self.config = dict(CONFIG) | {
            "agents": agents,
            "upstreams": {"tool": upstream},
            "store": {"url": lossy.url},
        }

    def serve(self) -> contextlib.AbstractContextManager[Gate]:
        return gate(self.folder, self.config)

    def killing(self, running: Gate, needle: bytes, *, after: bool) -> None:
        """Kill it before the store hears of *needle*, or before it hears the store's reply."""
        self.lossy.traps.append(Trap(needle, after, killer(running)))

    def ask(self, running: Gate, **headers: str) -> Future[Any]:
        """Propose the call and do not wait for what becomes of it."""
        url = f"{running.tool}/publish"
        return running.later(lambda: httpx.post(url, json=BODY, headers=headers, timeout=60))

    def approve(self, running: Gate) -> None:
        card = running.held()[0]
        with contextlib.suppress(httpx.HTTPError):  # the reviewer may see it die
            running.decide_card(card, "approve")

    @contextlib.contextmanager
    def record(self) -> Iterator[Callable[[], dict[str, str]]]:
        """Return how to read the only call's fields in the store, past Interlock."""
        with redis.Redis.from_url(self.server.url) as client:

            def read() -> dict[str, str]:
                (name,) = client.keys("*:c:*")
                self.name = name.decode()
                found = client.hgetall(name)
                return {
                    key.decode(): value.decode("utf-8", "replace") for key, value in found.items()
                }

            yield read

    def state(self) -> str:
        with self.record() as read:
            return read()["st"]

    def whole(self) -> list[str]:
        """Return the states of the record, which has to be without a gap."""
        with self.record() as read:
            fields = read()
        rows = [fields[f"e:{n}"].split(" ") for n in range(1, int(fields["ver"]) + 1)]
        assert [row[2] for row in rows[1:]] == [row[3] for row in rows[:-1]]
        assert sum(name.startswith("e:") for name in fields) == len(rows)
        return [row[3] for row in rows]

    def let_time_pass(self, field: str) -> None:
        """Put a time of the only call into the past: a lease, or its latest change."""
        with self.record() as read:
            read()
        self.server.ask("HSET", self.name, field, 1)

    def becomes(self, running: Gate, state: str) -> None:
        call = self.id()
        running.becomes(call, state)

    def id(self) -> str:
        with self.record() as read:
            read()
        return self.name.rpartition(":")[2]


def killer(running: Gate) -> Callable[[], None]:
    return lambda: os.kill(running.process.pid, signal.SIGKILL)


@pytest.fixture
def case(folder: Path, tool: RawTool, lossy: Proxy, own_server: Server) -> Case:
    return Case(folder, tool, lossy, own_server)


def test_killed_before_the_hold_is_written_nothing_is_known_and_the_agent_asks_again(
    case: Case,
) -> None:
    with case.serve() as running:
        case.killing(running, b'"Decided"', after=False)
        lost = case.ask(running, **LATER)
        assert running.process.wait(30) == -signal.SIGKILL
        assert isinstance(lost.exception(), httpx.HTTPError)
    assert case.server.ask("KEYS", "*:c:*") == []

    with case.serve() as again:
        retry = case.ask(again, Prefer="wait=60")
        case.approve(again)
        assert retry.result().status_code == 200
    assert case.tool.hits == 1


def test_killed_after_the_hold_is_written_the_agents_retry_joins_it(case: Case) -> None:
    with case.serve() as running:
        case.killing(running, b'"Decided"', after=True)
        case.ask(running, **LATER)
        assert running.process.wait(30) == -signal.SIGKILL
    assert (case.state(), case.tool.hits) == ("held", 0)

    with case.serve() as again:
        retry = case.ask(again, Prefer="wait=60")
        case.approve(again)
        assert retry.result().json() == {"did": 42}
    assert case.whole() == ["held", "approved", "forwarding", "answered"]
    assert case.tool.hits == 1


def test_killed_before_a_vote_is_written_the_call_is_still_held(case: Case) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.killing(running, b'"Reviewed"', after=False)
        case.approve(running)
        assert running.process.wait(30) == -signal.SIGKILL
    assert (case.state(), case.tool.hits) == ("held", 0)

    with case.serve() as again:
        case.approve(again)
        case.becomes(again, "answered")
    assert case.tool.hits == 1


@pytest.mark.parametrize(("needle", "after"), [(b'"Reviewed"', True), (b'"Claimed"', False)])
def test_killed_between_the_approval_and_the_claim_the_next_process_sends_it(
    case: Case, needle: bytes, after: bool
) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.killing(running, needle, after=after)
        case.approve(running)
        assert running.process.wait(30) == -signal.SIGKILL
    assert (case.state(), case.tool.hits) == ("approved", 0)
    case.let_time_pass("changed")

    with case.serve() as again:
        case.becomes(again, "answered")
    assert case.whole() == ["held", "approved", "forwarding", "answered"]
    assert case.tool.hits == 1


def unknown_and_never_sent_again(case: Case, hits: int) -> None:
    """Start again; the lease ends; the agent repeats its call; a person settles it."""
    assert (case.state(), case.tool.hits) == ("forwarding", hits)
    case.let_time_pass("deadline")
    with case.serve() as again:
        retry = case.ask(again, Prefer="wait=60").result()
        assert retry.status_code == 504, retry.text
        assert retry.headers["interlock-call-id"] == case.id()
        assert case.state() == "unknown"
    assert case.whole() == ["held", "approved", "forwarding", "unknown"]
    assert case.tool.hits == hits


def test_killed_after_the_claim_and_before_the_send_it_is_unknown(case: Case) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.killing(running, b'"Claimed"', after=True)
        case.approve(running)
        assert running.process.wait(30) == -signal.SIGKILL
    unknown_and_never_sent_again(case, hits=0)


@pytest.mark.parametrize(
    "stage", ["first byte", "mid body", "after body", "after status", "mid answer"]
)
def test_killed_while_it_is_being_sent_the_tool_saw_it_once_and_it_is_unknown(
    case: Case, stage: str
) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.tool.stage, case.tool.hook = stage, killer(running)
        case.approve(running)
        assert running.process.wait(30) == -signal.SIGKILL
    unknown_and_never_sent_again(case, hits=1)


def test_killed_while_the_answer_is_being_recorded_it_is_unknown(case: Case) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.killing(running, b'"Answered"', after=False)
        case.approve(running)
        assert running.process.wait(30) == -signal.SIGKILL
    unknown_and_never_sent_again(case, hits=1)


def test_killed_after_the_answer_is_recorded_the_retry_gets_the_answer(case: Case) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.killing(running, b'"Answered"', after=True)
        case.approve(running)
        assert running.process.wait(30) == -signal.SIGKILL
    assert (case.state(), case.tool.hits) == ("answered", 1)

    with case.serve() as again:
        assert case.ask(again).result().json() == {"did": 42}
    assert case.tool.hits == 1


# the store ---------------------------------------------------------------------------------


def test_a_hold_and_its_waiting_caller_survive_kill_9_of_the_store(case: Case) -> None:
    with case.serve() as running:
        waiting = case.ask(running, Prefer="wait=60")
        running.held()
        case.server.kill()
        case.server.start()
        card = held_again(running)
        assert running.decide_card(card, "approve").status_code == 200
        got = waiting.result()
        if got.status_code == 503:  # it was told at once; attaching again is enough
            got = case.ask(running, Prefer="wait=60").result()
        assert got.json() == {"did": 42}
    assert case.tool.hits == 1


def held_again(running: Gate) -> Any:
    """Return the card, as soon as the store can be read again."""
    with running.person() as ann:
        for _ in range(LOOKS):
            answer = ann.get("/v1/approvals")
            if answer.status_code == 200:
                (card,) = answer.json()["items"]
                return card
    raise AssertionError("the store did not come back")


def test_an_answer_that_comes_while_the_store_is_dead_is_recorded_when_it_is_back(
    case: Case,
) -> None:
    with case.serve() as running:
        case.ask(running, **LATER).result()
        case.tool.stage, case.tool.hook = "after body", case.server.kill
        case.approve(running)
        assert case.tool.stood.wait(30)
        case.server.start()
        held = case.id()
        running.becomes(held, "answered")
    assert case.whole() == ["held", "approved", "forwarding", "answered"]
    assert case.tool.hits == 1


def test_with_the_embedded_store_everything_dies_at_once_and_the_hold_is_still_there(
    folder: Path, tool: RawTool
) -> None:
    upstream = {"url": tool.url, "allow_private": True}
    config = dict(CONFIG) | {"upstreams": {"tool": upstream}}
    with gate(folder, config) as running:
        call = httpx.post(f"{running.tool}/publish", json={"text": "a"}, headers=LATER)
        killer(running)()
        kill_the_store_in(folder)
        running.process.wait(30)
    with gate(folder, config) as again:
        assert again.held()[0]["id"] == call.headers["interlock-call-id"]
        assert again.decide("approve").status_code == 200
        again.becomes(call.headers["interlock-call-id"], "answered")
    assert tool.hits == 1


def kill_the_store_in(folder: Path) -> None:
    """kill -9 the server that keeps its data under *folder*."""
    (socket_,) = folder.rglob("*.sock")
    with redis.Redis(unix_socket_path=str(socket_)) as client:
        os.kill(client.info("server")["process_id"], signal.SIGKILL)  # type: ignore[index]
