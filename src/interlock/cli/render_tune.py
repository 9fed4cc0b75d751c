"""A proposal in words and as JSON: each change with its evidence, then what history says."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..core.numbers import number_of
from ..core.risk import Caught
from ..policies.replaying import LOOSER, STRICTER
from ..policies.replaying_sums import Sums
from ..policies.tuning import Outcome, total
from .console import safe
from .proposed import Checked
from .render_replay import sums_as_json, sums_lines

_COLOURS = {"+": "green", "-": "red", "@": "cyan"}
_FAILURES = 5  #: of a suite that are listed


def lines(
    outcome: Outcome,
    sums: Sums,
    suites: Sequence[Checked],
    out: Path | None,
    paths: Sequence[str],
) -> Iterator[str]:
    """Yield what is printed for people; without colours it is a diff that `patch` reads."""
    yield from _head(outcome)
    for change in outcome.proposal.changes:
        yield "#"
        yield _comment(change.title)
        for each in change.evidence:
            yield _comment(f"  {each}")
        for row in change.diff.split("\n")[:-1]:
            yield click.style(_as_it_is(row), fg=_COLOURS.get(row[:1]))
    yield from _beside(outcome)
    if outcome.proposal.changes:
        yield "#"
        yield _comment("The proposal on the recorded calls:")
        for block in sums_lines(outcome.proposal.policy, sums):
            yield from (f"# {row}".rstrip() for row in block.split("\n"))
        yield _comment(
            f"{number_of(sums.kinds[LOOSER], 'call')} looser, {sums.kinds[STRICTER]} stricter"
        )
        yield _comment(f"all together: {total(outcome.bounds, outcome.spent)}")
    yield from _suites(suites)
    yield from _next(outcome, out, paths)


def _comment(text: str) -> str:
    """Return *text* as one line that neither `patch` nor a reader takes for anything else."""
    return f"# {safe(text.replace(chr(10), ' '))}".rstrip()


def _as_it_is(row: str) -> str:
    """Return a line of a diff, whose last spaces `patch` needs."""
    text = row.rstrip(" ")
    return safe(text) + " " * (len(row) - len(text))


def _head(outcome: Outcome) -> Iterator[str]:
    found, asked = outcome.findings, outcome.settings
    days = f"{_day(found.since)} to {_day(found.until)}"
    yield _comment(
        f"{number_of(found.records, 'recorded call')} of {days}, {found.held} of them held"
    )
    yield _comment(
        f"target: at most {asked.target:.2%} of calls wrong and unreviewed, with"
        f" {asked.confidence:.0%} confidence"
    )
    count = len(outcome.proposal.changes)
    changes = number_of(count, "change") if count else "no changes"
    yield _comment(f"{changes} proposed; nothing is applied")
    if asked.caught.practised:
        yield _comment(_practice(asked.caught, asked.confidence))
    for each in found.notes:
        yield _comment(f"note: {each}")
    if found.left_out:
        yield _comment(f"note: {found.left_out} groups of calls were too many to keep")


def _practice(made: Caught, confidence: float) -> str:
    return (
        f"practice: people caught {made.caught} of {made.caught + made.missed} practice calls, at"
        f" least {made.at_least(confidence):.1%} of what is wrong; bounds allow for the rest"
    )


def _day(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).date().isoformat()


def _beside(outcome: Outcome) -> Iterator[str]:
    for title, why in outcome.proposal.left_out:
        yield "#"
        yield _comment(f"not proposed: {title}")
        yield _comment(f"  {why}")
    for each in outcome.advice:
        yield "#"
        yield _comment(f"without a change of policy: {each.title}")
        for row in each.evidence:
            yield _comment(f"  {row}")


def _suites(suites: Sequence[Checked]) -> Iterator[str]:
    for each in suites:
        yield "#"
        if not each.failures:
            yield _comment(f"{each.file}: all {each.passed} pass")
            continue
        yield _comment(f"{each.file}: {len(each.failures)} expect what was; change them with it")
        for failure in each.failures[:_FAILURES]:
            yield _comment(f"  {failure.splitlines()[0]}")


def _next(outcome: Outcome, out: Path | None, paths: Sequence[str]) -> Iterator[str]:
    if not outcome.proposal.changes:
        return
    old = shlex.quote(paths[0]) if len(paths) == 1 else "OLD"
    new = shlex.quote(str(out)) if out is not None else "DIR"
    yield "#"
    yield _comment("next:")
    if out is not None:
        yield _comment(f"  the proposed files are in {out}")
    else:
        yield _comment("  interlock tune ... --out DIR      writes the proposed files")
    yield _comment("  interlock export --format corpus --out calls.jsonl")
    yield _comment(f"  interlock policy diff {old} {new} --corpus calls.jsonl")
    yield _comment(f"  interlock policy test {new}")
    yield _comment(f"  interlock replay --policy {new} --since 30d")


def as_json(
    outcome: Outcome, sums: Sums, suites: Sequence[Checked], written: Sequence[str]
) -> dict[str, Any]:
    """Return all of it in JSON's terms."""
    proposal = outcome.proposal
    return {
        "target": outcome.settings.target,
        "confidence": outcome.settings.confidence,
        "practice": dataclasses.asdict(outcome.settings.caught),
        "bounds": {
            "calls": outcome.bounds.calls,
            "already": outcome.bounds.present,
            "newly": outcome.spent,
        },
        "since": outcome.since,
        "findings": dataclasses.asdict(outcome.findings),
        "changes": [
            {"title": each.title, "evidence": list(each.evidence), "files": list(each.files)}
            | {"diff": each.diff}
            for each in proposal.changes
        ],
        "not_proposed": [{"title": title, "why": why} for title, why in proposal.left_out],
        "advice": [dataclasses.asdict(each) for each in outcome.advice],
        "replay": sums_as_json(proposal.policy, sums),
        "suites": [dataclasses.asdict(each) for each in suites],
        "written": list(written),
    }
