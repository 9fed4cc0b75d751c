"""The suite itself, through the pass-through: nothing is lost, and a planted fault is named.

Needs the installed suite: `python -m tests.conformance.run` installs it.
"""

from pathlib import Path

import pytest

from tests.conformance import suite
from tests.conformance.processes import PASS_THROUGH, fixture
from tests.conformance.results import compare, load
from tests.conformance.run import EXPECTED, VERSIONS, server

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not suite.is_installed(), reason="the conformance suite is not installed"),
]


def lost_through(command: str, out: Path) -> list[str]:
    with fixture(through=command) as url:
        found = server(url, VERSIONS, out)
    return [lost.check.id for lost in compare(load(EXPECTED / "server.json"), found)]


def test_a_strict_pass_through_loses_nothing(tmp_path: Path) -> None:
    assert lost_through(PASS_THROUGH, tmp_path) == []


def test_a_proxy_that_loses_schema_definitions_and_swallows_404_is_found_out(
    tmp_path: Path,
) -> None:
    """Both faults in one run, which takes as long as one alone: no check minds both."""
    lost = set(lost_through(f"{PASS_THROUGH} --fault defs --fault 404", tmp_path))
    definitions = {"json-schema-2020-12-$defs", "sep-2106-anchor-keyword-preserved"}
    assert definitions < lost
    statuses = lost - definitions
    assert "server-session-terminated-returns-404" in statuses
    assert "sep-2575-http-server-method-not-found-404" in statuses
    assert all("404" in name for name in statuses)
