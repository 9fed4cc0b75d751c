"""Mutants: a policy file with one small change, each with its place and the test that it asks for.

Half lives, who is asked and how requests are matched are not changed: a suite says what was used
and how many points a session has, and it looks at no people.
"""

from __future__ import annotations

import copy
import datetime
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

from ..core.decisions import Level, Reversibility, Stake
from .catalogue import DEFAULT_TABLES
from .mutate_maker import REMOVED, Maker, Mutant, Path
from .mutate_people import audits, people
from .positions import Document
from .settings import PRESETS, preset


def mutants(document: Document) -> Iterator[Mutant]:
    """Yield the mutants of the policy file *document*, in the order of the file's sections."""
    if not isinstance(document.data, dict):
        return
    maker = _Maker(document)
    yield from maker.matrix()
    yield from maker.tables()
    yield from maker.constants()
    for section, make in (
        ("tools", maker.tool),
        ("rules", maker.rule),
        ("limits", maker.limit),
        ("exceptions", maker.exception),
    ):
        for index, entry in enumerate(document.data.get(section) or ()):
            yield from make((section, index), entry)
    yield from maker.signals()
    yield from maker.defaults()
    yield from people(maker)
    yield from audits(maker)


def mutated(data: Any, mutant: Mutant) -> Any:
    """Return a copy of *data* with the changes of *mutant*."""
    new = copy.deepcopy(data)
    for path, value in mutant.changes:
        *parents, last = path
        inside = new
        for part in parents:
            inside = inside.setdefault(part, {}) if isinstance(inside, dict) else inside[part]
        if value == REMOVED:
            del inside[last]
        else:
            inside[last] = value
    return new


class _Maker(Maker):
    def matrix(self) -> Iterator[Mutant]:
        written = self.data.get("matrix")
        if isinstance(written, Mapping):
            for row in Reversibility:
                yield from self.row(written, row)
        elif written in PRESETS:
            cells = preset(str(written))
            whole = {row.word: [cell.word for cell in cells[row]] for row in Reversibility}
            for row in Reversibility:
                yield from self.row(whole, row, whole)

    def row(
        self, matrix: Mapping[str, Any], row: Reversibility, whole: dict[str, Any] | None = None
    ) -> Iterator[Mutant]:
        words = [level.word for level in Level]
        cells = list(matrix.get(row.word) or ())
        for stake, word in zip(Stake, cells, strict=False):
            for step in (-1, 1):
                index = words.index(word) + step if word in words else -1
                if not 0 <= index < len(words):
                    continue
                path: Path = ("matrix", row.word, int(stake))
                what = f"matrix {row.word} x {stake.word}: {word} -> {words[index]}"
                suggestion = f"add a case that lands on {row.word} x {stake.word}"
                new = [words[index] if at == stake else each for at, each in enumerate(cells)]
                change: tuple[Path, Any] = (("matrix", row.word), new)
                if whole is not None:
                    change = (("matrix",), {**whole, row.word: new})
                made = self.change("matrix", path, words[index], what, suggestion)
                yield replace(made, changes=(change,))

    def tables(self) -> Iterator[Mutant]:
        stakes = [stake.word for stake in Stake]
        for name, table in (self.data.get("stake") or {}).items():
            path: Path = ("stake", name)
            if isinstance(table, Mapping):
                for word in table:
                    yield from self.lower(
                        "class", (*path, word), stakes, name, f"add a case whose {name} is {word}"
                    )
                continue
            for index, band in enumerate(table or ()):
                who = f"band {index + 1} of {name}"
                bound = band.get("upto") if isinstance(band, Mapping) else None
                below = self.at((*path, index - 1, "upto")) if index else 0
                around = f"add a case with {name} above {below}"
                if bound is not None:
                    around = f"add cases with {name} {bound} and just above it"
                yield from self.numbers("band", (*path, index, "upto"), who, around)
                yield from self.lower("band", (*path, index, "stake"), stakes, who, around)

    def constants(self) -> Iterator[Mutant]:
        for name in self.data.get("vars") or ():
            near = f"add cases on both sides of vars.{name}"
            yield from self.numbers("vars", ("vars", name), "vars", near)
            yield from self.items("vars", ("vars", name), "vars", "add a case with {!r}")

    def tool(self, path: Path, entry: Mapping[str, Any]) -> Iterator[Mutant]:
        name = entry.get("id")
        who = f"tool {name}"
        case = f"add a case for {name} that expects its level and "
        yield from self.reversibility(path, entry, who, case + "reversibility")
        yield from self.remove(
            "egress", (*path, "egress"), f"{who}: egress dropped", case + "egress: true"
        )
        for index, taint in enumerate(entry.get("taints") or ()):
            yield self.change(
                "taints",
                (*path, "taints", index),
                REMOVED,
                f"{who}: taint {taint} dropped",
                f"{case}taints: {entry['taints']}",
            )
        target = entry.get("target")
        names = f"[{target if isinstance(target, str) else ', '.join(map(str, target or ()))}]"
        near = f"add a case for {name} with an argument that is not in target: target: {names}"
        yield from self.remove("target", (*path, "target"), f"{who}: target dropped", near)
        yield from self.schema((*path, "args_schema"), who, str(name))
        facets = entry.get("facets") or {}
        for facet, given in facets.items():
            yield from self.facet((*path, "facets", facet), given, who, case, len(facets))

    def schema(self, path: Path, who: str, name: str) -> Iterator[Mutant]:
        """Yield the schema of the arguments without what it requires, all of it at once."""
        required = self.at((*path, "required"))
        if isinstance(required, list) and required:
            what = f"{who}: required arguments {', '.join(map(str, required))} dropped"
            near = f"add a case for {name} without {required[0]}: reason: args_schema_mismatch"
            yield from self.remove("required", (*path, "required"), what, near)

    def reversibility(
        self, path: Path, entry: Mapping[str, Any], who: str, suggestion: str
    ) -> Iterator[Mutant]:
        words = [each.word for each in Reversibility]
        word = entry.get("reversibility", "irreversible")
        if word not in words or word == words[0]:
            return
        less = words[words.index(word) - 1]
        here = (*path, "reversibility")
        more = () if entry.get("undo") else (((*path, "undo"), {"reason": "mutant"}),)
        what = f"{who}: reversibility {word} -> {less}"
        yield self.change("reversibility", here, less, what, suggestion, *more)

    def facet(self, path: Path, given: Any, who: str, case: str, count: int) -> Iterator[Mutant]:
        name = str(path[-1])
        if count > 1:
            what = f"{who}: facet {name} dropped"
            yield self.change("facet", path, REMOVED, what, f"{case}facet: {name}")
        table = (self.data.get("stake") or {}).get(name) or DEFAULT_TABLES.get(name)
        if not isinstance(table, Mapping) or given not in table:
            return
        stakes = [stake.word for stake in Stake]
        below = [each for each in table if stakes.index(table[each]) < stakes.index(table[given])]
        if below:
            less = max(below, key=lambda each: stakes.index(table[each]))
            what = f"{who}: {name} {given} -> {less}"
            yield self.change(
                "facet", path, less, what, f"{case}facet: {name}, stake: {table[given]}"
            )

    def rule(self, path: Path, entry: Mapping[str, Any]) -> Iterator[Mutant]:
        name = entry.get("id")
        who = f"rule {name}"
        fires = f"add a case in which {name} fires and expect "
        yield self.change("rule", path, REMOVED, f"{who}: dropped", f"{fires}rules: [{name}]")
        levels = [level.word for level in Level][1:]
        yield from self.lower("at_least", (*path, "at_least"), levels, who, f"{fires}the level")
        if entry.get("deny"):
            yield self.change(
                "deny",
                (*path, "deny"),
                REMOVED,
                f"{who}: deny -> at_least approve_dual",
                f"{fires}level: deny",
                ((*path, "at_least"), "approve_dual"),
            )
        stakes = [stake.word for stake in Stake]
        yield from self.lower("stake", (*path, "stake"), stakes, who, f"{fires}the stake")
        rows = [row.word for row in Reversibility]
        yield from self.lower("stake", (*path, "reversibility"), rows, who, f"{fires}the level")
        yield from self.condition((*path, "when"), who)
        yield from self.items("tools", (*path, "tools"), who, f"add a case of {{}}: {name}")

    def limit(self, path: Path, entry: Mapping[str, Any]) -> Iterator[Mutant]:
        name = entry.get("id")
        who = f"limit {name}"
        used = f"add a case with facts: {{used: {{{name}: ...}}}} that "
        yield self.change(
            "limit", path, REMOVED, f"{who}: dropped", f"{used}expects limits: [{name}]"
        )
        for key in ("count", "max"):
            near = f"{used}just reaches {self.at((*path, key))}, and one beyond it"
            yield from self.numbers("limit", (*path, key), who, near)
        near = f"expect windows: {{{name}: {entry.get('window')}}} in a case of its tools"
        yield from self.halved("limit", (*path, "window"), who, near)
        levels = [level.word for level in Level][1:]
        yield from self.lower("limit", (*path, "then"), levels, who, f"{used}expects the level")
        yield from self.items("tools", (*path, "tools"), who, f"add a case of {{}}: {name}")

    def exception(self, path: Path, entry: Mapping[str, Any]) -> Iterator[Mutant]:
        name = entry.get("id")
        who = f"exception {name}"
        applies = f"add a case in which {name} applies and expect "
        what = f"{who}: dropped"
        yield self.change("exception", path, REMOVED, what, f"{applies}exceptions: [{name}]")
        levels = [level.word for level in Level]
        yield from self.lower("exception", (*path, "at_most"), levels, who, f"{applies}the level")
        yield from self.condition((*path, "when"), who)
        yield from self.items("tools", (*path, "tools"), who, f"add a case of {{}}: {name}")
        try:
            day = datetime.date.fromisoformat(str(entry.get("expires")))
            later = day + datetime.timedelta(days=30)
        except (ValueError, OverflowError):
            return
        after = f'add a case with now: "{day + datetime.timedelta(days=1)}T00:00:00Z"'
        what = f"{who}: expires {day} -> {later}"
        expiry = (*path, "expires")
        yield self.change(
            "exception", expiry, later.isoformat(), what, f"{after} and exceptions: []"
        )

    def signals(self) -> Iterator[Mutant]:
        signals = self.data.get("signals") or {}
        for name in ("confidence", "novelty", "session_risk"):
            yield from self.remove(
                "signal",
                ("signals", name),
                f"signal {name} dropped",
                f"add a case that expects signals: [{name}]",
            )
        below = (signals.get("confidence") or {}).get("raise_below") or {}
        for stake, number in below.items():
            yield from self.numbers(
                "confidence",
                ("signals", "confidence", "raise_below", stake),
                "confidence",
                f"add cases at {stake} stake with agent.confidence {number:g} and just below it",
            )
        yield from self.numbers(
            "signal",
            ("signals", "confidence", "missing"),
            "confidence",
            "add a case whose agent says no confidence",
        )
        if self.at(("signals", "confidence", "use")) == "calibrated":
            yield self.change(
                "signal",
                ("signals", "confidence", "use"),
                "claimed",
                "confidence: use calibrated -> claimed",
                "add a case with facts.calibrated below the threshold and agent.confidence above",
            )
        steps = (signals.get("session_risk") or {}).get("raise_at") or ()
        for index, step in enumerate(steps):
            here: Path = ("signals", "session_risk", "raise_at", index)
            near = f"add cases with session.points {step.get('points')} and just below it"
            yield from self.numbers("signal", (*here, "points"), "session_risk", near)
            yield from self.steps((*here, "raise"), "session_risk")
        yield from self.steps(("signals", "novelty", "raise"), "novelty")

    def steps(self, path: Path, who: str) -> Iterator[Mutant]:
        number = self.at(path)
        if type(number) is int and number > 1:
            what = f"signal {who}: raise {number} -> {number - 1}"
            yield self.change("signal", path, number - 1, what, f"expect the level that {who} asks")

    def defaults(self) -> Iterator[Mutant]:
        yield from self.lower(
            "unknown_tool",
            ("defaults", "unknown_tool", "level"),
            [level.word for level in Level][1:],
            "defaults.unknown_tool",
            "add a case with a tool that is in no entry and expect reason: unknown_tool",
        )
