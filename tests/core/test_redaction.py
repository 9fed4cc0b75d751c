"""What people see of what agents wrote: everything, and never the same for two texts."""

from __future__ import annotations

import sys
import unicodedata
from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from interlock.core.lookalikes import warnings
from interlock.core.redaction import (
    Kind,
    mask_secret,
    original,
    redact_headers,
    shown,
    token,
    visible,
    visible_bytes,
    visible_line,
    visible_text,
)

EVERY = range(sys.maxunicode + 1)
ANY_TEXT = st.text(st.characters())  # surrogates too
TRICKY = st.text(
    st.sampled_from(
        "<>U+0xAF203 e\u0301\n\r\t\u202e\u200b\ufe0f\u00e9\u1100\u1161\u0915\u093f\ud800\udcff"
    )
)


def test_no_two_code_points_look_the_same() -> None:
    drawn = {visible_text(chr(point)) for point in EVERY}
    assert len(drawn) == len(EVERY)


def test_every_code_point_that_cannot_be_seen_becomes_a_token() -> None:
    unseen = {"Cc", "Cf", "Co", "Cn", "Cs", "Zl", "Zp"}
    for point in EVERY:
        character = chr(point)
        category = unicodedata.category(character)
        if category in unseen or (category == "Zs" and point > 0x7F):
            assert token(character) in visible_text(character), hex(point)


@pytest.mark.parametrize(
    "point",
    [0x034F, 0x115F, 0x3164, 0x2800, 0xFE0F, 0xE0041, 0xE0100, 0x0301, 0x20E3, 0x212A, 0x037E],
)
def test_blank_and_disguised_characters_become_tokens(point: int) -> None:
    assert visible_text(f"a{chr(point)}b") == f"a<U+{point:04X}>b"


@given(ANY_TEXT | TRICKY)
@example("<U+202E>")
@example("<<U+202E>")
@example("<U+003C>U+202E>")
@example("<U+000A>\n")
@example("<0x41>")
@example(" \n \n")
def test_what_is_shown_leads_back_to_what_was_written(text: str) -> None:
    assert original(visible_text(text)) == text


@given(TRICKY | ANY_TEXT)
def test_one_line_leads_back_too_and_is_one_line(text: str) -> None:
    line = visible_line(text)
    assert original(line) == text
    assert "\n" not in line


@given(st.binary())
@example(b"<0xFF>\xff")
@example("<U+DCFF>\udcff".encode("utf-8", "surrogatepass"))
def test_bytes_lead_back_too(body: bytes) -> None:
    drawn = original(shown(visible_bytes(body)))
    assert drawn.encode("utf-8", "surrogateescape") == body


@given(ANY_TEXT)
def test_the_spans_hold_the_whole_text(text: str) -> None:
    assert "".join(span.raw for span in visible(text)) == text


@given(ANY_TEXT | TRICKY)
def test_nothing_shown_can_steer_a_terminal(text: str) -> None:
    for character in visible_text(text):
        assert character == "\n" or unicodedata.category(character)[0] not in "C"


def test_a_typed_token_is_not_taken_for_a_real_one() -> None:
    assert visible_text("<U+202E>") == "<U+003C>U+202E>"
    assert visible_text("\u202e") == "<U+202E>"


def test_a_trailing_space_is_seen() -> None:
    assert visible_text("a ") == "a<U+0020>"
    assert visible_text("a b") == "a b"


def test_spaces_in_a_row_are_marked() -> None:
    assert [span.kind for span in visible("a    b")] == [Kind.TEXT, Kind.SPACE, Kind.TEXT]


def test_a_letter_with_its_own_marks_stays_readable() -> None:
    assert visible_text("हिन्दी ภาษาไทย ещё") == "हिन्दी ภาษาไทย ещё"


def test_a_pile_of_marks_does_not_hide_what_is_below() -> None:
    zalgo = "ก" + "\u0e48" * 30
    assert visible_text(zalgo).count("<U+0E48>") == 28


def test_marks_without_end_are_never_normalised_together(monkeypatch: pytest.MonkeyPatch) -> None:
    longest, normalize = [0], unicodedata.normalize

    def counted(form: Literal["NFC", "NFKC"], text: str) -> str:
        longest.append(len(text))
        return normalize(form, text)

    monkeypatch.setattr(unicodedata, "normalize", counted)
    text = "e" + "\u0323\u20d0" * 5000 + "ก" + "\u0e48\u0e38" * 5000
    shown = visible_text(text)
    assert original(shown) == text
    assert warnings(text)
    assert max(longest) < 100


def test_ansi_escapes_never_pass() -> None:
    assert visible_text("\x1b[2Jok\x9b31m") == "<U+001B>[2Jok<U+009B>31m"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("p\u0430yp\u0430l.com", "mixes Cyrillic and Latin"),
        ("\u0440\u0430\u0443", "written in Cyrillic letters that look like Latin"),
        ("\uff50\uff41\uff59", "look-alike letters; it is not “pay”"),
        ("invoice\u202egpj.exe", "change the direction"),
        ("a\u200bb", "1 character that would not be seen"),
        ("\u05e9\u05dc\u05d5\u05dd", "Right-to-left"),
    ],
)
def test_a_text_made_to_be_misread_is_warned_about(text: str, said: str) -> None:
    assert said in " ".join(warnings(text))


@pytest.mark.parametrize(
    "text", ["", "plain", "Привет, мир", "Größe", "naïve café", "日本語", "a\nb"]
)
def test_honest_text_brings_no_warning(text: str) -> None:
    assert warnings(text) == ()


def test_credentials_are_masked_by_the_name_of_their_header() -> None:
    headers = (("AUTHORIZATION", "Bearer abc.def"), ("X-Api-Key", "k1"), ("Accept", "*/*"))
    masked = redact_headers(headers)
    assert masked == (("AUTHORIZATION", "Bearer ***"), ("X-Api-Key", "***"), ("Accept", "*/*"))


def test_a_masked_secret_keeps_nothing_of_itself() -> None:
    assert mask_secret("sk_live_0123456789") == "***"
    assert mask_secret("Basic dXNlcjpwYXNz") == "Basic ***"
