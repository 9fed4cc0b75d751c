"""JSON with comments: the same data as `json.loads`, and the right places."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.cli.mcp_jsonc import scan_jsonc
from interlock.cli.mcp_nodes import Kind, Node, plain
from interlock.core.errors import InvalidDocument

PLAIN = st.none() | st.booleans() | st.integers() | st.text(max_size=8)
VALUES = st.recursive(
    PLAIN | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=12,
)


def spans(node: Node) -> list[Node]:
    below = [*node.items, *(member.node for member in node.members.values())]
    return [node, *(each for inner in below for each in spans(inner))]


@given(VALUES, st.sampled_from([None, 2, "\t"]), st.booleans())
def test_it_reads_what_json_reads(value: Any, indent: int | str | None, ascii_only: bool) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert repr(plain(scan_jsonc(text, "f"))) == repr(json.loads(text))


@given(VALUES)
def test_every_place_holds_its_own_value(value: Any) -> None:
    text = json.dumps(value, indent=1)
    for node in spans(scan_jsonc(text, "f")):
        assert repr(json.loads(text[node.start : node.end])) == repr(plain(node))


@given(VALUES, st.sampled_from([" // c, } ]\n", '/* " { */', "\r\n\t", "/**/"]))
def test_comments_between_values_change_nothing(value: Any, comment: str) -> None:
    text = json.dumps(value, indent="@")  # an indent that is nowhere else, to put comments in
    if "@" not in json.dumps(value):
        assert repr(plain(scan_jsonc(text.replace("@", comment), "f"))) == repr(value)


@given(st.text(alphabet='{}[],:"/*\\ ntue10-.\n', max_size=12))
def test_what_it_takes_without_comments_json_takes_too(text: str) -> None:
    try:
        found = scan_jsonc(text, "f")
    except InvalidDocument:
        with pytest.raises(ValueError):
            json.loads(text)
        return
    if "//" not in text and "/*" not in text and "," not in text:
        assert repr(plain(found)) == repr(json.loads(text))


def test_trailing_commas_and_a_byte_order_mark_are_taken() -> None:
    assert plain(scan_jsonc('\ufeff{"a": [1, 2,], }', "f")) == {"a": [1, 2]}


def test_the_last_of_equal_keys_counts_and_the_repetition_is_told() -> None:
    node = scan_jsonc('{"a": 1, "a": 2}', "f")
    assert (plain(node), node.repeated) == ({"a": 2}, (("a", 9),))


@pytest.mark.parametrize(
    ("text", "where", "told"),
    [
        ("", "1:1", "is empty"),
        ("{", "1:2", "ends before the closing `}`"),
        ('{"a": 1\n "b": 2}', "2:2", "expected `,` or `}`"),
        ("{'a': 1}", "1:2", "expected a key in double quotes"),
        ('{"a": nope}', "1:7", "expected a value, found `nope`"),
        ('{"a": 01}', "1:7", "expected a value"),
        ('{"a" 1}', "1:6", "expected `:`"),
        ('["C:\\x"]', "1:2", "write a backslash as"),
        ('["a\n"]', "1:2", "does not end in its line"),
        ("[] []", "1:4", "after the end of the value"),
        ("[ /* ", "1:3", "has no `*/`"),
        ("[" * 200, "1:102", "deeper than 100 levels"),
        ("1" * 5000, "1:1", "too long"),
        ("---\nmcp: x\n", "1:1", "expected a value, found `---`"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, where: str, told: str) -> None:
    with pytest.raises(InvalidDocument) as raised:
        scan_jsonc(text, "mcp.json")
    said = str(raised.value)
    assert said.startswith(f"mcp.json:{where}: ") and told in said


def test_kinds_are_told_apart() -> None:
    node = scan_jsonc('[{}, [], "", 1, null]', "f")
    assert [item.kind for item in node.items] == [
        Kind.OBJECT, Kind.ARRAY, Kind.STRING, Kind.SCALAR, Kind.SCALAR,
    ]  # fmt: skip
