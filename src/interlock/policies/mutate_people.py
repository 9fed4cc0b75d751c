"""Mutants of how people are asked: caps, remembered refusals, grants, how many and how long."""

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
