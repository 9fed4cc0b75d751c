"""The examples in the documentation do what the text says."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.policies.document import PolicyDocument
from interlock.policies.document_parts import Part
from interlock.policies.load import read_policies
from interlock.policies.suite import run_suite

DOCS = Path(__file__).parents[2] / "docs"
FILE = re.compile(r"```yaml\n# file: (\S+)\n(.*?)```", re.DOTALL)
BLOCK = re.compile(r"^```yaml\n# (\S+)[^\n]*\n(.*?)^```", re.DOTALL | re.MULTILINE)
GUIDE = (DOCS / "policy.md").read_text()


@pytest.mark.parametrize("page", ["policy.md", "arguments.md"])
def test_the_files_on_the_page_load_and_pass_their_tests(page: str, tmp_path: Path) -> None:
    files = FILE.findall((DOCS / page).read_text())
    for name, text in files:
        (tmp_path / name).write_text(text)

    reports = [run_suite(tmp_path / name) for name, _ in files if name.endswith("_test.yaml")]

    assert reports
    assert [str(failure) for report in reports for failure in report.failures] == []


# -- the guide: parts that are added to its first file, and cases of what then happens -----------


def together(part: Any, base: Any) -> Any:
    """Return *base* with what *part* adds: lists grow, mappings join, all else is new."""
    if isinstance(part, list) and isinstance(base, list):
        return [*base, *part]
    if not isinstance(part, dict) or not isinstance(base, dict):
        return part
    new = {name: together(each, base[name]) for name, each in part.items() if name in base}
    return {**base, **part, **new}


def parts() -> list[tuple[str, str]]:
    """Return each part with the cases that come after it, before the next part."""
    found: list[tuple[str, str]] = []
    for kind, text in BLOCK.findall(GUIDE):
        if kind == "part":
            found.append((text, ""))
        elif kind == "cases":
            found[-1] = (found[-1][0], found[-1][1] + text)
    return found


BASE = yaml.safe_load(dict(FILE.findall(GUIDE))["support.yaml"])


def written(part: str) -> str:
    new = yaml.safe_load(part)
    # The first file's table of amounts and matrix are written out again, not longer.
    base = {name: each for name, each in BASE.items() if name not in ("stake", "matrix")}
    return yaml.safe_dump({**{n: BASE[n] for n in ("stake", "matrix")}, **together(new, base)})


@pytest.mark.parametrize(("part", "cases"), parts())
def test_a_part_of_the_guide_does_what_its_cases_say(part: str, cases: str, tmp_path: Path) -> None:
    (tmp_path / "support.yaml").write_text(written(part))
    suite = {"apiVersion": "interlock/v1", "kind": "PolicyTest", "policy": "support.yaml"}
    suite["cases"] = yaml.safe_load(cases or "[]")
    (tmp_path / "support_test.yaml").write_text(yaml.safe_dump(suite))

    policy = read_policies([("support.yaml", written(part))])
    report = run_suite(tmp_path / "support_test.yaml")

    assert policy.tools
    assert [str(failure) for failure in report.failures] == []


def test_every_yaml_block_of_the_guide_is_a_file_a_part_or_cases() -> None:
    kinds = [kind for kind, _ in BLOCK.findall(GUIDE)]

    assert len(kinds) == GUIDE.count("```yaml")
    assert set(kinds) == {"file:", "part", "cases"}
    assert kinds.count("cases") >= 12


def test_the_guide_names_every_key_of_a_policy() -> None:
    assert [key for key in sorted(keys(PolicyDocument, set())) if key not in words()] == []


def keys(model: type[Part], seen: set[type[Part]]) -> set[str]:
    """Return every key that *model* and the parts within it may have."""
    if model in seen:
        return set()
    seen.add(model)
    found: set[str] = set()
    for name, field in model.model_fields.items():
        found.add(field.alias or name)
        for part in Part.__subclasses__():
            if part.__name__ in repr(field.annotation):
                found |= keys(part, seen)
    return found


def words() -> set[str]:
    return set(re.findall(r"[A-Za-z_]+", GUIDE))


def test_every_link_of_the_guide_leads_somewhere() -> None:
    headings = re.findall(r"^#+ (.+)$", GUIDE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 _-]", "", each.lower()).replace(" ", "-") for each in headings}
    linked = re.findall(r"\]\(#([^)]+)\)", GUIDE)

    assert sorted(set(linked) - anchors) == []
    pages = {page.partition("#")[0] for page in re.findall(r"\]\(([^#)][^)]*)\)", GUIDE)}
    assert [page for page in pages if not (DOCS / page).exists()] == []
