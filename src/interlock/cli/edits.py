"""Changing a call's arguments: in an editor, or by `--set`."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
import unicodedata
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from ..core.errors import InterlockError, InvalidEdit
from ..core.redaction import visible_line

_NOTE = "// "  #: lines at the top that begin so are ours, and are left out


def arguments_of(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of a call by name, as JSON values."""
    return {argument["name"]: argument["value"] for argument in item["arguments"]}


def edited_with(item: Mapping[str, Any], assignments: tuple[str, ...]) -> dict[str, Any]:
    """Return the arguments with each `NAME=VALUE` applied; a value is JSON where it is JSON.

    Raises:
        click.UsageError: an assignment has no `=`.
        InvalidEdit: there is no such argument, or it may not be edited.
    """
    arguments = arguments_of(item)
    fixed = {each["name"] for each in item["arguments"] if not each["editable"]}
    for assignment in assignments:
        name, sign, text = assignment.partition("=")
        if not sign:
            raise click.UsageError(f"--set {assignment}: write NAME=VALUE.")
        if name in fixed:
            raise InvalidEdit(f"The argument {name!r} may not be edited.")
        if name not in arguments:
            known = ", ".join(sorted(arguments)) or "none"
            raise InvalidEdit(f"The call has no argument {name!r}; it has: {known}.")
        arguments[name] = _value(text, arguments[name])
    return arguments


def _value(text: str, before: Any) -> Any:
    """Return *text* as JSON; text stays text where the argument was text."""
    if isinstance(before, str):
        return text
    try:
        return strict(text)
    except ValueError:
        return text


def edited_in_editor(
    item: Mapping[str, Any],
    why_not: Callable[[dict[str, Any]], str],
    again: Callable[[str], bool],
) -> dict[str, Any]:
    """Return the arguments as the person left them in $EDITOR.

    What cannot be used is opened again, with what is wrong in a comment above it. *why_not* says
    what is wrong with arguments, empty: nothing; *again* tells the person so and asks whether they
    go on. What they wrote and was not used stays in a file that is named.

    Raises:
        click.Abort: nothing was changed or saved.
        InterlockError: the editor failed; or they did not want to go on.
    """
    before = editable(arguments_of(item)) + "\n"
    handle, name = tempfile.mkstemp(prefix="interlock-", suffix=".json")  # only ours to read
    os.close(handle)
    file, text, wrong = Path(name), before, ""
    while True:
        file.write_text(_noted(wrong) + text, encoding="utf-8")
        after = _edited(file, text)
        if after.strip() in ("", before.strip()):
            file.unlink(missing_ok=True)
            raise click.Abort
        changed, wrong = _read(after)
        wrong = wrong or why_not(changed)
        if not wrong:
            file.unlink(missing_ok=True)
            return changed
        text = after
        file.write_text(text, encoding="utf-8")
        if not again(wrong):
            raise InterlockError(wrong, help=f"What you wrote is kept in {file}.")


def _edited(file: Path, text: str) -> str:
    """Return what is in *file* once the editor has ended, without our comments."""
    try:
        click.edit(filename=str(file))
    except click.ClickException as error:
        kept = _without_notes(_text(file)) != text
        if not kept:
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
        raise InterlockError(
            f"{error.format_message()}. Nothing was decided.",
            help=f"What you wrote is kept in {file}." if kept else "Say which with $EDITOR.",
        ) from None
    return _without_notes(_text(file))


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:  # the editor took it away: the same as saving nothing
        return ""


def _noted(wrong: str) -> str:
    if not wrong:
        return ""
    told = [*wrong.split("\n"), "Save it empty to give up."]
    return "".join(f"{_NOTE}{visible_line(line)}\n" for line in told)


def _without_notes(text: str) -> str:
    lines = text.split("\n")
    while lines and lines[0].startswith(_NOTE.rstrip()):
        lines.pop(0)
    return "\n".join(lines)


def _read(text: str) -> tuple[dict[str, Any], str]:
    """Return the JSON object in *text*; else what is wrong with it."""
    try:
        changed = strict(text)
    except ValueError as error:
        return {}, f"What you saved is not JSON: {error}"
    if not isinstance(changed, dict):
        return {}, "What you saved is not a JSON object."
    return changed, ""


def editable(arguments: Mapping[str, Any]) -> str:
    r"""Return *arguments* as JSON to edit: letters as they are, what nobody sees as `\u202e`."""
    text = json.dumps(arguments, indent=2, ensure_ascii=False)
    return "".join(each if _plain(each) else json.dumps(each)[1:-1] for each in text)


def _plain(character: str) -> bool:
    if character in "\n " or (character.isascii() and character.isprintable()):
        return True
    return unicodedata.category(character)[0] in "LNPS" and visible_line(character) == character


def strict(text: str) -> Any:
    """Read JSON without its surprises: duplicate keys, NaN. Raises ValueError."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
