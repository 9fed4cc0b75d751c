"""Bad days: each ends in a message that names the thing and the cure, nothing is lost, and nothing
is sent that was not cleared. A real Interlock, a real tool, hits counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.world import (
    CONFIG,
    POLICY,
    Call,
    Gate,
    Tool,
    gate,
    refused_to_start,
    short_folder,
    with_tool,
    write,
)
from tests.support.stores import Server

pytestmark = pytest.mark.xdist_group("bad-days")
LATER = {"Prefer": "respond-async"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


# starting -----------------------------------------------------------------------------------


def test_a_broken_configuration_is_told_with_every_place(folder: Path) -> None:
    path = write(folder, CONFIG)
    path.write_text("agents: {listen: nowhere}\npeople: {lisen: 127.0.0.1:1}\nhold: 4\n")
    code, said = refused_to_start(path)
    assert code == 2
    assert "interlock.yaml:1:" in said
    assert "interlock.yaml:2:" in said
    assert "`listen`" in said or "listen" in said
    assert "interlock.yaml:3:" in said


def test_yaml_that_cannot_be_read_is_told_with_its_place(folder: Path) -> None:
    path = write(folder, CONFIG)
    path.write_text("agents:\n  listen: [\n")
    code, said = refused_to_start(path)
    assert (code, "interlock.yaml:" in said) == (2, True)


def test_a_broken_policy_keeps_interlock_from_starting(folder: Path) -> None:
    path = write(folder, CONFIG, POLICY.replace("at_least: approve}", "at_least: aprove}", 1))
    code, said = refused_to_start(path)
    assert code == 2
    assert "policy.yaml:" in said
    assert "approve" in said


def test_a_port_that_is_taken_is_named_with_who_has_it(folder: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        code, said = refused_to_start(write(folder, CONFIG), "--agents", address)
    assert code == 1
    assert f"{address} (agents) is taken by process" in said
    assert "--agents" in said


def test_a_store_that_is_not_there_keeps_interlock_from_starting(folder: Path) -> None:
    config = dict(CONFIG) | {"store": {"url": f"unix://{folder}/nobody.sock"}}
    code, said = refused_to_start(write(folder, config))
    assert code == 1
    assert "store" in said.lower()
    assert "cannot be reached" in said


# the store later ----------------------------------------------------------------------------


def on_own_store(tool: Tool, server: Server, **upstream: Any) -> dict[str, Any]:
    return with_tool(tool, **upstream) | {"store": {"url": server.url}}


def test_while_the_store_is_gone_nothing_is_sent_and_afterwards_it_goes_on(
    folder: Path, tool: Tool, own_server: Server
) -> None:
    with gate(folder, on_own_store(tool, own_server)) as running:
        assert httpx.post(f"{running.tool}/publish", json={"text": "a"}, headers=LATER)
        own_server.kill()
        got = httpx.post(f"{running.tool}/notes", json={"text": "x"}, timeout=30)
        assert got.status_code == 503
        assert "store" in got.json()["detail"].lower()
        assert httpx.get(f"{running.people}/readyz").status_code == 503
        assert httpx.get(f"{running.people}/livez").status_code == 200
        assert tool.hits == 0
        own_server.start()
        while httpx.post(f"{running.tool}/notes", json={"text": "y"}).status_code == 503:
            pass
        assert tool.hits == 1
        assert running.decide("approve").status_code == 200  # the hold was not lost
        assert tool.reached.wait(10)


def test_a_full_store_takes_no_call_and_says_so(
    folder: Path, tool: Tool, own_server: Server
) -> None:
    with gate(folder, on_own_store(tool, own_server)) as running:
        own_server.ask("CONFIG", "SET", "maxmemory", "1")
        got = httpx.post(f"{running.tool}/notes", json={"text": "x"}, timeout=30)
        assert got.status_code == 503
        assert "full" in got.json()["detail"]
        assert tool.hits == 0
        own_server.ask("CONFIG", "SET", "maxmemory", "0")
        assert httpx.post(f"{running.tool}/notes", json={"text": "x"}).status_code == 200


# the tool -----------------------------------------------------------------------------------


def test_a_tool_that_is_down_gives_502_and_a_held_call_can_be_sent_later(
    folder: Path, tool: Tool
) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        with gate(folder, with_tool(tool, url=url)) as running:
            got = httpx.post(f"{running.tool}/notes", json={"text": "x"}, timeout=30)
            assert got.status_code == 502
            assert "NOT EXECUTED" in got.json()["detail"]
            held = httpx.post(f"{running.tool}/publish", json={"text": "x"}, headers=LATER)
            running.decide("approve")
            running.becomes(held.headers["interlock-call-id"], "approved")
    assert tool.hits == 0


def test_an_answer_that_does_not_come_is_an_unknown_outcome_and_is_never_asked_for_again(
    folder: Path, tool: Tool
) -> None:
    ended = threading.Event()
    tool.instead = lambda handler, call: ended.wait(20) and None
    try:
        with gate(folder, with_tool(tool, timeout="300ms")) as running:
            got = httpx.post(f"{running.tool}/notes", json={"text": "x"}, timeout=30)
            assert got.status_code == 504
            assert "OUTCOME UNKNOWN" in got.json()["detail"]
            with running.person() as ann:
                listed = ann.get("/v1/approvals", params={"state": "unknown"}).json()
            assert [card["tool"] for card in listed["items"]] == ["notes.add"]
    finally:
        ended.set()
    assert tool.hits == 1


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_a_tool_that_acts_and_cuts_the_connection_is_called_once(
    method: str, folder: Path, tool: Tool
) -> None:
    def act_and_cut(handler: Any, call: Call) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)
        handler.close_connection = True

    tool.instead = act_and_cut
    policy = POLICY.replace(
        "method: POST, path: /notes}", "method: [POST, PUT, DELETE], path: /notes}"
    )
    with gate(folder, with_tool(tool), policy) as running:
        got = httpx.request(method, f"{running.tool}/notes", json={"text": "x"}, timeout=30)
        assert got.status_code == 504
        assert got.json()["executed"] == "unknown"
        assert "Do not repeat it" in got.json()["detail"]
    assert tool.hits == 1


# people and callers -------------------------------------------------------------------------


def test_a_caller_that_has_gone_finds_the_answer_of_its_held_call_later(
    the_gate: Gate, tool: Tool
) -> None:
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{the_gate.tool}/publish", json={"text": "patience"}, timeout=0.5)
    call = the_gate.held()[0]["id"]
    assert the_gate.decide("approve").status_code == 200
    the_gate.becomes(call, "answered")
    again = httpx.post(f"{the_gate.tool}/publish", json={"text": "patience"})
    assert (again.status_code, again.json()["got"]) == (200, {"text": "patience"})
    assert again.headers["interlock-call-id"] == call
    assert tool.hits == 1


def test_of_two_people_who_decide_at_once_one_wins_and_the_other_is_told(
    the_gate: Gate, tool: Tool
) -> None:
    for number in range(5):
        call = httpx.post(
            f"{the_gate.tool}/publish", json={"text": f"race {number}"}, headers=LATER
        ).headers["interlock-call-id"]
        card = the_gate.held()[0]
        ann = the_gate.later(the_gate.decide_card, card, "approve", "ann")
        # a rejection may follow an approval that is not claimed yet; a second approval never
        bob = the_gate.later(the_gate.decide_card, card, "approve", "bob")
        codes = sorted(got.result().status_code for got in (ann, bob))
        assert codes == [200, 409]
        loser = next(got.result() for got in (ann, bob) if got.result().status_code == 409)
        assert loser.json()["current"]["state"] in (
            "approved",
            "forwarding",
            "answered",
            "rejected",
        )
        the_gate.becomes(call, "answered")
    sent = sum(call.target == "/publish" for call in tool.calls)
    assert sent == 5
    assert len({call.body for call in tool.calls}) == sent  # each at most once


def test_a_decision_after_the_deadline_is_refused(the_gate: Gate, tool: Tool) -> None:
    call = httpx.post(f"{the_gate.tool}/brief", json={}, headers=LATER)
    card = the_gate.held()[0]
    httpx.get(the_gate.agents + call.headers["location"], headers={"Prefer": "wait=20"}, timeout=30)
    late = the_gate.decide_card(card, "approve", message="just in time?")
    assert late.status_code in (409, 410)
    assert late.json()["current"]["state"] == "expired"
    assert tool.hits == 0


# stopping and crashing ----------------------------------------------------------------------


def test_sigterm_finishes_what_is_in_flight_and_keeps_what_is_held(
    folder: Path, tool: Tool
) -> None:
    go_on = threading.Event()

    def slowly(handler: Any, call: Call) -> None:
        go_on.wait(20)
        answered(handler)

    tool.instead = slowly
    config = with_tool(tool)
    with gate(folder, config) as running:
        held = running.later(
            lambda: httpx.post(
                f"{running.tool}/publish",
                json={"text": "kept"},
                headers={"Prefer": "wait=60"},
                timeout=70,
            )
        )
        running.held()
        flying = running.later(
            lambda: httpx.post(f"{running.tool}/notes", json={"text": "flying"}, timeout=30)
        )
        assert tool.reached.wait(10)
        running.process.terminate()
        assert held.result().status_code == 202  # told that it waits, not cut off
        assert not flying.done()
        go_on.set()
        assert flying.result().status_code == 200
        assert running.process.wait(30) == 0
    assert tool.hits == 1
    tool.instead = None
    with gate(folder, config) as again:
        assert again.decide("approve").status_code == 200
        again.becomes(held.result().headers["interlock-call-id"], "answered")
    assert [call.json["text"] for call in tool.calls] == ["flying", "kept"]


def answered(handler: Any) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "2")
    handler.end_headers()
    handler.wfile.write(b"{}")


def test_a_held_call_survives_kill_9_and_is_sent_once_when_it_is_approved_afterwards(
    folder: Path, tool: Tool
) -> None:
    config = with_tool(tool)
    with gate(folder, config) as running:
        call = httpx.post(f"{running.tool}/publish", json={"text": "crash"}, headers=LATER)
        running.kill()
    with gate(folder, config) as again:
        assert again.held()[0]["id"] == call.headers["interlock-call-id"]
        assert again.decide("approve").status_code == 200
        again.becomes(call.headers["interlock-call-id"], "answered")
        repeat = httpx.post(f"{again.tool}/publish", json={"text": "crash"})
        assert (repeat.status_code, repeat.json()["got"]) == (200, {"text": "crash"})
    assert tool.hits == 1


def test_a_second_interlock_on_the_same_data_works_beside_the_first(
    folder: Path, tool: Tool
) -> None:
    config = with_tool(tool)
    with gate(folder, config) as first, gate(folder, config) as second:
        call = httpx.post(f"{first.tool}/publish", json={"text": "shared"}, headers=LATER)
        assert second.decide("approve").status_code == 200
        first.becomes(call.headers["interlock-call-id"], "answered")
    assert tool.hits == 1
