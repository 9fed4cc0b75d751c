"""Proposed changes of policy files, as text: one after the other, each with its evidence.

A change is taken into the proposal only where the files still load as one policy and where the
policy that comes out passes what the caller checks (what history says of it). What is not taken
is kept with its reason. Nothing here writes a file.
"""

from __future__ import annotations

import datetime
import difflib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..core.decisions import Level, Stake
from ..core.errors import InvalidDocument
from ..core.rules import PolicySet
from .files import read_file
from .load import policy_files, read_policies
from .positions import Document, load_yaml
from .repeated import Repeated, TooWide, number
from .text_edits import CannotEdit, add_item, set_value

LASTS = datetime.timedelta(days=90)  #: how long a proposed exception holds
_SECTION = ("signals", "confidence")
_RAISE_BELOW = (*_SECTION, "raise_below")
_ALWAYS_FIXED = frozenset({"agent.id", "agent.owner", "tool", "target"})  #: by an exception
_MOST_EXCEPTIONS = 999  #: whose ids are looked for

Files = Mapping[str, Document]
Check = Callable[[PolicySet], str]
"""Answers why a changed policy is not proposed; empty: it may be."""


class NotProposed(ValueError):
    """A change cannot be proposed; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One change that is proposed."""

    title: str
    evidence: tuple[str, ...]
    diff: str  #: unified
    files: tuple[str, ...]


@dataclass(slots=True)
class Proposal:
    """The policy files as they are proposed so far."""

    files: Files
    policy: PolicySet
    changes: list[Change] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)  #: title, why

    def offer(
        self, title: str, evidence: Sequence[str], edit: Callable[[Proposal], Files], check: Check
    ) -> bool:
        """Take the change that *edit* makes, where it loads and *check* has nothing against it."""
        try:
            files = edit(self)
            policy = _loaded(files)
            why = check(policy)
        except (NotProposed, CannotEdit, TooWide) as error:
            why = str(error)
        except InvalidDocument as error:
            why = f"the changed file would not load: {error.problems[0].message}"
        if why:
            self.left_out.append((title, why))
            return False
        touched = tuple(name for name in files if files[name].text != self.files[name].text)
        diff = "".join(_diff(self.files[name], files[name]) for name in touched)
        if not diff:
            self.left_out.append((title, "policy says so already"))
            return False
        change = Change(title=title, evidence=tuple(evidence), diff=diff, files=touched)
        self.changes.append(change)
        self.files, self.policy = files, policy
        return True


def opened(paths: Sequence[Path]) -> Proposal:
    """Read the policy files *paths* (or directories of them) to propose changes of them.

    Raises:
        InvalidDocument: with every problem of every file.
    """
    files = {}
    for file in policy_files(paths):
        files[str(file)] = load_yaml(read_file(file), str(file))
    return Proposal(files=files, policy=_loaded(files))


def _loaded(files: Files) -> PolicySet:
    return read_policies((name, document.text) for name, document in files.items())


def _diff(old: Document, new: Document) -> str:
    lines = difflib.unified_diff(
        old.text.splitlines(keepends=True),
        new.text.splitlines(keepends=True),
        f"a/{old.file.lstrip('/')}",
        f"b/{new.file.lstrip('/')}",
    )
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )


# ---- the changes that there are --------------------------------------------------------------


def threshold(stake: Stake, value: float) -> Callable[[Proposal], Files]:
    """Return what sets the confidence below which calls of *stake* are raised."""

    def edit(proposal: Proposal) -> Files:
        now = proposal.policy.confidence
        if now is None:
            raise NotProposed(
                "policy does not use confidence: write `signals.confidence` with its `raise_below`"
            )
        return _with_thresholds(proposal.files, _rising(now.raise_below, stake, value))

    return edit


def _rising(now: Sequence[float], stake: Stake, value: float) -> tuple[float, ...]:
    """Return the thresholds with that of *stake* as near to *value* as they may be: they rise.

    A lower stake keeps its threshold, since lowering it was not asked for; a higher one follows.
    """
    wanted = list(now)
    wanted[stake] = max([value, *wanted[:stake]])
    for higher in range(stake + 1, len(wanted)):
        wanted[higher] = max(wanted[higher], wanted[stake])
    return tuple(wanted)


def _with_thresholds(files: Files, wanted: Sequence[float]) -> Files:
    """Return *files* in which the strictest of each threshold, which counts, is as *wanted*."""
    new = dict(files)
    saying = [name for name in files if _written(files[name]) is not None]
    heard = [name for name in saying if files[name].data.get("mode") != "shadow"] or saying
    for stake in Stake:
        most = max(float((_written(new[name]) or {})[stake.word]) for name in heard)
        for name in heard:
            said = float((_written(new[name]) or {})[stake.word])
            too_high, is_most = said > wanted[stake], said == most < wanted[stake]
            if too_high or is_most:
                path = (*_RAISE_BELOW, stake.word)
                new[name] = set_value(new[name], path, wanted[stake])
    return new


def _written(document: Document) -> Mapping[str, Any] | None:
    value = document.data
    for part in _RAISE_BELOW:
        value = value.get(part) if isinstance(value, dict) else None
    return value if isinstance(value, dict) else None


def shadowed(rule: str) -> Callable[[Proposal], Files]:
    """Return what puts a rule in shadow mode: it is judged and counted, and holds nothing.

    Taking it out would be one step more, which nobody could watch.
    """

    def edit(proposal: Proposal) -> Files:
        name, index = _entry(proposal.files, "rules", rule)
        document = proposal.files[name]
        if document.data["rules"][index].get("deny") is not None:
            raise NotProposed("it denies: no person has judged what it stopped")
        changed = set_value(document, ("rules", index, "mode"), "shadow", "id")
        return {**proposal.files, name: changed}

    return edit


def excepted(
    group: Repeated, owner: str, reason: str, today: datetime.date
) -> Callable[[Proposal], Files]:
    """Return what adds an exception for exactly the calls of *group*: to notify, for 90 days.

    *owner*: who answers for it; a proposal does not make one up.
    """

    def edit(proposal: Proposal) -> Files:
        tool = proposal.policy.tools.get(group.tool)
        if tool is None:
            raise NotProposed("policy has no such tool")
        if not owner.strip():
            raise NotProposed("an exception needs somebody who answers for it: give --owner NAME")
        name, _ = _entry(proposal.files, "tools", group.tool)
        item = {
            "id": _free_id(proposal.policy, group.tool),
            "tools": [group.tool],
            "when": group.condition(*_unwarned(proposal.policy, group)),
            "at_most": Level.NOTIFY.word,
            "owner": owner.strip(),
            "reason": reason[:2000],
            "expires": (today + LASTS).isoformat(),
        }
        return {**proposal.files, name: add_item(proposal.files[name], "exceptions", item)}

    return edit


def _unwarned(policy: PolicySet, group: Repeated) -> Iterator[str]:
    """Yield conditions under which no signal would have raised a call of *group*.

    An exception lowers what signals raised, so it must not apply where they warn.

    Raises:
        NotProposed: novelty looks at more than the exception says.
    """
    if policy.novelty is not None:
        fixed = _ALWAYS_FIXED.union(f"args.{name}" for name in group.fixed)
        other = [each for each in policy.novelty.key if each not in fixed]
        if other:
            raise NotProposed(
                f"`signals.novelty` looks at {', '.join(other)}, which is another one in each call:"
                " an exception would let new ones through"
            )
    if policy.session_risk is not None and policy.session_risk.raise_at:
        yield f"session.points < {number(policy.session_risk.raise_at[0][0])}"


def _entry(files: Files, section: str, wanted: str) -> tuple[str, int]:
    for name, document in files.items():
        listed = document.data.get(section) or []
        for index, entry in enumerate(listed):
            if isinstance(entry, dict) and entry.get("id") == wanted:
                return name, index
    raise NotProposed(f"no policy file has it under `{section}`")


def _free_id(policy: PolicySet, tool: str) -> str:
    taken = {each.id for each in policy.exceptions} | {each.id for each in policy.rules}
    taken |= {each.id for each in policy.limits}
    base = f"seen-{tool}"[:90]
    names = (f"{base}-{number}" for number in range(1, _MOST_EXCEPTIONS))
    return next((name for name in names if name not in taken), f"{base}-x")
