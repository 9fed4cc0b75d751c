"""What a server lists, against what was known: bounded, and never accepted by mistake."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.core import definitions
from interlock.core.definitions import definition_hash
from interlock.core.digest import definition_mac
from interlock.core.listings import (
    LARGEST,
    LARGEST_IN_ALL,
    PARTS,
    TOOLS,
    Accepted,
    ToolRecord,
    merged,
    read_listing,
)


def known(tools: list[dict[str, Any]], now: int = 1) -> dict[str, ToolRecord]:
    return dict(merged("s", {}, read_listing(tools, ()), now).kept)


def test_what_is_kept_is_what_the_hash_covers() -> None:
    assert PARTS is definitions.PARTS
    one = {name: "x" for name in (*PARTS, "_meta", "icons")}
    for name in PARTS:
        assert definition_hash(one | {name: "y"}) != definition_hash(one)
        assert (read_listing([one], ())["x"].document or {})[name] == "x"


PARTS_OF_ONE = st.fixed_dictionaries(
    {"name": st.sampled_from(["a", "b"])},
    optional={
        "description": st.none() | st.text(max_size=3),
        "annotations": st.none() | st.dictionaries(st.text(max_size=3), st.none() | st.booleans()),
        "_meta": st.integers(),
    },
)


@given(tools=st.lists(PARTS_OF_ONE, max_size=6))
def test_a_kept_document_has_the_hash_under_which_it_is_kept(tools: list[dict[str, Any]]) -> None:
    for name, listed in read_listing(tools, ()).items():
        hashes = {definition_hash(tool) for tool in tools if tool["name"] == name}
        if listed.document is None:
            assert len(hashes) > 1 and listed.hash not in hashes
        else:
            assert hashes == {listed.hash} == {definition_hash(listed.document)}


@given(tools=st.lists(PARTS_OF_ONE, max_size=6), later=st.lists(PARTS_OF_ONE, max_size=6))
def test_what_was_listed_last_is_what_is_known(
    tools: list[dict[str, Any]], later: list[dict[str, Any]]
) -> None:
    before, listing = known(tools), read_listing(later, ())
    after = before | dict(merged("s", before, listing, 2).kept)
    assert {name: after[name].listed.hash for name in listing} == {
        name: each.hash for name, each in listing.items()
    }
    assert not merged("s", after, listing, 3)
    assert after.keys() == before.keys() | listing.keys()


def test_when_it_was_first_seen_is_kept_while_it_is_the_same() -> None:
    before = known([{"name": "a"}, {"name": "b"}])
    listing = read_listing([{"name": "a"}, {"name": "b", "title": "B"}], before)
    changes = merged("s", before, listing, 2)
    assert {name: each.listed.since for name, each in changes.kept.items()} == {"b": 2}


def test_where_there_is_no_room_what_nobody_accepted_makes_way_oldest_first() -> None:
    before = known([{"name": f"t{number}"} for number in range(TOOLS)])
    said = Accepted(hash=before["t0"].listed.hash, document={"name": "t0"}, by="ann", at=1)
    before["t0"] = replace(before["t0"], accepted=said)
    before["t1"] = replace(before["t1"], listed=replace(before["t1"].listed, since=5))
    before["t7"] = replace(before["t7"], listed=replace(before["t7"].listed, since=0))
    changes = merged("s", before, read_listing([{"name": "new"}], before), 9)
    assert (set(changes.kept), changes.forgotten) == ({"new"}, frozenset({"t7"}))
    every = [{"name": f"t{number}"} for number in range(TOOLS)]
    assert not merged("s", before, read_listing([*every, {"name": "new"}], before), 9)


def test_what_has_no_room_is_not_kept_until_it_has() -> None:
    large = "x" * (LARGEST - 100)
    count = LARGEST_IN_ALL // LARGEST
    tools = [{"name": f"t{number}", "title": large} for number in range(count + 2)]
    before = known(tools)
    flawed = [name for name, each in before.items() if each.listed.document is None]
    assert flawed == [f"t{count}", f"t{count + 1}"]
    assert str(LARGEST_IN_ALL) in before[flawed[0]].listed.flaw
    assert not merged("s", before, read_listing(tools, before), 2)
    tools[0] = {"name": "t0"}
    changes = merged("s", before, read_listing(tools, before), 2)
    assert set(changes.kept) == {"t0", f"t{count}"}


def test_the_mac_binds_everything_that_makes_an_acceptance() -> None:
    said = Accepted(hash="sha256:1", document={}, by="ann", at=1)
    macs = {
        definition_mac("s", "t", said, b"k"),
        definition_mac("t", "s", said, b"k"),
        definition_mac("st", "", said, b"k"),
        definition_mac("s", "t", said, b"l"),
        *(
            definition_mac("s", "t", replace(said, **other), b"k")
            for other in ({"hash": "sha256:2"}, {"by": "bob"}, {"at": 2})
        ),
    }
    assert len(macs) == 7
