"""What YAML takes for its own in an unquoted text: told with its place, and with the cure."""

from __future__ import annotations

import pytest

from interlock.core.errors import InvalidDocument
from interlock.policies.positions import load_yaml

TAG = "a text that begins with ! is a tag in YAML: put it in quotes, as in '!(...)'"
ALIAS = "a text that begins with * is an alias in YAML: put it in quotes, as in '*'"
ANCHOR = "a text that begins with & is an anchor in YAML: put it in quotes, as in '&...'"
COLON = "': ' within a text without quotes begins a value in YAML: put all of the text in quotes"
WITHIN = (
    "within [...] and {...}, a text that has one of [ ] { } , or ': ' in it needs quotes; or a "
    "bracket is not closed"
)
QUOTE = "a text that begins with a quote ends at the next one: put all of it in the other quotes"
LIST = "a text that begins with [ is a list in YAML: put all of it in quotes, as in '[...] ...'"
MAP = "a text that begins with { is a mapping in YAML: put all of it in quotes, as in '{...} ...'"
COMMENT = (
    "' #' begins a comment, which ends a text without quotes: take the comment out, or put all of "
    "the text in quotes"
)
KEY = "a key cannot stand here: check its indentation, and for ': ' in the line before"


def problems(text: str) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        load_yaml(text, "f")
    return [str(problem).removeprefix("f:") for problem in caught.value.problems]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("when: !(domain(args.guest.email) in vars.ours)\n", "1:7: " + TAG),
        ("when: !(domain(args.guest.email))\nx: 1\n", "1:7: " + TAG),
        ("when: !has(args.x) && args.y\n", "1:7: not valid YAML: " + TAG),
        ("rule: {when: !(args.x), deny: y}\n", "1:14: " + TAG),
        ("when: !!has(args.x)\n", "1:7: tag tag:yaml.org,2002:has(args.x): write the plain value"),
        ("tools: *\n", "1:8: not valid YAML: " + ALIAS),
        ("tools: [*]\n", "1:9: not valid YAML: " + ALIAS),
        ("tools: [a, *]\n", "1:12: not valid YAML: " + ALIAS),
        ("tools: [*_get]\n", "1:9: alias *_get: write the value out, or put a text that begins"),
        ("when: & x\n", "1:7: not valid YAML: " + ANCHOR),
        ("when: &x y\n", "1:7: anchor &x: write the value out, or put a text that begins with &"),
        ("deny: %x\n", "1:7: a text cannot begin with %: put it in quotes"),
        ("to: @ops\n", "1:5: a text cannot begin with @: put it in quotes"),
        ("to: [@ops]\n", "1:6: a text cannot begin with @: put it in quotes"),
        ("deny: `x`\n", "1:7: a text cannot begin with `: put it in quotes"),
        ("when: [1, 2] == args.x\nb: 1\n", "1:7: not valid YAML: " + LIST),
        ("tool: {list,get}_*\n", "1:7: not valid YAML: " + MAP),
        ("tools: [{a,b}_x]\n", "1:14: not valid YAML: " + WITHIN),
        ("http: {path: /x/{id}, method: GET}\n", "1:17: not valid YAML: " + WITHIN),
        ('rule: {when: a.contains("re: x"), b: c}\n', "1:28: not valid YAML: " + WITHIN),
        ("rule: {when: args.a in [1, 2], b: c}\n", "1:24: not valid YAML: " + WITHIN),
        ("tools: [a, b\nx: 1\n", "2:2: not valid YAML: " + WITHIN),
        ('when: args.x.contains("re: x")\n', "1:26: not valid YAML: " + COLON),
        ("when: has(args.x) ? 1 : 2\n", "1:23: not valid YAML: " + COLON),
        ("when: 'x' in args.tags\nb: 1\n", "1:7: not valid YAML: " + QUOTE),
        ('- when: "x" in args.tags\n  b: 1\n', "1:9: not valid YAML: " + QUOTE),
        ("rule: {when: 'x' in args.tags, b: 1}\n", "1:14: not valid YAML: " + QUOTE),
        ("when: >= 3\n", "1:7: not valid YAML: a text that begins with > is a block in YAML"),
        ("when: a &&  # big\n  b\nx: 1\n", "1:13: " + COMMENT),
        ("- when: a &&  # big\n    b\nx: 1\n", "1:15: " + COMMENT),
        ("- id: x # one\n  when: !has(a) && b\n", "2:9: not valid YAML: " + TAG),
        ("tools:  # all\n  - *\n", "2:5: not valid YAML: " + ALIAS),
        ("a: 'x\n", "1:4: not valid YAML: this quote is not closed"),
        ('a: "x\\q"\n', "1:6: not valid YAML: no such escape: use single quotes, or write"),
        ("a:b\nc: 1\n", "2:2: not valid YAML: " + KEY),
        ("a:\n- b\n c: 1\n", "3:3: not valid YAML: " + KEY),
        ("a: b\nc\n", "3:1: not valid YAML: a key needs ': ' after it"),
        ("when: - x\n", "1:7: not valid YAML: a list begins in a line of its own"),
        ("ä: ö\nwhen: !(x)\n", "2:7: " + TAG),
    ],
)
def test_a_text_that_needs_quotes_is_told_with_its_place_and_cure(text: str, said: str) -> None:
    found = problems(text)

    assert found[0].startswith(said), found


@pytest.mark.parametrize(
    "text",
    ["when: ! has(args.x)\n", 'when: ! "x"\n', "when: ! |\n  x\n", "{when: ! x}", "- ! [a]\n"],
)
def test_a_lone_exclamation_mark_is_never_dropped(text: str) -> None:
    """Fault caught: `when: ! has(args.x)`, which YAML reads as `has(args.x)`."""
    (found,) = problems(text)

    assert found == f"1:{text.index('!') + 1}: {TAG}"


def test_texts_with_such_characters_within_or_in_quotes_are_texts() -> None:
    text = "a: x!y\nb: '!(x)'\nc: \"*\"\nd: a*b&c%d@e`f\n"
    text += "e: a[0] == {b}\nf: a#b\ng: a:b\nh: 'x: y #z'\n"

    assert list(load_yaml(text, "f").data.values()) == [
        *("x!y", "!(x)", "*", "a*b&c%d@e`f", "a[0] == {b}", "a#b", "a:b", "x: y #z")
    ]
