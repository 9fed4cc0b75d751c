"""`interlock policy test` and `mutate`: what the tests of a policy say, and what they miss."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ..core.decisions import Reversibility, Stake
from ..core.errors import InvalidDocument, Problem
from ..core.numbers import number_of
from ..policies.mutate import EQUIVALENT, INVALID, KILLED, SURVIVED, Outcome, run_all
from ..policies.suite import Report, run_suite
from ..policies.suite_coverage import Coverage
from .console import note, safe
from .policy_output import (
    PATHS,
    echo_json,
    nothing_to_run,
    place,
    rows,
    show_problems,
    suites_in,
)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATHS, metavar="FILE|DIRECTORY...")
@click.option(
    "--coverage", is_flag=True, help="Say of each rule, limit and cell if it was reached."
)
@click.option(
    "--filter", "only", default="", metavar="TEXT", help="Only tests with TEXT in the name."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def test(paths: tuple[Path, ...], coverage: bool, only: str, as_json: bool) -> None:
    """Run test suites (`*_test.yaml`).

    A policy FILE stands for the suite beside it, a DIRECTORY for all suites in it. With --filter,
    coverage is not asked for. Exit status: 0 all passed, 1 something failed or there is nothing to
    run, 2 wrong usage.
    """
    files = suites_in(paths)
    reports: list[Report] = []
    problems: list[Problem] = [] if files else [nothing_to_run(paths[0])]
    for file in files:
        try:
            report = run_suite(file, only)
            reports.append(report)
            problems += [] if report.passed or report.failures else [_nothing_tested(file)]
        except InvalidDocument as error:
            problems += error.problems
    ok = not problems and all(report.ok for report in reports)
    if as_json:
        suites = [_reported(report) for report in reports]
        echo_json({"ok": ok, "suites": suites, "problems": rows(problems)})
    else:
        show_problems(problems)
        for report in reports:
            _show_report(report)
            if coverage:
                _show_coverage(report.coverage)
    raise SystemExit(0 if ok else 1)


def _nothing_tested(file: Path) -> Problem:
    message = "has neither cases nor properties, so nothing was tested: add `cases`"
    return Problem(file=str(file), line=1, column=1, message=message)


def _reported(report: Report) -> dict[str, Any]:
    coverage = report.coverage
    return {
        "file": report.file,
        "policy": report.policy,
        "passed": report.passed,
        "failed": len(report.failures),
        "failures": [
            {**rows([failure.problem])[0], "trace": list(failure.trace)}
            for failure in report.failures
        ],
        "coverage": {
            "rules": round(coverage.rules, 1),
            "limits": round(coverage.limits, 1),
            "matrix_cells": round(coverage.matrix_cells, 1),
            "never_fired": list(coverage.untouched("rule", "exception", "limit")),
            "parts": [
                {"kind": each.kind, "id": each.id, "cases": each.cases} for each in coverage.parts
            ],
            "cells": [
                {"reversibility": row.word, "stake": stake.word, "cases": count}
                for (row, stake), count in coverage.cells
            ],
        },
    }


def _show_report(report: Report) -> None:
    for failure in report.failures:
        word = click.style("FAIL", fg="red", bold=True)
        click.echo(f"{place(failure.problem)} {word} {safe(failure.problem.message)}")
        for line in failure.trace:
            click.echo(click.style(f"    {safe(line)}", dim=True))
    word = click.style("ok" if report.ok else "FAILED", fg="green" if report.ok else "red")
    click.echo(
        f"{word} {report.file}: {report.passed} passed, {len(report.failures)} failed; "
        f"{report.coverage.rules:.0f} % of rules fire, "
        f"{report.coverage.matrix_cells:.0f} % of matrix cells reached"
    )


def _show_coverage(coverage: Coverage) -> None:
    for each in coverage.parts:
        said = number_of(each.cases, "case") if each.cases else click.style("never", fg="yellow")
        click.echo(f"    {each.kind:<9}  {each.id:<32}  {said}")
    counts = dict(coverage.cells)
    click.echo(f"    {'cases':<13}" + "".join(f"{stake.word:>10}" for stake in Stake))
    for row in Reversibility:
        cells = [counts[row, stake] for stake in Stake]
        shown = "".join(f"{count or '-':>10}" for count in cells)
        click.echo(f"    {row.word:<13}{shown}")
    click.echo(
        f"    {coverage.rules:.0f} % of rules and exceptions, {coverage.limits:.0f} % of limits, "
        f"{coverage.matrix_cells:.0f} % of cells"
    )


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATHS, metavar="FILE|DIRECTORY...")
@click.option(
    "--allow", type=click.IntRange(0), default=0, metavar="N", help="How many mutants may survive."
)
@click.option("--workers", type=click.IntRange(1), help="Processes; one per processor otherwise.")
@click.option(
    "--seconds",
    type=click.IntRange(1),
    default=600,
    show_default=True,
    help="Stop after so long; the rest is not proven.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def mutate(
    paths: tuple[Path, ...], allow: int, workers: int | None, seconds: int, as_json: bool
) -> None:
    """Change the policy a little, many times, and see whether its tests notice.

    A change that no test notices survives: it is listed with its place and the test that is
    missing. Changes that make no valid policy, or that provably decide nothing differently, are
    not counted. Exit status: 0 no more than --allow survive, 1 more do or the time is up, 2 a
    document is invalid or its tests fail as it is.
    """
    suites = suites_in(paths)
    if not suites:
        show_problems([nothing_to_run(paths[0])])
        raise SystemExit(1)
    progress = _Progress(seconds)
    outcomes = run_all(suites, progress.watch, workers)
    survivors = [each for each in outcomes if each.state == SURVIVED]
    left = progress.left
    if as_json:
        echo_json(_as_json(outcomes, left, progress.seconds))
    else:
        _show_survivors(survivors)
        _show_counts(outcomes, left, progress.seconds)
    raise SystemExit(1 if left or len(survivors) > allow else 0)


class _Progress:
    """Says on standard error how far it is, and when the time is up."""

    def __init__(self, seconds: int) -> None:
        self._began = time.monotonic()
        self._told = 0.0
        self._limit = seconds
        self.left = 0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def watch(self, outcome: Outcome, done: int, total: int) -> bool:
        now = self.seconds
        if now - self._told >= 5:
            self._told = now
            note(f"{done} of {total} mutants, {now:.0f} s")
        self.left = total - done if now > self._limit else 0
        return not self.left


def _show_survivors(survivors: Sequence[Outcome]) -> None:
    for each in survivors:
        mutant = each.mutant
        here = click.style(f"{mutant.file}:{mutant.line}:{mutant.column}:", bold=True)
        click.echo(f"{here} {click.style('survived', fg='yellow')} {safe(mutant.what)}")
        click.echo(click.style(f"    {safe(mutant.suggestion)}", dim=True))


def _show_counts(outcomes: Sequence[Outcome], left: int, seconds: float) -> None:
    counts = Counter(each.state for each in outcomes)
    counted = counts[KILLED] + counts[SURVIVED]
    word = "ok" if not counts[SURVIVED] and not left else "FAILED"
    click.echo(
        f"{click.style(word, fg='green' if word == 'ok' else 'red')} "
        f"{number_of(counted, 'mutant')}: {counts[KILLED]} noticed, {counts[SURVIVED]} survived, "
        f"in {seconds:.1f} s "
        f"(not counted: {counts[INVALID]} that `check` refuses, {counts[EQUIVALENT]} that no "
        f"case can tell apart)"
    )
    if left:
        untried = number_of(left, "mutant was", "mutants were")
        click.echo(f"{untried} not tried: the time was up; give more --seconds.")


def _as_json(outcomes: Sequence[Outcome], left: int, seconds: float) -> dict[str, Any]:
    counts = Counter(each.state for each in outcomes)
    return {
        "mutants": counts[KILLED] + counts[SURVIVED],
        **{state: counts[state] for state in (KILLED, SURVIVED, INVALID, EQUIVALENT)},
        "not_tried": left,
        "seconds": round(seconds, 1),
        "survivors": [
            {
                "file": each.mutant.file,
                "line": each.mutant.line,
                "column": each.mutant.column,
                "change": each.mutant.what,
                "suggestion": each.mutant.suggestion,
            }
            for each in outcomes
            if each.state == SURVIVED
        ],
    }
