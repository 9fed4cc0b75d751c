"""Policy files that change under a running gate: tried out first, then in force at once, or not."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from interlock.core.decisions import Level, PolicyRef
from interlock.core.errors import StoreUnavailable
from interlock.core.rules import PolicySet
from interlock.policies.load import load_policies
from interlock.reload import PolicyWatch
from interlock.store.redis import RedisStore
from interlock.tryout import Loaded, load_tested
from tests.support.builders import NOON
from tests.support.fakes import NoonClock, World
from tests.support.faults import noticed

BANK = """
apiVersion: interlock/v1
kind: Policy
metadata: {{name: bank, version: {version}, owner: ann@example.com, description: One tool.}}
matrix: standard
stake: {{data: {{public: low}}}}
tools:
  - id: bank.pay
    http: {{upstream: bank, method: POST, path: /pay}}
    args_schema:
      type: object
      properties: {{amount: {{type: number}}, to: {{type: string}}}}
    reversibility: reversible
    undo: {{reason: It can be paid back.}}
    facets: {{data: public}}
"""
HELD = """
rules:
  - {id: looked-at, description: Somebody looks at it., tools: [bank.pay], at_least: approve}
"""
SUITE = """
apiVersion: interlock/v1
kind: PolicyTest
policy: [bank.yaml]
cases:
  - name: a payment
    call: {tool: bank.pay}
    expect: {level: LEVEL}
"""


@dataclass
class Counts:
    """What was counted: loaded versions, and refusals."""

    loaded: list[int] = field(default_factory=list)
    refused: int = 0

    def policy(self, ref: PolicyRef) -> None:
        self.loaded.append(ref.version)

    def policy_refused(self) -> None:
        self.refused += 1


async def _load(paths: Sequence[Path]) -> Loaded:
    return load_tested(paths)


class Bank:
    """A gate, the folder of its policy files, and who watches them."""

    def __init__(self, folder: Path, store: RedisStore) -> None:
        self.folder = folder
        self.write(1)
        loaded = load_tested([self.path])
        self.world = World(store, policy=loaded.policy)
        self.counts = Counts()
        self.unfit: tuple[str, ...] | Exception = ()
        self.watch = PolicyWatch(
            [self.path],
            self.world.gate,
            loaded,
            counted=self.counts,
            clock=NoonClock(),
            load=_load,
            unfit=self._unfit,
        )

    async def _unfit(self, policy: PolicySet) -> tuple[str, ...]:
        if isinstance(self.unfit, Exception):
            raise self.unfit
        return self.unfit

    @property
    def path(self) -> Path:
        return self.folder / "bank.yaml"

    def write(self, version: int, more: str = "") -> None:
        self.path.write_text(BANK.format(version=version) + more)

    def suite(self, level: str, name: str = "bank_test.yaml") -> None:
        (self.folder / name).write_text(SUITE.replace("LEVEL", level))

    @property
    def version(self) -> int:
        return self.world.gate.policy.ref.version

    @property
    def problems(self) -> str:
        return "\n".join(self.world.gate.policy_state.problems)


@pytest.fixture
async def bank(tmp_path: Path, store: RedisStore) -> AsyncIterator[Bank]:
    bank = Bank(tmp_path, store)
    yield bank
    await bank.world.gate.close(5)


async def test_a_changed_file_is_in_force_at_the_next_look(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.policy")
    assert (await bank.world.ask(Level.APPROVE)).relay is not None
    bank.write(2, HELD)

    await bank.watch.look()

    assert (bank.version, bank.counts.loaded) == (2, [2])
    held = await bank.world.held(body=b'{"amount": 1}')
    assert held.decision is not None and held.decision.policy.version == 2
    (line,) = (record.getMessage() for record in caplog.records)
    sha256 = bank.world.gate.policy.ref.sha256
    assert f"policy bank version 2 (sha256 {sha256}) is in force; before: bank version 1" in line


async def test_what_has_not_changed_is_not_read_again(bank: Bank) -> None:
    await bank.watch.look()
    os.utime(bank.path, ns=(1, 1))
    await bank.watch.look()

    assert bank.counts == Counts()


async def test_a_broken_file_changes_nothing_and_is_told_with_every_place(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    before = bank.world.gate.policy
    bank.write(2, "\nrules:\n  - {id: a, tols: [bank.pay]}\n  - {id: b, tools: [bank.pai]}\n")

    for _ in range(3):
        await bank.watch.look()

    assert bank.world.gate.policy is before and bank.counts == Counts([], 1)
    state = bank.world.gate.policy_state
    assert (state.ref.version, state.failed_at) == (1, NOON)
    assert "bank.yaml:18:" in bank.problems and "tools" in bank.problems
    assert {record.levelno for record in caplog.records} == {logging.ERROR}
    first, *problems = (record.getMessage() for record in caplog.records)
    assert "bank version 1 stays in force" in first
    assert problems == list(state.problems), "each once"
    assert (await bank.world.ask(Level.APPROVE)).relay is not None


async def test_once_the_file_is_right_again_nothing_is_wrong_any_more(bank: Bank) -> None:
    bank.write(2, "\nnonsense\n")
    await bank.watch.look()
    assert bank.problems
    bank.write(1)
    await bank.watch.look()

    assert bank.problems == "" and bank.world.gate.policy_state.failed_at == 0
    assert bank.counts == Counts([1], 1)


@pytest.mark.parametrize("gone", [True, False])
async def test_a_file_that_is_gone_or_empty_changes_nothing(bank: Bank, gone: bool) -> None:
    if gone:
        bank.path.unlink()
    else:
        bank.path.write_text("")
    await bank.watch.look()

    assert bank.version == 1 and bank.problems


async def test_a_policy_whose_companion_tests_fail_is_not_taken(bank: Bank) -> None:
    bank.suite("allow")
    bank.write(2, HELD)
    await bank.watch.look()

    assert bank.version == 1
    assert "bank_test.yaml:" in bank.problems and "want 'allow', got 'approve'" in bank.problems
    bank.suite("approve")
    await bank.watch.look()
    assert (bank.version, bank.problems) == (2, "")


async def test_a_suite_of_another_policy_says_nothing_about_this_one(bank: Bank) -> None:
    (bank.folder / "draft.yaml").write_text(BANK.format(version=9))
    (bank.folder / "draft_test.yaml").write_text(
        SUITE.replace("LEVEL", "deny").replace("bank.yaml", "draft.yaml")
    )
    (bank.folder / "notes_test.yaml").write_text("nothing: [of ours")
    bank.write(2)
    await bank.watch.look()

    assert (bank.version, bank.problems) == (2, "")


async def test_a_suite_of_this_policy_that_cannot_be_read_is_a_failure(bank: Bank) -> None:
    (bank.folder / "bank_test.yaml").write_text("policy: [bank.yaml\n")
    bank.write(2)
    await bank.watch.look()

    assert bank.version == 1 and "bank_test.yaml:" in bank.problems


async def test_a_policy_on_ground_too_weak_for_it_is_not_taken(bank: Bank) -> None:
    bank.unfit = ("The store keeps nothing.",)
    bank.write(2)
    await bank.watch.look()
    assert (bank.version, bank.problems) == (1, "The store keeps nothing.")

    bank.unfit = ()
    await bank.watch.reload()
    assert (bank.version, bank.problems) == (2, "")


async def test_while_the_store_does_not_answer_it_is_looked_at_again(bank: Bank) -> None:
    bank.unfit = StoreUnavailable("The store is gone.")
    bank.write(2)
    await bank.watch.look()
    assert (bank.version, bank.problems) == (1, "The store is gone.")

    bank.unfit = ()
    await bank.watch.look()
    assert (bank.version, bank.problems) == (2, "")


async def test_asked_for_the_files_are_read_at_once(bank: Bank) -> None:
    running = asyncio.ensure_future(bank.watch.run())
    bank.watch.ask()
    while not bank.counts.loaded:
        await asyncio.sleep(0)
    running.cancel()

    assert bank.counts.loaded == [1]


async def test_whatever_happens_to_the_watch_it_goes_on(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    bank.unfit = ZeroDivisionError()
    running = asyncio.ensure_future(bank.watch.run())
    bank.watch.ask()
    while not caplog.records:
        await asyncio.sleep(0)
    bank.unfit = ()
    bank.watch.ask()
    while not bank.counts.loaded:
        await asyncio.sleep(0)
    running.cancel()

    assert "the policy in force stays" in caplog.records[0].getMessage()


async def test_a_held_call_keeps_its_policy_and_is_judged_again_by_the_new_one(bank: Bank) -> None:
    bank.write(2, HELD)
    await bank.watch.look()
    held = await bank.world.held()
    denying = HELD.replace("at_least: approve", "deny: Accounts are frozen.")
    bank.write(3, denying)
    await bank.watch.look()

    found = await bank.world.now(held)
    assert found.decision is not None and found.decision.policy.version == 2
    assert (await bank.world.says(held)).cause == "Accounts are frozen."
    assert bank.world.tool.sent == []


async def failing_tests_change_nothing(bank: Bank) -> None:
    bank.suite("allow")
    bank.write(2, HELD)
    await bank.watch.look()
    assert bank.version == 1 and bank.problems


async def test_promise_27_a_policy_that_its_tests_do_not_pass_changes_nothing(bank: Bank) -> None:
    await failing_tests_change_nothing(bank)


async def test_promise_27_a_watch_that_does_not_try_policies_out_would_be_noticed(
    bank: Bank,
) -> None:
    async def careless(paths: Sequence[Path]) -> Loaded:
        return Loaded(policy=load_policies(paths), stamp=(), digest="")

    bank.watch._load = careless
    with noticed():
        await failing_tests_change_nothing(bank)
