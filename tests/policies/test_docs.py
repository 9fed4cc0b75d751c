"""The examples in the documentation do what the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interlock.core.rules import Indeterminate
from interlock.policies.expressions import compile_condition
from interlock.policies.suite import run_suite

DOCS = Path(__file__).parents[2] / "docs"
FILE = re.compile(r"```yaml\n# file: (\S+)\n(.*?)```", re.DOTALL)
EXAMPLES = re.compile(r"```cel\n(.*?)```", re.DOTALL)
SEEN = {
    "args": {
        "amount": 750,
        "to": "Ann@Example.com",
        "memo": None,
        "tags": ["a", "b"],
        "nan": "750",
    },
    "agent": {"id": "bot"},
    "call": {"hour": 23},
}


@pytest.mark.parametrize("page", ["policy.md", "arguments.md"])
def test_the_files_on_the_page_load_and_pass_their_tests(page: str, tmp_path: Path) -> None:
    files = FILE.findall((DOCS / page).read_text())
    for name, text in files:
        (tmp_path / name).write_text(text)

    reports = [run_suite(tmp_path / name) for name, _ in files if name.endswith("_test.yaml")]

    assert reports
    assert [str(failure) for report in reports for failure in report.failures] == []


LINES = EXAMPLES.findall((DOCS / "conditions.md").read_text())[0].strip().splitlines()


@pytest.mark.parametrize("line", LINES)
def test_a_condition_on_the_page_answers_as_it_says(line: str) -> None:
    source, _, said = line.rpartition("#")
    condition = compile_condition(source.strip(), {"ours": ["example.com"]})
    try:
        answer = str(condition(SEEN)).lower()
    except Indeterminate:
        answer = "indeterminate"

    assert answer == said.strip()
