"""What a fuzzer finds that reads our OpenAPI document: nothing that it does not say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.world import Gate, Tool, gate, short_folder, with_tool

pytestmark = pytest.mark.slow
SEED = "20260301"
SETTINGS = """
continue-on-failure = true
warnings = false

[checks]
# what JSON Schema cannot say: an edit that does not fit, a day in the past, a call named twice
positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404, 409, 412, 422, 429]
# RFC 6585: a decision that names no version
missing_required_header.expected-statuses = [400, 401, 403, 415, 422, 428]
max_response_time = 10.0

# `meta` goes with some values of `format` only
[[operations]]
include-path = "/v1/feedback/export"
checks.positive_data_acceptance.expected-statuses = ["2xx", 400, 401, 403, 404]

[[operations]]
include-method = "GET"
exclude-path = "/v1/feedback/export"
checks.positive_data_acceptance.expected-statuses = ["2xx", 401, 403, 404]

# it never ends; tests/approvals/test_events.py reads it
[[operations]]
include-path = "/v1/events"
enabled = false
"""
HELD = 6  #: calls for the fuzzer to decide


@pytest.fixture(scope="module")
def running() -> Iterator[Gate]:
    """An Interlock with held calls, and one that was decided."""
    tool = Tool()
    with short_folder() as folder, gate(folder, with_tool(tool)) as running:
        later = {"Prefer": "respond-async"}
        for number in range(HELD + 1):
            said = {"text": f"note {number}"}
            httpx.post(f"{running.tool}/publish", json=said, headers=later)
        rejected = running.decide_card(running.held(HELD + 1)[0], "reject", message="Not now.")
        assert rejected.status_code == 200, rejected.text
        yield running
    tool.stop()


def made(running: Gate, kind: str) -> str:
    """Return a new key of this kind."""
    command = [sys.executable, "-m", "interlock", "keys", "create", kind, f"the-{kind}", "--json"]
    ended = subprocess.run(
        command, cwd=running.folder, capture_output=True, text=True, timeout=60, check=True
    )
    return str(json.loads(ended.stdout)["key"])


def fuzzed(running: Gate, folder: Path, key: str, examples: int) -> tuple[int, str]:
    """Send what the document allows and what it does not; return the exit code, and the words."""
    settings = folder / "schemathesis.toml"
    settings.write_text(SETTINGS)
    # `decisions` could be an id, so aiohttp names the methods of /v1/approvals/{id} there as well
    command = [
        *(sys.executable, "-m", "schemathesis.cli", "--config-file", str(settings)),
        *("run", f"{running.people}/openapi.json", "-H", f"Authorization: Bearer {key}"),
        *("--max-examples", str(examples), "--seed", SEED, "--no-color"),
        *("--checks", "all", "--exclude-checks", "allow_header_conformance"),
        *("--phases", "coverage,fuzzing,stateful" if examples > 1 else "coverage"),
    ]
    ended = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return ended.returncode, ended.stdout + ended.stderr


@pytest.mark.parametrize(("kind", "examples"), [("approver", 6), ("admin", 3), ("auditor", 1)])
def test_a_fuzzer_meets_nothing_that_the_document_does_not_say(
    running: Gate, tmp_path: Path, kind: str, examples: int
) -> None:
    code, said = fuzzed(running, tmp_path, made(running, kind), examples)
    assert code == 0, said
    assert " 0 generated" not in said and "No operations" not in said
    assert "Traceback" not in running.said()


def waiting(running: Gate) -> list[dict[str, Any]]:
    """Return what waits, but for whether its caller is still there: that passes by itself."""
    with running.person() as ann:
        items = ann.get("/v1/approvals?limit=200").json()["items"]
    return [{**each, "caller_waiting": None} for each in items]


def test_a_fuzzer_with_an_agents_key_changes_nothing(running: Gate, tmp_path: Path) -> None:
    before = waiting(running)
    assert before
    code, said = fuzzed(running, tmp_path, made(running, "agent"), 1)
    assert code == 0, said
    assert waiting(running) == before
