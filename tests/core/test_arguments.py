"""One namespace for arguments, whatever part of the call they come from."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from interlock.core.arguments import environment
from interlock.core.decisions import Decision
from tests.core.building import judge
from tests.policies.building import call, policy

FORM = "application/x-www-form-urlencoded"
TOOL = """
tools:
  - id: t
    http: {upstream: bank, method: [GET, POST], path: "/u/{id}", params: [q, body], multi: [tag]}
    args_schema:
      properties: {num: {type: integer}, f: {type: number}, b: {type: boolean}, s: {type: string}}
    reversibility: read_only
    facets: {data: public}
"""
COMPILED = policy(TOOL)


def read(target: str = "/u/7", **how: Any) -> Decision:
    return judge(COMPILED, call(target=target, **how))


def test_path_query_and_json_are_one_namespace_with_sources() -> None:
    decision = read("/u/7?q=x", body=b'{"s": "y", "deep": {"a": 1}}')

    assert decision.arguments == {"id": "7", "q": "x", "s": "y", "deep": {"a": 1}}
    assert decision.sources == {"id": "path", "q": "query", "s": "json", "deep": "json"}


def test_form_fields_keep_their_literal_names() -> None:
    decision = read(media_type=FORM, body=b"InstanceId.1=i-1&s=a+b")

    assert decision.arguments == {"id": "7", "InstanceId.1": "i-1", "s": "a b"}
    assert decision.sources["InstanceId.1"] == "form"


def test_a_json_body_that_is_no_object_is_args_body() -> None:
    assert read(body=b"[1, 2]").arguments["body"] == [1, 2]


def test_the_same_value_twice_is_fine() -> None:
    decision = read(body=b'{"id": 7}')

    assert (decision.reason, decision.arguments["id"]) == ("", 7)


@pytest.mark.parametrize(
    ("target", "how"),
    [
        ("/u/7", {"body": b'{"id": 8}'}),
        ("/u/7?q=1", {"body": b'{"q": 2}'}),
        ("/u/7?q=1&q=2", {}),
        ("/u/7?q=1&q=1", {}),
        ("/u/7?body=1", {"body": b"[2]"}),
        ("/u/7?q=true", {"body": b'{"q": false}'}),
    ],
)
def test_two_values_for_one_name_are_refused(target: str, how: dict[str, Any]) -> None:
    assert read(target, **how).reason == "ambiguous_argument"


def test_a_name_that_may_repeat_is_always_a_list() -> None:
    assert read("/u/7?tag=a&tag=b").arguments["tag"] == ["a", "b"]
    assert read("/u/7?tag=a").arguments["tag"] == ["a"]


def test_text_becomes_what_the_schema_says_where_it_is_plain() -> None:
    decision = read("/u/7?num=12&f=1.50&b=true&s=12")

    assert decision.arguments == {"id": "7", "num": 12, "f": 1.5, "b": True, "s": "12"}


@pytest.mark.parametrize("text", ["1e3", "012", "0x10", "+1", "1_0", "", "9" * 30, "NaN", "１"])
def test_text_that_readers_could_take_differently_is_refused(text: str) -> None:
    from urllib.parse import quote

    assert read(f"/u/7?num={quote(text)}").reason == "args_schema_mismatch"


def test_what_names_the_operation_is_no_argument() -> None:
    compiled = policy(
        TOOL.replace("params: [q, body]", 'form: {Action: Run, Kind: "a*"}').replace(
            "      properties: {", "      additionalProperties: false\n      properties: {"
        )
    )

    decision = judge(
        compiled, call(media_type=FORM, target="/u/7", body=b"Action=Run&Kind=ab&num=1")
    )

    assert decision.arguments == {"id": "7", "Kind": "ab", "num": 1}
    assert decision.reason == ""


def test_conditions_see_the_call_and_the_agent() -> None:
    asked = call(target="/u/7", body=b"{}", confidence=0.7, service="s3")

    seen = environment(asked, COMPILED.tools["t"], {}, datetime(2026, 1, 1, 23, 30, tzinfo=UTC))

    assert seen["agent"] == {"id": "bot", "owner": "ann", "confidence": 0.7}
    assert seen["call"] == {
        "tool": "t",
        "egress": False,
        "hour": 23,
        "method": "POST",
        "path": "/u/7",
        "upstream": "bank",
        "service": "s3",
        "region": "",
        "size": 2,
        "content_type": "application/json",
    }


def test_a_missing_confidence_is_missing_and_not_a_number() -> None:
    seen = environment(call(), None, {}, datetime(2026, 1, 1, tzinfo=UTC))

    assert "confidence" not in seen["agent"]
