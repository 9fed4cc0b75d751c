"""The alerts are what Prometheus takes, and each says what it means and what to do."""

from __future__ import annotations

import re
from typing import Any

import promql_parser as promql
import pytest
import yaml

from interlock.space import LITTLE
from tests.deploy.promql import ALERTS, ROOT, alerts, expressions, numbers, parsed, section

RULES = alerts()
NAMES = [rule["alert"] for rule in RULES]
DURATION = re.compile(r"([0-9]+(ms|[smhdwy]))+\Z")
REQUIRED = {
    "InterlockHoldsUndecided",
    "InterlockNobodyDecides",
    "InterlockFastApprovals",
    "InterlockPracticeMissed",
    "InterlockOutcomeUnknown",
    "InterlockFailClosed",
    "InterlockStoreErrors",
    "InterlockRecordsLost",
    "InterlockRecordsForged",
    "InterlockRecordsBehind",
    "InterlockRecordsShortened",
    "InterlockArchiveDown",
    "InterlockArchiveLags",
    "InterlockAuditsDropped",
    "InterlockDiskLow",
    "InterlockDiskAlmostFull",
    "InterlockCalibrationStale",
    "InterlockPeopleNotTold",
    "InterlockPolicyStale",
    "InterlockAllAgentsStopped",
    "InterlockStopLifted",
}


@pytest.mark.parametrize(("where", "expression"), expressions().items(), ids=lambda each: each[:60])
def test_every_expression_parses(where: str, expression: str) -> None:
    assert parsed(expression) is not None, where


def test_an_expression_that_is_none_would_be_noticed() -> None:
    with pytest.raises(ValueError, match="."):
        parsed("sum by (le (rate(x[5m]))")


def test_the_file_has_what_prometheus_takes_and_nothing_else() -> None:
    document = yaml.safe_load(ALERTS.read_text())
    assert set(document) == {"groups"}
    names = [group["name"] for group in document["groups"]]
    assert len(set(names)) == len(names)
    for group in document["groups"]:
        assert set(group) <= {"name", "interval", "limit", "rules", "labels", "query_offset"}
        assert group["rules"]


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_a_rule_has_what_prometheus_takes_and_nothing_else(rule: dict[str, Any]) -> None:
    assert set(rule) <= {"alert", "expr", "for", "keep_firing_for", "labels", "annotations"}
    assert re.fullmatch(r"Interlock[A-Z][A-Za-z]+", rule["alert"])
    assert isinstance(rule["expr"], str)
    assert DURATION.match(rule.get("for", "1m"))
    assert rule["labels"] == {"severity": "page"} or rule["labels"] == {"severity": "ticket"}
    assert all(isinstance(said, str) for said in rule["annotations"].values())


def test_names_are_given_once_and_nothing_that_matters_is_left_out() -> None:
    assert len(set(NAMES)) == len(NAMES)
    assert set(NAMES) >= REQUIRED


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_an_alert_says_what_it_is_and_what_to_do(rule: dict[str, Any]) -> None:
    said = rule["annotations"]
    assert set(said) == {"summary", "description", "runbook_url"}
    assert said["summary"].endswith(".") and len(said["summary"]) < 120
    assert len(said["description"].split()) > 10
    assert said["runbook_url"] == f"docs/operating.md#{rule['alert'].lower()}"
    assert len(section(rule["alert"]).split()) > 20


def in_words(number: float) -> str:
    """Return a threshold as people write it: whole MiB and GiB by their names."""
    for unit, name in ((2**30, "GiB"), (2**20, "MiB")):
        if number >= unit and number % unit == 0:
            return f"{number // unit:g} {name}"
    return f"{number:g}"


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_the_thresholds_of_an_alert_are_in_its_section(rule: dict[str, Any]) -> None:
    text = section(rule["alert"])
    assert rule.get("for", "") in text
    for number in numbers(parsed(rule["expr"])):
        said = in_words(number)
        assert re.search(rf"(?<![\d.]){said}(?![\d])", text), f"{said} is not in {text}"
    for window in re.findall(r"\[(\w+)\]", rule["expr"]):
        assert window in text


def test_no_section_speaks_of_an_alert_that_there_is_not() -> None:
    text = (ROOT / "docs/operating.md").read_text()
    assert set(re.findall(r"^### (Interlock\w+)$", text, re.MULTILINE)) == set(NAMES)


@pytest.mark.parametrize("rule", RULES, ids=NAMES)
def test_templates_name_labels_that_the_alert_has(rule: dict[str, Any]) -> None:
    tree = parsed(rule["expr"])
    plain = "by (" not in rule["expr"]
    for said in rule["annotations"].values():
        for label in re.findall(r"\$labels\.(\w+)", said):
            kept = plain and label in ("instance", "job")
            assert kept or re.search(rf"by \([^)]*\b{label}\b", rule["expr"]), label
        assert said.count("{{") == said.count("}}")
    assert isinstance(tree, promql.Expr)


def test_people_hear_of_a_full_disk_before_it_counts_as_full() -> None:
    bounds = {rule["alert"]: numbers(parsed(rule["expr"])) for rule in RULES}
    (low,), (almost,) = bounds["InterlockDiskLow"], bounds["InterlockDiskAlmostFull"]
    assert LITTLE < almost < low
