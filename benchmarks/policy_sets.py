"""One policy in four languages: tools, and rules of which only a few concern each tool.

Rules stick to what every language can say: whole numbers, strings, lists of strings. Each rule
restricts; the question that all engines answer alike is: does any rule concern this call?
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

KNOWN = [f"account-{n}" for n in range(20)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A restriction of one tool; `threshold` makes it differ from its likes."""

    id: str
    tool: str
    kind: int
    threshold: int


def tools(number: int) -> list[str]:
    return [f"service.tool{n:03d}" for n in range(number)]


def rules(tool_number: int, number: int, own: int = 5) -> list[Rule]:
    """Return *number* rules: *own* of them for the first tool, the rest for the others in turn."""
    names = tools(tool_number)
    others = names[1:] or names
    which = [names[0]] * own + [others[n % len(others)] for n in range(number - own)]
    return [
        Rule(id=f"rule-{n}", tool=tool, kind=n % 5, threshold=500 + n % 7)
        for n, tool in enumerate(which)
    ]


def calls(number: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return arguments of calls of the first tool; about half of them concern a rule."""
    rand = random.Random(seed)
    return [
        {
            "amount": rand.choice([20, 120, 480, 700]),
            "recipient": rand.choice([*KNOWN, *KNOWN, *KNOWN, "account-x"]),
            "memo": rand.choice(["invoice 7", "rent", "invoice 7", "URGENT: pay now"]),
            "count": rand.choice([1, 1, 2, 30]),
            "dry_run": rand.random() < 0.5,
        }
        for _ in range(number)
    ]


# -- ours, and CEL -----------------------------------------------------------------------------


def cel_condition(rule: Rule) -> str:
    limit = rule.threshold
    return (
        f"args.amount > {limit} && args.count >= 1",
        f"args.memo.startsWith('URGENT') || args.amount > {limit * 10}",
        f"!(args.recipient in [{', '.join(map(repr, KNOWN))}])",
        f"args.count > 10 && args.amount < {limit}",
        f"args.dry_run == false && args.amount > {limit} && args.memo != ''",
    )[rule.kind]


def interlock_files(tool_number: int, rule_list: list[Rule], extra: str = "") -> list[str]:
    """Return policy files: *extra* and the tools, 500 to a file; the rules, 1,000 to a file."""
    names = tools(tool_number)
    files = [
        _head(f"tools-{start}") + ("" if start else extra) + _tools(names[start : start + 500])
        for start in range(0, tool_number, 500)
    ]
    for start in range(0, len(rule_list), 1000):
        lines = [f"{_head(f'rules-{start}')}rules:"]
        for rule in rule_list[start : start + 1000]:
            when = json.dumps(cel_condition(rule))
            lines.append(
                f"  - {{id: {rule.id}, tools: [{rule.tool}], at_least: approve, when: {when}}}"
            )
        files.append("\n".join(lines) + "\n")
    return files


def _head(name: str) -> str:
    return f"apiVersion: interlock/v1\nkind: Policy\nmetadata: {{name: {name}, version: 1}}\n"


def _tools(names: list[str]) -> str:
    lines = ["tools:"]
    for tool in names:
        lines.append(
            f"  - id: {tool}\n"
            f'    http: {{upstream: api, method: POST, path: "/v1/{tool[8:]}/{{item}}/do"}}\n'
            "    args_schema:\n"
            "      type: object\n"
            "      required: [amount, recipient]\n"
            "      properties: {amount: {type: integer}, recipient: {type: string},"
            " memo: {type: string}, count: {type: integer}, dry_run: {type: boolean}}\n"
            "    reversibility: reversible\n"
            "    undo: {reason: It is taken back.}\n"
            "    facets: {data: internal}"
        )
    return "\n".join(lines) + "\n"


# -- Cedar: everything is permitted, each rule forbids ------------------------------------------


def cedar_text(rule_list: list[Rule]) -> str:
    known = ", ".join(f'"{name}"' for name in KNOWN)
    texts = ["permit(principal, action, resource);"]
    for rule in rule_list:
        limit = rule.threshold
        condition = (
            f"context.amount > {limit} && context.count >= 1",
            f'context.memo like "URGENT*" || context.amount > {limit * 10}',
            f"!([{known}].contains(context.recipient))",
            f"context.count > 10 && context.amount < {limit}",
            f'context.dry_run == false && context.amount > {limit} && context.memo != ""',
        )[rule.kind]
        texts.append(
            f'forbid(principal, action == Action::"{rule.tool}", resource) when {{ {condition} }};'
        )
    return "\n".join(texts)


# -- Rego: a partial set of the rules that fire --------------------------------------------------


def rego_text(rule_list: list[Rule]) -> str:
    known = ", ".join(f'"{name}"' for name in KNOWN)
    texts = ["package bench", f"known := {{{known}}}"]
    for rule in rule_list:
        limit, args = rule.threshold, "input.args"
        bodies = (
            [f"{args}.amount > {limit}; {args}.count >= 1"],
            [f'startswith({args}.memo, "URGENT")', f"{args}.amount > {limit * 10}"],
            [f"not known[{args}.recipient]"],
            [f"{args}.count > 10; {args}.amount < {limit}"],
            [f'{args}.dry_run == false; {args}.amount > {limit}; {args}.memo != ""'],
        )[rule.kind]
        texts += [
            f'fires contains "{rule.id}" if {{ input.tool == "{rule.tool}"; {body} }}'
            for body in bodies
        ]
    texts.append("default concerned := false")
    texts.append("concerned if { count(fires) > 0 }")
    return "\n".join(texts)
