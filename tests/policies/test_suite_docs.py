"""The page about testing does what it says."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from interlock.cli.policy import policy
from interlock.policies.corpus import read_call
from interlock.policies.suite import run_suite

PAGE = (Path(__file__).parents[2] / "docs" / "testing-policies.md").read_text()
FILE = re.compile(r"```yaml\n# file: (\S+)\n(.*?)```", re.DOTALL)
JSON = re.compile(r"```json\n(.*?)```", re.DOTALL)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name, text in FILE.findall(PAGE):
        (tmp_path / name).write_text(text)
    return tmp_path


def test_the_suite_on_the_page_passes(folder: Path) -> None:
    found = run_suite(folder / "bank_test.yaml")

    assert [str(failure) for failure in found.failures] == []
    assert f"ok bank_test.yaml: {found.passed} passed, 0 failed" in PAGE


def test_the_survivor_on_the_page_survives(folder: Path) -> None:
    words = ["mutate", str(folder / "bank.yaml"), "--workers", "1"]

    survivors = CliRunner().invoke(policy, words).output

    shown = re.search(r"^bank\.yaml:(\S+ survived .*)\n +(.*)$", PAGE, re.MULTILINE)
    assert shown is not None
    assert shown[1] in survivors
    assert shown[2] in survivors


def test_the_call_on_the_page_can_be_compared() -> None:
    line = JSON.findall(PAGE)[0]

    assert read_call(line, "page").facts.used == {"per-day": 1500}
    assert json.loads(line)["call"]["tool"] == "pay"
