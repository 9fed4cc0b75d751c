"""TOML: the same data as `tomllib`, and the right places."""

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.cli.mcp_nodes import Kind, Node, plain
from interlock.cli.mcp_toml import scan_toml
from interlock.core.errors import InvalidDocument

EVERYTHING = '''# a comment with [brackets] = "and more"
title = "a # no comment \\" \\u00e9"
literal = 'C:\\path'   # behind
many = """
one \\
  "two" ""\\""""""
raw = \'\'\'it''s
raw\'\'\'
when = 1979-05-27 07:32:00Z
day = 1979-05-27
hex = 0xDEAD_BEEF
inf = -inf
yes = true
list = [ 1, [ "a", # c ]
  'b', ], { x = 1, y.z = [2] },
]
"quoted key"."a.b".c = 1
'single' . d = 2
empty = {}
[a]
x = 1
[a.b.c]
y = { p = { q = [ ] }, r = "s" }
[[points]]
x = 1
[points.sub]
z = 3
[[points]]
x = 2
[[points.deep]]
k = "v"
[ "odd name" . 'x' ]
last = 0.5e3'''


def leaves(node: Node) -> list[Node]:
    below = [*node.items, *(member.node for member in node.members.values())]
    return [each for inner in below for each in leaves(inner)] if below else [node]


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_it_reads_what_tomllib_reads(newline: str) -> None:
    text = EVERYTHING.replace("\n", newline)
    assert plain(scan_toml(text, "f")) == tomllib.loads(text)


def test_every_place_holds_its_own_value() -> None:
    found = [node for node in leaves(scan_toml(EVERYTHING, "f")) if node.kind is not Kind.OBJECT]
    assert len(found) > 20
    for node in found:
        raw = EVERYTHING[node.start : node.end]
        assert tomllib.loads(f"v = {raw}")["v"] == plain(node)


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=6)


def quoted(text: str) -> str:
    return '"' + "".join(f"\\U{ord(letter):08x}" for letter in text) + '"'


@given(st.dictionaries(TEXTS, st.dictionaries(TEXTS, st.lists(TEXTS, max_size=3), max_size=3)))
def test_generated_tables_are_read_alike(tables: dict[str, dict[str, list[str]]]) -> None:
    lines = []
    for name, table in tables.items():
        lines.append(f"[{quoted(name)}] # c")
        lines += [f"{quoted(k)} = [{', '.join(map(quoted, v))}]" for k, v in table.items()]
    assert plain(scan_toml("\n".join(lines), "f")) == tables


def test_a_byte_order_mark_is_left_out() -> None:
    assert plain(scan_toml("\ufeffa = 1", "f")) == {"a": 1}


@pytest.mark.parametrize(
    ("text", "where"),
    [("a = 1\nb = \n", "2:5"), ("[x]\n[x]\n", "2:3"), ("a = 'x", "1:7"), ("a = [", "1:6")],
)
def test_what_is_wrong_is_said_with_its_place(text: str, where: str) -> None:
    with pytest.raises(InvalidDocument, match="is not TOML: ") as raised:
        scan_toml(text, "config.toml")
    assert str(raised.value).startswith(f"config.toml:{where}: ")


@pytest.mark.parametrize("text", ["a = " + "[" * 150 + "]" * 150, "[" + ".".join("a" * 3000) + "]"])
def test_what_is_too_deep_is_refused(text: str) -> None:
    with pytest.raises(InvalidDocument, match="deeper than 100 levels"):
        scan_toml(text, "f")
