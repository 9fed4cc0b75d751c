"""What is wrong with a policy file, in the words of the product: each kind, with place and cure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from interlock.core.errors import InvalidDocument
from interlock.policies.document import PolicyDocument
from interlock.policies.positions import load_model
from interlock.policies.wording import _cure
from tests.policies.building import PAY, problems

RULE = "rules:\n  - {id: r, tools: [pay], when: args.amount > 1, at_least: approve}\n"
LIMIT = "limits:\n  - {id: l, tools: [pay], key: [tool], window: 1h, count: 5, then: deny}\n"
EXCEPTION = """exceptions:
  - id: e
    tools: [pay]
    when: args.to == "x"
    at_most: notify
    owner: ann
    reason: Why not.
    expires: "2026-12-31"
"""


def swapped(body: str, old: str, new: str) -> str:
    assert body.count(old) == 1, f"{old!r} must occur once"
    return body.replace(old, new)


TABLE = [
    # durations, names, days, paths
    (
        swapped(LIMIT, "1h", "1w"),
        "2:48: write a duration with its unit: 90s, 15m, 4h or 7d; not '1w'",
    ),
    (
        swapped(LIMIT, "1h", "60"),
        "2:48: write a duration with its unit: 90s, 15m, 4h or 7d; not 60",
    ),
    (
        swapped(RULE, "id: r", "id: my rule"),
        "2:10: write a name of letters, digits and _ . : - that begins with a letter or a digit "
        "(at most 100); not 'my rule'",
    ),
    (
        swapped(EXCEPTION, '"2026-12-31"', "2026-12-1"),
        "8:14: write a day in quotes, as in '2027-03-31'; not '2026-12-1'",
    ),
    (swapped(PAY, '"/accounts', '"accounts'), "11:48: a path begins with /: write '/accounts/"),
    # texts
    ("metadata2: x\n", "1:1: unknown key 'metadata2'; did you mean 'metadata'?"),
    (
        swapped(PAY, "description: Pays.", "description: 12"),
        "10:18: a text is needed here, not 12: put it in quotes",
    ),
    (swapped(PAY, "Pays.", "[Pays]"), "10:18: a text is needed here, not a list"),
    (swapped(RULE, "at_least: approve", 'deny: ""'), "2:56: the text is empty: write one"),
    (
        swapped(RULE, "at_least: approve", f"deny: {'x' * 2001}"),
        "2:56: the text has more than 2000 characters: shorten it",
    ),
    # numbers
    (
        swapped(LIMIT, "count: 5", "count: 5.0"),
        "2:59: a whole number is needed here, not 5.0: write 5",
    ),
    (
        swapped(LIMIT, "count: 5", 'count: "5"'),
        "2:59: a whole number is needed here, not '5': take the quotes away",
    ),
    (swapped(LIMIT, "count: 5", "count: 0"), "2:59: 0 is too small: at least 1"),
    (
        swapped(LIMIT, "count: 5", "count: 2000000000"),
        "2:59: 2000000000 is too large: at most 1000000000",
    ),
    (
        swapped(LIMIT, "count: 5", "sum: args.amount, max: -1"),
        "2:75: -1 is too small: write more than 0",
    ),
    (
        swapped(LIMIT, "count: 5", "sum: args.amount, max: lots"),
        "2:75: a number is needed here, not 'lots'",
    ),
    # words
    (
        "matrix: standrd\n",
        "1:9: write lenient, standard or strict here, not 'standrd'; did you mean 'standard'?",
    ),
    (
        swapped(EXCEPTION, "at_most: notify", "at_most: approve_dual"),
        "5:14: write allow, notify or approve here, not 'approve_dual'; did you mean 'approve'?",
    ),
    ("mode: [shadow]\n", "1:7: write enforce or shadow here, not a list"),
    (
        "defaults: {store_unavailable: allow}\n",
        "1:31: only 'deny' is possible here, not 'allow'",
    ),
    (
        swapped(RULE, "at_least: approve", "at_least: deny"),
        "2:60: a rule denies with a message: write `deny: MESSAGE FOR THE AGENT` in its place",
    ),
    # keys
    (
        swapped(RULE, "at_least: approve", "then: approve"),
        "2:50: unknown key 'then'; did you mean 'at_least'?",
    ),
    (swapped(RULE, "when:", "if:"), "2:27: unknown key 'if'; did you mean 'when'?"),
    (swapped(EXCEPTION, "    owner: ann\n", ""), "2:5: 'owner' is missing"),
    (
        swapped(RULE, "args.amount > 1", "args.to.glob(a, b)"),
        "2:49: unknown key 'b)'; a comma within {...} ends a text: put the text before it in "
        "quotes",
    ),
    # kinds
    ("rules: {id: r}\n", "1:8: a list is needed here, not a mapping: begin each entry with '- '"),
    ("rules: r\n", "1:8: a list is needed here, not 'r': write [...]"),
    ("edit: [a]\n", "1:7: a mapping is needed here (allow, must, then), not a list"),
    (swapped(PAY, "type: object", "egress: x").replace("args_schema", "undo2"), "unknown key"),
    (swapped(PAY, "    reversib", "    egress: 1\n    reversib"), "true or false is needed here"),
    ("vars: {a: {b: c}}\n", "1:11: a text, a number, true or false or a list is needed here"),
    ("vars: {a: [x, [z]]}\n", "1:15: a text, a number or true or false is needed here, not a list"),
    (
        swapped(PAY, "{amount: args.amount}", "{amount: true}"),
        "17:22: a text or a number is needed here, not true",
    ),
    ("rules: [{id: }]\n", "1:14: there is no value: write one, or take the key out"),
    # lengths
    (swapped(RULE, "[pay]", "[]"), "2:20: nothing is listed here: write at least one"),
    (swapped(PAY, "{amount: args.amount}", "{}"), "17:13: nothing is listed here: write at least"),
    (
        "matrix:\n  read_only: [allow, deny]\n",
        "2:14: 2 are listed here: write 4",
    ),
]


@pytest.mark.parametrize(("body", "said"), TABLE)
def test_a_mistake_is_told_with_its_place_and_its_cure(body: str, said: str) -> None:
    found = problems(body)

    assert any(line.startswith(said) or (said[0].isalpha() and said in line) for line in found), (
        found
    )


def test_a_wrong_choice_of_a_union_is_told_once() -> None:
    assert len(problems("vars: {a: {b: c}}\n")) == 1
    assert len(problems("vars: {a: [x, [z]]}\n")) == 1
    assert len(problems(swapped(PAY, "{amount: args.amount}", "{amount: true}"))) == 1


def test_a_list_with_a_wrong_entry_is_not_called_short_as_well() -> None:
    row = "[allow, allow, allow, alow]"
    rows = ("read_only", "reversible", "compensable", "irreversible")

    assert problems(f"matrix: {{{', '.join(f'{name}: {row}' for name in rows)}}}\n") == [
        f"1:{column}: write allow, notify, approve, approve_dual or deny here, not 'alow'; "
        "did you mean 'allow'?"
        for column in (43, 84, 126, 169)
    ]


def test_keys_that_are_named_as_a_type_are_keys() -> None:
    assert problems("edit: {allow: {str: 3}}\n") == [
        "1:21: a list is needed here, not 3: write [...]"
    ]


# ---- every kind of wrong value at every place -------------------------------------------------

FULL = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: a, version: 1, owner: o, description: d}
mode: enforce
matrix: {read_only: [deny, deny, deny, deny], reversible: [deny, deny, deny, deny],
  compensable: [deny, deny, deny, deny], irreversible: [deny, deny, deny, deny]}
stake: {amount: [{upto: 5, stake: low}, {stake: high}], kind: {a: low}}
vars: {a: 1, b: [x, 2]}
tools:
  - id: t
    description: d
    http: {upstream: u, method: [GET], path: /x, service: s, header: {a: b}, without_header: [x],
      query: {a: [b]}, form: {a: b}, json: {a: b}, params: [p], multi: [m], body: [json],
      graphql: {name: q, type: query, fields: [a]}}
    mcp: {server: s, tool: t}
    annotations: {trust: full, pin: x}
    args_schema: {type: object}
    reversibility: reversible
    undo: {tool: t, within: 4h, reason: x, arguments: {a: args.a}}
    facets: {data: public}
    egress: true
    target: [x]
    taints: [untrusted_content]
    orphans: execute
rules:
  - {id: r, description: d, tools: [t], when: x, at_least: approve, stake: low, deny: x,
     reversibility: read_only, mode: shadow, refs: [x]}
limits:
  - {id: l, tools: [t], key: [tool], window: 1h, count: 1, sum: x, max: 1, then: deny, mode: shadow}
exceptions:
  - {id: e, tools: [t], when: x, at_most: notify, owner: o, reason: r, expires: '2027-01-01'}
signals:
  confidence: {missing: 0.5, raise_below: {low: 0, medium: 0, high: 0, critical: 1}}
  novelty: {key: [tool], memory: 30d, raise: 1}
  session_risk: {points: {low: 1}, half_life: 30m, raise_at: [{points: 5, raise: 1}]}
  session: {scope: agent, memory: 1d}
levels:
  notify: {to: [a], digest: 1h}
  approve: {approvers: [a], quorum: 1, remind_after: 5m, escalate: [{after: 5m, to: a}],
    expire_after: 1h, dwell: 5s, step_up: webauthn, fold: true, on_expire: deny}
approvals:
  separation: [requester]
  require_reason: [edit]
  caps: {open_per_session: 1}
  repeat_denied: {same_call_within: 1m, then: deny}
  grants: {tools: [t], at_most: notify, longest: 1d, uses: 1}
  batch: {up_to: low}
  per_hour: 60
  rotate: true
  decoys: {share: 0.1}
  reasons: {a: A}
edit: {allow: {t: [a]}, must: [a], then: re_evaluate}
redact: {approver: [args.a], logs: [args.a], detectors: [iban]}
defaults:
  unknown_tool: {stake: low, reversibility: read_only, level: deny}
  args_schema_mismatch: deny
  indeterminate: {in_rule: fires, in_exception: does_not_apply}
  exception_floor: notify
"""
WRONG: tuple[Any, ...] = (
    *(None, [], {}, "", "zz", 0, -1, 1.0, 1.5, 10**15, True, [[1]], ["x"] * 5, [None]),
    {"a": {"b": 1}},
    "x" * 3000,
)
PYDANTIC = re.compile(
    r"(?i)\binput\b|should|\bvalid\b|tuple|dictionary|pattern|instance|object|string\b|integer\b|"
    r"\bnull\b|none|\bitems?\b|extra|permitted|characters? long|less than or|greater"
)


def places(value: Any, at: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    yield at
    if isinstance(value, dict | list):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(inner, (*at, key))


def put(value: Any, at: tuple[str | int, ...], new: Any) -> Any:
    if not at:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = put(value[at[0]], at[1:], new)
    return copy


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: str(wrong)[:20])
def test_no_wrong_value_anywhere_is_told_in_the_words_of_a_library(wrong: Any) -> None:
    full = yaml.safe_load(FULL)
    load_model(FULL, "f", PolicyDocument)  # it is right before it is made wrong
    told = 0
    for at in places(full):
        try:
            load_model(json.dumps(put(full, at, wrong)), "f", PolicyDocument)
        except InvalidDocument as error:
            told += len(error.problems)
            for problem in error.problems:
                said = re.sub(r"'[^']*'|\([^)]*\)|known here.*", "", problem.message)
                assert not PYDANTIC.search(said), (at, problem.message)
                assert problem.line == 1 and problem.column >= 1
    assert told > 20


def test_a_number_with_a_comma_is_shown_with_a_point() -> None:
    assert _cure(["a number"], "119,00") == ": write 119.00"
    assert _cure(["a text"], "119,00") == ""
