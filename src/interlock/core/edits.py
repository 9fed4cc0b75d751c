"""A person's edit, written back into the bytes of the call.

Only what was edited changes: every other byte of target and body stays as the agent sent it.
The result is read again by the same strict readers; where the edited arguments do not come back
exactly as the person wrote them, there is no edit.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote, quote_plus

from .actions import Body, Content, ToolCall
from .content import parse_content, parse_target, read_fields
from .decisions import Decision
from .digest import seal
from .errors import InvalidEdit, MalformedCall
from .rules import Indeterminate, Must

_REMOVED = object()
_SPACE = " \t\r\n"
_STALE = frozenset("content-md5 digest content-digest repr-digest".split())
_STALE_PREFIXES = ("x-amz-checksum-", "x-amz-sdk-checksum-")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Changes:
    """What differs, by place; a value may be `_REMOVED`."""

    path: dict[str, Any]
    query: dict[str, Any]
    form: dict[str, Any]
    json: dict[str, Any]


def apply_edit(
    call: ToolCall, decision: Decision, arguments: Mapping[str, Any], template: str | None
) -> ToolCall:
    """Return *call* with *arguments* in place of `decision.arguments`, sealed anew.

    *template* is the tool's path: `{name}` is one segment, `{name...}` the rest of the path.
    Integrity headers (Content-MD5, x-amz-checksum-*) of a body that changed are taken out.

    Raises:
        InvalidEdit: an argument is unknown, may not be edited, has the wrong type, would not be
            read back as written, or nothing changed.
    """
    changes = _compare(call, decision, arguments, template)
    target = _edited_target(call, changes, template)
    body = _edited_body(call, changes)
    try:
        edited = _read(replace(call, target=target, body=body, headers=_fresh(call, body)))
    except MalformedCall as refused:
        raise InvalidEdit(f"The edited call would be refused: {refused.detail}") from None
    _verify(call, edited, changes, template)
    return seal(edited)


def check_must(
    must: tuple[Must, ...], original: Mapping[str, Any], edited: Mapping[str, Any]
) -> None:
    """Check what policy asks of every edit: *original* and *edited* are arguments by name.

    *original* are those that the agent sent, however often a person has edited them since.

    Raises:
        InvalidEdit: a condition does not hold, or cannot be evaluated; it is quoted.
    """
    seen = {"original": {"args": original}, "edited": {"args": edited}}
    for each in must:
        try:
            holds, why = each.holds(seen) is True, "is not true of this edit"
        except Indeterminate as doubt:
            holds, why = False, f"cannot be told for this edit ({doubt})"
        if not holds:
            raise InvalidEdit(
                f"Policy asks of an edit that `{each.shown}`, which {why}."
                " Change the edit, or reject the call and say what you would approve."
            )


def _compare(
    call: ToolCall, decision: Decision, arguments: Mapping[str, Any], template: str | None
) -> _Changes:
    before = decision.arguments
    changes = _Changes(path={}, query={}, form={}, json={})
    for name in changed_arguments(decision, arguments):
        places = _places(call, name, template)
        place = decision.sources.get(name, "") if name in before else _place_of_new(call, name)
        if places != ([place] if name in before else []):
            raise InvalidEdit(
                f"The argument `{name}` is in {' and '.join(places) or 'no place'} of the call "
                "and cannot be edited there."
            )
        value = arguments.get(name, _REMOVED)
        _check_type(name, place, value, before.get(name))
        getattr(changes, place)[name] = value
    return changes


def changed_arguments(decision: Decision, arguments: Mapping[str, Any]) -> list[str]:
    """Return which arguments differ from those that were judged.

    Raises:
        InvalidEdit: none does, or one of them may not be edited.
    """
    before = decision.arguments
    changed = [n for n in arguments if n not in before or not _same(arguments[n], before[n])]
    names = [*changed, *(name for name in before if name not in arguments)]
    if not names:
        raise InvalidEdit("The edit changes nothing; approve the call instead.")
    for name in names:
        if decision.editable is not None and name not in decision.editable:
            raise InvalidEdit(f"The argument `{name}` may not be edited.")
    return names


def _places(call: ToolCall, name: str, template: str | None) -> list[str]:
    """Return where the call holds *name*: editing one of two places would leave it ambiguous."""
    fields = call.content.value if isinstance(call.content.value, dict) else {}
    whole = call.content.kind is Body.JSON and not isinstance(call.content.value, dict)
    found = {
        "path": name in _parameters(template),
        "query": any(name == key for key, _ in call.query),
        "form": call.content.kind is Body.FORM and name in fields,
        "json": call.content.kind is Body.JSON and (name in fields or (whole and name == "body")),
    }
    return [place for place, there in found.items() if there]


def _parameters(template: str | None) -> list[str]:
    return [_parameter(part) for part in (template or "").split("/") if _parameter(part)]


def _parameter(part: str) -> str:
    return part[1:-1].removesuffix("...") if part[:1] == "{" and part[-1:] == "}" else ""


def _place_of_new(call: ToolCall, name: str) -> str:
    if call.content.kind is Body.FORM:
        return "form"
    if call.content.kind is Body.JSON and isinstance(call.content.value, dict):
        return "json"
    raise InvalidEdit(f"There is no argument `{name}`, and this call takes no new ones.")


def _check_type(name: str, place: str, value: Any, before: Any) -> None:
    if value is _REMOVED:
        if place == "path":
            raise InvalidEdit(f"The argument `{name}` is part of the path and cannot be removed.")
        return
    if place == "json" or isinstance(value, str):
        return
    if isinstance(value, list) and isinstance(before, list) and place == "query":
        if value and all(isinstance(item, str) for item in value):
            return
    elif isinstance(value, int | float) and isinstance(before, int | float):
        if isinstance(value, bool) == isinstance(before, bool):
            return
    raise InvalidEdit(f"The argument `{name}` is in the {place} and must stay the type it was.")


def _same(one: Any, other: Any) -> bool:
    return plain(one) == plain(other)


def plain(value: Any) -> str:
    """Return a text that tells 1, 1.0, true and "1" apart."""
    try:
        return json.dumps(value, sort_keys=True, allow_nan=False)
    except (ValueError, TypeError, RecursionError):
        raise InvalidEdit("An edited value is not JSON (NaN, Infinity or too deep).") from None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _texts(value: Any) -> list[str]:
    if value is _REMOVED:
        return []
    return [_text(item) for item in value] if isinstance(value, list) else [_text(value)]


# ---- target ------------------------------------------------------------------------------------


def _edited_target(call: ToolCall, changes: _Changes, template: str | None) -> str:
    path, mark, query = call.target.partition("?")
    if changes.path:
        path = _substitute(path, changes.path, template, lambda text: quote(text, safe="-._~"))
    if changes.query:
        query = _substitute_fields(query, "query", changes.query, lambda t: quote(t, safe="-._~"))
        mark = "?" if query else ""
    return path + mark + query


def _substitute(
    path: str, changed: Mapping[str, Any], template: str | None, encode: Callable[[str], str]
) -> str:
    """Put changed parameters into *path*, raw or decoded, segment by segment."""
    segments, parts = path.split("/"), (template or "").split("/")
    for index, part in enumerate(parts):
        name = _parameter(part)
        if name not in changed or index >= len(segments):
            continue
        if part.endswith("...}"):
            tail = _text(changed[name]).split("/")
            return "/".join(segments[:index] + [encode(text) for text in tail])
        segments[index] = encode(_text(changed[name]))
    return "/".join(segments)


def _substitute_fields(
    raw: str, where: str, changed: Mapping[str, Any], encode: Callable[[str], str]
) -> str:
    """Rewrite the changed fields of a raw query or form; the others keep their bytes."""
    pieces: list[str] = []
    done: set[str] = set()
    for piece in raw.split("&") if raw else []:
        name = read_fields(piece, where)[0][0] if piece else ""
        if name not in changed:
            pieces.append(piece)
        elif name not in done:
            done.add(name)
            prefix = piece.partition("=")[0]
            pieces.extend(f"{prefix}={encode(text)}" for text in _texts(changed[name]))
    for name, value in changed.items():
        if name not in done:
            pieces.extend(f"{encode(name)}={encode(text)}" for text in _texts(value))
    return "&".join(pieces)


# ---- body --------------------------------------------------------------------------------------


def _edited_body(call: ToolCall, changes: _Changes) -> bytes:
    if changes.form:
        text = _substitute_fields(call.body.decode(), "form", changes.form, quote_plus)
        return text.encode("utf-8", "surrogatepass")
    if changes.json:
        text = _edited_json(call, changes.json)
        return text.encode("utf-8", "surrogatepass")
    return call.body


def _edited_json(call: ToolCall, changed: Mapping[str, Any]) -> str:
    if not isinstance(call.content.value, dict):
        if changed["body"] is _REMOVED:
            raise InvalidEdit("The argument `body` is the whole body and cannot be removed.")
        return json.dumps(changed["body"], ensure_ascii=False)
    return _substitute_members(call.body.decode(), changed)


def _substitute_members(text: str, changed: Mapping[str, Any]) -> str:
    """Rewrite the changed members of a JSON object; the others keep their bytes."""
    members = list(_members(text))
    start = members[0][1] if members else text.index("{") + 1
    end = members[-1][4] if members else start
    gaps = [text[one[4] : two[1]] for one, two in zip(members, members[1:], strict=False)]
    gap = gaps[0] if gaps else ", "
    colon = text[members[0][2] : members[0][3]] if members else ": "
    marks = (",", ":") if gaps and gap == "," else (", ", ": ")
    out = ""
    for (name, key, _, value, after), before in zip(members, ["", *gaps], strict=False):
        if changed.get(name) is _REMOVED:
            continue
        kept = text[value:after] if name not in changed else _dump(changed[name], marks)
        out += (before if out else "") + text[key:value] + kept
    for name in (n for n in changed if n not in {member[0] for member in members}):
        out += (gap if out else "") + _dump(name, marks) + colon + _dump(changed[name], marks)
    return text[:start] + out + text[end:]


def _dump(value: Any, marks: tuple[str, str]) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=marks)


def _members(text: str) -> Iterator[tuple[str, int, int, int, int]]:
    """Yield name, and where key, its end, value and its end are, of an object known to be valid."""
    decoder = json.JSONDecoder()
    at = _skip(text, text.index("{") + 1, _SPACE)
    while text[at] != "}":
        name, after_key = decoder.raw_decode(text, at)
        value = _skip(text, after_key, _SPACE + ":")
        _, after = decoder.raw_decode(text, value)
        yield name, at, after_key, value, after
        at = _skip(text, after, _SPACE + ",")


def _skip(text: str, at: int, characters: str) -> int:
    while text[at] in characters:
        at += 1
    return at


def _fresh(call: ToolCall, body: bytes) -> tuple[tuple[str, str], ...]:
    """Return the headers without the checksums of a body that is no longer there."""
    if body == call.body:
        return call.headers
    return tuple(
        (name, value)
        for name, value in call.headers
        if name.lower() not in _STALE and not name.lower().startswith(_STALE_PREFIXES)
    )


# ---- reading back --------------------------------------------------------------------------------


def _read(call: ToolCall) -> ToolCall:
    path, query = parse_target(call.target)
    headers = {name.lower(): value for name, value in call.headers}
    content = parse_content(
        headers.get("content-type", ""), call.body, encoding=headers.get("content-encoding", "")
    )
    return replace(call, path=path, query=query, content=content)


def _verify(call: ToolCall, edited: ToolCall, changes: _Changes, template: str | None) -> None:
    path = _substitute(call.path, changes.path, template, lambda text: text)
    if edited.path != path or edited.path.count("/") != path.count("/"):
        raise InvalidEdit(f"The path would not be read back as written: {', '.join(changes.path)}.")
    if list(edited.query) != _expected_query(call, changes.query):
        raise InvalidEdit(f"The query would not be read back: {', '.join(changes.query)}.")
    expected = _expected_content(call, changes)
    read = Content(kind=edited.content.kind, value=edited.content.value)
    if plain(read.value) != plain(expected) or not _kind_holds(call, edited):
        names = ", ".join([*changes.form, *changes.json])
        raise InvalidEdit(f"The body would not be read back as written: {names}.")


def _kind_holds(call: ToolCall, edited: ToolCall) -> bool:
    emptied = call.content.kind is Body.FORM and not edited.body
    return edited.content.kind is call.content.kind or emptied


def _expected_query(call: ToolCall, changed: Mapping[str, Any]) -> list[tuple[str, str]]:
    expected: list[tuple[str, str]] = []
    done: set[str] = set()
    for name, value in call.query:
        if name not in changed:
            expected.append((name, value))
        elif name not in done:
            done.add(name)
            expected.extend((name, text) for text in _texts(changed[name]))
    return expected


def _expected_content(call: ToolCall, changes: _Changes) -> Any:
    value = call.content.value
    if call.content.kind is Body.FORM:
        changed = {n: v if v is _REMOVED else _text(v) for n, v in changes.form.items()}
        merged = {n: v for n, v in {**value, **changed}.items() if v is not _REMOVED}
        return merged or None
    if call.content.kind is not Body.JSON:
        return value
    if not isinstance(value, dict):
        return changes.json.get("body", value)
    return {n: v for n, v in {**value, **changes.json}.items() if v is not _REMOVED}
