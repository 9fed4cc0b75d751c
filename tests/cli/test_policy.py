"""`interlock policy check` and `test`, as a policy owner sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from interlock.cli.policy import policy
from tests.policies.building import HEAD, PAY

SUITE = """apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
cases: [{name: a, call: {tool: pay, args: {amount: 5}}, expect: {level: LEVEL}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY)
    (tmp_path / "p_test.yaml").write_text(SUITE.replace("LEVEL", "notify"))
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(policy, [str(word) for word in words])


def test_a_sound_policy_exits_0_and_says_what_is_in_it(folder: Path) -> None:
    result = run("check", folder / "p.yaml")

    assert result.exit_code == 0
    assert "ok p version 1: 1 tools, 0 rules, 0 exceptions" in result.output


def test_every_problem_is_shown_with_its_place_and_exits_1(folder: Path) -> None:
    broken = folder / "p.yaml"
    broken.write_text(broken.read_text().replace("facets", "facet").replace("upto: 500", "upt: 5"))

    result = run("check", broken)

    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{broken}:9:8: error: unknown key 'upt'; did you mean 'upto'?")
    assert any("unknown key 'facet'; did you mean 'facets'?" in line for line in lines)
    assert lines[-1] == "3 problems"


def test_wrong_usage_exits_2(folder: Path) -> None:
    assert run("check").exit_code == 2
    assert run("check", folder / "gone.yaml").exit_code == 2
    assert run("test", "--nope", folder).exit_code == 2


def test_an_exception_that_has_ended_is_found(folder: Path) -> None:
    ended = """exceptions:
  - {id: e, tools: [pay], when: args.to == "x", at_most: notify, owner: a, reason: b,
     expires: "2020-01-01"}
"""
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + ended)

    result = run("check", folder)

    assert (result.exit_code, "ended on 2020-01-01" in result.output) == (1, True)


def test_json_is_one_object(folder: Path) -> None:
    good = json.loads(run("check", "--json", folder).output)
    (folder / "p.yaml").write_text("a: 1\n")
    bad = json.loads(run("check", "--json", folder).output)

    assert (good["ok"], good["policy"]["name"]) == (True, "p")
    assert (bad["ok"], bad["policy"]) == (False, None)
    assert {"file", "line", "column", "message", "path"} == set(bad["problems"][0])


@pytest.mark.parametrize("what", ["p.yaml", "p_test.yaml", "."])
def test_tests_are_found_by_policy_suite_or_directory(folder: Path, what: str) -> None:
    result = run("test", folder / what)

    assert result.exit_code == 0
    assert "1 passed, 0 failed; 100 % of rules fire, 6 % of matrix cells reached" in result.output


def test_a_failing_test_exits_1_with_its_place_and_trace(folder: Path) -> None:
    (folder / "p_test.yaml").write_text(SUITE.replace("LEVEL", "deny"))

    result = run("test", folder)
    as_json = json.loads(run("test", "--json", folder).output)

    assert result.exit_code == 1
    assert "p_test.yaml:4:65: FAIL case 'a': level: want 'deny', got 'notify'" in result.output
    assert "matrix compensable x low: notify" in result.output
    assert as_json["suites"][0]["failures"][0]["line"] == 4


def test_nothing_to_run_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p"))

    result = run("test", tmp_path / "p.yaml")

    assert (result.exit_code, "no tests: write NAME_test.yaml" in result.output) == (1, True)


def test_a_pipe_gets_plain_text(folder: Path) -> None:
    assert "\x1b" not in run("check", folder).output
