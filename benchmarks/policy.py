"""What one decision costs, and how long a policy takes to load.

python benchmarks/policy.py [--tools 100] [--rules 50 500 5000] [--calls 2000] [--json FILE]

Beside it, where installed, other engines answer the same question with the same rules
(`pip install cel-python cedarpy regopy`); what is missing is skipped and said.
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks import policy_sets as sets
from interlock.core.actions import Agent, Content, Context, ToolCall
from interlock.core.content import parse_content, parse_target
from interlock.core.decisions import Decision
from interlock.core.evaluate import Prepared, decide, prepare
from interlock.core.facts import NO_FACTS, Facts, Session
from interlock.core.rules import PolicySet
from interlock.policies.load import read_policies

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
SIGNALS = """
signals:
  novelty: {key: [agent.id, tool, target], memory: 30d, raise: 1}
  session_risk:
    points: {low: 1, medium: 5, high: 20, critical: 50}
    half_life: 30m
    raise_at: [{points: 40, raise: 1}]
limits:
  - {id: per-hour, tools: [service.tool000], key: [agent.id], window: 1h, count: 20, then: approve}
  - {id: per-day, tools: [service.tool000], key: [agent.id], window: 24h,
     sum: args.amount, max: 2000, then: approve}
"""
Args = dict[str, Any]
Judge = Callable[[Args], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Microseconds of one decision."""

    name: str
    median: float
    p99: float

    def row(self, base: float) -> str:
        return f"| {self.name} | {self.median:,.1f} | {self.p99:,.1f} | {self.median / base:,.2f} |"


def call(args: Args) -> ToolCall:
    path, query = parse_target("/v1/tool000/42/do")
    empty = parse_content("application/json", b"")
    content = Content(kind=type(empty.kind).JSON, media_type="application/json", value=args)
    return ToolCall(
        agent=Agent(id="bot", owner="ann"),
        upstream="api",
        method="POST",
        target="/v1/tool000/42/do",
        headers=(),
        body=json.dumps(args).encode(),
        path=path,
        query=query,
        content=content,
        service="",
        context=Context(confidence=0.95),
    )


def measure(name: str, judge: Callable[[Any], Any], asked: list[Any], times: int) -> Timing:
    """Time *times* decisions one by one, in turns over *asked*; a tenth as many warm up."""
    spent = []
    for n in range(-max(1, times // 10), times):
        each = asked[n % len(asked)]
        start = time.perf_counter_ns()
        judge(each)
        took = time.perf_counter_ns() - start
        if n >= 0:
            spent.append(took / 1000)
    spent.sort()
    p99 = spent[min(len(spent) - 1, len(spent) * 99 // 100)]
    return Timing(name=name, median=statistics.median(spent), p99=p99)


def loaded(tool_number: int, rule_number: int, extra: str = "") -> tuple[PolicySet, float]:
    """Return a policy and the seconds that it took to read, check and compile."""
    texts = sets.interlock_files(tool_number, sets.rules(tool_number, rule_number), extra)
    start = time.perf_counter()
    policy = read_policies([(f"{n}.yaml", text) for n, text in enumerate(texts)])
    return policy, time.perf_counter() - start


def decided(policy: PolicySet) -> Callable[[ToolCall], Decision]:
    """Return the whole decision: the tool is found, arguments are checked, rules are judged."""

    def decision(asked: ToolCall) -> Decision:
        return decide(prepare(asked, policy), NO_FACTS, NOON)

    return decision


def in_hand(policy: PolicySet, calls: list[ToolCall]) -> list[tuple[Prepared, Facts]]:
    """Return what *calls* were prepared to, each with the facts that it needs."""
    prepared = [prepare(each, policy) for each in calls]
    session = Session(points=3.0, writes=2, calls=9)
    return [
        (
            each,
            Facts(
                used=dict.fromkeys((counter.key for counter in each.needs.counters), 1_000_000),
                familiar=True,
                session=session,
            ),
        )
        for each in prepared
    ]


def conditions(policy: PolicySet, tool: str) -> Judge:
    """Return the conditions of a tool's rules by themselves, as the other engines judge them."""
    whens = [rule.when for rule in policy.tools[tool].rules if rule.when is not None]

    def fires(args: Args) -> bool:
        seen = {"args": args, "agent": {}, "call": {}}
        return any([when(seen) for when in whens])

    return fires


# -- the others --------------------------------------------------------------------------------


def cel_python(rule_list: list[sets.Rule], tool: str) -> Iterator[tuple[str, Judge]]:
    celpy = importlib.import_module("celpy")
    environment = celpy.Environment(runner_class=celpy.CompiledRunner)
    chosen = [rule for rule in rule_list if rule.tool == tool]
    programs = [
        environment.program(environment.compile(sets.cel_condition(rule))) for rule in chosen
    ]

    def fires(args: Args) -> bool:
        seen = {"args": celpy.json_to_cel(args)}
        return any([bool(program.evaluate(seen)) for program in programs])

    yield f"cel-python, only those {len(chosen)}", fires


def cel_google(rule_list: list[sets.Rule], tool: str) -> Iterator[tuple[str, Judge]]:
    cel = importlib.import_module("cel_expr_python.cel")
    environment = cel.NewEnv(variables={"args": cel.Type("map<string,dyn>")})
    chosen = [rule for rule in rule_list if rule.tool == tool]
    programs = [environment.compile(sets.cel_condition(rule)) for rule in chosen]

    def fires(args: Args) -> bool:
        return any([program.eval(data={"args": args}).value() is True for program in programs])

    yield f"cel-expr-python (C++), only those {len(chosen)}", fires


def cedar(rule_list: list[sets.Rule], tool: str) -> Iterator[tuple[str, Judge]]:
    cedarpy = importlib.import_module("cedarpy")
    policies = cedarpy.PolicySet.from_str(sets.cedar_text(rule_list))
    entities = cedarpy.Entities.from_json_str("[]")
    request = {"principal": 'Agent::"bot"', "action": f'Action::"{tool}"', "resource": 'Api::"api"'}

    def fires(args: Args) -> bool:
        asked = {**request, "context": args}
        return not cedarpy.is_authorized(asked, policies, entities).allowed

    yield f"cedarpy, {len(rule_list)} rules parsed before", fires


def rego(rule_list: list[sets.Rule], tool: str) -> Iterator[tuple[str, Judge]]:
    regopy = importlib.import_module("regopy")
    engine = regopy.Interpreter()
    engine.add_module("bench", sets.rego_text(rule_list))
    bundle = engine.build("x=data.bench.concerned")

    def fires(args: Args) -> bool:
        engine.set_input({"tool": tool, "args": args})
        return bool(json.loads(str(engine.query_bundle(bundle)))["bindings"]["x"])

    yield f"regopy, {len(rule_list)} rules built before", fires


OTHERS = {
    "cel-python": cel_python,
    "cel-expr-python": cel_google,
    "cedarpy": cedar,
    "regopy": rego,
}


def beside(tool_number: int, rule_number: int, times: int) -> list[Timing]:
    """Time the same question on the same rules: ours first, then whoever is installed.

    Raises:
        RuntimeError: an engine answered otherwise than ours.
    """
    rule_list, tool = sets.rules(tool_number, rule_number), sets.tools(tool_number)[0]
    asked = sets.calls(40)
    policy = loaded(tool_number, rule_number)[0]
    decision = decided(policy)
    calls = [call(args) for args in asked]
    expected = [bool(decision(each).rules) for each in calls]
    timings = [
        measure(f"interlock, the whole decision, {rule_number} rules", decision, calls, times)
    ]
    alone = conditions(policy, tool)
    if [alone(args) for args in asked] != expected:
        raise RuntimeError("the conditions alone answer otherwise")
    timings.append(
        measure("interlock, only the conditions of the tool's own 5", alone, asked, times)
    )
    for name, build in OTHERS.items():
        try:
            engines = list(build(rule_list, tool))
        except ModuleNotFoundError:
            print(f"{name}: skipped, not installed")
            continue
        for label, fires in engines:
            if (got := [fires(args) for args in asked]) != expected:
                raise RuntimeError(f"{label} answers otherwise: {got}, not {expected}")
            timings.append(measure(label, fires, asked, max(40, times // 10)))
    return timings


def phases(name: str, policy: PolicySet, times: int) -> tuple[Timing, Timing]:
    """Time both halves of a decision: `prepare`, and `decide` with the facts in hand."""
    calls = [call(args) for args in sets.calls(40)]
    return (
        measure(f"prepare, {name}", partial(prepare, policy=policy), calls, times),
        measure(f"decide, {name}", lambda each: decide(*each, NOON), in_hand(policy, calls), times),
    )


def by_rules(tool_number: int, rule_numbers: list[int], times: int) -> Iterator[Timing]:
    print("| policy | prepare, us | decide, us | p99 | load, s |\n| --- | --- | --- | --- | --- |")
    for extra, what in (("", ""), (SIGNALS, ", 2 limits, novelty, session risk")):
        for number in rule_numbers:
            name = f"{number:,} rules{what}"
            policy, seconds = loaded(tool_number, number, extra)
            first, then = phases(name, policy, times)
            print(
                f"| {name} | {first.median:.1f} | {then.median:.1f} "
                f"| {first.p99:.1f} + {then.p99:.1f} | {seconds:.2f} |"
            )
            yield from (first, then)


def by_tools(tool_numbers: list[int], times: int) -> Iterator[Timing]:
    print("\n| tools of one upstream | prepare, us | decide, us |\n| --- | --- | --- |")
    for number in tool_numbers:
        first, then = phases(f"{number:,} tools", loaded(number, 5)[0], times)
        print(f"| {number:,} | {first.median:.1f} | {then.median:.1f} |")
        yield from (first, then)


def main() -> None:
    parser = argparse.ArgumentParser(description="What one decision costs.")
    parser.add_argument("--tools", type=int, default=100)
    parser.add_argument("--rules", type=int, nargs="+", default=[50, 500, 5000])
    parser.add_argument("--calls", type=int, default=5000)
    parser.add_argument("--json", type=Path)
    chosen = parser.parse_args()

    print(f"Python {platform.python_version()}, {platform.machine()}; {chosen.tools} tools\n")
    timings = list(by_rules(chosen.tools, chosen.rules, chosen.calls))
    timings += by_tools([max(1, chosen.tools // 10), chosen.tools * 10], chosen.calls)
    middle = sorted(chosen.rules)[len(chosen.rules) // 2]
    print("\nThe same question, does any rule concern this call:")
    others = beside(chosen.tools, middle, chosen.calls)
    print("\n| engine | median us | p99 us | ratio |\n| --- | --- | --- | --- |")
    for timing in others:
        print(timing.row(others[0].median))
    if chosen.json:
        shown = [
            {"name": each.name, "median_us": each.median, "p99_us": each.p99}
            for each in (*timings, *others)
        ]
        chosen.json.write_text(json.dumps(shown, indent=2))


if __name__ == "__main__":
    main()
