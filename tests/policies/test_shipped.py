"""What ships in `policies/` and as presets holds what its page says it holds."""

from __future__ import annotations

import re
from itertools import pairwise, product
from pathlib import Path

import pytest

from interlock.core.decisions import Level, Reversibility, Stake
from interlock.policies.load import load_policies
from interlock.policies.mutate import laboratory
from interlock.policies.settings import PRESETS, preset
from interlock.policies.suite import run_suite

ROOT = Path(__file__).parents[2]
POLICIES = sorted(
    file for file in (ROOT / "policies").glob("*.yaml") if not file.stem.endswith("_test")
)
EXAMPLES = sorted(
    file for file in (ROOT / "policies/examples").glob("*.yaml") if not file.stem.endswith("_test")
)
PAGE = (ROOT / "docs/shipped-policies.md").read_text()
ROW = re.compile(
    r"^\| (lenient|standard|strict) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \| (\w+) \|$", re.M
)
SURVIVORS = re.compile(r"^\| ([\w/-]+) \| \d+ \| \d+ \| .*\|$", re.M)


def suite_of(policy: Path) -> Path:
    return policy.with_name(f"{policy.stem}_test.yaml")


@pytest.mark.parametrize("policy", POLICIES + EXAMPLES, ids=lambda file: file.stem)
def test_every_rule_and_limit_of_a_shipped_policy_fires_in_its_suite(policy: Path) -> None:
    report = run_suite(suite_of(policy))

    assert [str(failure) for failure in report.failures] == []
    assert report.coverage.rules == 100
    assert report.coverage.limits == 100


@pytest.mark.parametrize("policy", POLICIES + EXAMPLES, ids=lambda file: file.stem)
def test_a_suite_notices_less_time_fewer_people_shorter_windows_and_missing_arguments(
    policy: Path,
) -> None:
    lab = laboratory([suite_of(policy)])
    weaker = [
        each
        for each in lab.mutants()
        if re.search(r"half of it|: quorum |required arguments", each.what)
    ]

    assert weaker
    assert [each.what for each in weaker if lab.run(each).state == "survived"] == []


def test_the_shipped_policies_load_together_as_one() -> None:
    together = load_policies(POLICIES)

    alone = [load_policies([policy]) for policy in POLICIES]
    assert len(together.tools) == sum(len(each.tools) for each in alone)
    assert len(together.rules) == sum(len(each.rules) for each in alone)


@pytest.mark.parametrize("policy", POLICIES, ids=lambda file: file.stem)
def test_a_shipped_policy_says_of_each_tool_what_it_does_and_never_allows_the_unknown(
    policy: Path,
) -> None:
    compiled = load_policies([policy])

    assert [tool.id for tool in compiled.tools.values() if not tool.description] == []
    assert compiled.unknown_tool.level >= Level.APPROVE


@pytest.mark.parametrize("policy", POLICIES, ids=lambda file: file.stem)
def test_the_page_has_a_section_about_each_shipped_policy(policy: Path) -> None:
    assert re.search(rf"^## .*`{policy.name}`", PAGE, re.M)


def test_the_page_says_of_each_policy_which_mutants_survive() -> None:
    shipped = [file.stem for file in POLICIES] + [f"examples/{file.stem}" for file in EXAMPLES]

    assert sorted(SURVIVORS.findall(PAGE)) == sorted(shipped)


def test_the_page_shows_each_cell_of_the_presets() -> None:
    shown = {
        (name, Reversibility[row.upper()], stake): Level[cell.upper()]
        for name, row, *cells in ROW.findall(PAGE)
        for stake, cell in zip(Stake, cells, strict=True)
    }

    assert shown == {
        (name, row, stake): preset(name)[row][stake]
        for name, row, stake in product(PRESETS, Reversibility, Stake)
    }


@pytest.mark.parametrize("name", PRESETS)
def test_in_a_preset_more_stake_or_less_undoing_never_asks_for_less(name: str) -> None:
    matrix = preset(name)

    assert all(one <= other for row in Reversibility for one, other in pairwise(matrix[row]))
    assert all(
        matrix[one][stake] <= matrix[other][stake]
        for one, other in pairwise(Reversibility)
        for stake in Stake
    )


@pytest.mark.parametrize(("laxer", "stricter"), list(pairwise(PRESETS)))
def test_a_stricter_preset_asks_for_no_less_anywhere(laxer: str, stricter: str) -> None:
    cells = list(product(Reversibility, Stake))

    assert all(preset(laxer)[row][stake] <= preset(stricter)[row][stake] for row, stake in cells)
    assert any(preset(laxer)[row][stake] < preset(stricter)[row][stake] for row, stake in cells)


@pytest.mark.parametrize("name", PRESETS)
def test_no_preset_lets_the_gravest_pass_unseen_or_asks_about_public_reads(name: str) -> None:
    matrix = preset(name)

    assert matrix[Reversibility.IRREVERSIBLE][Stake.CRITICAL] >= Level.APPROVE_DUAL
    assert matrix[Reversibility.READ_ONLY][Stake.LOW] is Level.ALLOW
