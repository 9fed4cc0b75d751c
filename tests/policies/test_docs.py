"""The examples in the documentation do what the text says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from interlock.policies.suite import run_suite

DOCS = Path(__file__).parents[2] / "docs"
FILE = re.compile(r"```yaml\n# file: (\S+)\n(.*?)```", re.DOTALL)


@pytest.mark.parametrize("page", ["policy.md", "arguments.md"])
def test_the_files_on_the_page_load_and_pass_their_tests(page: str, tmp_path: Path) -> None:
    files = FILE.findall((DOCS / page).read_text())
    for name, text in files:
        (tmp_path / name).write_text(text)

    reports = [run_suite(tmp_path / name) for name, _ in files if name.endswith("_test.yaml")]

    assert reports
    assert [str(failure) for report in reports for failure in report.failures] == []
