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


def test_a_proxy_that_loses_schema_definitions_is_found_out(tmp_path: Path) -> None:
    lost = lost_through(f"{PASS_THROUGH} --fault defs", tmp_path)
    assert set(lost) == {"json-schema-2020-12-$defs", "sep-2106-anchor-keyword-preserved"}


def test_a_proxy_that_swallows_404_is_found_out(tmp_path: Path) -> None:
    lost = lost_through(f"{PASS_THROUGH} --fault 404", tmp_path)
    assert "server-session-terminated-returns-404" in lost
    assert "sep-2575-http-server-method-not-found-404" in lost
