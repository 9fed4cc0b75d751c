"""What the commands of `interlock policy` print alike: problems, and one JSON object."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..core.errors import Problem
from ..core.numbers import number_of
from ..policies.load import is_suite
from .console import safe

PATHS = click.Path(exists=True, path_type=Path)


def suites_in(paths: Iterable[Path]) -> list[Path]:
    """Return the suites that *paths* stand for: themselves, beside a policy, in a directory."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            inside = sorted([*path.glob("*.yaml"), *path.glob("*.yml")])
            found += [file for file in inside if is_suite(file)]
        elif is_suite(path):
            found.append(path)
        else:
            beside = path.with_name(f"{path.stem}_test{path.suffix}")
            found += [beside] if beside.exists() else []
    return list(dict.fromkeys(found))


def nothing_to_run(path: Path) -> Problem:
    """Return what is said where there is no suite."""
    name = path if path.is_dir() else path.with_name(f"{path.stem}_test{path.suffix}")
    cure = f"write {path / 'NAME_test.yaml' if path.is_dir() else name}"
    return Problem(
        file=str(path),
        line=1,
        column=1,
        message=f"there are no tests here: {cure} (docs/testing-policies.md shows how)",
    )


def rows(problems: Sequence[Problem]) -> list[dict[str, Any]]:
    return [
        {
            "file": problem.file,
            "line": problem.line,
            "column": problem.column,
            "message": problem.message,
            "path": problem.path,
        }
        for problem in problems
    ]


def echo_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=True, default=str))


def place(problem: Problem) -> str:
    return click.style(f"{problem.file}:{problem.line}:{problem.column}:", bold=True)


def show_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        word = click.style("error:", fg="red", bold=True)
        click.echo(f"{place(problem)} {word} {safe(problem.message)}")
    if problems:
        click.echo(click.style(number_of(len(problems), "problem"), fg="red"))
