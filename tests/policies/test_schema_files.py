"""JSON Schemas for editors: they take what the loader takes, and refuse what it would refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from interlock.policies.positions import load_yaml
from interlock.policies.schema_files import policy_schema, suite_schema
from interlock.policies.schema_files_texts import POLICY, SUITE
from tests.policies.building import HEAD, PAY
from tests.support.schemas import undescribed

ROOT = Path(__file__).parents[2] / "policies"
SUITES = sorted(ROOT.rglob("*_test.yaml"))
POLICIES = sorted(set(ROOT.rglob("*.yaml")) - set(SUITES))
CASE = """apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
"""


def errors(schema: dict[str, Any], text: str | bytes) -> list[str]:
    validator = jsonschema_rs.Draft7Validator(schema)
    return [each.message for each in validator.iter_errors(load_yaml(text, "f.yaml").data)]


def policy_errors(body: str) -> list[str]:
    return errors(policy_schema(), HEAD.replace("NAME", "p") + body)


@pytest.mark.parametrize("file", POLICIES, ids=lambda file: file.name)
def test_a_policy_that_ships_fits(file: Path) -> None:
    assert errors(policy_schema(), file.read_bytes()) == []


@pytest.mark.parametrize("file", SUITES, ids=lambda file: file.name)
def test_a_suite_that_ships_fits(file: Path) -> None:
    assert errors(suite_schema(), file.read_bytes()) == []


@pytest.mark.parametrize("schema", [policy_schema(), suite_schema()], ids=["policy", "suite"])
def test_every_key_says_what_it_means(schema: dict[str, Any]) -> None:
    assert list(undescribed(schema)) == []


@pytest.mark.parametrize(
    ("schema", "texts", "root"),
    [(policy_schema(), POLICY, "PolicyDocument"), (suite_schema(), SUITE, "SuiteDocument")],
    ids=["policy", "suite"],
)
def test_no_meaning_is_of_a_key_that_is_gone(schema: dict[str, Any], texts: Any, root: str) -> None:
    models = {**schema["$defs"], root: schema}
    known = {(name, key) for name in models for key in models[name].get("properties", {})}

    assert {(name, key) for name in texts for key in texts[name]} - known == set()


@pytest.mark.parametrize(
    "body",
    [
        PAY.replace("facets", "facet"),
        PAY.replace("compensable", "compensible"),
        PAY.replace("method: POST", "method: []"),
        PAY.replace("upto: 50,", 'upto: "50",'),
        PAY.replace("http:", "mcp: {server: s, tool: t}\n    http:"),
        PAY.replace("upstream: bank", "upstream: bank, host: bank.example"),
        "rules: [{id: r, tools: [a], at_least: aprove}]",
        "rules: [{id: r, tools: [a], at_least: allow}]",
        "exceptions: [{id: e, tools: [a], when: x, at_most: deny, owner: o, reason: r}]",
        "limits: [{id: l, tools: [a], key: [tool], window: 1 hour, count: 1, then: deny}]",
        "levels: {notify: {to: [a], digest: soon}}",
        "matrix: standart",
        "mode:",
        "signals: {confidence: {raise_below: {low: 2, medium: 0, high: 0, critical: 0}}}",
    ],
)
def test_a_mistake_is_marked_in_the_editor(body: str) -> None:
    assert policy_errors(PAY) == []
    assert policy_errors(body)


def test_one_value_may_stand_for_a_list_of_one() -> None:
    assert policy_errors("rules: [{id: r, tools: pay, at_least: approve}]") == []


def test_cases_take_what_can_be_set_and_nothing_else() -> None:
    row = "cases: [{name: a, call: c, each: [{NAME: 1, expect: {level: deny}}]}]"

    def said(name: str) -> list[str]:
        return errors(suite_schema(), CASE + row.replace("NAME", name))

    assert said("args.amount") == said("session.writes") == said("facts.used.l") == []
    assert said("arg.amount")
    assert said("amount")
