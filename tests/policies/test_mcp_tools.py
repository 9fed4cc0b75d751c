"""MCP tools in the catalogue: names, globs, pins, and how far annotations are believed."""

from __future__ import annotations

import pytest

from interlock.core.patterns import McpMatch
from interlock.policies.mcp_tools import alternatives
from tests.policies.building import PAY, policy, problems

PIN = "sha256:" + "0a" * 32
MAIL = """tools:
  - id: mail
    mcp: {server: mail, tool: send}
    facets: {blast: external}
"""
PINNED = MAIL + f"    annotations: {{trust: full, pin: '{PIN}'}}\n"


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("send", ["send"]),
        ("get_*", ["get_*"]),
        ("{list,get}_{a,b}*", ["list_a*", "list_b*", "get_a*", "get_b*"]),
        ("{list,}_x", ["list_x", "_x"]),
        ("files/read.v2-a", ["files/read.v2-a"]),
    ],
)
def test_a_glob_is_written_out(text: str, names: list[str]) -> None:
    assert alternatives(text) == names


@pytest.mark.parametrize(
    "text", ["", "a b", "a?", "a[b]", "{a,b", "a}", "{a,{b,c}}", "é", "a" * 129, "{,}"]
)
def test_what_is_no_name_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not the name of a tool"):
        alternatives(text)


def test_a_glob_stands_for_a_bounded_number_of_names() -> None:
    with pytest.raises(ValueError, match="more than 100 names"):
        alternatives("{a,b}" * 40)


def test_an_entry_is_one_tool_several_or_a_pattern() -> None:
    compiled = policy(MAIL.replace("send", '["{list,get}_*", send, send]'))

    match = compiled.tools["mail"].match
    assert isinstance(match, McpMatch) and match.server == "mail"
    assert [each.text for each in match.tool.patterns] == ["list_*", "get_*", "send"]


def test_a_pinned_tool_may_be_trusted() -> None:
    tool = policy(PINNED + "    taints: [untrusted_content]\n").tools["mail"]

    assert (tool.trusted, tool.pins) == (True, {PIN})
    assert tool.taints == {"untrusted_content"}
    assert not policy(PINNED.replace("trust: full, ", "")).tools["mail"].trusted


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (
            MAIL.replace("    mcp: {server: mail, tool: send}\n", ""),
            "needs one of `http` and `mcp`",
        ),
        (PAY.replace("    http:", "    mcp: {server: a, tool: b}\n    http:"), "and not both"),
        (MAIL.replace("send", "'{a,b'"), "3:31: '{a,b' is not the name of a tool"),
        (MAIL.replace("send", "[ok, 'a b']"), "3:36: 'a b' is not the name of a tool"),
        (MAIL.replace("send", "[]"), "nothing is listed here: write at least one"),
        (MAIL.replace("server", "servr"), "unknown key 'servr'; did you mean 'server'?"),
        (PINNED.replace(f", pin: '{PIN}'", ""), "5:26: trust without `pin` would believe"),
        (PINNED.replace(PIN, PIN.upper()), "is not the hash of a definition: write sha256: and"),
        (PINNED.replace(f"'{PIN}'", f"['{PIN}', 'sha256:12']"), "'sha256:12' is not the hash"),
        (PINNED.replace("full", "ful"), "not 'ful'; did you mean 'full'?"),
        (PAY.replace("    undo", "    annotations: {pin: x}\n    undo"), "are of MCP tools: take"),
        (MAIL + "    taints: [untrusted]\n", "not 'untrusted'; did you mean 'untrusted_content'?"),
    ],
)
def test_a_wrong_entry_is_a_problem_with_its_cure(body: str, said: str) -> None:
    found = problems(body)

    assert any(said in line for line in found), found


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        ("send", "send", True),
        ("'*_mail'", "'send_*'", True),
        ("'get_*'", "'{get,list}_*'", True),
        ("send", "'s*'", False),
        ("'get_*'", "'get_mail_*'", False),
        ("send", "read", False),
    ],
)
def test_two_entries_for_one_tool_clash_unless_one_is_narrower(
    one: str, other: str, clash: bool
) -> None:
    two = MAIL[MAIL.index("  - id") :].replace("id: mail", "id: mail2")

    found = problems(MAIL.replace("send", one) + two.replace("send", other))

    assert ["neither is more specific" in line for line in found] == [True] * clash


def test_the_same_name_on_two_servers_is_two_tools() -> None:
    two = (
        MAIL[MAIL.index("  - id") :]
        .replace("id: mail", "id: b")
        .replace("server: mail", "server: b")
    )

    assert set(policy(MAIL + two).tools) == {"mail", "b"}


def test_a_target_names_arguments_of_the_tool() -> None:
    assert policy(PAY + "    target: [args.to, account]\n").tools["pay"].target == ("to", "account")
    assert policy(PAY).tools["pay"].target is None
    assert "18:14: pay has no argument 'too'; did you mean 'to'?" in problems(
        PAY + "    target: [args.too]\n"
    )
    assert any(
        "nothing is listed here: write at least one" in line
        for line in problems(PAY + "    target: []\n")
    )
