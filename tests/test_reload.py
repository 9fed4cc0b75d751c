"""Policy files that change under a running gate: tried out first, then in force at once, or not."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from interlock import reload
from interlock.core.decisions import Level, PolicyRef
from interlock.core.errors import StoreUnavailable
from interlock.core.rules import PolicySet
from interlock.people_ports import PolicySeen
from interlock.policies import load
from interlock.policies.files import MAX_FILES
from interlock.policies.load import load_policies
from interlock.reload import PolicyWatch
from interlock.store.redis import RedisStore
from interlock.tryout import Loaded, Stamp, load_tested, stamped
from tests.support.builders import NOON
from tests.support.fakes import World
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
RULES = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: rules, version: 1, owner: ann@example.com, description: More.}
rules:
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


@dataclass
class Ticking:
    """ports.Clock: noon, until it is set."""

    now: int = NOON

    def now_ms(self) -> int:
        return self.now


async def _load(paths: Sequence[Path]) -> Loaded:
    return load_tested(paths)


@dataclass
class Noted:
    """ports.PoliciesSeen: version and what put it in force, unless the store is gone."""

    notes: list[tuple[int, str]] = field(default_factory=list)
    gone: bool = False

    async def note(self, ref: PolicyRef, by: str) -> None:
        if self.gone:
            raise StoreUnavailable("gone")
        self.notes.append((ref.version, by))

    async def seen(self) -> tuple[PolicySeen, ...]:
        return ()


class Bank:
    """A gate, the folder of its policy files, and who watches them."""

    def __init__(self, folder: Path, store: RedisStore, *, whole: bool = False) -> None:
        self.folder = folder
        self.write(1)
        watched = [folder if whole else self.path]
        loaded = load_tested(watched)
        self.world = World(store, policy=loaded.policy)
        self.counts, self.clock, self.noted = Counts(), Ticking(), Noted()
        self.unfit: tuple[str, ...] | Exception = ()
        self.watch = PolicyWatch(
            watched,
            self.world.gate,
            loaded,
            counted=self.counts,
            clock=self.clock,
            load=_load,
            unfit=self._unfit,
            seen=self.noted,
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


async def test_what_came_into_force_is_noted_with_what_put_it_there(bank: Bank) -> None:
    run = asyncio.ensure_future(bank.watch.run())
    await asyncio.sleep(0)
    run.cancel()
    bank.write(2, "\nnonsense\n")
    await bank.watch.look()
    bank.write(3)
    await bank.watch.look()
    assert bank.noted.notes == [(1, "start"), (3, "reload")]

    bank.noted.gone = True
    bank.write(4)
    await bank.watch.look()
    assert bank.version == 4 and bank.problems == ""


async def test_people_are_told_what_the_tests_of_the_policy_in_force_touch(bank: Bank) -> None:
    bank.suite("approve")
    bank.write(2, HELD)
    await bank.watch.look()
    tested = bank.world.gate.policy_state.tested
    assert tested is not None and tested.parts == (("rule", "looked-at", 1),)
    bank.write(3, "\nnonsense\n")
    await bank.watch.look()
    assert bank.world.gate.policy_state.tested == tested


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
    while not bank.problems:
        await asyncio.sleep(0)
    assert "could not be tried out (ZeroDivisionError: " in bank.problems and bank.counts.refused
    bank.unfit = ()
    bank.watch.ask()
    while not bank.counts.loaded:
        await asyncio.sleep(0)
    running.cancel()

    assert bank.problems == ""
    assert caplog.records[0].exc_info, "the whole of it is in the log"


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


# odd files ---------------------------------------------------------------------------------


def pipe(path: Path) -> None:
    os.mkfifo(path)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


def dangling(path: Path) -> None:
    path.symlink_to("gone.yaml")


def looped(path: Path) -> None:
    path.symlink_to(path.name)


def huge(path: Path) -> None:
    path.write_bytes(b"#" * (1 << 20) + b"\n")


def listening(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as opened:
        opened.bind(path.name)


ODD: Mapping[Callable[[Path], None], str] = {
    pipe: "is a pipe, not a file: take it out of the folder",
    endless: "is a device, not a file",
    folder: "is a folder, not a file",
    listening: "is a socket, not a file",
    dangling: "No such file or directory; it is a link to gone.yaml: restore that, or delete",
    looped: "Too many levels of symbolic links",
    huge: "larger than 1 MiB: split it",
}


@pytest.fixture
async def house(tmp_path: Path, store: RedisStore) -> AsyncIterator[Bank]:
    """Return a bank whose policy is all files of the folder."""
    bank = Bank(tmp_path, store, whole=True)
    yield bank
    await bank.world.gate.close(5)


@pytest.mark.parametrize("name", ["odd.yaml", "odd_test.yaml"])
@pytest.mark.parametrize("odd", ODD)
async def test_an_odd_file_in_the_folder_changes_nothing_and_is_told_once(
    house: Bank, caplog: pytest.LogCaptureFixture, odd: Callable[[Path], None], name: str
) -> None:
    odd(house.folder / name)
    house.write(2)
    for _ in range(3):
        await house.watch.look()

    assert house.version == 1 and house.counts == Counts([], 1)
    assert f"{name}:1:1: " in house.problems and ODD[odd] in house.problems
    assert len(caplog.records) == 2, "one line of what stays, and one of the problem"

    odd_one = house.folder / name
    odd_one.rmdir() if odd is folder else odd_one.unlink()
    await house.watch.look()
    assert (house.version, house.problems) == (2, "")


async def test_a_link_to_nothing_alone_is_seen(house: Bank) -> None:
    dangling(house.folder / "odd.yaml")
    await house.watch.look()
    assert "odd.yaml" in house.problems

    (house.folder / "odd.yaml").unlink()
    await house.watch.look()
    assert house.problems == ""


async def test_more_files_than_anybody_writes_are_not_read(house: Bank) -> None:
    for number in range(MAX_FILES):
        (house.folder / f"{number}_test.yaml").touch()
    house.write(2)
    await house.watch.look()

    assert house.version == 1
    assert f"more than {MAX_FILES} YAML files are here" in house.problems


async def test_a_policy_larger_than_anybody_writes_is_not_read(
    house: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(load, "MAX_IN_ALL", 3 << 19)
    for name in ("a", "b"):
        (house.folder / f"{name}.yaml").write_bytes(b"#" * (1 << 20))
    await house.watch.look()

    assert house.version == 1 and "b.yaml:1:1: with this file" in house.problems


async def test_a_disk_that_does_not_answer_is_told_and_asked_again(
    bank: Bank, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    answers = threading.Event()
    threads = []

    def hanging(paths: Sequence[Path]) -> Stamp:
        threads.append(threading.current_thread())
        answers.wait()
        return stamped(paths)

    monkeypatch.setattr(reload, "stamped", hanging)
    bank.watch._looking = 0.0
    bank.write(2)
    for _ in range(3):
        await bank.watch.look()
    await bank.watch.reload()

    assert bank.version == 1 and bank.counts.refused == 1
    assert "could not be read within 0 s: see whether the disk or share" in bank.problems
    assert len(caplog.records) == 2, "once"
    (thread,) = threads
    assert thread.daemon, "nothing waits for it at the end"

    answers.set()
    thread.join()
    bank.watch._looking = 60.0
    await bank.watch.look()
    assert (bank.version, bank.problems) == (2, "")


async def test_files_that_could_be_read_again_are_tried_even_where_they_are_as_before(
    bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(paths: Sequence[Path]) -> Stamp:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(reload, "stamped", failing)
        await bank.watch.look()
    assert "OSError: [Errno 5] Input/output error" in bank.problems

    await bank.watch.look()
    assert (bank.version, bank.problems) == (1, "")


async def test_trouble_is_as_old_as_its_first_refusal(bank: Bank) -> None:
    bank.write(2, "\nnonsense\n")
    await bank.watch.look()
    first = bank.world.gate.policy_state.failed_at
    bank.clock.now += 60_000
    bank.write(2, "\nother nonsense\n")
    await bank.watch.look()

    assert bank.world.gate.policy_state.failed_at == first == NOON
    bank.write(2)
    await bank.watch.look()
    bank.write(3, "\nnonsense\n")
    await bank.watch.look()
    assert bank.world.gate.policy_state.failed_at == NOON + 60_000


# what vanishes -----------------------------------------------------------------------------

MORE = (
    HELD
    + """
  - {id: noted, tools: [bank.pay], at_least: notify, mode: shadow}
limits:
  - {id: budget, tools: [bank.pay], key: [agent.id], window: 1h, count: 9, then: deny}
"""
)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [each.getMessage() for each in caplog.records if each.levelno == logging.WARNING]


async def test_what_a_new_policy_no_longer_enforces_is_named(
    bank: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    bank.write(2, MORE)
    await bank.watch.look()
    assert warnings(caplog) == []

    bank.path.write_text(BANK.format(version=3).replace("bank.pay", "bank.send"))
    await bank.watch.look()
    line = "no longer enforces: tool bank.pay, rule looked-at, limit budget"
    assert warnings(caplog) == [f"policy bank version 3 {line}"]
    state = bank.world.gate.policy_state
    assert state.vanished == ("tool bank.pay", "rule looked-at", "limit budget")

    bank.path.write_text(BANK.format(version=4).replace("bank.pay", "bank.send"))
    await bank.watch.look()
    assert bank.world.gate.policy_state.vanished == () and len(warnings(caplog)) == 1


async def test_a_rule_that_is_only_tried_from_now_on_is_no_longer_enforced(bank: Bank) -> None:
    bank.write(2, HELD)
    await bank.watch.look()
    bank.write(3, HELD.replace("at_least: approve", "at_least: approve, mode: shadow"))
    await bank.watch.look()

    assert bank.world.gate.policy_state.vanished == ("rule looked-at",)


async def test_a_file_that_no_suite_names_can_go_and_what_goes_with_it_is_named(
    house: Bank, caplog: pytest.LogCaptureFixture
) -> None:
    rules = house.folder / "rules.yaml"
    rule = "  - {{id: r{0}, tools: [bank.pay], when: args.amount == {0}, at_least: notify}}\n"
    many = "".join(rule.format(number) for number in range(50))
    rules.write_text(RULES + many)
    await house.watch.look()
    assert house.problems == ""
    rules.unlink()
    await house.watch.look()

    (line,) = warnings(caplog)
    assert "rule r0, rule r1, " in line and line.endswith(", and 30 more")
    assert len(house.world.gate.policy_state.vanished) == 50


async def test_a_file_that_a_suite_names_cannot_go(house: Bank) -> None:
    rules = house.folder / "rules.yaml"
    rules.write_text(RULES + "  - {id: all, tools: ['*'], at_least: notify}\n")
    (house.folder / "rules_test.yaml").write_text(
        "apiVersion: interlock/v1\nkind: PolicyTest\npolicy: [rules.yaml]\n"
        "cases:\n- {name: any, call: {path: /any}, expect: {rules: [all]}}\n"
    )
    await house.watch.look()
    assert house.problems == "" and house.counts.loaded == [1]
    rules.unlink()
    await house.watch.look()

    assert "rules.yaml:1:1: cannot be read: No such file or directory;" in house.problems
    assert house.world.gate.policy.rules, "it is still enforced"


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
