"""Buttons in chats: what they say cannot be made or changed without the key."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.tickets import Ticket, read, written

KEY = b"k" * 32
PLAIN = st.text(alphabet="abcXYZ019_-", max_size=40)
TICKETS = st.builds(
    Ticket,
    channel=PLAIN,
    verdict=PLAIN,
    action=PLAIN,
    version=st.integers(0, 10**9),
    digest=PLAIN,
    expires=st.integers(0, 10**15),
    holder=PLAIN,
)
TICKET = Ticket(
    channel="slack", verdict="reject", action="act_1", version=1, digest="ab" * 32, expires=99
)


@given(TICKETS)
def test_a_ticket_reads_as_it_was_written(ticket: Ticket) -> None:
    assert read(written(ticket, KEY), KEY) == ticket


@given(TICKETS, st.data())
def test_a_ticket_with_any_character_changed_is_none(ticket: Ticket, data: st.DataObject) -> None:
    text = written(ticket, KEY)
    place = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters().filter(lambda c: c != text[place]))
    assert read(text[:place] + other + text[place + 1 :], KEY) is None


@given(st.text())
def test_no_other_text_is_a_ticket(text: str) -> None:
    assert read(text, KEY) is None


def test_another_installations_ticket_is_none() -> None:
    assert read(written(TICKET, b"o" * 32), KEY) is None


def test_every_part_of_a_ticket_stays_in_its_place() -> None:
    moved = Ticket(
        channel="slack", verdict="reject.act", action="1", version=1, digest="", expires=9
    )
    with pytest.raises(ValueError, match="letters"):
        written(moved, KEY)


def test_the_longest_ticket_fits_a_button_of_slack() -> None:
    long = Ticket(
        channel="slack",
        verdict="approve",
        action="a" * 64,
        version=10**9,
        digest="f" * 64,
        expires=10**15,
        holder="U" * 32,
    )
    assert len(written(long, KEY)) < 500
