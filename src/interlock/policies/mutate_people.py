"""Mutants of how people are asked: caps, remembered refusals, grants, how long; audits."""

from __future__ import annotations

from collections.abc import Iterator

from ..core.decisions import Level
from .mutate_maker import Maker, Mutant, Path


def people(maker: Maker) -> Iterator[Mutant]:
    """Yield the mutants of `approvals` and `levels`."""
    yield from _levels(maker)
    yield from _caps(maker)
    yield from _refusals(maker)
    yield from _grants(maker)
    yield from _batch(maker)


def audits(maker: Maker) -> Iterator[Mutant]:
    """Yield the mutants of `audit`: what falls is seen where a case expects a share."""
    share = maker.at(("audit", "share"))
    near = f"expect audit: {share} in a case that goes through unasked"
    yield from maker.numbers("audit", ("audit", "share"), "audit", near)
    tools = maker.at(("audit", "tools"))
    for pattern in tools if isinstance(tools, dict) else ():
        path: Path = ("audit", "tools", pattern)
        near = f"expect audit: {maker.at(path)} in a case of {pattern} that goes through unasked"
        yield from maker.numbers("audit", path, f"audit of {pattern}", near)


def _levels(maker: Maker) -> Iterator[Mutant]:
    for level in ("approve", "approve_dual"):
        path: Path = ("levels", level)
        quorum, held = maker.at((*path, "quorum")), maker.at((*path, "expire_after"))
        if type(quorum) is int and quorum > 1:
            what = f"levels.{level}: quorum {quorum} -> {quorum - 1}"
            near = f"expect quorum: {quorum} in a case at {level}"
            yield maker.change("levels", (*path, "quorum"), quorum - 1, what, near)
        near = f"expect expire_after: {held} in a case at {level}"
        yield from maker.halved("levels", (*path, "expire_after"), f"levels.{level}", near)
        yield from _looks(maker, path, f"levels.{level}")


def _looks(maker: Maker, path: Path, who: str) -> Iterator[Mutant]:
    level, dwell = path[-1], maker.at((*path, "dwell"))
    near = f"expect dwell: {dwell} in a case at {level}"
    yield from maker.halved("levels", (*path, "dwell"), who, near)
    near = f"expect step_up: true in a case at {level}"
    yield from maker.remove("levels", (*path, "step_up"), f"{who}: step_up dropped", near)
    if maker.at((*path, "fold")) is True:
        near = f"expect folded: true in a case at {level}"
        yield maker.change("levels", (*path, "fold"), False, f"{who}: fold true -> false", near)


def _batch(maker: Maker) -> Iterator[Mutant]:
    path: Path = ("approvals", "batch")
    up_to = maker.at((*path, "up_to"))
    if up_to not in ("low", "medium"):
        return
    near = f"expect batch: true in a case at approve and {up_to} stake"
    yield from maker.remove("batch", path, "batch dropped", near)
    other = {"low": "medium", "medium": "low"}[up_to]
    near = "expect batch in cases at approve: at low and at medium stake"
    what = f"batch: up_to {up_to} -> {other}"
    yield maker.change("batch", (*path, "up_to"), other, what, near)


def _caps(maker: Maker) -> Iterator[Mutant]:
    for name, fact in (
        ("open_per_session", "open_in_session"),
        ("per_agent_per_hour", "holds_in_hour"),
    ):
        path: Path = ("approvals", "caps", name)
        near = f"add a case with facts: {{{fact}: {maker.at(path)}}} and one below it"
        yield from maker.numbers("caps", path, "caps", near)
        yield from maker.remove("caps", path, f"caps: {name} dropped", near)


def _refusals(maker: Maker) -> Iterator[Mutant]:
    refused = "add a case with facts: {refused: true} and expect the level"
    path: Path = ("approvals", "repeat_denied")
    yield from maker.remove("repeat_denied", path, "repeat_denied dropped", refused)
    levels = [level.word for level in Level][1:]
    yield from maker.lower("repeat_denied", (*path, "then"), levels, "repeat_denied", refused)


def _grants(maker: Maker) -> Iterator[Mutant]:
    path: Path = ("approvals", "grants")
    given = maker.at(path)
    entries = [(*path, index) for index in range(len(given))] if isinstance(given, list) else []
    for here in entries or [path]:
        yield from maker.lower(
            "grants",
            (*here, "at_most"),
            [level.word for level in Level],
            "grants",
            "add a case with facts: {grant: true} and expect the level",
        )
