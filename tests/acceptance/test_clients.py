"""Real clients, unmodified but for the base URL, before a real Interlock and a real tool."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from botocore.exceptions import ClientError

from tests.acceptance.clients import CLIENTS, Client
from tests.acceptance.world import CONFIG, Call, Gate, Tool, gate, short_folder

pytestmark = pytest.mark.xdist_group("clients")


@pytest.fixture(params=CLIENTS)
def client(request: pytest.FixtureRequest) -> Client:
    return CLIENTS[request.param]


@pytest.fixture
def text(request: pytest.FixtureRequest) -> str:
    """What this test says; an equal call of another test would be a repeat, and join it."""
    return f"grüße von {request.node.name}"


# every client gets each of the five outcomes ------------------------------------------------


def test_an_allowed_call_gets_the_tools_own_answer(
    client: Client, text: str, the_gate: Gate, tool: Tool
) -> None:
    got = client(f"{the_gate.tool}/notes", {"text": text})
    assert (got.status, got.json) == (200, {"did": "/notes", "got": {"text": text}})
    assert got.headers["interlock-decision"] == "allow"
    assert tool.hits == 1


def test_a_held_call_gets_the_tools_answer_once_somebody_approved_it(
    client: Client, text: str, the_gate: Gate, tool: Tool
) -> None:
    got = the_gate.later(client, f"{the_gate.tool}/publish", {"text": text})
    the_gate.held()
    assert tool.hits == 0
    assert the_gate.decide("approve").status_code == 200
    assert (got.result().status, got.result().json["got"]) == (200, {"text": text})
    assert got.result().headers["interlock-decision"] == "approve"
    assert tool.hits == 1


def test_an_edited_call_is_sent_as_edited_and_the_client_is_told(
    client: Client, text: str, the_gate: Gate, tool: Tool
) -> None:
    got = the_gate.later(client, f"{the_gate.tool}/publish", {"text": text + "!!!"})
    the_gate.decide("edit", edited_args={"text": text}, message="Calmer.")
    assert got.result().status == 200
    assert [call.json for call in tool.calls] == [{"text": text}]
    assert got.result().headers["interlock-edited"] == "true"
    assert got.result().json["got"] == {"text": text}
    assert text in json.dumps(got.result().json["_interlock"], ensure_ascii=False)


def test_a_rejected_call_never_reaches_the_tool_and_the_reason_reaches_the_client(
    client: Client, text: str, the_gate: Gate, tool: Tool
) -> None:
    got = the_gate.later(client, f"{the_gate.tool}/publish", {"text": text})
    the_gate.decide("reject", message="Not confirmed yet.")
    assert got.result().status == 403
    assert got.result().json["executed"] is False
    assert "Not confirmed yet." in got.result().json["detail"]
    assert tool.hits == 0


def test_a_call_that_nobody_decides_expires_and_says_so(
    client: Client, text: str, the_gate: Gate, tool: Tool
) -> None:
    got = client(f"{the_gate.tool}/brief", {"text": text})
    assert got.status == 403
    assert got.json["state"] == "expired"
    assert "its time ran out" in got.json["detail"]
    assert tool.hits == 0


# boto3 --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def aws_gate(the_tool: Tool) -> Iterator[Gate]:
    """Interlock as AWS SDKs meet it: signed upstream calls, refusals in AWS's own words."""
    with short_folder() as folder:
        (folder / "id").write_text("AKIAEXAMPLE")
        (folder / "secret").write_text("of the tool")
        keys = {"access_key_id": {"from_file": "id"}, "secret_access_key": {"from_file": "secret"}}
        upstream = {
            "url": the_tool.url,
            "allow_private": True,
            "forward_headers": ["x-amz-*"],
            "credentials": {"aws_sigv4": keys | {"services": ["dynamodb"]}},
            "refused": {"format": "aws"},
            "pending": {"status": 503},
            "hold": "1s",
        }
        with gate(folder, dict(CONFIG) | {"upstreams": {"aws": upstream}}) as running:
            yield running


@pytest.fixture
def table(aws_gate: Gate, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A DynamoDB client that knows Interlock from its environment alone."""
    made = subprocess.run(
        [sys.executable, "-m", "interlock", "keys", "create", "agent", "bot", "--json"],
        cwd=aws_gate.folder,
        capture_output=True,
        check=True,
        timeout=60,
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"{aws_gate.agents}/t/aws")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", json.loads(made.stdout)["key"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "unused")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", "/dev/null")
    client = boto3.session.Session().client("dynamodb")
    yield client
    client.close()


@pytest.fixture
def item(text: str) -> dict[str, Any]:
    return {"id": {"S": text}}


def test_boto3_reads_through_an_upstream_that_interlock_signs_for(
    table: Any, item: Any, aws_gate: Gate, tool: Tool
) -> None:
    assert table.get_item(TableName="notes", Key=item)["ResponseMetadata"]["HTTPStatusCode"] == 200
    sent = tool.calls[0].headers["authorization"]
    assert "Credential=AKIAEXAMPLE/" in sent
    assert "/eu-central-1/dynamodb/aws4_request" in sent
    assert tool.hits == 1


def test_boto3s_own_retries_join_the_held_call_until_it_is_approved(
    table: Any, item: Any, aws_gate: Gate, tool: Tool
) -> None:
    attempts = threading.Semaphore(0)
    table.meta.events.register("before-send.dynamodb", lambda **_: attempts.release())
    got = aws_gate.later(lambda: table.put_item(TableName="notes", Item=item))
    for _ in range(2):
        attempts.acquire()  # the first was answered 503 after a second; this is the next
    assert aws_gate.decide("approve").status_code == 200
    told = got.result()["ResponseMetadata"]
    assert told["HTTPStatusCode"] == 200
    assert told["RetryAttempts"] >= 1
    assert tool.hits == 1


def test_boto3_sends_what_a_person_edited(
    table: Any, item: Any, aws_gate: Gate, tool: Tool
) -> None:
    got = aws_gate.later(lambda: table.put_item(TableName="notes", Item=item))
    edited = {"TableName": "drafts", "Item": item}
    assert aws_gate.decide("edit", edited_args=edited).status_code == 200
    headers = got.result()["ResponseMetadata"]["HTTPHeaders"]
    assert headers["interlock-edited"] == "true"
    assert tool.calls[0].json == edited
    assert tool.hits == 1


def test_boto3_raises_access_denied_with_the_reviewers_words(
    table: Any, item: Any, aws_gate: Gate, tool: Tool
) -> None:
    got = aws_gate.later(lambda: table.put_item(TableName="notes", Item=item))
    aws_gate.decide("reject", message="Ask for the archive table.")
    with pytest.raises(ClientError, match=r"AccessDenied.*Ask for the archive table\."):
        got.result()
    assert tool.hits == 0


def test_boto3_is_told_that_nobody_decided(
    table: Any, item: Any, aws_gate: Gate, tool: Tool
) -> None:
    with pytest.raises(ClientError, match="its time ran out"):
        table.delete_item(TableName="notes", Key=item)
    assert tool.hits == 0


# retries join -------------------------------------------------------------------------------


def test_a_repeat_with_the_same_idempotency_key_is_the_same_call(
    the_gate: Gate, tool: Tool
) -> None:
    headers = {"Idempotency-Key": "add-once"}
    both = [
        httpx.post(f"{the_gate.tool}/notes", json={"text": "once"}, headers=headers)
        for _ in range(2)
    ]
    assert [got.status_code for got in both] == [200, 200]
    assert both[0].headers["interlock-call-id"] == both[1].headers["interlock-call-id"]
    assert tool.hits == 1
    other = httpx.post(f"{the_gate.tool}/notes", json={"text": "two"}, headers=headers)
    assert other.status_code == 422
    assert "Idempotency-Key" in other.json()["detail"]
    assert tool.hits == 1


def test_a_repeated_held_call_joins_the_first_and_asks_nobody_twice(
    the_gate: Gate, tool: Tool
) -> None:
    ask = {"json": {"text": "joined"}, "headers": {"Prefer": "wait=30"}, "timeout": 40}
    both = [the_gate.later(lambda: httpx.post(f"{the_gate.tool}/publish", **ask)) for _ in range(2)]
    assert len(the_gate.held()) == 1
    the_gate.decide("approve")
    ids = {got.result().headers["interlock-call-id"] for got in both}
    assert [got.result().status_code for got in both] == [200, 200]
    assert (len(ids), tool.hits) == (1, 1)


# following a call ---------------------------------------------------------------------------


def pending(the_gate: Gate, text: str) -> httpx.Response:
    got = httpx.post(
        f"{the_gate.tool}/publish", json={"text": text}, headers={"Prefer": "respond-async"}
    )
    assert got.status_code == 202
    return got


def test_who_prefers_not_to_wait_is_told_at_once_where_to_look(the_gate: Gate, tool: Tool) -> None:
    got = pending(the_gate, "async")
    assert got.headers["preference-applied"] == "respond-async"
    assert got.headers["location"] == f"/v1/calls/{got.headers['interlock-call-id']}"
    assert int(got.headers["retry-after"]) > 0
    assert got.json()["executed"] is False
    the_gate.decide("reject", message="no")
    assert tool.hits == 0


def test_a_long_poll_returns_when_the_call_is_settled_and_the_answer_can_be_fetched(
    the_gate: Gate, tool: Tool
) -> None:
    where = the_gate.agents + pending(the_gate, "polled").headers["location"]
    status = httpx.get(where)
    etag = {"If-None-Match": status.headers["etag"], "Prefer": "wait=30"}
    polled = the_gate.later(lambda: httpx.get(where, headers=etag, timeout=40))
    the_gate.decide("approve")
    assert polled.result().status_code == 200
    seen = polled.result()
    while seen.json()["state"] != "answered":
        again = {"If-None-Match": seen.headers["etag"], "Prefer": "wait=30"}
        seen = httpx.get(where, headers=again, timeout=40)
    replayed = httpx.get(f"{where}/response")
    assert (replayed.status_code, replayed.json()["got"]) == (200, {"text": "polled"})
    assert httpx.get(f"{where}/response").content == replayed.content
    assert tool.hits == 1


def test_a_cancelled_call_is_fenced_before_the_caller_is_told(the_gate: Gate, tool: Tool) -> None:
    where = the_gate.agents + pending(the_gate, "cancelled").headers["location"]
    card = the_gate.held()[0]
    assert httpx.delete(where).json()["state"] == "cancelled"
    assert the_gate.decide_card(card, "approve").status_code == 409
    assert tool.hits == 0


# streaming ----------------------------------------------------------------------------------


def test_server_sent_events_pass_one_by_one_as_the_tool_sends_them(
    the_gate: Gate, tool: Tool
) -> None:
    go_on = threading.Semaphore(0)

    def stream(handler: Any, call: Call) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", "text/event-stream")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for number in range(3):
            event = f"data: {number}\n\n".encode()
            handler.wfile.write(f"{len(event):x}\r\n".encode() + event + b"\r\n")
            handler.wfile.flush()
            go_on.acquire()
        handler.wfile.write(b"0\r\n\r\n")

    tool.instead = stream
    seen = []
    with httpx.stream("GET", f"{the_gate.tool}/stream") as got:
        assert got.headers["content-type"] == "text/event-stream"
        for line in got.iter_lines():
            if line:
                seen.append(line)
                go_on.release()  # only what has arrived lets the tool send more
    assert seen == ["data: 0", "data: 1", "data: 2"]
