"""What must not be in strict YAML, and what YAML's own complaints mean to those who write it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from ..core.errors import Problem

MAX_DEPTH = 40
MAX_EVENTS = 50_000

_SAFE: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
# What a plain value means is said in `positions`, so nothing of YAML's own guesses is asked.
LOADER: Any = type("_Loader", (_SAFE,), {"yaml_implicit_resolvers": {}})

TAG = "a text that begins with ! is a tag in YAML: put it in quotes, as in '!(...)'"
_BEGINS = {
    "!": TAG,
    "*": "a text that begins with * is an alias in YAML: put it in quotes, as in '*'",
    "&": "a text that begins with & is an anchor in YAML: put it in quotes, as in '&...'",
    "[": "a text that begins with [ is a list in YAML: put all of it in quotes, as in '[...] ...'",
    "{": "a text that begins with { is a mapping in YAML: put all of it in quotes, "
    "as in '{...} ...'",
    '"': "a text that begins with a quote ends at the next one: put all of it in the other "
    "quotes, as in '\"...\" ...'",
    "'": "a text that begins with a quote ends at the next one: put all of it in the other "
    "quotes, as in \"'...' ...\"",
    "|": "a text that begins with | is a block in YAML: put it in quotes",
    ">": "a text that begins with > is a block in YAML: put it in quotes",
}
_QUOTED = ", or put a text that begins with {} in quotes"
_COLON = "': ' within a text without quotes begins a value in YAML: put all of the text in quotes"
_WITHIN = (
    "within [...] and {...}, a text that has one of [ ] { } , or ': ' in it needs quotes; or a "
    "bracket is not closed"
)
_CURES = {
    "mapping values are not allowed": _COLON,
    "did not find expected ','": _WITHIN,
    "did not find expected key": "a key was expected here: check the indentation",
    "could not find expected ':'": "a key needs ': ' after it",
    "block sequence entries": "a list begins in a line of its own, or is written as [...]",
    "unknown escape": "no such escape: use single quotes, or write \\\\ for a backslash",
}
_KEY = re.compile(r"\s*(?:-\s+)*[\w./-]+\Z")
_START = re.compile(r"(?P<key>^\s*(?:-\s+)*(?:[\w./-]+:\s+)?|[\[{,:]\s+|[\[{,])(?=(?P<first>\S))")
_COMMENTED = re.compile(r"""(?>(?P<indent>\s*(?:-\s+)*)(?:[\w./-]+:\s+)?)[^\s#'"|>\[{][^#]*?\s#""")


def hazards(text: str, file: str) -> Iterator[Problem]:
    """Scan the events, before any tree is built, for what must not reach the composer."""
    depth = documents = 0
    for count, event in enumerate(yaml.parse(text, Loader=LOADER)):
        if count > MAX_EVENTS:
            yield at(event.start_mark, file, f"more than {MAX_EVENTS} values: split the file")
            return
        if isinstance(event, yaml.DocumentStartEvent):
            documents += 1
            if documents > 1:
                yield at(event.start_mark, file, "a second document: keep one document per file")
                return
        depth += _step(event)
        if depth > MAX_DEPTH:
            yield at(event.start_mark, file, f"nested deeper than {MAX_DEPTH} levels")
            return
        yield from _decorations(event, text, file)


def _step(event: Any) -> int:
    if isinstance(event, yaml.CollectionStartEvent):
        return 1
    return -1 if isinstance(event, yaml.CollectionEndEvent) else 0


def _decorations(event: Any, text: str, file: str) -> Iterator[Problem]:
    mark = event.start_mark
    if isinstance(event, yaml.AliasEvent):
        yield at(mark, file, f"alias *{event.anchor}: write the value out{_QUOTED.format('*')}")
    elif getattr(event, "anchor", None):
        yield at(mark, file, f"anchor &{event.anchor}: write the value out{_QUOTED.format('&')}")
    tag = getattr(event, "tag", None)
    # libyaml says nothing of a lone `!`: it would be dropped, and `! x` read as `x`.
    begun = isinstance(event, yaml.ScalarEvent) or getattr(event, "flow_style", False)
    lone = begun and text[mark.index : mark.index + 1] == "!"
    if lone and (not tag or tag.startswith("!")):
        yield at(mark, file, TAG)
    elif tag:
        yield at(mark, file, f"tag {tag}: write the plain value{_QUOTED.format('!')}")


def at(mark: Any, file: str, message: str) -> Problem:
    """Return a problem at a place of PyYAML's."""
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    return Problem(file=file, line=line, column=column, message=message)


def unreadable(text: str, file: str, error: yaml.YAMLError) -> Problem:
    """Return what keeps *text* from being YAML, and how to mend it where that is known."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return _undecodable(text, file, error)
    mark = error.problem_mark or error.context_mark
    what = error.problem or error.context or "this is not YAML"
    if mark is None:
        return at(mark, file, f"not valid YAML: {what}")
    character = text[mark.index : mark.index + 1]
    if character == "\t":
        return at(mark, file, "not valid YAML: a tab: indent with spaces")
    lines = text.splitlines()
    if "cannot start any token" in what:
        return at(mark, file, f"a text cannot begin with {character}: put it in quotes")
    return _by_comment(lines, mark, file) or _by_beginning(lines, error, file, what)


def _by_comment(lines: list[str], mark: Any, file: str) -> Problem | None:
    """Return a problem where a comment ended a text that goes on in the next line."""
    before = lines[mark.line - 1] if 0 < mark.line <= len(lines) else ""
    here = lines[mark.line] if mark.line < len(lines) else ""
    found = _COMMENTED.match(before)
    if not found or not here.strip() or not here[: found.end("indent") + 1].isspace():
        return None
    return Problem(
        file=file,
        line=mark.line,
        column=found.end(),
        message="' #' begins a comment, which ends a text without quotes: take the comment out, "
        "or put all of the text in quotes",
    )


def _by_beginning(lines: list[str], error: Any, file: str, what: str) -> Problem:
    """Return a problem at the text that begins with what YAML takes for its own."""
    mark = error.problem_mark or error.context_mark
    line = lines[mark.line] if mark.line < len(lines) else ""
    starts = [found for found in _START.finditer(line) if found.end() < max(mark.column, 1)]
    inner = "alphabetic" in what or what.startswith("did not find expected ','")
    for found in [*starts[:1], *starts[-1:]]:
        first = found["first"]
        if first in _BEGINS and not (inner and first in "[{") and "escape" not in what:
            message = f"not valid YAML: {_BEGINS[first]}"
            return Problem(file=file, line=mark.line + 1, column=found.end() + 1, message=message)
    if "end of stream" in what and error.context_mark is not None:
        return at(error.context_mark, file, "not valid YAML: this quote is not closed")
    if "mapping values" in what and _KEY.match(line[: mark.column]):
        what = "a key cannot stand here: check its indentation, and for ': ' in the line before"
    else:
        what = next((cure for words, cure in _CURES.items() if words in what), what)
    return at(mark, file, f"not valid YAML: {what}")


def _undecodable(text: str, file: str, error: yaml.YAMLError) -> Problem:
    position = getattr(error, "position", None)
    before = text[:position] if isinstance(position, int) else ""
    reason = getattr(error, "reason", None) or "unreadable"
    return Problem(
        file=file,
        line=before.count("\n") + 1,
        column=len(before.rpartition("\n")[2]) + 1,
        message=f"not valid YAML: {reason}",
    )
