"""The harness tells what a proxy loses from what was never there."""

import json
from pathlib import Path

import pytest

from tests.conformance.results import (
    Check,
    client_end,
    compare,
    lines,
    load,
    read,
    save,
    totals,
)


def check(id: str, status: str = "SUCCESS", *, nth: int = 0, message: str = "") -> Check:
    return Check(
        part="server 2026-07-28",
        scenario="caching",
        id=id,
        nth=nth,
        status=status,
        message=message,
    )


def test_the_same_checks_lose_nothing() -> None:
    assert compare([check("a"), check("b")], [check("b"), check("a")]) == ()


@pytest.mark.parametrize("status", ["FAILURE", "SKIPPED", "WARNING", "INFO"])
def test_a_check_that_no_longer_passes_is_named_with_its_reason(status: str) -> None:
    (lost,) = compare([check("a")], [check("a", status, message="gone")])
    assert str(lost) == f"server 2026-07-28: caching: a: {status} gone"


def test_a_check_that_is_no_longer_reached_is_lost() -> None:
    (lost,) = compare([check("a"), check("b")], [check("a")])
    assert str(lost) == "server 2026-07-28: caching: b: not reached"


def test_the_second_check_of_one_id_is_told_from_the_first() -> None:
    (lost,) = compare([check("a"), check("a", nth=1)], [check("a"), check("a", "FAILURE", nth=1)])
    assert lost.check.name.endswith("a #2")


def test_what_fails_directly_is_not_the_proxys_loss() -> None:
    assert compare([check("a", "FAILURE"), check("b", "WARNING")], []) == ()


def test_a_client_that_breaks_only_through_the_proxy_is_named() -> None:
    ends = [client_end("client 2025-11-25", "initialize", well=well) for well in (True, False)]
    (lost,) = compare(ends[:1], ends[1:])
    assert str(lost) == "client 2025-11-25: initialize: client-end: BROKE"


def test_totals_count_passed_and_failed_checks_only() -> None:
    found = [check("a"), check("b", "FAILURE"), check("c", "WARNING"), check("d", "SKIPPED")]
    assert str(totals(found)) == "1/2"


def test_each_scenario_has_a_line_that_names_its_failures() -> None:
    assert list(lines([check("a"), check("b", "FAILURE")])) == [
        "server 2026-07-28  caching  1/2  b",
        "server 2026-07-28: 1/2 checks in 1 scenarios",
    ]


def test_checks_are_read_from_the_files_that_the_suite_writes(tmp_path: Path) -> None:
    folder = tmp_path / "server-tools-list-2026-11-23T04-30-38-054Z"
    folder.mkdir()
    failed = {"id": "x", "status": "FAILURE", "errorMessage": "why"}
    (folder / "checks.json").write_text(json.dumps([{"id": "x", "status": "SUCCESS"}, failed]))
    first, second = read("server 2025-11-25", tmp_path)
    assert (first.scenario, first.nth, first.status) == ("tools-list", 0, "SUCCESS")
    assert (second.nth, second.status, second.message) == (1, "FAILURE", "why")


def test_what_is_saved_as_expected_is_expected(tmp_path: Path) -> None:
    passing = (check("a"), check("a", nth=1), client_end("client", "initialize", well=True))
    save((*passing, check("b", "SKIPPED")), tmp_path / "expected.json")
    assert compare(load(tmp_path / "expected.json"), passing) == ()
    assert len(compare(load(tmp_path / "expected.json"), [])) == 3
