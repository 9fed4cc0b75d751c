"""Changes of YAML as text: they keep comments and layout, and change nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.policies.positions import load_yaml
from interlock.policies.text_edits import CannotEdit, add_item, flow, set_value

BLOCK = """# head
signals:
  confidence:           # what it says of itself
    raise_below:
      low: 0.3          # small
      high: 0.9
rules:
  - id: one             # the first
    tools: [pay]
    # why
    at_least: approve
  - {id: two, tools: [pay], at_least: approve}
"""


def changed(text: str, path: tuple[str | int, ...], value: Any, after: str = "") -> str:
    return set_value(load_yaml(text, "p.yaml"), path, value, after).text


def test_a_number_is_changed_where_it_stands_and_its_comment_stays() -> None:
    text = changed(BLOCK, ("signals", "confidence", "raise_below", "low"), 0.45)
    assert text == BLOCK.replace("low: 0.3 ", "low: 0.45 ")


def test_a_new_key_gets_a_line_behind_the_one_it_belongs_to() -> None:
    text = changed(BLOCK, ("rules", 0, "mode"), "shadow", "id")
    assert text == BLOCK.replace("first\n", "first\n    mode: shadow\n")


def test_a_new_key_is_put_into_a_mapping_in_one_line() -> None:
    text = changed(BLOCK, ("rules", 1, "mode"), "shadow", "id")
    assert "- {mode: shadow, id: two, tools" in text


def test_missing_mappings_are_made_on_the_way() -> None:
    text = changed("kind: Policy\n", ("signals", "confidence", "missing"), 0.5)
    assert text == "kind: Policy\nsignals: {confidence: {missing: 0.5}}\n"


def test_a_file_without_a_last_line_end_is_changed_too() -> None:
    assert changed("kind: Policy", ("mode",), "shadow") == "kind: Policy\nmode: shadow\n"


def test_windows_line_ends_stay() -> None:
    text = changed("kind: Policy\r\nmode: enforce\r\n", ("mode",), "shadow")
    assert text == "kind: Policy\r\nmode: shadow\r\n"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("a: 1\n", "a: 1\n\nlist:\n  - id: x\n"),
        ("list: []\na: 1\n", "list:\n  - id: x\na: 1\n"),
        ("list:\n- id: z\n", "list:\n- id: x\n- id: z\n"),
        ("list:  # all\n    - id: z\n", "list:  # all\n    - id: x\n    - id: z\n"),
        ("list: [{id: z}]\n", "list: [{id: x}, {id: z}]\n"),
    ],
)
def test_an_item_is_put_in_front_of_a_list_in_its_layout(before: str, after: str) -> None:
    assert add_item(load_yaml(before, "p.yaml"), "list", {"id": "x"}).text == after


def test_what_would_change_more_is_refused() -> None:
    with pytest.raises(CannotEdit):
        changed("a: |\n  text\n", ("a",), 1)
    with pytest.raises(CannotEdit):
        add_item(load_yaml("list: text\n", "p.yaml"), "list", {"id": "x"})


@given(st.text(max_size=40))
def test_any_text_is_data_or_the_change_is_refused(value: str) -> None:
    document = load_yaml(BLOCK, "p.yaml")
    try:
        new = add_item(document, "exceptions", {"id": value, "reason": [value]})
    except CannotEdit:
        assert any("\ud800" <= each <= "\udfff" for each in value)
        return
    assert new.data == {**document.data, "exceptions": [{"id": value, "reason": [value]}]}
    assert new.text.startswith(BLOCK)


@given(st.text(max_size=40))
def test_what_is_written_is_one_line_of_printable_ascii(value: str) -> None:
    assert flow([value]).isascii()
    assert flow([value]).isprintable()
