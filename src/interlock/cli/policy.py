"""`interlock policy`: check policy files, and run the tests beside them."""

from __future__ import annotations

import datetime
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ..core.errors import InvalidDocument, Problem
from ..core.rules import PolicySet
from ..policies.load import is_suite, load_policies
from ..policies.suite import Report, run_suite

_PATHS = click.Path(exists=True, path_type=Path)


@click.group()
def policy() -> None:
    """Check and test policy files."""


@policy.command()
@click.argument("paths", nargs=-1, required=True, type=_PATHS, metavar="FILE|DIRECTORY...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def check(paths: tuple[Path, ...], as_json: bool) -> None:
    """Check policy files: syntax, names, types, and what can never hold.

    All FILEs are read as one policy, as `interlock serve` would. Every problem is reported as
    file:line:column. Exit status: 0 fine, 1 problems found, 2 wrong usage.
    """
    today = datetime.datetime.now(datetime.UTC).date()  # noqa: TID251 -- the shell reads the clock
    found: PolicySet | None = None
    problems: tuple[Problem, ...] = ()
    try:
        found = load_policies(paths, today)
    except InvalidDocument as error:
        problems = error.problems
    if as_json:
        _echo_json({"ok": not problems, "policy": _described(found), "problems": _rows(problems)})
    else:
        _show_problems(problems)
        if found is not None:
            _show_policy(found)
    raise SystemExit(1 if problems else 0)


@policy.command()
@click.argument("paths", nargs=-1, required=True, type=_PATHS, metavar="FILE|DIRECTORY...")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(paths: tuple[Path, ...], as_json: bool) -> None:
    """Run test suites (`*_test.yaml`).

    A policy FILE stands for the suite beside it, a DIRECTORY for all suites in it. Exit status:
    0 all passed, 1 something failed or there is nothing to run, 2 wrong usage.
    """
    files = _suites(paths)
    reports: list[Report] = []
    problems: list[Problem] = []
    if not files:
        shown = str(paths[0])
        problems.append(
            Problem(
                file=shown, line=1, column=1, message="no tests: write NAME_test.yaml beside it"
            )
        )
    for file in files:
        try:
            reports.append(run_suite(file))
        except InvalidDocument as error:
            problems += error.problems
    ok = not problems and all(report.ok for report in reports)
    if as_json:
        suites = [_reported(report) for report in reports]
        _echo_json({"ok": ok, "suites": suites, "problems": _rows(problems)})
    else:
        _show_problems(problems)
        for report in reports:
            _show_report(report)
    raise SystemExit(0 if ok else 1)


def _suites(paths: Iterable[Path]) -> list[Path]:
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


def _rows(problems: Sequence[Problem]) -> list[dict[str, Any]]:
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


def _described(found: PolicySet | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "name": found.ref.name,
        "version": found.ref.version,
        "sha256": found.ref.sha256,
        "tools": len(found.tools),
        "rules": len(found.rules),
        "exceptions": len(found.exceptions),
    }


def _reported(report: Report) -> dict[str, Any]:
    return {
        "file": report.file,
        "policy": report.policy,
        "passed": report.passed,
        "failed": len(report.failures),
        "failures": [
            {**_rows([failure.problem])[0], "trace": list(failure.trace)}
            for failure in report.failures
        ],
        "coverage": {
            "rules": round(report.rules_covered, 1),
            "matrix_cells": round(report.cells_covered, 1),
            "never_fired": list(report.uncovered),
        },
    }


def _echo_json(value: dict[str, Any]) -> None:
    click.echo(json.dumps(value, indent=2, ensure_ascii=False))


def _show_problems(problems: Sequence[Problem]) -> None:
    for problem in problems:
        place = click.style(f"{problem.file}:{problem.line}:{problem.column}:", bold=True)
        click.echo(f"{place} {click.style('error:', fg='red', bold=True)} {problem.message}")
    if problems:
        count = len(problems)
        click.echo(click.style(f"{count} problem{'s' if count > 1 else ''}", fg="red"))


def _show_policy(found: PolicySet) -> None:
    ref = found.ref
    counts = (
        f"{len(found.tools)} tools, {len(found.rules)} rules, {len(found.exceptions)} exceptions"
    )
    click.echo(
        f"{click.style('ok', fg='green', bold=True)} {ref.name} version {ref.version}: {counts} "
        f"(sha256 {ref.sha256[:12]})"
    )


def _show_report(report: Report) -> None:
    for failure in report.failures:
        _show_problems_of(failure.problem, failure.trace)
    word = click.style("ok" if report.ok else "FAILED", fg="green" if report.ok else "red")
    click.echo(
        f"{word} {report.file}: {report.passed} passed, {len(report.failures)} failed; "
        f"{report.rules_covered:.0f} % of rules fire, "
        f"{report.cells_covered:.0f} % of matrix cells reached"
    )


def _show_problems_of(problem: Problem, trace: Sequence[str]) -> None:
    place = click.style(f"{problem.file}:{problem.line}:{problem.column}:", bold=True)
    click.echo(f"{place} {click.style('FAIL', fg='red', bold=True)} {problem.message}")
    for line in trace:
        click.echo(click.style(f"    {line}", dim=True))
