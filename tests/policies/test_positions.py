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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: duplicate key 'a' (first at line 1)"),
        ("a: no\n", "f.yaml:1:4: ambiguous plain value 'no'"),
        ("a: on\n", "ambiguous plain value 'on'"),
        ("a: 012\n", "ambiguous plain value '012'"),
        ("a: 0x10\n", "ambiguous"),
        ("a: 1_000\n", "ambiguous"),
        ("a: 12:30:45\n", "ambiguous"),
        ("a: 1e3\n", "ambiguous"),
        ("a: .nan\n", "ambiguous"),
        ("a: +1\n", "ambiguous"),
        ("a: True\n", "ambiguous"),
        ("a: Null\n", "ambiguous"),
        ("yes: 1\n", "f.yaml:1:1: key 'yes' is not plainly a string: quote it"),
        ("40: 1\n", "key '40' is not plainly a string"),
        ("a: &x 1\nb: *x\n", "anchor &x"),
        ("a: {<<: {b: 1}}\n", "merge key"),
        ("a: !!python/object/apply:os.system [x]\n", "tag "),
        ("a: !!str 1\n", "tag "),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: a second document"),
        ("a:\n\t- 1\n", "not valid YAML"),
        ("a: [1\n", "not valid YAML"),
        ("a: \x00\n", "not valid YAML"),
        ("? [a]\n: 1\n", "a key must be a plain string"),
        ("a: 99999999999999999999\n", "beyond 2^53"),
        ("a: " + "9" * 6000, "beyond 2^53"),
        ("a: 1.0e999\n", "too large"),
        ("[" * 100_000, "nested deeper than 40"),
        ("[" + "1," * 60_000 + "]", "more than 50000 values"),
        ("a: " + "x" * (1 << 20), "larger than 1 MiB"),
        (b"\xff\xfe\x00", "not UTF-8"),
        ("a: \ud800", "not UTF-8"),
    ],
)
def test_a_hazard_is_a_problem_with_its_place(text: str | bytes, said: str) -> None:
    found = problems(text)

    assert any(said in line for line in found), found
    assert all(line.startswith("f.yaml:") for line in found)


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
        "f:1:7: input should be a valid string",
        "f:3:13: unknown key 'mod'; did you mean 'mode'?",
        "f:4:5: 'id' is missing",
        "f:4:12: input should be 'enforce' or 'shadow', not 'shadw'; did you mean 'shadow'?",
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
