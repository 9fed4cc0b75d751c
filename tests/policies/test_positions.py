"""The strict loader: every hazard of YAML is a problem with file, line and column."""

from __future__ import annotations

from typing import Any, Literal

import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import InvalidDocument
from interlock.policies.positions import load_model, load_yaml


def problems(text: str | bytes) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        load_yaml(text, "f.yaml")
    return [str(problem) for problem in caught.value.problems]


AMBIGUOUS = (
    "no on Yes y n OFF 012 0x10 0o17 1_000 12:30:45 12:30 1e3 1E-3 .nan .NaN .inf -.inf +1 1. .5 "
    "True FALSE Null"
).split()
NOT_KEYS = "yes on null ~ true 012 1.5 40 12:30 1e3 .nan".split()


@pytest.mark.parametrize("text", AMBIGUOUS)
def test_a_plain_value_that_loaders_disagree_on_is_refused(text: str) -> None:
    said = f"ambiguous plain value {text!r}: quote it, or write true, false or a decimal"

    assert problems(f"a: 1\nb: [{text}]\n") == [f"f.yaml:2:5: {said}"]


@pytest.mark.parametrize("text", NOT_KEYS)
def test_a_key_that_loaders_disagree_on_is_refused(text: str) -> None:
    said = f"key {text!r} is not plainly a string: quote it"

    assert problems(f"a: {{b: 1, {text}: 2}}\n") == [f"f.yaml:1:11: {said}"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1: duplicate key 'a' (first at line 1)"),
        ("a:\n  b: 1\n  b: 2\n", "3:3: duplicate key 'b' (first at line 2)"),
        ('"a": 1\na: 2\n', "2:1: duplicate key 'a' (first at line 1)"),
        ("a: 1\nb: &x 1\n", "2:4: anchor &x: write the value out"),
        ("a: 1\nb: *x\n", "2:4: alias *x: write the value out"),
        ("&k a: 1\n", "1:1: anchor &k: write the value out"),
        ("a: {<<: {b: 1}}\n", "1:5: merge key <<: write the values out"),
        ("a:\n  <<: *b\n", "2:7: alias *b: write the value out"),
        ("? [a]\n: 1\n", "1:3: a key must be a plain string"),
        ("a: 1\n? {b: 1}\n: 1\n", "2:3: a key must be a plain string"),
        ("a: !!python/object/apply:os.system [x]\n", "1:4: tag tag:yaml.org,2002:python/object/"),
        ("a: !!str 1\n", "1:4: tag tag:yaml.org,2002:str: write the plain value"),
        ("!!str a: 1\n", "1:1: tag tag:yaml.org,2002:str: write the plain value, or put a text"),
        ("a:\n  - !x 1\n", "2:5: a text that begins with ! is a tag in YAML: put it in quotes"),
        ("%TAG ! tag:x,2000:\n---\na: !b 1\n", "3:4: tag tag:x,2000:b: write the plain value"),
        ("a: 1\n---\nb: 2\n", "2:1: a second document: keep one document per file"),
        ("a: 1\n...\n---\nb: 1\n", "3:1: a second document: keep one document per file"),
        ("a:\n\t- 1\n", "2:1: not valid YAML: a tab: indent with spaces"),
        (
            "a:\n   b: 1\n  c: 2\n",
            "3:3: not valid YAML: a key was expected here: check the indentation",
        ),
        ("a: b: c\n", "1:5: not valid YAML: ': ' within a text without quotes begins"),
        ("a: [1\n", "2:1: not valid YAML: within [...] and {...}, a text that has"),
        ("a: 1\nb: \x00\n", "2:4: not valid YAML: control characters are not allowed"),
        ("a: 99999999999999999999\n", "1:4: integer 99999999999999999999 is beyond 2^53: quote it"),
        ("a: " + "9" * 6000, "1:4: integer 99999999999999999999 is beyond 2^53: quote it"),
        ("a: 1.0e999\n", "1:4: number '1.0e999' is too large"),
        ("[" * 100_000, "1:41: nested deeper than 40 levels"),
        ("a: " + "[" * 41 + "]" * 41, "1:43: nested deeper than 40 levels"),
        ("{a: " * 50_000, "1:161: nested deeper than 40 levels"),
        ("- " * 50_000, "1:81: nested deeper than 40 levels"),
        ("[" + "1," * 60_000 + "]", "1:99998: more than 50000 values: split the file"),
        ("a: " + "x" * (1 << 20), "1:1: the file is larger than 1 MiB: split it"),
        (b"\xff\xfe\x00", "1:1: the file is not UTF-8: save it as UTF-8"),
        ("a: \ud800", "1:1: the file is not UTF-8: save it as UTF-8"),
    ],
)
def test_a_hazard_is_a_problem_with_its_place(text: str | bytes, said: str) -> None:
    found = problems(text)

    assert found[0].startswith(f"f.yaml:{said}"), found


def test_a_bomb_of_aliases_is_refused_before_it_grows() -> None:
    lines = ["a0: &a0 [x, x]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]

    assert problems("\n".join(lines))[0].startswith("f.yaml:1:5: anchor &a0")


def test_all_problems_come_at_once() -> None:
    found = problems("a: no\nb: 012\nb: 1\nc: {yes: 1}\n")

    assert [line.split(": ")[0] for line in found] == [
        "f.yaml:1:4",
        "f.yaml:2:4",
        "f.yaml:3:1",
        "f.yaml:4:5",
    ]


def test_plain_values_mean_what_json_means() -> None:
    document = load_yaml(
        'i: -3\nf: 1.5\nt: true\nz: null\ne:\ns: text\nq: "12"\nd: 2026-11-22\nl: [1, a]\n', "f"
    )

    assert document.data == {
        "i": -3,
        "f": 1.5,
        "t": True,
        "z": None,
        "e": None,
        "s": "text",
        "q": "12",
        "d": "2026-11-22",
        "l": [1, "a"],
    }


def test_every_value_and_key_has_a_place() -> None:
    document = load_yaml("rules:\n  - id: x\n    when: a == b\n", "f")

    assert document.position(("rules", 0, "when")) == (3, 11)
    assert document.key_positions[("rules", 0, "when")] == (3, 5)
    assert document.position(("rules", 0, "gone")) == (2, 5)


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("w: abc def\n", (1, 8)),
        ('w: "abc def"\n', (1, 9)),
        ("w: |\n  abc\n  def\n", (3, 3)),
        ("w: >\n  abc\n  def\n", None),
        ('w: "abc \\u0064ef"\n', None),
    ],
)
def test_a_place_inside_a_string_is_exact_or_unknown(
    text: str, place: tuple[int, int] | None
) -> None:
    assert load_yaml(text, "f").within(("w",), 4) == place


class _Rule(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    id: str
    mode: Literal["enforce", "shadow"] = "enforce"


class _File(pydantic.BaseModel):
    model_config = pydantic.ConfigDict(extra="forbid", frozen=True)
    name: str
    rules: tuple[_Rule, ...] = ()
    named: dict[str, _Rule] | None = None


def model_problems(text: str) -> list[str]:
    with pytest.raises(InvalidDocument) as caught:
        load_model(text, "f", _File)
    return [str(problem) for problem in caught.value.problems]


def test_model_errors_carry_place_and_suggestion() -> None:
    found = model_problems(
        "name: 3\nrules:\n  - {id: a, mod: shadow}\n  - {mode: shadw}\nnamed: {k: {idd: x}}\nx: 1\n"
    )

    assert found == [
        "f:1:7: a text is needed here, not 3: put it in quotes",
        "f:3:13: unknown key 'mod'; did you mean 'mode'?",
        "f:4:5: 'id' is missing",
        "f:4:12: write enforce or shadow here, not 'shadw'; did you mean 'shadow'?",
        "f:5:12: 'id' is missing",
        "f:5:13: unknown key 'idd'; did you mean 'id'?",
        "f:6:1: unknown key 'x'; known here: name, rules, named",
    ]


def test_an_empty_file_is_an_empty_model_with_missing_keys() -> None:
    assert model_problems("") == ["f:1:1: 'name' is missing"]


@given(
    st.text(
        alphabet=st.sampled_from("ab:-[]{}#&*!|>'\"%@`,? \n\t0no<~.\x00\x85\ufeff"), max_size=60
    )
)
def test_no_text_raises_anything_else(text: str) -> None:
    try:
        data: Any = load_yaml(text, "f").data
    except InvalidDocument as error:
        assert error.problems
    else:
        assert isinstance(data, dict | list | str | int | float | bool | None)


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_else(data: bytes) -> None:
    try:
        document = load_yaml(data, "f")
    except InvalidDocument as error:
        assert error.problems
    else:
        assert document.position() >= (1, 1)
