"""`interlock policy`: check policy files, test them, ask them, compare them, describe them."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Any

import click

from ..core.errors import InvalidDocument, Problem
from ..core.numbers import number_of
from ..core.rules import PolicySet
from ..policies.load import load_policies
from .draft import draft
from .policy_ask import diff, explain
from .policy_output import PATHS, echo_json, rows, show_problems
from .policy_schema import schema
from .policy_suites import mutate, test


@click.group()
def policy() -> None:
    """Check, test, explain and compare policy files.

    \b
    Exit codes, beside 0 for done and 2 for wrong usage:
      check    1 where there are problems
      test     1 where something fails, or there is nothing to run
      draft    1 where nothing can be drafted
      mutate   1 where mutants survive, 2 where a document is invalid
      explain  2 where a document is invalid
      diff     3 where the new policy asks for less or may, 2 where a document is invalid
    """


@policy.command()
@click.argument("paths", nargs=-1, required=True, type=PATHS, metavar="FILE|DIRECTORY...")
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
        echo_json({"ok": not problems, "policy": _described(found), "problems": rows(problems)})
    else:
        show_problems(problems)
        if found is not None:
            _show_policy(found)
    raise SystemExit(1 if problems else 0)


for _command in (test, mutate, explain, diff, draft, schema):
    policy.add_command(_command)


def _described(found: PolicySet | None) -> dict[str, Any] | None:
    if found is None:
        return None
    return {
        "name": found.ref.name,
        "version": found.ref.version,
        "sha256": found.ref.sha256,
        "tools": len(found.tools),
        "rules": len(found.rules),
        "limits": len(found.limits),
        "exceptions": len(found.exceptions),
    }


def _show_policy(found: PolicySet) -> None:
    ref = found.ref
    limits = f"{number_of(len(found.limits), 'limit')}, " if found.limits else ""
    counts = (
        f"{number_of(len(found.tools), 'tool')}, {number_of(len(found.rules), 'rule')}, {limits}"
        f"{number_of(len(found.exceptions), 'exception')}"
    )
    click.echo(
        f"{click.style('ok', fg='green', bold=True)} {ref.name} version {ref.version}: {counts} "
        f"(sha256 {ref.sha256[:12]})"
    )
