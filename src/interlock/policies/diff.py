"""Two policies on the same calls: where the new one asks for less, for more, for other reasons."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ..core.decisions import Decision, Level
from ..core.rules import PolicySet
from .corpus import CorpusEntry, Recorded
from .suite import moment
from .suite_calls import BadCall, make_call, setting
from .suite_facts import judged, past

LOOSER, STRICTER, REASON, SAME = "looser", "stricter", "reason", "same"
_HELD = (Level.APPROVE, Level.APPROVE_DUAL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One call on which two policies differ."""

    kind: str  #: looser | stricter | reason
    tool: str
    entry: CorpusEntry
    place: str
    before: Decision
    after: Decision
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """What two policies say about the same calls."""

    counts: Counter[str]
    tools: dict[str, Counter[str]]
    changes: tuple[Change, ...]  #: the first of each kind per tool; no two with the same story
    only_old: tuple[str, ...]
    only_new: tuple[str, ...]
    unusable: tuple[str, ...]  #: recorded calls that can be made under neither policy
    fewer: frozenset[str] = frozenset()  #: rules and exceptions that some call does not meet now
    more: frozenset[str] = frozenset()  #: rules and exceptions that some call only meets now

    @property
    def looser(self) -> bool:
        """Whether the new policy asks for less in a call that was compared."""
        return self.counts[LOOSER] > 0


def compare(
    old: PolicySet, new: PolicySet, calls: Iterable[Recorded], examples: int = 3
) -> Difference:
    """Judge *calls* by both policies; keep *examples* of each kind per tool."""
    counts: Counter[str] = Counter()
    tools: dict[str, Counter[str]] = {}
    kept: dict[tuple[str, str], list[Change]] = {}
    stories: set[tuple[str, ...]] = set()
    unusable: list[str] = []
    fewer: set[str] = set()
    more: set[str] = set()
    for recorded in calls:
        try:
            before, after = _both(old, new, recorded)
        except BadCall as error:
            unusable.append(f"{recorded.place}: {error}")
            continue
        kind, why = _judged(before, after)
        fewer |= _met(before) - _met(after)
        more |= _met(after) - _met(before)
        tool = before.tool or after.tool or "(unknown)"
        counts[kind] += 1
        tools.setdefault(tool, Counter())[kind] += 1
        story = (kind, tool, before.level.word, after.level.word, why)
        if kind == SAME or story in stories or len(kept.get((kind, tool), ())) >= examples:
            continue
        stories.add(story)
        kept.setdefault((kind, tool), []).append(
            Change(
                kind=kind,
                tool=tool,
                entry=recorded.entry,
                place=recorded.place,
                before=before,
                after=after,
                why=why,
            )
        )
    order = (LOOSER, STRICTER, REASON)
    changes = [
        each for kind in order for key, many in kept.items() for each in many if key[0] == kind
    ]
    return Difference(
        counts=counts,
        tools=tools,
        changes=tuple(changes),
        only_old=tuple(sorted(set(old.tools) - set(new.tools))),
        only_new=tuple(sorted(set(new.tools) - set(old.tools))),
        unusable=tuple(unusable),
        fewer=frozenset(fewer),
        more=frozenset(more),
    )


def _met(decision: Decision) -> set[str]:
    return {*(hit.id for hit in decision.rules), *decision.exceptions}


def _both(old: PolicySet, new: PolicySet, recorded: Recorded) -> tuple[Decision, Decision]:
    """Judge the very same call by both: it is written as the one wrote it that knows its tool."""
    entry = recorded.entry
    if entry.call.tool is not None and not {entry.call.tool} & {*old.tools, *new.tools}:
        raise BadCall(f"neither policy has a tool {entry.call.tool!r}")
    writer = old if entry.call.tool is None or entry.call.tool in old.tools else new
    task = {} if entry.task is None else {"task": entry.task}
    changes = setting(task)
    call = make_call(entry.call, entry.agent, changes, writer)
    at = moment(entry.at)
    decisions = []
    for policy in (old, new):
        known = {limit.id for limit in policy.limits}
        used = {name: amount for name, amount in entry.facts.used.items() if name in known}
        facts = past(entry.facts.model_copy(update={"used": used}), changes, policy)
        decisions.append(judged(call, policy, facts, at))
    return decisions[0], decisions[1]


def _judged(before: Decision, after: Decision) -> tuple[str, str]:
    one, other = _strength(before), _strength(after)
    why = "; ".join(_reasons(before, after))
    if one != other:
        return (LOOSER if other < one else STRICTER), why
    return (REASON, why) if why else (SAME, "")


def _strength(decision: Decision) -> tuple[int, int]:
    return int(decision.level), decision.quorum if decision.level in _HELD else 0


def _reasons(before: Decision, after: Decision) -> Iterator[str]:
    rules = {hit.id for hit in before.rules}, {hit.id for hit in after.rules}
    lists = (
        ("rule", *rules),
        ("limit", set(before.limits), set(after.limits)),
        ("signal", set(before.signals), set(after.signals)),
        ("exception", set(before.exceptions), set(after.exceptions)),
    )
    for kind, one, other in lists:
        for name in sorted(one - other):
            yield f"{kind} {name} no longer"
        for name in sorted(other - one):
            yield f"{kind} {name} now"
    for field in ("stake", "reversibility"):
        was, now = getattr(before, field), getattr(after, field)
        if was is not now:
            yield f"{field} {was.word} -> {now.word}"
    for field in ("tool", "reason", "approvers", "quorum", "grants"):
        was, now = getattr(before, field), getattr(after, field)
        people = field in ("approvers", "quorum")  # they belong to a level
        if was != now and (not people or before.level is after.level and after.level in _HELD):
            yield f"{field} {_shown(was)} -> {_shown(now)}"


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "anybody"
    return str(value).lower() if isinstance(value, bool) else str(value or "none")
