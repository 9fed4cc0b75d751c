"""Reads `interlock.yaml` and the environment; the environment is read here and nowhere else.

Every setting can be given as an environment variable too: `INTERLOCK__STORE__URL` is `store.url`.
Its value is JSON where it is JSON, else text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydantic

from .core.errors import InvalidDocument, Problem
from .policies.positions import Document, load_yaml, problems_from_pydantic
from .settings import Config
from .settings_types import Surroundings, secrets_of

DEFAULT_FILE = "interlock.yaml"
PREFIX = "INTERLOCK__"

Where = tuple[str, ...]


def environment() -> Mapping[str, str]:
    """Return this process's environment."""
    return os.environ


@dataclass(frozen=True, slots=True)
class Override:
    """A setting from outside the file. `name` is what people know it by: a variable, an option."""

    name: str
    where: Where
    value: Any = field(repr=False)


def load_config(
    path: Path | None, env: Mapping[str, str], options: tuple[Override, ...] = ()
) -> Config:
    """Read the configuration: the file at *path*, over it *env*, over it *options*.

    Without *path* there is only the environment. Relative paths in the file are relative to it,
    others to the working directory. Names in upstreams are lower case, so variables reach them.

    Raises:
        InvalidDocument: with every problem; its place is file:line:col, or the variable's name.
    """
    return _loaded(path, env, options, partly=False)


def load_config_partly(path: Path | None, env: Mapping[str, str]) -> Config:
    """Read the configuration for a command that needs few of its secrets.

    As `load_config`, but a secret that cannot be read is a problem only once it is revealed.
    """
    return _loaded(path, env, (), partly=True)


def place_of(setting: str, path: Path, env: Mapping[str, str]) -> str:
    """Return where a *setting* such as people.url is: file:line:col, or the variable's name."""
    document, keys = _document(path), tuple(setting.split("."))
    for override in reversed(_overrides(env)):
        if keys[: len(override.where)] == override.where:
            return override.name
    line, column = document.position(keys)
    return f"{path}:{line}:{column}"


def _loaded(
    path: Path | None, env: Mapping[str, str], options: tuple[Override, ...], *, partly: bool
) -> Config:
    document = _document(path)
    overrides = (*_overrides(env), *options)
    data = _merged(document, overrides)
    around = Surroundings(
        base=path.absolute().parent if path else Path.cwd(),
        env=env,
        plain=frozenset(override.where for override in overrides),
        partly=partly,
    )
    try:
        config = Config.model_validate_json(json.dumps(data), strict=True, context=around)
    except pydantic.ValidationError as error:
        found = problems_from_pydantic(error, document, Config)
        raise InvalidDocument(tuple(_placed(each, overrides) for each in found)) from None
    for keys, hidden in secrets_of(config):
        if hidden.missing is not None:
            hidden.missing = _placed(document.problem(keys, hidden.missing.message), overrides)
    return config


def _document(path: Path | None) -> Document:
    if path is None:
        return Document(file="(no file)", data={}, positions={(): (1, 1)})
    try:
        text = path.read_bytes()
    except OSError as error:
        raise _problem(
            str(path), f"cannot be read: {error.strerror}; `interlock init` writes a first one"
        ) from None
    document = load_yaml(text, str(path))
    if not isinstance(document.data, dict | None):
        raise _problem(str(path), "must be a mapping, such as `upstreams:` and what is below it")
    return document


def _overrides(env: Mapping[str, str]) -> tuple[Override, ...]:
    return tuple(
        Override(name, tuple(name[len(PREFIX) :].lower().split("__")), _parsed(env[name]))
        for name in sorted(env)
        if name.upper().startswith(PREFIX)
    )


def _parsed(text: str) -> Any:
    """Return *text* as JSON where it is JSON, else as it is."""
    try:
        return json.loads(text, parse_constant=lambda _: text)
    except (ValueError, RecursionError):
        return text


def _merged(document: Document, overrides: tuple[Override, ...]) -> dict[str, Any]:
    # A copy: the document must keep what stands in the file.
    data: dict[str, Any] = json.loads(json.dumps(document.data or {}))
    for override in overrides:
        if not all(override.where):
            raise _problem(override.name, "write INTERLOCK__SECTION__KEY, such as STORE__URL")
        inner = data
        for part in override.where[:-1]:
            below = inner.get(part)
            if isinstance(below, list):
                raise _problem(override.name, f"{part!r} is a list: give all of it as JSON")
            if not isinstance(below, dict):
                below = inner[part] = {}
            inner = below
        inner[override.where[-1]] = override.value
    return data


def _placed(problem: Problem, overrides: tuple[Override, ...]) -> Problem:
    """Name the variable or option as the place of a problem that it caused."""
    path = tuple(problem.path.split(".")) if problem.path else ()
    for override in reversed(overrides):
        if path[: len(override.where)] == override.where:
            return Problem(
                file=override.name, line=1, column=1, message=problem.message, path=problem.path
            )
    return problem


def _problem(file: str, message: str) -> InvalidDocument:
    return InvalidDocument((Problem(file=file, line=1, column=1, message=message),))
