"""Changing the policy of a running `interlock serve`: in force at once, or nothing changes."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.world import (
    CONFIG,
    POLICY,
    Tool,
    gate,
    refused_to_start,
    short_folder,
    with_tool,
    write,
)

pytestmark = pytest.mark.xdist_group("bad-days")
LATER = {"Prefer": "respond-async"}
STRICTER = POLICY.replace("version: 1", "version: 2").replace(
    "tools: [notes.publish,", "tools: [notes.add, notes.publish,"
)
SUITE = """
apiVersion: interlock/v1
kind: PolicyTest
policy: [policy.yaml]
cases:
  - name: adding a note
    call: {tool: notes.add, args: {text: hello}}
    expect: {level: LEVEL}
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as made:
        yield made


def metric(people: str, name: str) -> float:
    lines = httpx.get(f"{people}/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def test_promise_27_a_broken_policy_changes_nothing_and_the_right_one_is_in_force_at_once(
    folder: Path, tool: Tool
) -> None:
    config = with_tool(tool) | {"log": {"level": "info"}}
    with gate(folder, config) as running:
        path = folder / "policy.yaml"
        note: dict[str, Any] = {"url": f"{running.tool}/notes", "headers": LATER}
        assert httpx.post(json={"text": "a"}, **note).status_code == 200

        path.write_text(POLICY.replace("at_least: approve}", "at_least: aprove}", 1))
        running.process.send_signal(signal.SIGHUP)
        running.words.wait(r"acceptance version 1 stays in force.*\n.*policy.yaml:\d+:\d+")
        assert httpx.post(json={"text": "b"}, **note).status_code == 200
        assert metric(running.people, "interlock_policy_stale") == 1
        ready = httpx.get(f"{running.people}/readyz")
        assert (ready.status_code, ready.json()["policy"]["stale"]) == (200, True)

        (folder / "policy_test.yaml").write_text(SUITE.replace("LEVEL", "allow"))
        path.write_text(STRICTER)  # looked at every second
        running.words.wait(r"policy_test.yaml:\d+:\d+: .*want 'allow', got 'approve'")
        assert httpx.post(json={"text": "c"}, **note).status_code == 200

        (folder / "policy_test.yaml").write_text(SUITE.replace("LEVEL", "approve"))
        running.process.send_signal(signal.SIGHUP)
        running.words.wait(r"policy acceptance version 2 \(sha256 [0-9a-f]{64}\) is in force")
        assert httpx.post(json={"text": "d"}, **note).status_code == 202
        assert metric(running.people, "interlock_policy_stale") == 0
        assert tool.hits == 3


def test_files_that_nobody_can_read_to_the_end_change_nothing_and_hold_up_nothing(
    folder: Path, tool: Tool
) -> None:
    config = with_tool(tool) | {"log": {"level": "info"}}
    with gate(folder, config) as running:
        note: dict[str, Any] = {"url": f"{running.tool}/notes", "headers": LATER}
        os.mkfifo(folder / "policy_test.yaml")
        running.words.wait(r"policy_test.yaml:1:1: is a pipe, not a file")  # looked at every second
        (folder / "policy.yaml").unlink()
        (folder / "policy.yaml").symlink_to("/dev/zero")
        running.process.send_signal(signal.SIGHUP)
        running.words.wait(r"policy.yaml:1:1: is a device, not a file")

        assert metric(running.people, "interlock_policy_stale") == 1
        assert httpx.post(json={"text": "a"}, **note).status_code == 200
        assert running.stop() == 0


def test_a_pipe_among_the_policies_keeps_interlock_from_starting(folder: Path) -> None:
    path = write(folder, CONFIG)
    os.mkfifo(folder / "policy_test.yaml")

    code, said = refused_to_start(path)

    assert code == 2 and "policy_test.yaml:1:1: is a pipe, not a file" in said


def test_promise_27_a_policy_whose_tests_fail_keeps_interlock_from_starting(folder: Path) -> None:
    path = write(folder, CONFIG)
    (folder / "policy_test.yaml").write_text(SUITE.replace("LEVEL", "deny"))

    code, said = refused_to_start(path)

    assert code == 2
    assert "policy_test.yaml:" in said and "want 'deny', got 'allow'" in said
    assert "adding a note" in said and "`interlock policy test " in said, "which, and how to go on"
