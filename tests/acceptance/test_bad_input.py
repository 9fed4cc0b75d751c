"""Bad input: refused with a message that names the thing; nothing reaches the tool."""

from __future__ import annotations

import contextlib
import socket

import httpx
import pytest

from tests.acceptance.world import Gate, Tool

pytestmark = pytest.mark.xdist_group("bad-input")
LATER = {"Prefer": "respond-async"}


def post(gate: Gate, path: str, body: bytes) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return httpx.post(f"{gate.tool}{path}", content=body, headers=headers, timeout=30)


DEEP = b'{"text": ' + b"[" * 2000 + b"]" * 2000 + b"}"


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b'{"text": "a"', "JSON"),
        (b'{"text": "a", "text": "b"}', "text"),
        (b'{"text": "a", "copies": NaN}', "NaN"),
        (b'{"text": "a", "copies": Infinity}', "Infinity"),
        (DEEP, "deep"),
        (b'{"text": "\xff"}', "UTF-8"),
    ],
    ids=["cut short", "duplicate key", "NaN", "Infinity", "deeply nested", "not UTF-8"],
)
def test_a_body_that_two_readers_could_differ_about_is_refused(
    body: bytes, named: str, the_gate: Gate, tool: Tool
) -> None:
    got = post(the_gate, "/notes", body)
    assert got.status_code in (400, 403)
    assert got.json()["executed"] is False
    assert named.lower() in got.json()["detail"].lower()
    assert tool.hits == 0


@pytest.mark.parametrize(
    "target",
    [
        "/t/tool/notes/../admin",
        "/t/tool/notes/%2e%2e/admin",
        "/t/tool/notes//1",
        "/t/tool/notes/%2F1",
        "/t/tool/notes/%zz",
        "/t/tool/notes/a\\b",
        "/t/tool/notes/1;admin",
        "/t/tool/notes/%00",
    ],
)
def test_an_ambiguous_target_is_refused_not_repaired(
    target: str, the_gate: Gate, tool: Tool
) -> None:
    status, said = over_the_wire(the_gate, f"GET {target} HTTP/1.1")
    assert status == 400
    assert "NOT EXECUTED" in said
    assert tool.hits == 0


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 3", "Content-Length: 4"),
        ("Content-Length: 3", "Transfer-Encoding: chunked"),
        ("X-HTTP-Method-Override: DELETE",),
        ("Bad Name: x",),
    ],
    ids=["two lengths", "length and chunks", "method override", "space in a header's name"],
)
def test_ambiguous_framing_is_refused(lines: tuple[str, ...], the_gate: Gate, tool: Tool) -> None:
    status, _ = over_the_wire(the_gate, "POST /t/tool/notes HTTP/1.1", *lines)
    assert status == 400
    assert tool.hits == 0


def over_the_wire(gate: Gate, first: str, *lines: str) -> tuple[int, str]:
    """Send these very bytes; return status and answer."""
    port = int(gate.agents.rpartition(":")[2])
    head = "\r\n".join([first, "Host: 127.0.0.1", "Connection: close", *lines, "", ""])
    with socket.create_connection(("127.0.0.1", port), timeout=20) as wire:
        wire.sendall(head.encode("latin-1"))
        answer = b""
        with contextlib.suppress(ConnectionError):
            while piece := wire.recv(65536):
                answer += piece
    return int(answer.split(b" ")[1]), answer.decode("utf-8", "replace")


def test_an_oversized_body_is_refused_before_it_is_read(the_gate: Gate, tool: Tool) -> None:
    got = post(the_gate, "/notes", b'{"text": "' + b"a" * (2 << 20) + b'"}')
    assert got.status_code == 413
    assert "larger than 1048576 bytes" in got.json()["detail"]
    assert tool.hits == 0


def test_arguments_of_the_wrong_type_are_refused_by_name(the_gate: Gate, tool: Tool) -> None:
    got = post(the_gate, "/notes", b'{"text": "a", "copies": "three"}')
    assert got.status_code == 403
    assert "copies" in got.json()["detail"]
    assert tool.hits == 0


def test_an_unknown_upstream_is_named_with_those_that_are_known(the_gate: Gate, tool: Tool) -> None:
    got = httpx.get(f"{the_gate.agents}/t/tolo/notes/1")
    assert got.status_code == 404
    assert "`tolo`" in got.json()["detail"]
    assert "tool" in got.json()["detail"]
    assert tool.hits == 0


def test_an_unknown_tool_waits_for_a_person(the_gate: Gate, tool: Tool) -> None:
    got = httpx.post(f"{the_gate.tool}/secrets", json={}, headers=LATER)
    assert got.status_code == 202
    assert the_gate.decide("reject", message="Not ours.").status_code == 200
    assert tool.hits == 0


def test_an_unknown_method_of_a_known_path_waits_for_a_person(the_gate: Gate, tool: Tool) -> None:
    got = httpx.delete(f"{the_gate.tool}/notes/1", headers=LATER)
    assert got.status_code == 202
    the_gate.decide("reject", message="No.")
    status, _ = over_the_wire(the_gate, "BREW /t/tool/notes HTTP/1.1")
    assert status == 400
    assert tool.hits == 0


def test_a_decision_with_what_it_may_not_hold_changes_nothing(the_gate: Gate, tool: Tool) -> None:
    httpx.post(f"{the_gate.tool}/publish", json={"text": "bad decision"}, headers=LATER)
    card = the_gate.held()[0]
    path = f"/v1/approvals/{card['id']}/decision"
    seen = {"If-Match": f'"{card["version"]}"'}
    good = {"type": "approve", "digest": card["digest"]}
    with the_gate.person() as ann:
        tries = [
            ann.post(path, json=good),
            ann.post(path, json=good, headers={"If-Match": '"99"'}),
            ann.post(path, json=good | {"digest": "0" * 64}, headers=seen),
            ann.post(path, json=good | {"approve": True}, headers=seen),
            ann.post(path, json=good | {"type": True}, headers=seen),
            ann.post(path, content=b"{", headers=seen | {"Content-Type": "application/json"}),
        ]
    assert [got.status_code for got in tries] == [428, 412, 412, 400, 400, 400]
    assert the_gate.state(card["id"]) == "held"
    assert tool.hits == 0
    the_gate.decide("reject", message="done")
