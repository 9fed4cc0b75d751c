"""Changing a call's arguments."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.cli.edits import arguments_of, editable, edited_in_editor, edited_with, strict
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


Editor = Callable[[str], None]


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Editor:
    """Have $EDITOR be a shell script; its text is in "$1", and how often it ran in $N."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr(tempfile, "tempdir", None)
    file, count = tmp_path / "editor", tmp_path / "count"

    def does(script: str) -> None:
        head = f"#!/bin/sh\nN=$(cat {count} 2>/dev/null || echo 0); echo $((N+1)) > {count}\n"
        file.write_text(head + script + "\n")
        file.chmod(0o755)
        monkeypatch.setenv("VISUAL", str(file))

    return does


def kept(folder: Path) -> list[str]:
    return [file.read_text() for file in folder.glob("interlock-*.json")]


def fine(_: dict[str, Any]) -> str:
    return ""


@pytest.mark.parametrize("text", ['{"a": 1, "a": 2}', "{", "[1]", '{"a": NaN}'])
def test_what_is_saved_has_to_be_one_plain_object(
    text: str, editor: Editor, tmp_path: Path
) -> None:
    editor(f"echo '{text}' > \"$1\"")
    with pytest.raises(InterlockError, match="What you saved is not") as said:
        edited_in_editor(ITEM, fine, lambda _: False)
    assert kept(tmp_path) == [text + "\n"]
    assert str(next(tmp_path.glob("interlock-*.json"))) in said.value.help


def test_what_cannot_be_read_is_opened_again_with_what_is_wrong(
    editor: Editor, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    editor(
        f'if [ $N = 0 ]; then printf \'{{"amount": 7,\' > "$1"; '
        f'else cp "$1" {seen}; echo \'"memo": "x"}}\' >> "$1"; fi'
    )
    told: list[str] = []
    edited = edited_in_editor(ITEM, fine, lambda wrong: not told.append(wrong))
    assert edited == {"amount": 7, "memo": "x"}
    assert seen.read_text().startswith("// What you saved is not JSON: ")
    assert seen.read_text().endswith('{"amount": 7,')
    assert len(told) == 1 and kept(tmp_path) == []


def test_what_policy_refuses_is_opened_again_too(editor: Editor, tmp_path: Path) -> None:
    editor('if [ $N = 0 ]; then sed -i s/900/901/ "$1"; else sed -i s/901/5/ "$1"; fi')
    edited = edited_in_editor(
        ITEM, lambda found: "too much" if found["amount"] > 900 else "", lambda _: True
    )
    assert edited["amount"] == 5 and kept(tmp_path) == []


@pytest.mark.parametrize("script", ["true", ': > "$1"', 'rm "$1"'])
def test_saving_nothing_is_no_edit(script: str, editor: Editor, tmp_path: Path) -> None:
    editor(script)
    with pytest.raises(click.Abort):
        edited_in_editor(ITEM, fine, lambda _: True)
    assert kept(tmp_path) == []


def test_an_editor_that_fails_loses_nothing(editor: Editor, tmp_path: Path) -> None:
    editor('sed -i s/900/5/ "$1"; exit 3')
    with pytest.raises(InterlockError, match="Nothing was decided") as said:
        edited_in_editor(ITEM, fine, lambda _: True)
    assert "is kept in" in said.value.help and '"amount": 5' in kept(tmp_path)[0]


def test_an_editor_that_is_not_there_is_said(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VISUAL", "/nowhere/editor")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with pytest.raises(InterlockError, match="editor"):
        edited_in_editor(ITEM, fine, lambda _: True)
    assert kept(tmp_path) == []


def test_letters_stay_readable_and_what_nobody_sees_is_escaped() -> None:
    text = editable({"memo": "Müller \u202e\x1b[2J\u200b 東京"})
    assert text.splitlines()[1].strip() == ('"memo": "Müller \\u202e\\u001b[2J\\u200b 東京"')


@given(st.dictionaries(st.text(), st.text()))
def test_what_is_opened_is_what_was_there(arguments: dict[str, str]) -> None:
    assert strict(editable(arguments)) == arguments
    assert not set(editable(arguments)) & set("\x1b\r\x9b\u202e\u2028\u200b")
