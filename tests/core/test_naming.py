"""MCP tools in the catalogue: by server and name, the narrower entry first."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import McpTool
from interlock.core.matching import Catalogue, Clash, Found, Missing, build
from interlock.core.patterns import HttpMatch, McpMatch
from tests.core.building import call, http, mcp, mcp_call


def catalogue(**matches: McpMatch | HttpMatch) -> Catalogue:
    built, clashes = build(matches)
    assert clashes == ()
    return built


def found(built: Catalogue, server: str, tool: str) -> str:
    answer = built.find(mcp_call(server, tool))
    return answer.tool if isinstance(answer, Found) else ""


def test_an_exact_name_beats_a_pattern_and_a_narrow_one_beats_a_wide_one() -> None:
    built = catalogue(
        all=mcp("mail", "*"), reads=mcp("mail", "get_*"), one=mcp("mail", "get_secret", "peek")
    )

    assert found(built, "mail", "get_secret") == found(built, "mail", "peek") == "one"
    assert found(built, "mail", "get_message") == "reads"
    assert found(built, "mail", "send") == "all"


@pytest.mark.parametrize("asked", ["Wipe", " wipe", "wipe\u200b", "wipe\0", "ｗipe", "Secret_x"])
def test_a_name_that_a_server_may_take_for_one_of_a_closer_entry_is_in_none(asked: str) -> None:
    built = catalogue(
        all=mcp("mail", "*"), wipe=mcp("mail", "wipe"), secrets=mcp("mail", "secret_*")
    )

    answer = built.find(mcp_call("mail", asked))

    assert isinstance(answer, Missing) and "written otherwise" in answer.because


def test_names_that_are_told_apart_by_case_on_purpose_are_taken_as_they_are() -> None:
    built = catalogue(all=mcp("m", "*"), one=mcp("m", "get"), other=mcp("m", "GET", "Put*"))

    assert found(built, "m", "get") == "one"
    assert found(built, "m", "GET") == found(built, "m", "PutIt") == "other"
    assert found(built, "m", "createIssue") == "all"


def test_a_tool_of_another_server_is_unknown() -> None:
    built = catalogue(send=mcp("mail", "send"))

    assert found(built, "chat", "send") == found(built, "mail", "send2") == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (mcp("mail", "send"), mcp("mail", "send")),
        (mcp("mail", "a", "send"), mcp("mail", "send", "b")),
        (mcp("mail", "get_*"), mcp("mail", "get_*")),
        (mcp("mail", "get_*"), mcp("mail", "*_all")),
    ],
)
def test_two_entries_that_share_a_name_with_equal_right_clash(
    one: McpMatch, other: McpMatch
) -> None:
    assert build({"one": one, "other": other})[1] == (Clash(first="one", second="other"),)


def test_entries_of_two_servers_never_clash() -> None:
    assert build({"one": mcp("mail", "send"), "other": mcp("chat", "send")})[1] == ()


def test_one_entry_may_list_patterns_that_overlap() -> None:
    built = catalogue(reads=mcp("mail", "get_*", "*_all", "get_*"))

    assert found(built, "mail", "get_all") == "reads"


def test_where_two_entries_would_take_a_name_neither_does() -> None:
    """Fault caught: picking one of two by the order in which they were written."""
    built, clashes = build({"one": mcp("mail", "get_*"), "other": mcp("mail", "*_all")})

    assert clashes
    assert built.find(mcp_call("mail", "get_all")) == Missing(because="one and other both take it")


def test_an_http_call_never_matches_an_mcp_entry_nor_the_other_way_round() -> None:
    """Fault caught: reaching the laxer entry of a tool by speaking the other protocol."""
    built = catalogue(web=http("bank", "pay"), tool=mcp("bank", "*"))

    assert built.find(call("pay")) == Found(tool="web", path={})
    assert isinstance(built.find(call("send")), Missing)
    assert found(built, "bank", "pay") == "tool"
    alone = catalogue(web=http("bank", "pay"))
    assert isinstance(alone.find(replace(call("pay"), mcp=McpTool(name="pay"))), Missing)


NAMES = st.text("ab_*", min_size=1, max_size=4)


@given(names=st.lists(NAMES, min_size=1, max_size=4), asked=st.text("ab_", max_size=5))
def test_the_entry_that_is_found_takes_the_name_and_none_that_takes_it_is_narrower(
    names: list[str], asked: str
) -> None:
    matches = {f"t{i}": mcp("s", name) for i, name in enumerate(names)}
    built, clashes = build(matches)

    taking = [match.tool.patterns[0] for match in matches.values() if match.tool.matches(asked)]
    entry = found(built, "s", asked)

    if not clashes:
        assert bool(entry) == bool(taking)
    if entry:
        mine = matches[entry].tool.patterns[0]
        assert mine.matches(asked)
        assert all(each.includes(mine) or not mine.includes(each) for each in taking)
