"""Runs the tests of a policy: cases, tables, properties, and how much of the policy they touch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ..core.decisions import Decision, Level, Reversibility, Stake
from ..core.errors import InvalidDocument, Problem
from ..core.evaluate import evaluate
from ..core.rules import PolicySet
from .load import load_policies
from .positions import Document, load_model, suggestion
from .suite_calls import BadCall, make_call, setting
from .suite_document import AgentEntry, CallEntry, Case, Expect, Property, SuiteDocument
from .suite_properties import check_property

_LISTS = ("rules", "shadow", "exceptions", "signals")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A case that did not come out as expected; `trace` says how the decision was made."""

    problem: Problem
    trace: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "\n".join([str(self.problem), *(f"    {line}" for line in self.trace)])


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What a suite found. Coverage is in percent."""

    file: str
    policy: str
    passed: int
    failures: tuple[Failure, ...]
    rules_covered: float
    cells_covered: float
    uncovered: tuple[str, ...]  #: rules and exceptions that never fired

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
    fired: set[str] = field(default_factory=set)
    cells: set[tuple[Reversibility, Stake]] = field(default_factory=set)

    def fail(self, path: tuple[str | int, ...], message: str, trace: Iterable[str] = ()) -> None:
        self.failures.append(
            Failure(problem=self.document.problem(path, message), trace=tuple(trace))
        )

    def judge(
        self,
        entry: CallEntry,
        agent: AgentEntry,
        assignments: Mapping[str, Any],
        now: str | None = None,
    ) -> Decision:
        changes = setting(assignments)
        at = _moment(now or self.suite.now)
        if "hour" in changes.call:
            at = at.replace(hour=int(changes.call["hour"]))
        decision = evaluate(make_call(entry, agent, changes, self.policy), self.policy, {}, at)
        if decision.reason == "evaluation_error":
            raise BadCall(f"the call could not be judged: {'; '.join(decision.trace)}")
        self.fired |= {hit.id for hit in decision.rules}
        self.fired |= {*decision.shadow, *decision.exceptions}
        if decision.tool and not decision.reason:
            self.cells.add((decision.reversibility, decision.stake))
        return decision


def run_suite(file: Path) -> Report:
    """Run the suite in *file* against the policy files that it names, beside it.

    Raises:
        InvalidDocument: the suite or a policy is not valid, with every problem.
    """
    try:
        raw = file.read_bytes()
    except OSError as error:
        reason = f"cannot be read: {error.strerror or type(error).__name__}"
        problem = Problem(file=str(file), line=1, column=1, message=reason)
        raise InvalidDocument((problem,)) from None
    suite, document = load_model(raw, str(file), SuiteDocument)
    policy = load_policies([file.parent / name for name in suite.policy])
    return run(suite, document, policy)


def run(suite: SuiteDocument, document: Document, policy: PolicySet) -> Report:
    """Run a suite that is already read."""
    running = _Run(policy=policy, document=document, suite=suite)
    for index, case in enumerate(suite.cases):
        _run_case(running, case, ("cases", index))
    for index, claim in enumerate(suite.properties):
        _run_property(running, claim, ("properties", index))
    known = [rule.id for rule in policy.rules] + [each.id for each in policy.exceptions]
    uncovered = tuple(name for name in known if name not in running.fired)
    rules = 100 * (1 - len(uncovered) / len(known)) if known else 100.0
    cells = 100 * len(running.cells) / 16
    _check_coverage(running, rules, cells, uncovered)
    return Report(
        file=document.file,
        policy=policy.ref.name,
        passed=running.passed,
        failures=tuple(running.failures),
        rules_covered=rules,
        cells_covered=cells,
        uncovered=uncovered,
    )


def _run_case(running: _Run, case: Case, path: tuple[str | int, ...]) -> None:
    rows: list[tuple[tuple[str | int, ...], Mapping[str, Any], Expect]] = []
    if case.expect is not None:
        rows.append(((*path, "expect"), {}, case.expect))
    for index, row in enumerate(case.each):
        rows.append(((*path, "each", index), row.model_extra or {}, row.expect))
    if not rows:
        running.fail(path, f"case {case.name!r} expects nothing: add `expect` or `each`")
    for place, extra, expect in rows:
        try:
            _run_row(running, case, place, extra, expect)
        except BadCall as error:
            running.fail(place, f"case {case.name!r}: {error}")


def _run_row(
    running: _Run,
    case: Case,
    place: tuple[str | int, ...],
    extra: Mapping[str, Any],
    expect: Expect,
) -> None:
    _check_names(running.policy, expect)
    entry = _named(case.call, running.suite.fixtures.calls, "call")
    agent = _named(case.agent, running.suite.fixtures.agents, "agent")
    unknown = entry.tool is not None and entry.tool not in running.policy.tools
    if unknown and expect.reason != "unknown_tool":
        hint = suggestion(str(entry.tool), running.policy.tools)
        raise BadCall(f"there is no tool {entry.tool!r}{hint} (expect reason: unknown_tool?)")
    decision = running.judge(entry, agent, {**case.set, **extra}, case.now)
    wrong = list(_differences(expect, decision))
    if entry.tool is not None and not unknown and decision.tool != entry.tool:
        wrong.append(f"the call is {decision.tool or 'unknown'}: {decision.message}")
    if wrong:
        running.fail(place, f"case {case.name!r}: " + "; ".join(wrong), decision.trace)
    else:
        running.passed += 1


def _named(given: Any, fixtures: Mapping[str, Any], kind: str) -> Any:
    if not isinstance(given, str):
        return given
    if given not in fixtures:
        raise BadCall(f"there is no {kind} {given!r} in fixtures{suggestion(given, fixtures)}")
    return fixtures[given]


def _check_names(policy: PolicySet, expect: Expect) -> None:
    """Refuse names that no rule has: a test about nothing must not pass."""
    rules = {rule.id for rule in policy.rules}
    exceptions = {each.id for each in policy.exceptions}
    checks = ((expect.rules, rules), (expect.shadow, rules), (expect.exceptions, exceptions))
    for names, known in checks:
        for name in names or ():
            if name not in known:
                raise BadCall(f"names unknown rule {name!r}{suggestion(name, known)}")


def _differences(expect: Expect, decision: Decision) -> Iterator[str]:
    for name in sorted(expect.model_fields_set):
        wanted, got = getattr(expect, name), _got(decision, name)
        if wanted is None:
            continue
        if name in _LISTS:
            same = sorted(wanted) == sorted(got)
        else:
            same = wanted in got if name == "message" else wanted == got
        if not same:
            shown = list(wanted) if name in _LISTS else wanted
            yield f"{name}: want {shown!r}, got {got!r}"


def _got(decision: Decision, name: str) -> Any:
    if name == "rules":
        return [hit.id for hit in decision.rules]
    value = getattr(decision, name)
    if isinstance(value, Level | Stake | Reversibility):
        return value.word
    return list(value) if isinstance(value, tuple) else value


def _run_property(running: _Run, claim: Property, path: tuple[str | int, ...]) -> None:
    kinds = (claim.monotone, claim.monotone_down, claim.level_at_least)
    if sum(kind is not None for kind in kinds) != 1:
        running.fail(path, "a property has one of monotone, monotone_down, level_at_least")
        return
    if claim.level_at_least is None and claim.for_.vary is None:
        running.fail(path, "say what varies: for: {vary: args.NAME}")
        return
    quiet = _Run(policy=running.policy, document=running.document, suite=running.suite)

    def judge(call: CallEntry, agent: AgentEntry) -> Level | None:
        decision = quiet.judge(call, agent, {})
        return None if decision.reason == "args_schema_mismatch" else decision.level

    try:
        _, broken = check_property(claim, running.policy, judge)
    except BadCall as error:
        broken = [str(error)]
    if broken:
        running.fail(path, f"property {claim.name!r}: " + "; ".join(broken))
    else:
        running.passed += 1


def _check_coverage(running: _Run, rules: float, cells: float, uncovered: tuple[str, ...]) -> None:
    wanted = running.suite.coverage
    if rules < wanted.rules:
        running.fail(
            ("coverage", "rules"),
            f"{rules:.0f} % of rules and exceptions fire in a case, {wanted.rules:g} % are asked "
            f"for; never: {', '.join(uncovered)}",
        )
    if cells < wanted.matrix_cells:
        running.fail(
            ("coverage", "matrix_cells"),
            f"{cells:.0f} % of matrix cells are reached, {wanted.matrix_cells:g} % are asked for",
        )


def _moment(text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise BadCall(f"{text!r} is not a time such as 2026-11-22T10:00:00Z") from None
    return at if at.tzinfo else at.replace(tzinfo=UTC)
