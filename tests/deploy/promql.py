"""What PromQL expressions name, and what `/metrics` has."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import promql_parser as promql
import yaml
from prometheus_client.parser import text_string_to_metric_families

ROOT = Path(__file__).resolve().parent.parent.parent
ALERTS = ROOT / "deploy/prometheus/alerts.yml"
DASHBOARD = ROOT / "deploy/grafana/interlock.json"
SCRAPED = frozenset({"job", "instance"})  #: labels that Prometheus adds
_STANDS_FOR = {
    "$__rate_interval": "5m",
    "$__range": "6h",
    '"$instance"': '".*"',
}

Series = Mapping[str, list[Mapping[str, str]]]  #: labels of each series, by the metric's name


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """One metric that an expression selects."""

    metric: str
    matchers: tuple[tuple[str, str, bool], ...]  #: label, value, whether it is a regex


def parsed(expression: str) -> Any:
    """Return the syntax tree. Raises ValueError: it is no PromQL."""
    for variable, value in _STANDS_FOR.items():
        expression = expression.replace(variable, value)
    assert "$" not in expression, f"an unknown variable in {expression}"
    return promql.parse(expression)


def nodes(tree: Any) -> list[Any]:
    found: list[Any] = []
    promql.walk(tree, pre_visit=lambda node: found.append(node))
    return found


def selected(tree: Any) -> Iterator[Named]:
    for node in nodes(tree):
        each = node.vector_selector if isinstance(node, promql.MatrixSelector) else node
        if isinstance(each, promql.VectorSelector):
            yield Named(
                metric=each.name or "",
                matchers=tuple(
                    (matcher.name, matcher.value, matcher.op == promql.MatchOp.Re)
                    for matcher in each.matchers.matchers
                ),
            )


def grouped(tree: Any) -> set[str]:
    """Return the labels that an expression groups or matches by."""
    labels: set[str] = set()
    for node in nodes(tree):
        modifier = getattr(node, "modifier", None)
        matching = getattr(modifier, "matching", None)
        for said in (modifier, matching):
            labels |= set(getattr(said, "labels", ()))
    return labels


def numbers(tree: Any) -> list[float]:
    return [node.val for node in nodes(tree) if isinstance(node, promql.NumberLiteral)]


def series_of(text: str) -> Series:
    """Return the series of an exposition in Prometheus' text format."""
    found: dict[str, list[Mapping[str, str]]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, []).append(sample.labels)
    return found


def missing(expression: str, series: Series) -> list[str]:
    """Return what an expression names and *series* do not have; empty: all of it is there."""
    tree, wrong, labels = parsed(expression), [], set(SCRAPED)
    for each in selected(tree):
        if each.metric == "up":
            continue
        rows = series.get(each.metric)
        if rows is None:
            wrong.append(f"there is no {each.metric}")
            continue
        labels |= {label for row in rows for label in row}
        for label, value, regex in each.matchers:
            if label in SCRAPED:
                continue
            values = {row.get(label) for row in rows}
            asked = value.split("|") if regex else [value]
            wrong += [f'no {each.metric} has {label}="{one}"' for one in asked if one not in values]
    wrong += [f"nothing has the label {label}" for label in sorted(grouped(tree) - labels)]
    return list(dict.fromkeys(wrong))


def alerts() -> list[dict[str, Any]]:
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def dashboard() -> dict[str, Any]:
    read: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return read


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = dashboard()["panels"]
    return found


def expressions() -> dict[str, str]:
    """Return every expression that is shipped, by where it is."""
    found = {f"alert {rule['alert']}": rule["expr"] for rule in alerts()}
    for panel in panels():
        for target in panel.get("targets", ()):
            found[f"panel {panel['title']} {target['refId']}"] = target["expr"]
    return found


def section(name: str) -> str:
    """Return what docs/operating.md says under the heading *name*; empty: there is none."""
    text = (ROOT / "docs/operating.md").read_text()
    found = re.search(rf"^### {name}\n(.*?)(?=^##)", text, re.MULTILINE | re.DOTALL)
    return found[1] if found else ""
