"""The schema that a record names takes every call of its tool, wherever its arguments are."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import jsonschema_rs
import pytest

from interlock.core.actions import Action, Agent, ToolCall, Verdict
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Level
from interlock.core.digest import seal
from interlock.core.evaluate import evaluate
from interlock.core.events import Decided, Reviewed
from interlock.core.facts import NO_FACTS
from interlock.core.lifecycle import step
from interlock.exports import formats
from interlock.exports.making.exporter import Exporter, Wanted
from interlock.mcp_ports import NothingListed
from interlock.noting import Noting
from interlock.noting_schemas import schema_of
from interlock.policies.load import read_policies
from tests.support.builders import ANN, NOON, a_review

AT = datetime(2026, 11, 23, 12, tzinfo=UTC)
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: shop, version: 1, owner: ann@example.com, description: Arguments everywhere.}
stake:
  data: {public: low, internal: medium, confidential: high, restricted: critical}
tools:
  - id: shop.pay
    description: Pays.
    http:
      upstream: shop
      method: POST
      path: "/pay/{who}/{account}"
      params: [dry]
      query: {kind: [a, b], fixed: "yes"}
    args_schema:
      type: object
      properties: {account: {type: integer}, amount: {type: number}}
      required: [amount]
      additionalProperties: false
    reversibility: irreversible
    undo: {reason: Nothing takes it back.}
    facets: {data: confidential}
  - id: shop.see
    description: Shows.
    http: {upstream: shop, method: POST, path: "/see/{rest...}", params: ["x-*"], multi: [tag]}
    reversibility: irreversible
    undo: {reason: Nothing takes it back.}
    facets: {data: confidential}
"""
RULES = read_policies([("shop.yaml", POLICY)])


def called(target: str, body: bytes = b'{"amount": 9}') -> ToolCall:
    path, query = parse_target(target)
    return seal(
        ToolCall(
            agent=Agent(id="bot"),
            upstream="shop",
            method="POST",
            target=target,
            headers=(("Content-Type", "application/json"),),
            body=body,
            path=path,
            query=query,
            content=parse_content("application/json", body),
        )
    )


def reviewed(call: ToolCall) -> Action:
    decision = evaluate(call, RULES, NO_FACTS, AT)
    assert decision.level in (Level.APPROVE, Level.APPROVE_DUAL), decision.message
    action, _ = step(
        Action(id="a1", call=call, digest=call.digest), Decided(at=NOON, decision=decision)
    )
    review = a_review(action, ANN, Verdict.REJECT, message="No.")
    after, _ = step(action, Reviewed(at=NOON + 9, review=review, decision=decision))
    return after


@pytest.mark.parametrize(
    "target",
    [
        "/pay/bob/7?kind=a&fixed=yes",
        "/pay/bob/7?kind=b&fixed=yes&dry=1",
        "/see/a/b",
        "/see/a/b?x-one=2&tag=a&tag=b",
    ],
)
def test_what_is_exported_of_a_call_fits_the_schema_beside_it(target: str) -> None:
    notes = Noting(b"k" * 32, lambda: RULES, NothingListed())
    note = notes.note(reviewed(called(target)))
    record = notes.decode(note.entry)
    exporter = Exporter(formats()["kto"], Wanted())
    [text] = exporter.lines(record, {note.schema: json.loads(note.document)})
    line = json.loads(text)
    [tool] = json.loads(line["tools"])
    schema: dict[str, Any] = tool["function"]["parameters"]
    arguments = line["completion"][0]["tool_calls"][0]["function"]["arguments"]
    assert {*arguments} > {"amount"}
    jsonschema_rs.Draft202012Validator(schema).validate(arguments)
    named = {*schema["properties"], *(each for each in arguments if each.startswith("x-"))}
    assert {*arguments} <= named | {"amount"}


def test_what_is_in_the_path_is_required_and_what_is_in_the_query_is_not() -> None:
    schema = schema_of(RULES.tools["shop.pay"])
    assert schema is not None
    assert schema["required"] == ["amount", "who", "account"]
    assert schema["properties"] == {
        "account": {"type": "integer"},
        "amount": {"type": "number"},
        "who": {"type": "string"},
        "dry": {"type": "string"},
        "kind": {"type": "string"},
    }
    jsonschema_rs.Draft202012Validator(schema).validate({"amount": 1, "who": "b", "account": 7})
    assert not jsonschema_rs.Draft202012Validator(schema).is_valid({"amount": 1, "account": 7})
