"""Policy files, compiled together into one `PolicySet`, with every problem reported at once."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from ..core import matching
from ..core.decisions import Level, Reversibility, Stake
from ..core.errors import InvalidDocument, Problem
from ..core.patterns import Pattern
from ..core.rules import Exception_, PolicySet, Rule
from . import settings
from .catalogue import Entry, compile_tools
from .document import ExceptionEntry, RuleEntry
from .expression_syntax import Name, Node, parse
from .expression_types import ANY, Shape, merged
from .positions import suggestion
from .problems import Source

Path = tuple[str | int, ...]


def compile_set(sources: Sequence[Source], today: datetime.date | None = None) -> PolicySet:
    """Compile *sources* into one policy; their order does not matter.

    With *today*, exceptions that have ended are problems too.

    Raises:
        InvalidDocument: with every problem of every file.
    """
    ordered = sorted(sources, key=lambda source: (source.name, source.raw))
    compiler = _Compiler(ordered, today)
    policy = compiler.compile()
    problems = [problem for source in ordered for problem in source.problems]
    if policy is None or problems:
        unique = dict.fromkeys(sorted(problems, key=_place))
        raise InvalidDocument(tuple(unique))
    return policy


def _place(problem: Problem) -> tuple[str, int, int]:
    return problem.file, problem.line, problem.column


class _Compiler:
    def __init__(self, sources: Sequence[Source], today: datetime.date | None) -> None:
        self.sources = sources
        self.today = today
        self.entries: dict[str, Entry] = {}

    def compile(self) -> PolicySet | None:
        self._collect_tools()
        self._check_undo()
        self._check_ids()
        catalogue, clashes = matching.build(
            {name: entry.tool.match for name, entry in self.entries.items()}
        )
        for clash in clashes:
            self._refuse_clash(clash)
        rules = [each for source in self.sources for each in self._rules(source)]
        exceptions = [each for source in self.sources for each in self._exceptions(source)]
        tools = {
            name: replace(
                entry.tool,
                rules=tuple(rule for rule, names, _ in rules if name in names),
                exceptions=tuple(each for each, names in exceptions if name in names),
            )
            for name, entry in self.entries.items()
        }
        policy = PolicySet(
            ref=settings.reference(self.sources),
            matrix=settings.matrix(self.sources),
            tools=tools,
            catalogue=catalogue,
            rules=tuple(rule for rule, _, _ in rules),
            exceptions=tuple(each for each, _ in exceptions),
            unknown_rules=tuple(rule for rule, _, everything in rules if everything),
            confidence=settings.confidence(self.sources),
            levels=settings.levels(self.sources),
            unknown_tool=settings.unknown_tool(self.sources),
            shadow=settings.shadow(self.sources),
        )
        return None if any(source.problems for source in self.sources) else policy

    # -- tools ------------------------------------------------------------------------------

    def _collect_tools(self) -> None:
        for source in self.sources:
            for entry in compile_tools(source):
                first = self.entries.setdefault(entry.tool.id, entry)
                if first is not entry:
                    source.refuse(
                        (*entry.path, "id"),
                        f"tool {entry.tool.id!r} is already at {first.source.place(first.path)}",
                    )

    def _check_undo(self) -> None:
        known = {tool.id for source in self.sources for tool in source.model.tools}
        for entry in self.entries.values():
            undo = entry.tool.undo
            if undo and undo.tool and undo.tool not in known:
                entry.source.refuse(
                    (*entry.path, "undo", "tool"),
                    f"no tool {undo.tool!r}{suggestion(undo.tool, known)}",
                )

    def _refuse_clash(self, clash: matching.Clash) -> None:
        first, second = self.entries[clash.first], self.entries[clash.second]
        second.source.refuse(
            (*second.path, "http"),
            f"{clash.second} and {clash.first} ({first.source.place((*first.path, 'http'))}) can "
            "match the same call and neither is more specific: narrow one of them",
        )

    # -- rules and exceptions ---------------------------------------------------------------

    def _check_ids(self) -> None:
        first: dict[str, str] = {}
        for source in self.sources:
            sections = (
                ("rules", [rule.id for rule in source.model.rules]),
                ("exceptions", [each.id for each in source.model.exceptions]),
            )
            for section, ids in sections:
                for index, name in enumerate(ids):
                    path = (section, index, "id")
                    if name in first:
                        source.refuse(path, f"id {name!r} is already at {first[name]}")
                    first.setdefault(name, source.place(path))

    def _selected(self, source: Source, path: Path, patterns: tuple[str, ...]) -> set[str]:
        """Return the tools that *patterns* name; each pattern must name one."""
        written = {tool.id for each in self.sources for tool in each.model.tools}
        selected: set[str] = set()
        for index, text in enumerate(patterns):
            pattern = Pattern(text)
            if text != "*" and not any(pattern.matches(name) for name in written):
                source.refuse(
                    (*path, "tools", index), f"{text!r} names no tool{suggestion(text, written)}"
                )
            selected |= {name for name in self.entries if pattern.matches(name)}
        return selected

    def _shape(self, names: set[str]) -> Shape:
        if any(source.problems for source in self.sources):
            return ANY  # a broken tool's arguments are unknown: do not report names in vain
        return merged(self.entries[name].shape for name in sorted(names))

    def _rules(self, source: Source) -> Iterator[tuple[Rule, set[str], bool]]:
        for index, entry in enumerate(source.model.rules):
            path: Path = ("rules", index)
            names = self._selected(source, path, entry.tools)
            effect = _effect(entry)
            if not effect:
                source.refuse(
                    path,
                    f"rule {entry.id!r} does nothing: add at_least, stake, reversibility, deny",
                )
            when = None
            if entry.when is not None:
                when = source.condition((*path, "when"), entry.when, self._shape(names))
            rule = Rule(
                id=entry.id,
                description=entry.description,
                when=when,
                at_least=Level[(entry.at_least or "allow").upper()],
                stake=Stake[(entry.stake or "low").upper()],
                reversibility=Reversibility[(entry.reversibility or "read_only").upper()],
                deny=entry.deny,
                effect=effect,
                shadow=entry.mode == "shadow",
            )
            yield rule, names, "*" in entry.tools

    def _exceptions(self, source: Source) -> Iterator[tuple[Exception_, set[str]]]:
        floor = settings.exception_floor(self.sources)
        for index, entry in enumerate(source.model.exceptions):
            path: Path = ("exceptions", index)
            names = self._selected(source, path, entry.tools)
            when = source.condition((*path, "when"), entry.when, self._shape(names))
            at_most = Level[entry.at_most.upper()]
            if at_most < floor:
                source.refuse(
                    (*path, "at_most"), f"the floor of exceptions is {floor.word} (defaults)"
                )
            expires = self._expiry(entry, source, path)
            if when is None or expires is None:
                continue
            if not _mentions(parse(entry.when), "args"):
                source.refuse(
                    (*path, "when"), "an exception is narrow: make it depend on args as well"
                )
            yield (
                Exception_(
                    id=entry.id,
                    when=when,
                    at_most=at_most,
                    owner=entry.owner,
                    reason=entry.reason,
                    expires=expires,
                    shadow=entry.mode == "shadow",
                ),
                names,
            )

    def _expiry(self, entry: ExceptionEntry, source: Source, path: Path) -> datetime.date | None:
        try:
            expires = datetime.date.fromisoformat(entry.expires)
        except ValueError:
            source.refuse((*path, "expires"), f"{entry.expires} is not a day of the calendar")
            return None
        if self.today is not None and expires < self.today:
            source.refuse((*path, "expires"), f"ended on {expires}: renew it or take it out")
        return expires


def _effect(entry: RuleEntry) -> str:
    parts: Mapping[str, str | None] = {
        "at least": entry.at_least,
        "stake": entry.stake,
        "reversibility": entry.reversibility,
    }
    words = [f"{name} {value}" for name, value in parts.items() if value]
    return ", ".join([*words, *(["deny"] if entry.deny else [])])


def _mentions(node: object, name: str) -> bool:
    if isinstance(node, Name):
        return node.name == name
    if isinstance(node, tuple):
        return any(_mentions(each, name) for each in node)
    if isinstance(node, Node):
        slots = (slot for kind in type(node).__mro__ for slot in getattr(kind, "__slots__", ()))
        return any(_mentions(getattr(node, slot), name) for slot in slots)
    return False
