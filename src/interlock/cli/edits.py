"""Changing a call's arguments: in an editor, or by `--set`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import click

from ..core.errors import InterlockError, InvalidEdit


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
        return _strict(text)
    except ValueError:
        return text


def edited_in_editor(item: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments as the person left them in $EDITOR.

    Raises:
        click.Abort: nothing was changed or saved.
        InterlockError: what was saved is not a JSON object.
    """
    before = json.dumps(arguments_of(item), indent=2, ensure_ascii=True)
    after = click.edit(before + "\n", extension=".json", require_save=True)
    if after is None or after.strip() == before:
        raise click.Abort
    try:
        changed = _strict(after)
    except ValueError as error:
        raise InterlockError(f"What you saved is not JSON: {error}", help="Try again.") from None
    if not isinstance(changed, dict):
        raise InterlockError("What you saved is not a JSON object.", help="Try again.")
    return changed


def _strict(text: str) -> Any:
    """Read JSON without its surprises: duplicate keys, NaN."""

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len({name for name, _ in pairs}) != len(pairs):
            raise ValueError("a key stands twice")
        return dict(pairs)

    def refuse(word: str) -> Any:
        raise ValueError(f"{word} is no number")

    return json.loads(text, object_pairs_hook=unique, parse_constant=refuse)
