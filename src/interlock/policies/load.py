"""Policy files, from disk to a `PolicySet`."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from ..core.errors import InvalidDocument, Problem
from ..core.rules import PolicySet
from .compile import compile_set
from .document import PolicyDocument
from .files import check_count, of_file, read_file, yaml_files
from .positions import Document, load_model, load_yaml
from .problems import Source

_EMPTY = (
    "the file is empty: a policy starts with apiVersion: interlock/v1, kind: Policy and metadata"
)
MAX_IN_ALL = 32 << 20  #: bytes of all files of a policy
SUITE_SUFFIXES = ("_test.yaml", "_test.yml", ".policy_test.yaml")


def load_policies(paths: Sequence[Path], today: datetime.date | None = None) -> PolicySet:
    """Read *paths* (files, or directories of them) as one policy.

    Files named `*_test.yaml` are suites and left out. With *today*, ended exceptions are problems.

    Raises:
        InvalidDocument: with every problem of every file; an unreadable or missing file is one.
    """
    for folder in filter(Path.is_dir, paths):
        check_count(folder)
    files = policy_files(paths)
    if not files:
        raise InvalidDocument(tuple(nothing_in(paths)))
    return read_policies(_texts(files), today)


def read_policies(
    files: Iterable[tuple[str, str | bytes]], today: datetime.date | None = None
) -> PolicySet:
    """Compile policy files that are already read, given as (name for problems, text).

    Raises:
        InvalidDocument: with every problem of every file.
    """
    sources: list[Source] = []
    problems: list[Problem] = []
    for name, text in files:
        if not text.strip():
            problems.append(of_file(name, _EMPTY))
            continue
        try:
            model, document = load_model(text, name, PolicyDocument)
        except InvalidDocument as error:
            problems += _suite_by_kind(name, text) or error.problems
            continue
        problems += _empty(document)
        raw = text if isinstance(text, bytes) else text.encode()
        sources.append(Source(raw=raw, document=document, model=model))
    if not problems:
        return compile_set(sources, today)
    # What names a tool of a broken file would be reported in vain, so only its own files count.
    raise InvalidDocument(tuple(problems))


def policy_files(paths: Sequence[Path]) -> list[Path]:
    """Return the policy files among *paths*; a directory stands for the YAML files in it."""
    found: list[Path] = []
    for path in paths:
        inside = _inside(path) if path.is_dir() else [path]
        found += [file for file in inside if not is_suite(file)]
    return list(dict.fromkeys(found))


def nothing_in(paths: Sequence[Path]) -> Iterator[Problem]:
    """Yield why *paths*, among which is no policy file, stand for none."""
    if not paths:
        yield of_file("the list of policies", "no policy file here: name one")
    for path in paths:
        if not path.is_dir():  # else it were a policy file
            yield of_file(path, _about_suite(path))
        elif any(is_suite(file) for file in path.iterdir()):
            yield of_file(path, "no policy file here, only suites (*_test.yaml)")
        else:
            yield of_file(path, "no policy file here: none ends in .yaml or .yml")


def _about_suite(path: Path) -> str:
    said = f"this is a suite of tests, no policy: `interlock policy test {path}` runs it"
    suffix = next(each for each in SUITE_SUFFIXES[::-1] if path.name.endswith(each))
    policy = path.with_name(path.name.removesuffix(suffix) + Path(suffix).suffix)
    return f"{said}; its policy may be {policy}" if policy.is_file() else said


def _suite_by_kind(name: str, text: str | bytes) -> tuple[Problem, ...]:
    """Return the one problem of a suite that is not named as one; of other files, none."""
    try:
        document = load_yaml(text, name)
    except InvalidDocument:
        return ()
    if not isinstance(document.data, dict) or document.data.get("kind") != "PolicyTest":
        return ()
    message = "this is a suite of tests, no policy: let its name end in _test.yaml"
    return (document.problem(("kind",), message),)


def is_suite(path: Path) -> bool:
    """Whether *path* is named as a test suite."""
    return path.name.endswith(SUITE_SUFFIXES)


def _empty(document: Document) -> Iterator[Problem]:
    """Yield keys without a value: whether they ask for something, nobody can tell."""
    pending: list[tuple[tuple[str | int, ...], Any]] = [((), document.data)]
    while pending:
        path, value = pending.pop()
        if path and path[-1] == "args_schema":
            continue  # JSON Schema has uses for null
        if value is None and path:
            message = f"{path[-1]!r} has no value: write one, or take it out"
            yield document.problem(path, message, at_key=True)
        elif isinstance(value, dict):
            pending += [((*path, key), each) for key, each in value.items()]
        elif isinstance(value, list):
            pending += [((*path, index), each) for index, each in enumerate(value)]


def _texts(files: Sequence[Path]) -> list[tuple[str, bytes]]:
    texts, size = [], 0
    for file in files:
        text = read_file(file)
        size += len(text)
        if size > MAX_IN_ALL:
            message = f"with this file the policy is larger than {MAX_IN_ALL >> 20} MiB: shorten it"
            raise InvalidDocument((of_file(file, message),))
        texts.append((str(file), text))
    return texts


def _inside(folder: Path) -> list[Path]:
    try:
        return yaml_files(folder)
    except OSError:
        return [folder]  # who reads it is told why it cannot be read
