"""The dashboard is what Grafana takes: it can be imported anywhere, and says what it shows."""

from __future__ import annotations

import itertools
import re
from typing import Any

import pytest
import yaml

from tests.deploy.promql import DASHBOARD, ROOT, dashboard, panels

SHOWN = [panel for panel in panels() if panel["type"] != "row"]
SOURCE = {"type": "prometheus", "uid": "${datasource}"}


def test_every_panel_has_an_id_of_its_own() -> None:
    ids = [panel["id"] for panel in panels()]
    assert len(set(ids)) == len(ids) and all(type(each) is int and each > 0 for each in ids)
    titles = [panel["title"] for panel in panels()]
    assert len(set(titles)) == len(titles)


def test_the_data_source_is_chosen_where_it_is_shown() -> None:
    variables = {each["name"]: each for each in dashboard()["templating"]["list"]}
    assert variables["datasource"]["type"] == "datasource"
    assert variables["datasource"]["query"] == "prometheus"
    assert variables["instance"]["datasource"] == SOURCE
    for panel in SHOWN:
        assert panel["datasource"] == SOURCE
        assert all(target["datasource"] == SOURCE for target in panel["targets"])


def test_nothing_in_it_is_bound_to_one_installation() -> None:
    text = DASHBOARD.read_text()
    assert "://" not in text
    assert '"id": null' not in text and "iteration" not in text
    assert "id" not in dashboard()  # of the dashboard: Grafana gives it
    assert dashboard()["uid"] == "interlock"


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows_and_in_which_unit(panel: dict[str, Any]) -> None:
    assert panel["type"] in ("stat", "timeseries", "bargauge")
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    refs = [target["refId"] for target in panel["targets"]]
    assert refs and len(set(refs)) == len(refs)
    for target in panel["targets"]:
        assert 'instance=~"$instance"' in target["expr"]


@pytest.mark.parametrize("panel", SHOWN, ids=lambda panel: panel["title"])
def test_a_legend_names_labels_that_the_query_keeps(panel: dict[str, Any]) -> None:
    for target in panel["targets"]:
        for label in re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]):
            assert re.search(rf"by \([^)]*\b{label}\b", target["expr"]), target


def test_panels_do_not_lie_on_each_other() -> None:
    for one, other in itertools.combinations(panels(), 2):
        a, b = one["gridPos"], other["gridPos"]
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert beside or below, (one["title"], other["title"])
        assert a["x"] + a["w"] <= 24


def test_what_people_ask_of_it_is_on_it() -> None:
    text = " ".join(target["expr"] for panel in SHOWN for target in panel["targets"])
    for metric in (
        "interlock_calls_total",
        "interlock_call_outcomes_total",
        "interlock_hold_oldest_age_seconds",
        "interlock_holds_open",
        "interlock_unknown_open",
        "interlock_requests_refused_total",
        "interlock_time_to_decision_seconds_bucket",
        "interlock_time_to_first_look_seconds_bucket",
        "interlock_approvals_fast_total",
        "interlock_rule_holds_settled_total",
        "interlock_practice_total",
        "interlock_audits_judged_total",
        "interlock_claimed_confidence_ratio_bucket",
        "interlock_calibration_age_seconds",
        "interlock_store_up",
        "interlock_archive_up",
        "interlock_archive_size_bytes",
        "interlock_archive_disk_free_bytes",
        "interlock_records_lag_seconds",
        "interlock_records_newest_timestamp_seconds",
        "interlock_records_shortened_total",
        "interlock_audits_dropped_total",
    ):
        assert metric in text, metric


def test_grafana_in_compose_finds_prometheus_and_the_dashboard() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounts = dict(each.split(":")[:2] for each in services["grafana"]["volumes"])
    folder = ROOT / "deploy/grafana/provisioning"
    (source,) = yaml.safe_load((folder / "datasources/prometheus.yaml").read_text())["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards/interlock.yaml").read_text())["providers"]
    assert source["type"] == "prometheus" and source["url"] == "http://prometheus:9090"
    shown = mounts["./deploy/grafana/interlock.json"]
    assert shown.startswith(provider["options"]["path"] + "/")
    assert mounts["./deploy/grafana/provisioning"] == "/etc/grafana/provisioning"


def test_nobody_changes_grafana_in_compose_with_a_password_that_everybody_knows() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    said = services["grafana"]["environment"]
    assert said["GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION"] == "true"
    assert said["GF_AUTH_ANONYMOUS_ORG_ROLE"] == "Viewer"


def test_prometheus_in_compose_reads_the_alerts_that_are_mounted() -> None:
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    mounts = dict(each.split(":")[:2] for each in services["prometheus"]["volumes"])
    asked = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())["rule_files"]
    assert asked == [mounts["./deploy/prometheus/alerts.yml"]]
