"""What the user's own request states, and what only looks as if it did."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.provenance import LONGEST, MOST, stated
from interlock.core.rules import Indeterminate

TASK = (
    "Please send $1,200.00 to Bob@Corp.example and 120 EUR to ＡＣＭＥ  Ltd. "
    "Then close issue #42, see /srv/app/notes.txt, and set the balance to -5. It is true."
)


@pytest.mark.parametrize(
    "value",
    ["bob@corp.example", "BOB@CORP.EXAMPLE", "acme ltd", "ACME Ltd.", "/srv/app/notes.txt", "42"]
    + ["$1,200.00", 1200, 1200.0, "1200", 120, 120.0, 42, -5, True, ["bob@corp.example", 120]],
)
def test_what_the_user_named_is_stated(value: Any) -> None:
    assert stated(value, TASK)


@pytest.mark.parametrize(
    "value",
    ["corp.example", "bob@corp", "bob", "app", "notes.txt", "mallory@evil.example", "acme l"]
    + [200, 1, 12, 1200.5, -120, "00", False, "", " ", ".", "$", [], ["bob@corp.example", "eve"]],
)
def test_what_is_only_part_of_a_token_or_nothing_is_not_stated(value: Any) -> None:
    """Fault caught: searching for a substring, so that `corp.example` passes for a recipient."""
    assert not stated(value, TASK)


@pytest.mark.parametrize("text", ["120", "120.00", "$120", "120,", "(120)", "€120.0!", "1: 120"])
def test_a_number_is_stated_however_it_is_written(text: str) -> None:
    assert stated(120, f"pay {text} now")
    assert not stated(12, f"pay {text} now")


@pytest.mark.parametrize("text", ["1120", "120.5", "120,000", "x120", "120x", "a-120", "120_1"])
def test_a_number_within_another_token_is_not_stated(text: str) -> None:
    assert not stated(120, f"pay {text} now")


def test_a_domain_that_goes_on_is_another_domain() -> None:
    """Fault caught: taking the start of the attacker's longer domain for the one that was named."""
    assert not stated("bank.example", "transfer at bank.example.evil.test")
    assert stated("bank.example", "transfer at bank.example.")


@pytest.mark.parametrize("task", [None, "", "   "])
def test_without_a_request_nothing_can_be_told(task: str | None) -> None:
    with pytest.raises(Indeterminate, match="not known"):
        stated("x", task)


@pytest.mark.parametrize("value", [None, {"a": 1}, float("nan"), [["x"]], [None, "eve"]])
def test_what_is_no_plain_value_cannot_be_told(value: Any) -> None:
    with pytest.raises(Indeterminate):
        stated(value, TASK)


def test_values_too_long_or_too_many_to_be_named_are_not_stated() -> None:
    assert stated("x" * LONGEST, "x" * LONGEST)
    assert not stated("x" * (LONGEST + 1), "x" * (LONGEST + 1))
    assert not stated([1] * (MOST + 1), "1")


WORDS = st.text(st.characters(categories=["Ll", "Lu", "Nd"]), min_size=1, max_size=8)


@given(before=st.lists(WORDS, max_size=3), word=WORDS, after=st.lists(WORDS, max_size=3))
def test_every_whole_word_of_a_request_is_stated(
    before: list[str], word: str, after: list[str]
) -> None:
    assert stated(word, " ".join([*before, word, *after]))


@given(value=st.text(max_size=20), task=st.text(min_size=1, max_size=60))
def test_a_text_is_stated_only_where_the_request_holds_it(value: str, task: str) -> None:
    try:
        found = stated(value, task)
    except Indeterminate:
        assert not task.strip()
        return
    assert not found or any(character.isalnum() for character in value)


@pytest.mark.parametrize(
    "value",
    [
        "\uff42ob@corp.example",  # a fullwidth b: another mailbox, whatever it looks like
        "bob@corp.example\n",
        " bob@corp.example",
        "bob@corp\u2024example",  # a one dot leader
        "bob@corp.example\u200b",
    ],
)
def test_a_value_that_only_becomes_the_named_one_when_tidied_is_not_stated(value: str) -> None:
    """Fault caught: the value is normalised as well as the request."""
    assert stated("bob@corp.example", "Write to bob@corp.example, please.")
    assert not stated(value, "Write to bob@corp.example, please.")


def test_a_value_with_such_forms_is_stated_where_it_occurs_as_it_is() -> None:
    assert stated("\uff42ob", "Ask \uff42ob.")
    assert stated("bob", "Ask \uff42ob.")
