"""How a suite writes requests: from a tool and its arguments, and where `set` finds arguments."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from interlock.core.actions import ToolCall
from interlock.policies.suite import run_suite
from interlock.policies.suite_calls import BadCall, make_call, setting
from interlock.policies.suite_document import AgentEntry, CallEntry
from tests.policies.building import HEAD, policy

TOOLS = """
stake: {amount: [{upto: 50, stake: low}, {stake: high}]}
tools:
  - id: pay
    description: Pays.
    http: {upstream: bank, method: POST, path: "/accounts/{account}/pay", body: [BODY],
      params: [note]}
    args_schema:
      type: object
      properties: {amount: {type: number}, to: {type: object}, account: {type: string},
        note: {type: string}}
    reversibility: compensable
    undo: {reason: Ask for it back.}
    facets: {amount: args.amount}
  - id: change
    description: Changes or takes away.
    http: {upstream: bank, method: [DELETE, PATCH], path: "/hooks/{hook}", body: [json]}
    args_schema: {type: object, properties: {url: {type: string}}}
    facets: {blast: self}
  - id: files
    description: Reads a file.
    http: {upstream: bank, method: [HEAD, GET], path: "/files/{path...}", params: [ref]}
    args_schema: {type: object, properties: {ref: {type: string}}}
    facets: {blast: self}
"""
JSON, FORM = TOOLS.replace("BODY", "json"), TOOLS.replace("BODY", "form")
PAY = "call: {upstream: bank, method: POST, path: /accounts/7/pay, "


def made(body: str = JSON, set_: dict[str, Any] | None = None, **call: Any) -> ToolCall:
    entry = CallEntry.model_validate(call)
    return make_call(entry, AgentEntry(), setting(set_ or {}), policy(body))


def failures(folder: Path, case: str, body: str = JSON) -> list[str]:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + body)
    (folder / "p_test.yaml").write_text(
        "apiVersion: interlock/v1\nkind: PolicyTest\npolicy: p.yaml\n"
        f"cases: [{{name: a, {case}}}]\n"
    )
    return [str(each) for each in run_suite(folder / "p_test.yaml").failures]


def test_a_tool_that_takes_forms_is_sent_a_form() -> None:
    call = made(FORM, tool="pay", args={"account": "7", "amount": 20})

    assert (call.content.kind.value, call.body) == ("form", b"amount=20")
    assert call.headers == (("Content-Type", "application/x-www-form-urlencoded"),)


def test_the_numbers_of_a_form_are_judged_as_numbers(tmp_path: Path) -> None:
    case = "call: {tool: pay, args: {amount: 20}}, expect: {stake: low, indeterminate: false}"

    assert failures(tmp_path, case, FORM) == []


@pytest.mark.parametrize(
    ("call", "method"),
    [
        ({"tool": "change", "args": {"hook": "1", "url": "https://x"}}, "PATCH"),
        ({"tool": "change", "args": {"hook": "1"}}, "PATCH"),
        ({"tool": "change", "method": "DELETE", "args": {"hook": "1"}}, "DELETE"),
        ({"tool": "files", "args": {"path": "a/b", "ref": "main"}}, "GET"),
        ({"tool": "files", "method": "HEAD", "args": {"path": "a/b"}}, "HEAD"),
    ],
)
def test_of_several_methods_the_mildest_that_carries_the_arguments_is_sent(
    call: dict[str, Any], method: str
) -> None:
    assert made(**call).method == method


def test_a_method_that_the_tool_does_not_take_is_told_with_those_it_takes() -> None:
    with pytest.raises(BadCall, match="change does not take method POST: it takes DELETE, PATCH"):
        made(tool="change", method="POST", args={"hook": "1"})


@pytest.mark.parametrize(
    ("case", "body"),
    [
        (PAY + "json: {amount: 5}}, set: {args.amount: 60}, expect: {stake: high}", JSON),
        (PAY + "form: {amount: '5'}}, set: {args.amount: 60}, expect: {stake: high}", FORM),
        (
            PAY + "json: {to: {name: ann}}}, each: [{args.amount: 5, expect: {stake: low}}, "
            "{args.amount: 60, expect: {stake: high}}, {args.to.name: bob, args.amount: 1, "
            "expect: {stake: low}}]",
            JSON,
        ),
    ],
)
def test_set_and_each_change_the_arguments_of_a_request(
    tmp_path: Path, case: str, body: str
) -> None:
    assert failures(tmp_path, case, body) == []


def test_each_argument_is_changed_where_it_stands() -> None:
    request = {"upstream": "bank", "method": "POST", "path": "/accounts/7/pay"}

    of_path = made(**request, json={"amount": 1}, set_={"args.account": "a b"}, query={"note": "a"})
    of_query = made(**request, json={"amount": 1}, set_={"args.note": "b"}, query={"note": "a"})
    inside = made(**request, json={"to": {"name": "ann"}}, set_={"args.to.name": "bob"})
    tail = made(upstream="bank", path="/files/a/b?ref=x", set_={"args.path": "c/d"})
    added = made(upstream="bank", path="/files/a", set_={"args.ref": "main"})

    assert (of_path.target, of_path.body) == ("/accounts/a%20b/pay?note=a", b'{"amount": 1}')
    assert of_query.target == "/accounts/7/pay?note=b"
    assert inside.body == b'{"to": {"name": "bob"}}'
    assert (tail.target, added.target) == ("/files/c/d?ref=x", "/files/a?ref=main")


@pytest.mark.parametrize(
    ("case", "said"),
    [
        (PAY + "body: x}, set: {args.amount: 1}", "cannot be set in a raw `body`"),
        (PAY + "json: [1]}, set: {args.amount: 1}", "the `json` of the call is no object"),
        (
            "call: {upstream: bank, path: '/files/a?ref=x'}, set: {args.ref: main}",
            "stands in the path: write it under `query`",
        ),
        ("call: {tool: pay, json: {amount: 1}}", "`json` does not go with `tool`"),
        ("call: {upstream: bank, args: {amount: 1}}", "`args` go with `tool` or `mcp`"),
        ("call: {}", "it names no tool: write {tool, args}"),
        ("call: {tool: pay, mcp: {server: a, tool: b}}", "`tool` or `mcp`: take one of them out"),
    ],
)
def test_nothing_that_is_written_is_passed_over(tmp_path: Path, case: str, said: str) -> None:
    assert said in "\n".join(failures(tmp_path, f"{case}, expect: {{level: approve}}"))
