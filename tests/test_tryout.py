"""Policy files are tried out before they count, here or in another process, once for each text."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from interlock import tryout
from interlock.core.errors import InvalidDocument
from interlock.core.rules import PolicySet
from interlock.policies.load import load_policies
from interlock.tryout import (
    contents,
    load_apart,
    load_once_apart,
    load_tested,
    stamped,
)
from tests.test_reload import BANK, SUITE


@pytest.fixture
def bank(tmp_path: Path) -> Path:
    path = tmp_path / "bank.yaml"
    path.write_text(BANK.format(version=1))
    return path


def suite(bank: Path, level: str) -> None:
    bank.with_name("bank_test.yaml").write_text(SUITE.replace("LEVEL", level))


def test_files_that_change_while_they_are_read_are_read_again(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def restless(paths: list[Path]) -> str:
        nonlocal looks
        looks += 1
        if looks == 2:  # between reading the policy and being sure of it
            bank.write_text(BANK.format(version=2))
        return contents(paths)

    monkeypatch.setattr(tryout, "contents", restless)

    assert load_tested([bank]).policy.ref.version == 2 and looks == 4


def test_files_that_never_rest_are_refused(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = iter(range(100))
    monkeypatch.setattr(tryout, "contents", lambda _: str(next(looks)))

    with pytest.raises(InvalidDocument, match="change while they are read"):
        load_tested([bank])


def test_every_case_that_fails_is_told(bank: Path) -> None:
    suite(bank, "deny")

    with pytest.raises(InvalidDocument, match="bank_test.yaml:.*want 'deny', got 'allow'") as wrong:
        load_tested([bank])
    (problem,) = wrong.value.problems
    assert "a payment" in problem.message, "the case"
    test = bank.with_name("bank_test.yaml")
    assert f"mend it, or the test: `interlock policy test {test}` shows" in problem.message


def test_of_very_many_problems_the_first_are_told(bank: Path) -> None:
    case = "  - {name: one, call: {tool: bank.pay}, expect: {level: deny}}\n"
    bank.with_name("bank_test.yaml").write_text(SUITE.replace("LEVEL", "allow") + case * 150)

    told = json.loads(tryout.main([str(bank)]))["problems"]
    assert len(told) == tryout.MOST_TOLD + 1
    assert "and 50 more: `interlock policy check`" in told[-1]["message"]


async def test_files_that_passed_are_not_tried_again(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = bank.with_name("data") / "policy.tested"  # at the very first start it is not there
    suite(bank, "allow")
    first = await load_once_apart([bank], note)
    assert note.parent.stat().st_mode & 0o777 == 0o700
    assert note.stat().st_mode & 0o777 == 0o600
    with monkeypatch.context() as patched:
        patched.setattr(tryout, "load_apart", lambda _: pytest.fail("tried again"))
        assert (await load_once_apart([bank], note)).digest == first.digest

    suite(bank, "deny")
    with pytest.raises(InvalidDocument):
        await load_once_apart([bank], note)
    note.write_bytes(b"\xff")
    suite(bank, "allow")
    assert (await load_once_apart([bank], note)).digest == first.digest


Load = Callable[[Sequence[Path]], PolicySet]


def for_a_moment_other(bank: Path, policy: str) -> Load:
    """Read files that are *policy* just then, and what they were before and after."""

    def load(paths: Sequence[Path]) -> PolicySet:
        before = bank.read_text()
        bank.write_text(policy)
        loaded = load_policies(paths)
        bank.write_text(before)
        return loaded

    return load


async def test_a_policy_that_was_there_for_a_moment_has_not_passed(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = bank.with_name("policy.tested")
    suite(bank, "allow")
    await load_once_apart([bank], note)
    loads = iter([for_a_moment_other(bank, BANK.format(version=2)), load_policies])
    monkeypatch.setattr(tryout, "load_policies", lambda paths: next(loads)(paths))

    assert (await load_once_apart([bank], note)).policy.ref.version == 1


async def test_without_a_suite_a_policy_that_was_there_for_a_moment_is_not_in_force(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loads = iter([for_a_moment_other(bank, BANK.format(version=2)), load_policies])
    monkeypatch.setattr(tryout, "load_policies", lambda paths: next(loads)(paths))

    with pytest.raises(InvalidDocument, match="what was read is not what was tried out"):
        await load_once_apart([bank], bank.with_name("policy.tested"))


async def test_without_a_suite_no_other_process_is_needed_at_the_start(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = bank.with_name("policy.tested")
    monkeypatch.setattr(sys, "executable", "/bin/false")

    assert (await load_once_apart([bank], note)).policy.ref.version == 1
    suite(bank, "allow")
    with pytest.raises(InvalidDocument, match="the process died"):
        await load_once_apart([bank], note)


async def test_the_policy_in_force_is_the_one_that_was_tried_out(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tryout, "load_policies", for_a_moment_other(bank, BANK.format(version=2)))

    with pytest.raises(InvalidDocument, match="what was read is not what was tried out"):
        await load_apart([bank])


async def test_at_the_start_another_process_tries_out_what_has_not_passed(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = bank.with_name("policy.tested")
    suite(bank, "deny")
    with pytest.raises(InvalidDocument, match="want 'deny', got 'allow'"):
        await load_once_apart([bank], note)
    suite(bank, "allow")
    first = await load_once_apart([bank], note)

    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert (await load_once_apart([bank], note)).digest == first.digest


async def test_reading_that_does_not_end_is_a_problem(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tryout, "READING", 0.0)
    for load in (load_apart([bank]), load_once_apart([bank], bank.with_name("policy.tested"))):
        with pytest.raises(InvalidDocument, match="reading the files did not end within 0 s"):
            await load


async def test_where_nothing_can_be_noted_files_are_tried_each_time(bank: Path) -> None:
    note = bank / "nowhere" / "policy.tested"

    assert (await load_once_apart([bank], note)).policy.ref.version == 1


async def test_another_process_tries_them_out(bank: Path) -> None:
    suite(bank, "allow")
    loaded = await load_apart([bank])
    assert loaded.policy.ref.version == 1
    assert (loaded.stamp, loaded.digest) == (stamped([bank]), contents([bank]))

    suite(bank, "deny")
    with pytest.raises(InvalidDocument) as wrong:
        await load_apart([bank])
    (problem,) = wrong.value.problems
    assert problem.file.endswith("bank_test.yaml") and problem.line > 1


async def test_a_process_that_dies_has_not_passed_anything(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")

    with pytest.raises(InvalidDocument, match="could not be tried out: the process died"):
        await load_apart([bank])


async def test_a_process_that_does_not_end_is_ended(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tryout, "PATIENCE", 0.0)

    with pytest.raises(InvalidDocument, match="did not end within 0 s"):
        await load_apart([bank])


async def test_what_the_tests_touch_is_told_and_noted_for_the_next_start(
    bank: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rule = "  - {id: %s, description: Some., tools: [bank.pay], at_least: approve, when: %s}\n"
    rules = rule % ("looked-at", "agent.id != 'eve'") + rule % ("never", "agent.id == 'eve'")
    bank.write_text(BANK.format(version=1) + "rules:\n" + rules)
    suite(bank, "approve")
    note = bank.with_name("policy.tested")
    first = (await load_once_apart([bank], note)).tested
    assert first is not None and (first.suites, first.passed, first.cells) == (1, 1, 1)
    assert first.parts == (("rule", "looked-at", 1), ("rule", "never", 0))

    monkeypatch.setattr(sys, "executable", "/bin/false")
    assert (await load_once_apart([bank], note)).tested == first
    kept = note.read_text()
    for damaged in ("", "[1]\n", '{"suites": 1}\n'):
        note.write_text(kept.partition("\n")[0] + "\n" + damaged)
        assert (await load_once_apart([bank], note)).tested is None


def test_without_a_suite_nothing_is_touched(bank: Path) -> None:
    tested = load_tested([bank]).tested
    assert tested is not None and (tested.suites, tested.passed, tested.cells) == (0, 0, 0)
