"""From what decided calls speak for to a proposal: each finding as a change, where it may be one.

What a finding rests on is computed in `core.tuning`; here each change is made, and judged once
more on the same records: one that would let more through than the target allows is left out.
"""

from __future__ import annotations

import datetime
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from ..core.decisions import Level, Stake
from ..core.errors import InvalidDocument
from ..core.numbers import number_of
from ..core.records import DecidedCall, target_of
from ..core.rules import PolicySet
from ..core.tuning import Findings, Settings, Threshold, UselessRule, WorthGranting, tune
from .proposing import Check, Files, NotProposed, Proposal, excepted, shadowed, threshold
from .proposing_evidence import Bounds, Freed, Passing, Records, freed, from_then, judged_since
from .repeated import Repeated
from .replaying import BadCall, replayed
from .replaying_sums import went_wrong
from .text_edits import CannotEdit

MOST_GRANTS = 20
MOST_BAD = 0.3  #: of the calls of one group: where more may be bad, too few were seen (10 say 26 %)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is asked for. `owner` answers for exceptions; `today` is when they are proposed."""

    settings: Settings
    owner: str
    today: datetime.date


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """What a person may do without a change of the policy."""

    title: str
    evidence: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The proposal, what it rests on, and what there is to say beside."""

    proposal: Proposal
    findings: Findings
    advice: tuple[Advice, ...]
    settings: Settings
    bounds: Bounds
    spent: float = 0.0  #: what all changes newly let through at most, of all calls
    since: int = 0  #: ms; what ended before is left out, since unreviewed calls are forgotten


def tuned(proposal: Proposal, history: Records, stopped: Records, asked: Asked) -> Outcome:
    """Put into *proposal* what *history* speaks for.

    *stopped*: of the same calls those that were held or denied; they are read for each change.
    """
    settings = _heard(proposal.policy, asked.settings)
    settings = replace(settings, frees=_frees(proposal))
    since = judged_since(history, proposal.policy.records.unreviewed_ms)
    passing = Passing()
    findings = tune(_counted(from_then(history, since), passing), settings)
    if since:
        findings = replace(findings, notes=(*findings.notes, _cut(since)))
    groups = findings.grants[:MOST_GRANTS]
    thresholds = [each for each in findings.thresholds if each.changes]
    bounds = Bounds(
        calls=passing.calls,
        target=settings.target,
        confidence=settings.confidence,
        caught=settings.caught,
        present=passing.at_most((1 + settings.confidence) / 2),
        looks=max(1, len(thresholds) + len(findings.rules) + len(groups)),
    )
    offering = _Offering(proposal, from_then(stopped, since), bounds, asked, passing)
    # Stricter ones come last: what others let through is counted as if nobody took those.
    stricter = [each for each in thresholds if each.added]
    for stake in findings.thresholds:
        if stake not in stricter:
            offering.threshold(stake)
    for rule in findings.rules:
        offering.rule(rule)
    advice = tuple(offering.grants(groups))
    for stake in stricter:
        offering.threshold(stake)
    return Outcome(
        proposal=proposal,
        findings=findings,
        advice=advice,
        settings=settings,
        bounds=bounds,
        spent=offering.spent,
        since=since,
    )


def _counted(history: Records, passing: Passing) -> Iterator[DecidedCall]:
    for record in history():
        passing.add(record)
        yield record


def _cut(since: int) -> str:
    day = datetime.datetime.fromtimestamp(since / 1000, datetime.UTC).date()
    return (
        f"What ended before {day} is left out: calls that nobody looked at are kept for a shorter"
        " time (`records.keep_unreviewed`), and what is forgotten would count as right."
    )


def _heard(policy: PolicySet, settings: Settings) -> Settings:
    """Return *settings* with how the policy reads confidence."""
    signal = policy.confidence
    if signal is None:
        return settings
    current = {stake.word: signal.raise_below[stake] for stake in Stake}
    return replace(settings, missing=signal.missing, use=signal.use, current=current)


def _frees(proposal: Proposal) -> Callable[[DecidedCall, str], bool]:
    """Return what says whether a call that policy holds goes out once a rule is in shadow mode.

    A call is judged again, since a record does not tell what the matrix would have said.
    """
    now, without = proposal.policy, dict[str, PolicySet | None]()

    def frees(record: DecidedCall, rule: str) -> bool:
        if rule not in without:
            without[rule] = _without(proposal, rule)
        other = without[rule]
        if other is None:
            return False
        try:
            return replayed(record, now).held_after and not replayed(record, other).stopped_after
        except BadCall:
            return False

    return frees


def _without(proposal: Proposal, rule: str) -> PolicySet | None:
    trial = Proposal(files=proposal.files, policy=proposal.policy)
    try:
        taken = trial.offer(rule, (), shadowed(rule), lambda policy: "")
    except (NotProposed, CannotEdit, InvalidDocument):
        return None
    return trial.policy if taken else None


class _Offering:
    """Makes each finding a change of the proposal, or says why it is none."""

    def __init__(
        self,
        proposal: Proposal,
        stopped: Records,
        bounds: Bounds,
        asked: Asked,
        passing: Passing,
    ) -> None:
        self._proposal = proposal
        self._tools = passing.tools
        self.spent = 0.0  #: of the target, by the changes so far
        self._stopped = stopped
        self._bounds = bounds
        self._asked = asked
        self._found = Freed()

    def threshold(self, found: Threshold) -> None:
        name = f"signals.confidence.raise_below.{found.stake}"
        if found.proposed is None:
            self._proposal.left_out.append((name, " ".join(found.notes) or "too little data"))
            return
        if not found.changes:
            return
        was = "none" if found.current is None else f"{found.current:g}"
        title = f"{name}: {was} -> {found.proposed:g}"
        edit = threshold(_stake(found.stake), found.proposed)
        self._offer(title, _of_threshold(found), edit, looser=not found.added)

    def rule(self, found: UselessRule) -> None:
        title = f"rule {found.rule}: to shadow mode"
        self._offer(title, _of_rule(found), shadowed(found.rule))

    def grants(self, found: tuple[WorthGranting, ...]) -> Iterator[Advice]:
        groups = self._groups(found)
        for each, group in zip(found, groups, strict=True):
            most = _most_bad(each, self._bounds)
            if most > MOST_BAD:
                why = f"up to {most:.2%} of such calls may be bad: too few are known to be right"
                self._proposal.left_out.append((_title(each), why))
                continue
            tool = self._proposal.policy.tools.get(each.tool)
            if tool is not None and tool.grants is not None:
                yield Advice(title=_granted(each), evidence=tuple(_of_group(each, self._bounds)))
                continue
            title = _title(each)
            reason = (
                f"People approved all {each.approved} such calls of"
                f" {number_of(each.days, 'day')} as they were."
                f" Look at {', '.join(group.calls.ids)}."
            )
            edit = excepted(group.calls, self._asked.owner, reason, self._asked.today)
            if group.dual:
                why = "two people are asked about some of these calls: nobody spares both at once"
                self._proposal.left_out.append((title, why))
                continue
            self._offer(title, _of_group(each, self._bounds), edit, group)

    def _groups(self, found: tuple[WorthGranting, ...]) -> list[_Group]:
        groups = [_Group(each) for each in found]
        by = {(each.agent, each.tool, _key(each.target)): group
              for each, group in zip(found, groups, strict=True)}  # fmt: skip
        for record in self._stopped() if by else ():
            group = by.get((record.agent, record.tool, _key(target_of(record))))
            if group is not None:
                group.add(record)
        return groups

    def _offer(
        self,
        title: str,
        evidence: Iterator[str],
        edit: Callable[[Proposal], Files],
        group: _Group | None = None,
        *,
        looser: bool = True,
    ) -> None:
        said = list(evidence)
        taken = self._proposal.offer(title, said, edit, self._check(group, looser))
        if taken:
            change = self._proposal.changes[-1]
            self.spent += self._bounds.share(self._found)
            self._proposal.changes[-1] = replace(
                change, evidence=(*change.evidence, *self._replayed())
            )

    def _check(self, group: _Group | None, looser: bool) -> Check:
        """Return what holds a changed policy against history, beside all changes so far."""
        before = self._proposal.policy
        about = None if group is None else frozenset(group.ids)

        def check(policy: PolicySet) -> str:
            found = self._found = freed(self._stopped, before, policy, about)
            if looser and not found.calls:
                return "no recorded call would go out that is held without it"
            if group is None:
                return self._bounds.why_not(found, self.spent)
            if found.bad:
                return f"{found.bad} of the calls that it would let through were bad"
            return self._bounds.why_not(found, self.spent, self._tools[group.calls.tool])

        return check

    def _replayed(self) -> Iterator[str]:
        found, bounds = self._found, self._bounds
        yield (
            f"replayed: {number_of(found.calls, 'call')} would go out unreviewed,"
            f" {found.right} of them were right, {found.bad} bad; newly let through and wrong at"
            f" most {bounds.share(found):.2%}"
        )
        yield f"with the changes before it {total(bounds, self.spent)}"


class _Group:
    """The calls of one finding, and whether two people were asked about some."""

    def __init__(self, found: WorthGranting) -> None:
        self.calls = Repeated(agent=found.agent, tool=found.tool, target=found.target)
        self.ids: set[str] = set()
        self.dual = False

    def add(self, record: DecidedCall) -> None:
        if went_wrong(record):
            return
        self.ids.add(record.id)
        self.dual |= record.level == Level.APPROVE_DUAL.word
        if record.held and record.verdict == "approve" and not record.masked:
            self.calls.add(record.id, record.arguments, record.confidence)


def total(bounds: Bounds, spent: float) -> str:
    """Return how much of the target is spent by what goes through already and by all changes."""
    return (
        f"wrong and unreviewed at most {bounds.present + spent:.2%} of {bounds.calls} calls:"
        f" {bounds.present:.2%} go through already, {spent:.2%} newly (target {bounds.target:.2%},"
        f" confidence {bounds.confidence:.0%} for all together)"
    )


def _stake(word: str) -> Stake:
    return Stake[word.upper()]


def _key(target: object) -> str:
    return json.dumps(target, sort_keys=True, default=dict)


def _target(found: WorthGranting) -> str:
    return ", ".join(f"{name}={value}" for name, value in list(found.target.items())[:3])[:120]


def _title(found: WorthGranting) -> str:
    return f"exception for {found.agent} and {found.tool} ({_target(found)})"


def _most_bad(found: WorthGranting, bounds: Bounds) -> float:
    return bounds.caught.share_at_most(0, found.approved, bounds.confidence)


def _granted(found: WorthGranting) -> str:
    last = found.examples[-1] if found.examples else "ID"
    return (
        f"grant {found.tool} of {found.agent} ({_target(found)}) with its next approval: on the"
        f" page, or `interlock approve ID --grant 7d`; the latest was {last}"
    )


def _of_threshold(found: Threshold) -> Iterator[str]:
    yield (
        f"wrong and unreviewed at most {found.bound:.2%} of {found.calls} calls of {found.stake}"
        " stake that a threshold decides: sent, or decided by people"
        f" (target {found.target:.2%}, confidence {found.confidence:.0%}; {found.method})"
    )
    yield (
        f"estimate {found.estimate:.2%}; {found.reviewed} of them were reviewed,"
        f" {found.audited} audited"
    )
    yield (
        f"{found.saved} holds would not have been ({found.saved_ms / 60_000:.0f} min of looking),"
        f" {found.added} would have been beside; such as {', '.join(found.examples) or 'none'}"
    )
    yield from found.notes


def _of_rule(found: UselessRule) -> Iterator[str]:
    yield (
        f"it alone held {number_of(found.held, 'call')}; of {found.decided} that people decided"
        f" they changed or refused {found.changed}: at most {found.bound:.2%} (below"
        f" {found.floor:.2%}, confidence {found.confidence:.0%}; {found.method})"
    )
    yield (
        f"{found.saved} holds would not have been ({found.saved_ms / 60_000:.0f} min of looking);"
        f" such as {', '.join(found.examples)}"
    )
    yield "shadow mode counts on: take it out once its counts say so"


def _of_group(found: WorthGranting, bounds: Bounds) -> Iterator[str]:
    most = _most_bad(found, bounds)
    approvals = number_of(found.approved, "approval as it was", "approvals as they were")
    yield (
        f"{approvals} by {number_of(found.people, 'person', 'people')}, none refused, in"
        f" {number_of(found.days, 'day')}: at most {most:.2%} of such calls are bad (confidence"
        f" {bounds.confidence:.0%}; Clopper-Pearson, one-sided)"
    )
    yield f"{found.saved} holds would not have been; such as {', '.join(found.examples)}"
