"""Runs the tests of a policy: cases, tables, properties, and how much of the policy they touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.decisions import Decision, Level
from ..core.errors import InvalidDocument, Problem
from ..core.evaluate import Prepared, decide, prepare
from ..core.rules import PolicySet
from .files import read_file
from .load import load_policies, nothing_in, policy_files
from .positions import Document, load_model
from .suite_calls import BadCall, make_call, setting
from .suite_coverage import Coverage, Seen
from .suite_document import AgentEntry, CallEntry, Case, Expect, FactsEntry, Property, SuiteDocument
from .suite_expect import differences, known_tool, named, unknown_names
from .suite_facts import facts_of, judged, past
from .suite_properties import Item, check_property

Place = tuple[str | int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that did not come out as expected; `trace` says how the decision was made."""

    problem: Problem
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([str(self.problem), *(f"    {line}" for line in self.trace)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a suite found. Coverage is of the cases that ran."""

    file: str
    policy: str
    passed: int
    failures: tuple[Failure, ...]
    coverage: Coverage

    @property
    def ok(self) -> bool:
        return not self.failures


@dataclass(slots=True)
class _Run:
    policy: PolicySet
    document: Document
    suite: SuiteDocument
    failures: list[Failure] = field(default_factory=list)
    passed: int = 0
    seen: Seen = field(default_factory=Seen)
    within: frozenset[str] | None = None

    def fail(self, path: Place, message: str, trace: Iterable[str] = ()) -> None:
        self.failures.append(
            Failure(problem=self.document.problem(path, message), trace=tuple(trace))
        )

    def judge(
        self,
        entry: CallEntry,
        agent: AgentEntry,
        facts: FactsEntry,
        assignments: Mapping[str, Any],
        now: str | None = None,
    ) -> Decision:
        changes = setting(assignments)
        at = moment(now or self.suite.now)
        if "hour" in changes.call:
            at = _at_hour(at, changes.call["hour"])
        call = make_call(entry, agent, changes, self.policy)
        decision = judged(call, self.policy, past(facts, changes, self.policy), at)
        if decision.reason == "evaluation_error":
            raise BadCall(f"the call could not be judged: {'; '.join(decision.trace)}")
        self.seen.add(decision)
        return decision


def read_suite(file: Path) -> tuple[SuiteDocument, Document]:
    """Read the suite in *file*.

    Raises:
        InvalidDocument: it cannot be read or is not valid, with every problem.
    """
    raw = read_file(file)
    if not raw.strip():
        message = "the file is empty: a suite starts with apiVersion, kind: PolicyTest and policy"
        raise InvalidDocument((Problem(file=str(file), line=1, column=1, message=message),))
    return load_model(raw, str(file), SuiteDocument)


def run_suite(file: Path, only: str = "") -> Report:
    """Run the suite in *file* against the policy files that it names, beside it.

    *only*: a part of the names of the cases and properties to run; coverage is not checked then.

    Raises:
        InvalidDocument: the suite or a policy is not valid, with every problem.
    """
    suite, document = read_suite(file)
    return run(suite, document, load_policies(policies_of(suite, file)), only)


def policies_of(suite: SuiteDocument, file: Path) -> list[Path]:
    """Return the policy files of the suite in *file*.

    Raises:
        InvalidDocument: one of them is not there, or is no policy.
    """
    paths = [file.parent / name for name in suite.policy]
    wrong = [problem for path in paths for problem in _no_policy(path)]
    if wrong:
        named = f"; {file} names it under `policy`, relative to itself"
        raise InvalidDocument(
            tuple([replace(each, message=f"{each.message}{named}") for each in wrong])
        )
    return paths


def _no_policy(path: Path) -> Iterator[Problem]:
    if not path.exists():
        message = "cannot be read: No such file or directory"
        yield Problem(file=str(path), line=1, column=1, message=message)
    elif not policy_files([path]):
        yield from nothing_in([path])


def run(suite: SuiteDocument, document: Document, policy: PolicySet, only: str = "") -> Report:
    """Run a suite that is already read."""
    running = _Run(policy=policy, document=document, suite=suite)
    for check in _checks(running, only):
        check()
    coverage = running.seen.coverage(policy)
    if only:
        if not running.passed and not running.failures:
            running.fail((), f"no case or property has {only!r} in its name")
    else:
        _check_coverage(running, coverage)
    return Report(
        file=document.file,
        policy=policy.ref.name,
        passed=running.passed,
        failures=tuple(running.failures),
        coverage=coverage,
    )


def first_failure(
    suite: SuiteDocument,
    document: Document,
    policy: PolicySet,
    within: frozenset[str] | None = None,
) -> Failure | None:
    """Run a suite until something fails; coverage is not asked for.

    *within*: properties look at these tools only, where nothing else can have changed.
    """
    running = _Run(policy=policy, document=document, suite=suite, within=within)
    for check in _checks(running, ""):
        check()
        if running.failures:
            return running.failures[0]
    return None


def _checks(running: _Run, only: str) -> Iterator[Any]:
    wanted = only.casefold()
    for index, case in enumerate(running.suite.cases):
        if wanted in case.name.casefold():
            yield from _of_case(running, case, ("cases", index))
    for index, claim in enumerate(running.suite.properties):
        if wanted in claim.name.casefold():
            yield lambda claim=claim, index=index: _run_property(
                running, claim, ("properties", index)
            )


def _of_case(running: _Run, case: Case, path: Place) -> Iterator[Any]:
    rows: list[tuple[Place, Place, Mapping[str, Any], Expect]] = []
    if case.expect is not None:
        place = (*path, "expect")
        rows.append((place, place, {}, case.expect))
    for index, row in enumerate(case.each):
        place = (*path, "each", index)
        rows.append((place, (*place, "expect"), row.model_extra or {}, row.expect))
    if not rows:
        yield lambda: running.fail(
            path, f"case {case.name!r} expects nothing: add `expect` or `each`"
        )
    for place, expected, extra, expect in rows:
        yield lambda place=place, expected=expected, extra=extra, expect=expect: _run_row(
            running, case, place, expected, extra, expect
        )


def _run_row(
    running: _Run,
    case: Case,
    place: Place,
    expected: Place,
    extra: Mapping[str, Any],
    expect: Expect,
) -> None:
    if not expect.model_fields_set:
        running.fail(place, f"case {case.name!r} expects nothing: say level, rules or a reason")
        return
    wrong_names = list(unknown_names(running.policy, expect))
    for where, message in wrong_names:
        running.fail((*expected, *where), f"case {case.name!r}: {message}")
    if wrong_names:
        return
    try:
        decision, wrong = _judge_row(running, case, extra, expect)
    except BadCall as error:
        running.fail(place, f"case {case.name!r}: {error}")
        return
    if wrong:
        running.fail(place, f"case {case.name!r}: " + "; ".join(wrong), decision.trace)
    else:
        running.passed += 1


def _judge_row(
    running: _Run, case: Case, extra: Mapping[str, Any], expect: Expect
) -> tuple[Decision, list[str]]:
    entry: CallEntry = named(case.call, running.suite.fixtures.calls, "call")
    agent: AgentEntry = named(case.agent, running.suite.fixtures.agents, "agent")
    known = known_tool(entry, expect, running.policy)
    task = {} if case.task is None else {"task": case.task}
    assignments = {**task, **case.set, **extra}
    decision = running.judge(entry, agent, case.facts, assignments, case.now)
    wrong = list(differences(expect, decision, running.policy))
    if known and decision.tool != entry.tool:
        wrong.append(f"the call is {decision.tool or 'unknown'}: {decision.message}")
    return decision, wrong


def _run_property(running: _Run, claim: Property, path: Place) -> None:
    kinds = (claim.monotone, claim.monotone_down, claim.level_at_least)
    if sum(kind is not None for kind in kinds) != 1:
        running.fail(path, "a property has one of monotone, monotone_down, level_at_least")
        return
    if claim.level_at_least is None and claim.for_.vary is None:
        running.fail(path, "say what varies: for: {vary: args.NAME}")
        return
    at = moment(running.suite.now)

    def judge(row: Sequence[Item]) -> list[Level | None]:
        return _levels(row, running.policy, at)

    try:
        _, broken = check_property(claim, running.policy, judge, running.within)
    except BadCall as error:
        broken = [str(error)]
    if broken:
        running.fail(path, f"property {claim.name!r}: " + "; ".join(broken))
    else:
        running.passed += 1


def _levels(row: Sequence[Item], policy: PolicySet, at: datetime) -> list[Level | None]:
    """Judge a row of calls; what one has in common with the one before is not made again."""
    nothing = setting({})
    levels: list[Level | None] = []
    entry: CallEntry | None = None
    given: FactsEntry | None = None
    for wanted, agent, past_ in row:
        if wanted is not entry:
            entry, given = wanted, None
            prepared = prepare(make_call(entry, agent, nothing, policy), policy)
        if past_ is not given:
            given, facts = past_, facts_of(prepared, past_)
        decision = decide(_confident(prepared, agent.confidence), facts, at)
        if decision.reason == "evaluation_error":
            raise BadCall(f"the call could not be judged: {'; '.join(decision.trace)}")
        fits = decision.reason != "args_schema_mismatch"
        levels.append(decision.level if fits else None)
    return levels


def _confident(prepared: Prepared, confidence: float | None) -> Prepared:
    """Return *prepared* as said with *confidence*, which nothing before judging depends on."""
    call = prepared.call
    if call.context.confidence == confidence:
        return prepared
    context = replace(call.context, confidence=confidence)
    return replace(prepared, call=replace(call, context=context))


def _check_coverage(running: _Run, coverage: Coverage) -> None:
    wanted = running.suite.coverage
    kinds = (
        ("rules", "rules and exceptions fire in a case", ("rule", "exception")),
        ("limits", "limits are exceeded in a case", ("limit",)),
        ("matrix_cells", "matrix cells are reached", ()),
    )
    for name, what, parts in kinds:
        got, least = getattr(coverage, name), getattr(wanted, name)
        if got < least:
            never = ", ".join(coverage.untouched(*parts))
            running.fail(
                ("coverage", name),
                f"{got:.0f} % of {what}, {least:g} % are asked for"
                + (f"; never: {never}" if never else ""),
            )


def moment(text: str) -> datetime:
    """Read a time such as 2026-11-22T10:00:00Z; without a zone it is UTC.

    Raises:
        BadCall: it is none.
    """
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadCall(f"{text!r} is not a time such as 2026-11-22T10:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)


def _at_hour(at: datetime, hour: Any) -> datetime:
    if type(hour) is not int or not 0 <= hour <= 23:
        raise BadCall(f"call.hour is {hour!r}: write a whole hour from 0 to 23 (UTC)")
    return at.astimezone(UTC).replace(hour=hour)
