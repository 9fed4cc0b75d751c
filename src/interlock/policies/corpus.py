"""Recorded calls: one as JSON, or many with one JSON object per line.

A line is `{"call": {...}, "agent": {...}, "facts": {...}, "task": "...", "at": "2026-..."}`, each
part as in a suite; only `call` has to be there.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pydantic

from ..core.errors import InvalidDocument, Problem
from .document_parts import Part
from .positions import Document, load_yaml, problems_from_pydantic, suggestion
from .suite_document import AgentEntry, CallEntry, FactsEntry

NOON = "2026-01-01T12:00:00Z"


class CorpusEntry(Part):
    """One call with what was known when it was judged. Left out: as in a suite."""

    call: CallEntry
    agent: AgentEntry = AgentEntry()
    facts: FactsEntry = FactsEntry()
    task: str | None = None
    at: str = NOON


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """A call of a corpus; `place` says where it comes from."""

    entry: CorpusEntry
    place: str


def read_call(text: str | bytes, file: str) -> CorpusEntry:
    """Read one call: the parts of a suite's call, and beside them agent, facts, task and now.

    Raises:
        InvalidDocument: it is not JSON, or not such a call.
    """
    text = _decoded(text, file, 1)
    if not text.strip():
        message = 'the file is empty: write a call such as {"tool": "...", "args": {...}}'
        raise InvalidDocument((_problem(file, 1, 1, message),))
    data = _parsed(text, file, 1)
    if not isinstance(data, dict):
        raise InvalidDocument((_problem(file, 1, 1, "a call is one JSON object: {...}"),))
    if "call" in data:
        return _entry(data, text, file, 0)
    _refuse_unknown(data, text, file)
    beside = {name: data.pop(name) for name in ("agent", "facts", "task", "at") if name in data}
    if "now" in data:
        beside["at"] = data.pop("now")
    return _entry({"call": data, **beside}, text, file, 0)


def _refuse_unknown(data: dict[str, Any], text: str, file: str) -> None:
    """Refuse keys that neither a call takes nor may stand beside it, and name all that may."""
    call = [field.alias or name for name, field in CallEntry.model_fields.items()]
    known = [*call, "agent", "facts", "task", "now"]
    problems: list[Problem] = []
    for name in data:
        if name not in (*known, "at"):
            hint = suggestion(name, known)
            message = f"unknown key {name!r}{hint}{' A' if hint else ': a'} call takes "
            path = (name,)
            place = _places(text, file, 0)
            problems.append(place.problem(path, message + ", ".join(known), at_key=True))
    if problems:
        raise InvalidDocument(tuple(problems))


def read_corpus(lines: Iterable[str | bytes], file: str) -> Iterator[Recorded]:
    """Yield the calls of a JSONL file; empty lines are passed over.

    Raises:
        InvalidDocument: at the first line that is no call.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            text = _decoded(line, file, number)
            data = _parsed(text, file, number)
            yield Recorded(entry=_entry(data, text, file, number), place=f"{file}:{number}")


def _decoded(text: str | bytes, file: str, line: int) -> str:
    if isinstance(text, str):
        return text
    try:
        return text.decode("utf-8-sig")  # some editors write a mark before the first character
    except UnicodeDecodeError:
        message = "not UTF-8, so not JSON: is this the right file?"
        raise InvalidDocument((_problem(file, line, 1, message),)) from None


def _parsed(text: str, file: str, line: int) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_without_duplicates)
    except json.JSONDecodeError as error:
        place = line + error.lineno - 1, error.colno
        message = f"not JSON: {error.msg[:1].lower()}{error.msg[1:]}; names and texts have quotes"
    except _Duplicate as error:
        place, message = (line, 1), f"the key {error} occurs twice: keep one of them"
    except RecursionError:
        place, message = (line, 1), "nested too deeply"
    except ValueError:
        place, message = (line, 1), "a number has more digits than can be read"
    raise InvalidDocument((_problem(file, *place, message),)) from None


class _Duplicate(ValueError):
    pass


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise _Duplicate(repr(key))
        found[key] = value
    return found


def _entry(data: Any, text: str, file: str, line: int) -> CorpusEntry:
    try:
        return CorpusEntry.model_validate_json(json.dumps(data), strict=True)
    except pydantic.ValidationError as error:
        found = problems_from_pydantic(error, _places(text, file, line), CorpusEntry)
        raise InvalidDocument(
            tuple(
                _problem(file, line, each.column, _placed(each), each.path) if line else each
                for each in found
            )
        ) from None


def _placed(problem: Problem) -> str:
    """Say where in the line it is, unless the message does."""
    if f"'{problem.path.rpartition('.')[2]}'" in problem.message:
        return problem.message
    return f"{problem.path}: {problem.message}"


def _places(text: str, file: str, line: int) -> Document:
    """Return where things stand in JSON, which is YAML nearly always; else only the file."""
    try:
        return load_yaml(text, file)
    except InvalidDocument:
        return Document(file=file, positions={(): (max(line, 1), 1)})


def _problem(file: str, line: int, column: int, message: str, path: str = "") -> Problem:
    return Problem(file=file, line=line, column=column, message=message, path=path)
