"""MCP's own suite through a whole Interlock: nothing that passes direct is lost.

Needs the installed suite: `python -m tests.conformance.run` installs it, as `.ci/run` does.
"""

from __future__ import annotations

import shlex
import sys
from pathlib import Path

import pytest

from tests.conformance import suite
from tests.conformance.processes import fixture
from tests.conformance.results import compare, load, totals
from tests.conformance.run import EXPECTED, VERSIONS, client, server, tasks

INTERLOCK = shlex.join([sys.executable, "-m", "tests.conformance.through_interlock"])

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("conformance"),
    pytest.mark.skipif(not suite.is_installed(), reason="the conformance suite is not installed"),
]


def test_every_check_of_a_server_passes_through_interlock(tmp_path: Path) -> None:
    """84 of 2025-11-25 and 152 of 2026-07-28, though policy gates other tools.

    It has the whole of the policy that gates nothing, which the tests of clients and tasks have:
    a third run of the same checks with that one alone took as long, and could lose nothing else.
    """
    with fixture(through=f"{INTERLOCK} --policy gated") as url:
        found = server(url, VERSIONS, tmp_path)

    assert [str(lost) for lost in compare(load(EXPECTED / "server.json"), found)] == []
    assert totals(found).passed >= 84 + 152


def test_every_check_of_a_client_passes_through_interlock(tmp_path: Path) -> None:
    found = client(VERSIONS, tmp_path, through=INTERLOCK)

    assert [str(lost) for lost in compare(load(EXPECTED / "client.json"), found)] == []


def test_every_check_of_tasks_passes_on_tasks_of_ours(tmp_path: Path) -> None:
    """The server behind makes no task: all 44 checks are of those that Interlock serves."""
    with fixture(through=f"{INTERLOCK} --task-after 250ms") as url:
        found = tasks(url, tmp_path)

    assert [str(lost) for lost in compare(load(EXPECTED / "tasks.json"), found)] == []
    assert totals(found).passed >= 44
