"""Policy files, compiled together into one `PolicySet`, with every problem reported at once."""

from __future__ import annotations

import datetime
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from ..core import matching
from ..core.decisions import Level, Reversibility, Stake
from ..core.errors import InvalidDocument, Problem
from ..core.patterns import HttpMatch
from ..core.rules import Exception_, PolicySet, Rule, Tool
from . import attention, learning, lint, safeguards, settings, signals
from .catalogue import Entry, compile_tools
from .document import ExceptionEntry, RuleEntry
from .expressions import asks
from .limits import Limited, compile_limits
from .problems import Source
from .selection import Path, Selection, arguments_of
from .undoing import check_undo


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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Judged:
    """A rule or an exception, the tools that it is for, and what it must know of the past."""

    rule: Rule | None = None
    exception: Exception_ | None = None
    tools: frozenset[str]
    everything: bool = False  #: unknown tools too
    asks: frozenset[str]


class _Compiler:
    def __init__(self, sources: Sequence[Source], today: datetime.date | None) -> None:
        self.sources = sources
        self.today = today
        self.entries: dict[str, Entry] = {}

    def compile(self) -> PolicySet | None:
        self._collect_tools()
        known = (tool.id for source in self.sources for tool in source.model.tools)
        check_undo(self.entries, frozenset(known))
        self._check_ids()
        catalogue = self._catalogue()
        self.selection = Selection(self.sources, self.entries)
        rules = [each for source in self.sources for each in self._rules(source)]
        exceptions = [each for source in self.sources for each in self._exceptions(source)]
        limits = [
            each for source in self.sources for each in compile_limits(source, self.selection)
        ]
        state = signals.session(self.sources)
        policy = PolicySet(
            ref=settings.reference(self.sources),
            matrix=settings.matrix(self.sources),
            tools=self._tools(rules, exceptions, limits),
            catalogue=catalogue,
            rules=tuple(each.rule for each in rules if each.rule),
            exceptions=tuple(each.exception for each in exceptions if each.exception),
            limits=tuple(each.limit for each in limits),
            unknown_rules=tuple(each.rule for each in rules if each.rule and each.everything),
            unknown_limits=tuple(each.limit for each in limits if each.everything),
            unknown_asks=_asked(each for each in rules if each.everything)
            | _asked(each for each in limits if each.everything),
            confidence=signals.confidence(self.sources),
            novelty=signals.novelty(self.sources, self.selection),
            session_risk=signals.session_risk(self.sources),
            session_scope=state.scope,
            session_memory_ms=state.memory_ms,
            levels=settings.levels(self.sources),
            unknown_tool=settings.unknown_tool(self.sources),
            shadow=settings.shadow(self.sources),
            caps=safeguards.caps(self.sources),
            repeat_denied=safeguards.repeat_denied(self.sources),
            redact=safeguards.redact(self.sources, self.selection),
            attention=attention.attention(self.sources),
            audit=learning.audit(self.sources, self.selection),
            records=learning.retention(self.sources),
        )
        if not any(source.problems for source in self.sources):
            lint.check(self.sources, policy, self.selection)
        return None if any(source.problems for source in self.sources) else policy

    def _tools(
        self,
        rules: Sequence[_Judged],
        exceptions: Sequence[_Judged],
        limits: Sequence[Limited],
    ) -> dict[str, Tool]:
        grants = safeguards.grants(self.sources, self.selection)
        musts = {
            name: must
            for source in self.sources
            for name, must in safeguards.musts(source, self.entries).items()
        }
        tools = {}
        for name, entry in self.entries.items():
            mine = [each for each in [*rules, *exceptions] if name in each.tools]
            counted = [each for each in limits if name in each.tools]
            tools[name] = replace(
                entry.tool,
                rules=tuple(each.rule for each in mine if each.rule),
                exceptions=tuple(each.exception for each in mine if each.exception),
                limits=tuple(each.limit for each in counted),
                must=musts.get(name, ()),
                grants=grants.get(name),
                asks=entry.asks | _asked(mine) | _asked(counted),
            )
        return tools

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

    def _catalogue(self) -> matching.Catalogue:
        catalogue, clashes = matching.build(
            {name: entry.tool.match for name, entry in self.entries.items()}
        )
        for clash in clashes:
            self._refuse_clash(clash)
        return catalogue

    def _refuse_clash(self, clash: matching.Clash) -> None:
        first, second = self.entries[clash.first], self.entries[clash.second]
        kind = "http" if isinstance(second.tool.match, HttpMatch) else "mcp"
        second.source.refuse(
            (*second.path, kind),
            f"{clash.second} and {clash.first} ({first.source.place((*first.path, kind))}) can "
            "match the same call and neither is more specific: narrow one of them",
        )

    # -- rules and exceptions ---------------------------------------------------------------

    def _check_ids(self) -> None:
        first: dict[str, str] = {}
        for source in self.sources:
            sections = (
                ("rules", [rule.id for rule in source.model.rules]),
                ("limits", [limit.id for limit in source.model.limits]),
                ("exceptions", [each.id for each in source.model.exceptions]),
            )
            for section, ids in sections:
                for index, name in enumerate(ids):
                    path = (section, index, "id")
                    if name in first:
                        source.refuse(path, f"id {name!r} is already at {first[name]}")
                    first.setdefault(name, source.place(path))

    def _rules(self, source: Source) -> Iterator[_Judged]:
        for index, entry in enumerate(source.model.rules):
            path: Path = ("rules", index)
            names = self.selection.named(source, path, entry.tools)
            effect = _effect(entry)
            if not effect:
                source.refuse(
                    path,
                    f"rule {entry.id!r} does nothing: add at_least, stake, reversibility, deny",
                )
            when = None
            if entry.when is not None:
                when = source.condition((*path, "when"), entry.when, self.selection.shape(names))
            rule = Rule(
                id=entry.id,
                description=entry.description,
                when=when,
                at_least=Level[(entry.at_least or "allow").upper()],
                stake=Stake[(entry.stake or "low").upper()],
                reversibility=Reversibility[(entry.reversibility or "read_only").upper()],
                deny=entry.deny,
                effect=effect,
                shadow=entry.mode == "shadow" or source.shadow,
            )
            yield _Judged(
                rule=rule,
                tools=names,
                everything="*" in entry.tools,
                asks=asks(entry.when) if when is not None and entry.when else frozenset(),
            )

    def _exceptions(self, source: Source) -> Iterator[_Judged]:
        floor = settings.exception_floor(self.sources)
        for index, entry in enumerate(source.model.exceptions):
            path: Path = ("exceptions", index)
            names = self.selection.named(source, path, entry.tools)
            when = source.condition((*path, "when"), entry.when, self.selection.shape(names))
            at_most = Level[entry.at_most.upper()]
            if at_most < floor:
                source.refuse(
                    (*path, "at_most"), f"the floor of exceptions is {floor.word} (defaults)"
                )
            expires = self._expiry(entry, source, path)
            if when is None or expires is None:
                continue
            if not arguments_of(entry.when):
                source.refuse(
                    (*path, "when"), "an exception is narrow: make it depend on args as well"
                )
            yield _Judged(
                exception=Exception_(
                    id=entry.id,
                    when=when,
                    at_most=at_most,
                    owner=entry.owner,
                    reason=entry.reason,
                    expires=expires,
                    shadow=entry.mode == "shadow" or source.shadow,
                ),
                tools=names,
                asks=asks(entry.when),
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


def _asked(judged: Iterable[_Judged | Limited]) -> frozenset[str]:
    return frozenset().union(*(each.asks for each in judged))
