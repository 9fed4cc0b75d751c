"""Changing a call's arguments."""

from __future__ import annotations

from typing import Any

import click
import pytest

from interlock.cli.edits import arguments_of, edited_in_editor, edited_with
from interlock.core.errors import InterlockError, InvalidEdit

ITEM: dict[str, Any] = {
    "arguments": [
        {"name": "amount", "value": 900, "editable": True},
        {"name": "memo", "value": "rent", "editable": True},
        {"name": "tags", "value": ["a"], "editable": True},
        {"name": "account", "value": "DE", "editable": False},
    ]
}


def test_the_others_stay_as_they_are() -> None:
    assert edited_with(ITEM, ("amount=5",)) == arguments_of(ITEM) | {"amount": 5}


def test_text_stays_text_and_the_rest_is_json() -> None:
    edited = edited_with(ITEM, ("memo=12", 'tags=["b", 1]', "amount=many"))
    assert (edited["memo"], edited["tags"], edited["amount"]) == ("12", ["b", 1], "many")


def test_a_value_may_hold_the_sign() -> None:
    assert edited_with(ITEM, ("memo=a=b",))["memo"] == "a=b"


@pytest.mark.parametrize(
    ("assignment", "told"),
    [("account=x", "may not be edited"), ("colour=red", "no argument 'colour'")],
)
def test_what_cannot_be_edited_is_said(assignment: str, told: str) -> None:
    with pytest.raises(InvalidEdit, match=told):
        edited_with(ITEM, (assignment,))


def test_an_assignment_needs_its_sign() -> None:
    with pytest.raises(click.UsageError, match="NAME=VALUE"):
        edited_with(ITEM, ("amount",))


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{", "[1]", '{"a": NaN}'])
def test_what_is_saved_has_to_be_one_plain_object(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(click, "edit", lambda *a, **k: text)
    with pytest.raises(InterlockError, match="What you saved is not"):
        edited_in_editor(ITEM)


def test_saving_nothing_is_no_edit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click, "edit", lambda *a, **k: None)
    with pytest.raises(click.Abort):
        edited_in_editor(ITEM)
