"""An `undo` with arguments is checked when the policy is loaded: a button that can be pressed."""

from __future__ import annotations

import pytest

from tests.policies.building import policy, problems

BANK = """
tools:
  - id: bank.transfer
    http: {upstream: bank, method: POST, path: "/accounts/{account}/transfers"}
    args_schema:
      type: object
      required: [amount]
      properties: {amount: {type: number}, to: {type: string}}
    reversibility: compensable
    undo: UNDO
    facets: {blast: team}
  - id: bank.refund
    http: {upstream: bank, method: POST, path: "/payments/{payment}/refund"}
    args_schema:
      type: object
      required: [amount]
      properties: {amount: {type: number}, memo: {type: string}}
    reversibility: reversible
    undo: {reason: It can be sent again.}
    facets: {blast: team}
"""
UNDO = "{tool: bank.refund, within: 24h, arguments: {payment: answer.id, amount: args.amount}}"


def bank(undo: str = UNDO, **refund: str) -> str:
    text = BANK.replace("UNDO", undo)
    http = '{upstream: bank, method: POST, path: "/payments/{payment}/refund"}'
    return text.replace(http, refund["http"]) if refund else text


def test_an_undo_says_where_its_arguments_come_from() -> None:
    undo = policy(bank()).tools["bank.transfer"].undo

    assert undo is not None and (undo.tool, undo.within) == ("bank.refund", "24h")
    assert undo.arguments == (("payment", "answer.id"), ("amount", "args.amount"))


def test_an_undo_without_arguments_is_a_text_as_before() -> None:
    undo = policy(bank("{tool: bank.refund, within: 30d}")).tools["bank.transfer"].undo

    assert undo is not None and undo.arguments == ()


@pytest.mark.parametrize(
    ("written", "better", "said"),
    [
        ("tool: bank.refund", "tool: bank.refnd", "no tool 'bank.refnd'; did you mean 'bank.ref"),
        ("tool: bank.refund", "reason: Ask", "arguments of what? Add `tool: ID`"),
        ("within: 24h, ", "", "say for how long it can be undone: `within: 24h`"),
        ("within: 24h", "within: 25h", "25h is too long for a button"),
        ("payment: answer.id", "paiment: answer.id", "has no argument 'paiment'; did you mean"),
        ("payment: answer.id, ", "", "bank.refund needs payment as well"),
        (", amount: args.amount", "", "bank.refund needs amount as well"),
        ("args.amount", "args.amuont", "bank.transfer has no argument 'amuont'; did you mean"),
        ("args.amount", "amount", "'amount' is no place: write args.NAME"),
        ("args.amount", "args.", "'args.' is no place"),
        ("answer.id", "answer", "'answer' is no place"),
        ("answer.id", "answer.", "'answer.' is no place"),
        ("answer.id", "answer.a..b", "'answer.a..b' is no place"),
        ("answer.id", "answer.a b", "'answer.a b' is no place"),
        ("answer.id", "answer" + ".a" * 9, "is no place"),
        ("answer.id", "answre.id", "'answre.id' is no place"),
        ("payment: answer.id", "payment: 7", "a text is needed here, not 7"),
        ("arguments", "argumets", "unknown key 'argumets'; did you mean 'arguments'?"),
    ],
)
def test_a_mistake_is_a_problem_with_its_cure(written: str, better: str, said: str) -> None:
    assert problems(bank()) == []

    found = problems(bank(UNDO.replace(written, better)))

    assert any(said in line for line in found), found


def test_what_comes_out_of_the_path_is_an_argument_as_well() -> None:
    assert problems(bank(UNDO.replace("args.amount", "args.account"))) == []


@pytest.mark.parametrize(
    ("http", "said"),
    [
        ('{upstream: bank, method: [PUT, POST], path: "/r/{payment}"}', "several methods"),
        ('{upstream: bank, method: POST, path: "/r/{payment}", service: s3}', "signed for"),
        ('{upstream: bank, method: POST, path: "/r/{payment}", header: {x: z}}', "by headers"),
        ('{upstream: bank, method: POST, path: "/r/{payment}", graphql: g}', "GraphQL"),
        ('{upstream: bank, method: POST, path: "/r/{payment}", json: {a.b: c}}', "nested"),
        ('{upstream: bank, method: POST, path: "/r/{payment}", query: {a: "*"}}', "one value"),
    ],
)
def test_a_tool_of_which_no_call_can_be_made_has_no_button(http: str, said: str) -> None:
    found = problems(bank(http=http))

    assert any("no call of bank.refund can be made from them" in line for line in found), found
    assert any(said in line for line in found), found


def test_mcp_calls_are_undone_by_the_agent() -> None:
    mcp = bank().replace(
        'http: {upstream: bank, method: POST, path: "/accounts/{account}/transfers"}',
        "mcp: {server: bank, tool: transfer}",
    )
    back = bank().replace(
        'http: {upstream: bank, method: POST, path: "/payments/{payment}/refund"}',
        "mcp: {server: bank, tool: refund}",
    )

    assert any("an MCP call is undone by the agent itself" in line for line in problems(mcp))
    assert any("MCP tools are called by agents only" in line for line in problems(back))


def test_the_tool_may_be_in_another_file() -> None:
    one, other = bank().split("  - id: bank.refund")

    assert problems(one, "tools:\n  - id: bank.refund" + other) == []
