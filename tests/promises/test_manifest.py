"""The list of promises and the tests agree, both ways."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest

from tests.promises.manifest import FAULTED, PROMISES, Promise

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"^\s*(?:async )?def (test_promise_(\d\d)_\w+)", re.MULTILINE)


def named() -> dict[int, list[str]]:
    """Return every test that is named after a promise, by its number."""
    found: dict[int, list[str]] = defaultdict(list)
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for name, number in NAMED.findall(path.read_text(encoding="utf-8")):
            found[int(number)].append(name)
    return found


def test_promise_42_the_list_is_complete_and_every_named_test_is_on_it() -> None:
    assert [promise.number for promise in PROMISES] == list(range(1, 45))
    assert set(named()) <= {promise.number for promise in PROMISES if not promise.later}


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: f"{promise.number:02}")
def test_promise_42_each_promise_is_kept_by_a_test_or_says_what_is_missing(
    promise: Promise,
) -> None:
    if promise.later:
        assert promise.note and not promise.also
    else:
        assert named()[promise.number] or promise.also


ELSEWHERE = sorted({reference for promise in PROMISES for reference in promise.also})


@pytest.mark.parametrize("reference", ELSEWHERE)
def test_promise_42_a_test_that_is_named_here_exists(reference: str) -> None:
    path, _, name = reference.partition("::")

    assert re.search(rf"def {name}\b", (ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("number", sorted(FAULTED))
def test_promise_42_a_planted_fault_is_noticed(number: int) -> None:
    assert any(name.endswith("would_be_noticed") for name in named()[number])


def test_promise_42_a_promise_without_a_test_would_be_noticed() -> None:
    with pytest.raises(AssertionError):
        test_promise_42_each_promise_is_kept_by_a_test_or_says_what_is_missing(
            Promise(99, "Nothing keeps this.")
        )
