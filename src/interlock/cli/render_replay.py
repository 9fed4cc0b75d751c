"""A replay in words and as JSON: sums first, then calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

import click

from ..core.analytics import Share
from ..core.decisions import Level
from ..core.numbers import number_of
from ..core.rules import PolicySet
from ..policies.replaying import LOOSER, REASON, SAME, STRICTER
from ..policies.replaying_sums import Sums
from .console import painted, safe, table

_COLOURS = {LOOSER: "red", STRICTER: "green", REASON: "cyan"}
_KINDS = (LOOSER, STRICTER, REASON, SAME)
_TOOLS, _REASONS = 10, 3  #: that are listed


def percent(share: float) -> str:
    """Return a share as `4.2 %`; finer where it is small."""
    return f"{100 * share:.2g} %" if share < 0.1 else f"{100 * share:.3g} %"


def share_of(share: Share) -> str:
    """Return `17 of 20, 85 % (62.1 to 96.8 %)`, the exact interval of 95 %."""
    if share.value is None:
        return "of none"
    few = ", few" if share.few else ""
    low, high = percent(share.low)[:-2], percent(share.high)
    return f"{share.hits} of {share.of}, {percent(share.value)} ({low} to {high}{few})"


def sums_lines(policy: PolicySet, sums: Sums) -> Iterator[str]:
    """Yield the sums of a replay, for people."""
    ref = policy.ref
    days = number_of(round(sums.days), "day")
    yield safe(
        f"{ref.name} version {ref.version} (sha256 {ref.sha256[:12]}) on"
        f" {number_of(sums.calls, 'recorded call')} of {days}"
    )
    yield ""
    yield table(("", "THEN", "NEW POLICY"), _sums(sums))
    yield ""
    heads = ("CHANGE", "CALLS", "OF THESE MASKED", "MOSTLY BECAUSE")
    yield table(heads, _changes(sums), {"CHANGE": lambda kind: click.style(kind, _COLOURS[kind])})
    moved = [(one, other) for one, other in sums.levels if one is not other]
    if moved:
        yield ""
        counts = sorted(moved, key=lambda pair: (-sums.levels[pair], pair))
        rows = [(one.word, other.word, sums.levels[one, other]) for one, other in counts]
        yield table(("FROM", "TO", "CALLS"), rows, {"FROM": painted, "TO": painted})
    yield from _by_tool(sums)
    yield from _notes(sums)
    yield ""


def _sums(sums: Sums) -> Iterator[tuple[str, str, str]]:
    before, after = sums.burden
    yield "held a day", f"{before.holds:.1f}", f"{after.holds:.1f}"
    yield "decisions a day", f"{before.decisions:.1f}", f"{after.decisions:.1f}"
    yield "bad calls stopped", share_of(sums.catch_before), share_of(sums.catch)
    weighted = sums.catch_weighted
    if weighted is not None:
        then, now = (f"about {percent(each)}" for each in weighted)
        yield "  of all, by audits", then, now
    yield "newly held", "", str(sums.newly_held)
    unknown = sums.freed - sums.freed_right - sums.freed_wrong
    yield (
        "no longer held",
        "",
        f"{sums.freed} ({sums.freed_right} were right, {sums.freed_wrong} bad, {unknown} unknown)",
    )


def _changes(sums: Sums) -> Iterator[tuple[str, int, int, str]]:
    for kind in (LOOSER, STRICTER, REASON):
        common = sums.reasons.get(kind, Counter()).most_common(_REASONS)
        why = ", ".join(f"{name} ({count})" for name, count in common)
        yield kind, sums.kinds[kind], sums.masked[kind], why


def _by_tool(sums: Sums) -> Iterator[str]:
    changed = {
        name: counts for name, counts in sums.tools.items() if counts[LOOSER] + counts[STRICTER]
    }
    if not changed:
        return
    yield ""
    order = sorted(changed, key=lambda name: (-changed[name][LOOSER], -changed[name][STRICTER]))
    rows = [(name, *(changed[name][kind] for kind in _KINDS)) for name in order[:_TOOLS]]
    yield table(("TOOL", *map(str.upper, _KINDS)), rows)
    if len(order) > _TOOLS:
        yield f"and {number_of(len(order) - _TOOLS, 'more tool')}"


def _notes(sums: Sums) -> Iterator[str]:
    notes = []
    if sums.unrecorded:
        names = ", ".join(f"{name} ({n})" for name, n in sums.unrecorded.most_common(5))
        notes.append(f"not recorded, judged as if nothing had happened: {names}")
    if sum(sums.masked.values()):
        masked = number_of(sum(sums.masked.values()), "call is", "calls are")
        notes.append(f"{masked} masked: the real arguments may be judged otherwise")
    if sums.unusable:
        notes.append(f"{number_of(sums.unusable, 'call')} could not be judged again")
    if sums.one_sided:
        notes.append(
            "calls that nobody decided are kept for a shorter time than the others; what is newly"
            " held is counted over the days that they cover"
        )
    if notes:
        yield ""
    for each in notes:
        yield click.style(safe(f"note: {each}"), dim=True)


def call_lines(row: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of one call."""
    kind = click.style(f"{row['kind']:<8}", fg=_COLOURS[row["kind"]])
    masked = " (masked: may differ)" if row["masked"] else ""
    levels = f"{painted(row['before'])} -> {painted(row['after'])}"
    yield f"{kind} {_line(row['id'])} {_line(row['tool'] or '(unknown)')}: {levels}{masked}"
    told = click.style(_line(row["people"]), fg="red" if row["wrong"] else None)
    yield f"         people: {told}"
    for text in (row["call"], row["why"]):
        if text:
            yield click.style(f"         {_line(text)}", dim=True)


def _line(text: object) -> str:
    """Return *text* in one line: a break in it could look like a line of ours."""
    return safe(str(text).replace("\n", "\\n"))


def sums_as_json(policy: PolicySet, sums: Sums) -> dict[str, Any]:
    """Return the sums in JSON's terms."""
    before, after = sums.burden
    ref = policy.ref
    weighted = sums.catch_weighted
    return {
        "policy": {"name": ref.name, "version": ref.version, "sha256": ref.sha256},
        "calls": sums.calls,
        "days": sums.days,
        "looser": sums.kinds[LOOSER] > 0,
        "counts": {kind: sums.kinds[kind] for kind in _KINDS},
        "masked": {kind: sums.masked[kind] for kind in _KINDS},
        "levels": _levels(sums.levels),
        "tools": {name: dict(counts) for name, counts in sorted(sums.tools.items())},
        "reasons": {kind: dict(counts.most_common()) for kind, counts in sums.reasons.items()},
        "burden": {
            "then": {"holds": before.holds, "decisions": before.decisions},
            "new": {"holds": after.holds, "decisions": after.decisions},
        },
        "catch": {
            "then": _share(sums.catch_before),
            "new": _share(sums.catch),
            "weighted": None if weighted is None else {"then": weighted[0], "new": weighted[1]},
        },
        "newly_held": sums.newly_held,
        "freed": {"calls": sums.freed, "right": sums.freed_right, "bad": sums.freed_wrong},
        "unrecorded": dict(sums.unrecorded.most_common()),
        "not_judged": {"calls": sums.unusable, "first": sums.why_unusable},
    }


def _levels(levels: Mapping[tuple[Level, Level], int]) -> list[dict[str, Any]]:
    return [
        {"before": one.word, "after": other.word, "calls": count}
        for (one, other), count in sorted(levels.items())
    ]


def _share(share: Share) -> dict[str, Any]:
    value = share.value
    return {"hits": share.hits, "of": share.of, "value": value, "low": share.low} | {
        "high": share.high
    }
