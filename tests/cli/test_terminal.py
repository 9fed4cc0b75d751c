"""What fits a terminal, and what may go to it."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from interlock.cli.console import safe
from interlock.cli.terminal import cells, cut, length, padded, styled, wrapped

STYLE = re.compile(r"\x1b\[[0-9;]*m")
CONTROL = {chr(code) for code in (*range(32), *range(127, 160))}


@given(st.text())
def test_no_control_character_passes_but_our_styles(text: str) -> None:
    assert not set(STYLE.sub("", cells(text))) & CONTROL


@given(st.text())
def test_what_is_visible_already_stays_as_it_is(text: str) -> None:
    shown = safe(text).replace("\n", "")
    assert cells(shown) == shown
    assert cells(styled(shown, colour="red")) == styled(shown, colour="red")


@given(st.text().map(lambda text: safe(text).replace("\n", "")), st.integers(1, 40))
def test_what_is_cut_fits(text: str, room: int) -> None:
    assert length(cut(text, room)) <= room
    assert length(padded(text, room)) == room
    assert cut(text, room) == text or cut(text, room).endswith("…")


@given(st.text().map(lambda text: safe(text).replace("\n", "")), st.integers(2, 40))
def test_wrapping_loses_nothing(text: str, room: int) -> None:
    rows = wrapped(styled(text, bold=True), room)
    assert all(length(row) <= room for row in rows)
    assert "".join(STYLE.sub("", row) for row in rows) == text


def test_a_style_goes_on_in_the_next_row() -> None:
    assert wrapped("\x1b[1mabcd\x1b[0mef", 3) == [
        "\x1b[1mabc\x1b[0m",
        "\x1b[1md\x1b[0mef",
    ]


def test_wide_letters_take_two_cells() -> None:
    assert (length("漢字"), cut("漢字漢字", 5), length("ab")) == (4, "漢字…", 2)
