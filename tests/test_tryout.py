"""Policy files are tried out before they count, here or in another process, once for each text."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from interlock import tryout
from interlock.core.errors import InvalidDocument
from interlock.tryout import contents, load_apart, load_once_tested, load_tested, stamped
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

    with pytest.raises(InvalidDocument, match="bank_test.yaml:.*want 'deny', got 'allow'"):
        load_tested([bank])


def test_files_that_passed_are_not_tried_again(bank: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    note = bank.with_name("policy.tested")
    suite(bank, "allow")
    first = load_once_tested([bank], note)
    with monkeypatch.context() as patched:
        patched.setattr(tryout, "load_tested", lambda _: pytest.fail("tried again"))
        assert load_once_tested([bank], note).digest == first.digest

    suite(bank, "deny")
    with pytest.raises(InvalidDocument):
        load_once_tested([bank], note)
    note.write_bytes(b"\xff")
    suite(bank, "allow")
    assert load_once_tested([bank], note).digest == first.digest


def test_where_nothing_can_be_noted_files_are_tried_each_time(bank: Path) -> None:
    note = bank / "nowhere" / "policy.tested"

    assert load_once_tested([bank], note).policy.ref.version == 1


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
