"""What the user's own request states, and what only looks as if it did."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.provenance import LONGEST, MOST, MOST_NUMBERS, Steps, stated
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
    assert stated(word, ", ".join([*before, word, *after]))  # digits in a row are one number


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


@pytest.mark.parametrize(
    ("value", "task"),
    [
        ("strasse", "Write to Straße."),
        ("σασ", "Greet σας."),
        ("brien@corp.example", "Mail o'brien@corp.example."),
        ("brien@corp.example", "Mail o\u2019brien@corp.example."),
        ("bank.example", "Look at bank.example:8443."),
        ("root", "Log in with user=root."),
        ("bob", 'Mail "bob"@corp.example.'),
        ("bob", "Mail bob's@corp.example."),
        ("corp\\\\bob", "Ask x!corp\\\\bob."),
        ("bob", "Ask bob\u0301."),
        ("bob", "Ask bob\u200by."),
        ("bob", f"Ask bob{'.' * 99}eve."),
        *[("root", f"Take a{joint}root.") for joint in "'!#$&*=?^{|}~:\\"],
        *[("root", f"Take root{joint}a.") for joint in "!#$&*=?^{|}~:\\"],
    ],
)
def test_what_only_resembles_or_is_part_of_what_was_named_is_not_stated(
    value: str, task: str
) -> None:
    """Fault caught: case folding makes one of two names; a token ends at a mark within it."""
    assert not stated(value, task)


@pytest.mark.parametrize(
    ("value", "task"),
    [
        ("STRAßE", "Write to straße."),
        ("ΣΑΣ", "Greet σας."),
        ("bob", "Take Bob's report, please"),
        ("bob", 'Ask "bob","eve".'),
        ("bob", "Ask (bob)."),
        ("bob@corp.example", "Bob<bob@corp.example>: thanks!"),
        ("bob", "Ask **bob**!"),
        ("bob", "xbob bobx bob"),
        ("a b a", "xa b a b a"),
        ("de89 3704 0044", "Pay DE89 3704 0044."),
    ],
)
def test_a_name_is_stated_whatever_marks_are_around_it(value: str, task: str) -> None:
    assert stated(value, task)


@pytest.mark.parametrize(
    ("value", "task"),
    [
        (1_000_000, "Pay 1 000 000 now."),
        (1_000_000, "Pay 1\u202f000\u202f000 now."),
        (1200, "Pay 1'200 now."),
        (1200.5, "Pay 1\u2019200.50 now."),
        (120, "Amounts:\n120\n250"),
        ("120", "Amounts:\n120\n250"),
        (120, "Amounts:  120  250"),
        (120, "Amounts: 120, 250"),
        (0.5, "Give 0.50"),
        (-5, "Set it to -5."),
        (42, "Close #42."),
    ],
)
def test_a_number_is_stated_in_the_usual_groups(value: Any, task: str) -> None:
    assert stated(value, task)


@pytest.mark.parametrize(
    ("value", "task"),
    [
        *[(each, "Pay 1 000 000 now.") for each in (1, 0, 1000, "1", "000")],
        *[(each, "To DE89 3704 0044 0532 0130 00.") for each in (3704, "3704", "de89", 89, 0)],
        *[(each, "Call +41 44 123 45 67.") for each in (41, 44, 123, "45", 67)],
        *[(each, "Call 044 668 180.") for each in (44, 668, 44668180)],
        *[(each, "Meet at 10:30.") for each in (10, 30, "30")],
        *[(each, "On 2026-11-22 and 22.11.2026.") for each in (2026, 11, 22, -11, -22, 22.11)],
        *[(each, "Ticket INV-120/7_5.") for each in (120, 7, 5)],
        (7, "Agent 007."),
        (200, "Pay 1'200."),
        (12, "Pay 12,50."),
    ],
)
def test_a_part_of_what_digits_stand_for_is_not_stated(value: Any, task: str) -> None:
    """Fault caught: 3704 from an IBAN, 30 from half past ten, 1 from a million."""
    assert not stated(value, task)


@pytest.mark.parametrize(
    ("value", "task"),
    [
        (["a"] * MOST, "a" * 16_383 + "b"),
        (["a"] * MOST, "ab " * 5_000),
        (["a" * LONGEST] * MOST, "a" * 16_384),
        ("a", "a.b " * 4_000),
        (["a"] * MOST, "b" + "." * 16_000 + "a"),
        (["a's"] * MOST, "a's's" * 3_000),
        (list(range(2, MOST)), "1, " * 5_000),
        (list(range(2, MOST)), "1 " * 8_000),
        ("a a", "a a b." * 2_000),
    ],
)
def test_a_long_request_is_searched_in_bounded_steps(value: Any, task: str) -> None:
    """Fault caught: each hit begins the search anew, 50 ms for every value of the agent's."""
    steps = Steps()
    try:
        stated(value, task, steps)
    except Indeterminate as doubt:
        assert "too m" in str(doubt)
    assert steps.left > -MOST  # no more than the last step beyond


def test_one_allowance_is_for_many_questions() -> None:
    steps = Steps(60)
    assert stated("bob", "Ask bob.", steps)

    with pytest.raises(Indeterminate, match="too much to look at"):
        for _ in range(10):
            stated("bob", "Ask bob.", steps)


def test_more_numbers_than_anyone_names_leave_it_open() -> None:
    many = ", ".join(str(each) for each in range(MOST_NUMBERS + 5))

    assert stated(7, many)
    with pytest.raises(Indeterminate, match="too many numbers"):
        stated(MOST_NUMBERS + 4, many)
    assert stated(str(MOST_NUMBERS - 1), many)


def test_a_pile_of_marks_is_nothing_to_look_through() -> None:
    """Fault caught: normalising 16 kB of combining marks at each call."""
    pile = "a" + "\u0301\u0323" * 40
    assert not stated(pile, "send it to bob")
    with pytest.raises(Indeterminate, match="combining marks"):
        stated("bob", pile)
