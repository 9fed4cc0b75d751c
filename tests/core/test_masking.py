"""Hidden values stay hidden, however a request writes them; what is not hidden stays as it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.masking import (
    MOST_FOUND,
    MOST_NEEDLES,
    NO_MASKS,
    Masks,
    masked,
    without_secrets,
)

IBAN = "DE02120300000000202051"


def hide(value: object, source: str = "json", name: str = "recipient") -> Masks:
    return Masks({name: value, "memo": "May"}, {name: source}, (name,))


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (IBAN, "…2051"),
        ("12345678", "…5678"),
        ("1234567", "…"),
        ("", "…"),
        (12345678, "…5678"),
        (900.5, "…"),
        (True, "…"),
        (None, "…"),
        ([IBAN], "…"),
        ({"iban": IBAN}, "…"),
    ],
)
def test_a_hidden_value_shows_its_end_where_that_says_little(value: object, shown: str) -> None:
    assert masked(value) == shown


def test_where_nothing_is_hidden_everything_stays_as_it_is() -> None:
    assert not NO_MASKS
    assert NO_MASKS.text(IBAN) == IBAN
    assert NO_MASKS.body(b"\xff") == b"\xff"
    assert NO_MASKS.target(f"/{IBAN}") == f"/{IBAN}"
    assert not Masks({"memo": "May"}, {}, ("recipient",))


@pytest.mark.parametrize(
    "body",
    [
        json.dumps({"recipient": "Bäcker / Söhne", "memo": "May"}),
        json.dumps({"recipient": "Bäcker / Söhne", "memo": "May"}, ensure_ascii=False),
        '{"recipient": "B\\u00e4cker \\/ S\\u00F6hne", "memo": "May"}',
        '{"recipient": "B\\u00e4cker \\u002f Söhne", "memo": "May"}',
        "recipient=" + quote_plus("Bäcker / Söhne") + "&memo=May",
        "recipient=" + quote("Bäcker / Söhne", safe="").replace("C3", "c3") + "&memo=May",
        "recipient=B%C3%A4cker+/%20S\u00f6hne&memo=May",
    ],
)
def test_a_value_is_found_however_it_is_written(body: str) -> None:
    shown = hide("Bäcker / Söhne").body(body.encode())
    assert shown is not None
    text = shown.decode()
    assert "…öhne" in text and "cker" not in text
    assert "memo" in text and "May" in text


def test_a_value_is_masked_wherever_else_it_occurs() -> None:
    masks = hide(IBAN)
    assert masks.target(f"/to/{IBAN}?x=1") == "/to/…2051?x=1"
    assert masks.text(f"Pay {IBAN} today, {IBAN}!") == "Pay …2051 today, …2051!"
    assert masks.value({IBAN: [IBAN, 1, None, "x"]}) == {"…2051": ["…2051", 1, None, "x"]}


@pytest.mark.parametrize("value", ["ab", True, None, {"iban": IBAN}, [{"iban": IBAN}], ["ab"]])
def test_what_cannot_be_looked_for_hides_the_whole_part(value: object) -> None:
    body = json.dumps({"recipient": value}).encode()
    assert hide(value).body(body) is None
    assert hide(value).target("/pay") == "/pay"  # it was not read from there


def test_what_is_not_found_where_it_was_read_hides_the_whole_part() -> None:
    assert hide(IBAN).body(b'{"recipient": "written in some other way"}') is None
    assert hide(IBAN, "path").target("/to/somebody") is None
    assert hide(IBAN, "path").body(b"nothing of it") == b"nothing of it"
    assert hide([IBAN, "Bob GmbH"]).body(f'["{IBAN}"]'.encode()) is None


def test_numbers_are_found_by_value_and_only_whole() -> None:
    masks = hide(900.0, name="amount")
    body = b'{"amount": 900.00, "other": 9000, "third": 1900, "x": "900 EUR", "e": 9e2, "n": -900}'
    assert masks.body(body) == (
        '{"amount": …, "other": 9000, "third": 1900, "x": "… EUR", "e": …, "n": -…}'.encode()
    )
    assert hide(1.5, name="amount").text("facet args.amount = 1.5: low") == (
        "facet args.amount = …: low"
    )


def test_bytes_that_are_no_text_are_masked_too() -> None:
    shown = hide(IBAN).body(b"\xff" + IBAN.encode() + b"\xfe")
    assert shown == b"\xff" + "…2051".encode() + b"\xfe"


def test_hidden_values_that_overlap_leave_nothing_between_them() -> None:
    masks = Masks({"a": "abcdef", "b": "defghi"}, {"a": "json", "b": "json"}, ("a", "b"))
    assert masks.text("xabcdefghiy") == "x…y"


@given(
    st.text(min_size=3, max_size=30),
    st.text(max_size=20),
    st.sampled_from(["json", "ascii", "form", "path"]),
)
def test_no_encoding_of_a_hidden_text_survives(value: str, around: str, how: str) -> None:
    if how in ("json", "ascii"):
        body = json.dumps({"recipient": value, "memo": around}, ensure_ascii=how == "ascii")
        raw = body.encode("utf-8", "surrogatepass")
    else:
        written = quote_plus if how == "form" else quote
        raw = f"recipient={written(value, errors='surrogatepass')}".encode()
    shown = hide(value).body(raw)
    assert shown is not None
    if masked(value) == "…" and value not in around and value not in "recipient memo":
        for text in (value, json.dumps(value)[1:-1], quote(value, errors="surrogatepass")):
            assert text not in shown.decode("utf-8", "surrogatepass")


@given(st.text(max_size=60), st.text(min_size=8, max_size=20))
def test_a_text_without_the_hidden_value_stays_as_it_is(text: str, value: str) -> None:
    masks = hide(value)
    if masks.text(text) != text:
        assert value[0] in text or any(sign in text for sign in "\\%+")


def test_escapes_without_end_take_no_time() -> None:
    masks = hide("\\" * 2000 + "x")
    assert masks.body(b"\\" * 200_000) is None


# what would be too much work ----------------------------------------------------------------


def test_more_hidden_texts_than_are_looked_for_hide_every_part() -> None:
    several = [f"person-{number}@example.com" for number in range(MOST_NEEDLES)]
    body = json.dumps({"recipient": several, "memo": "May"}).encode()
    fits, masks = hide(several), hide([*several, "one@example.com"])
    assert b"person" not in (fits.body(body) or b"person")
    assert masks.body(json.dumps({"recipient": [*several, "one@example.com"]}).encode()) is None
    assert masks.target("/pay") is None
    assert masks.text("May to one@example.com") == "…"
    assert masks.value({"memo": "May"}) == "…"
    assert masks.text("") == ""


def test_items_of_a_hidden_list_are_read_only_up_to_the_bound() -> None:
    class Counted(list[str]):
        read = 0

        def __iter__(self) -> Iterator[str]:
            for each in super().__iter__():
                Counted.read += 1
                yield each

    hide(Counted([f"p-{number}" for number in range(100_000)]))
    assert Counted.read <= MOST_NEEDLES + 1


@pytest.mark.parametrize(
    "body",
    [
        b"secret " * (MOST_FOUND + 1),
        b"secret" + rb"\n" * (MOST_FOUND + 1),
        b"secret" + b"%20" * (MOST_FOUND + 1),
        b"secret" + b"+" * (MOST_FOUND + 1),
    ],
)
def test_a_part_with_too_many_places_or_escapes_is_hidden(body: bytes) -> None:
    assert hide("secret").body(body) is None
    assert hide("secret").text(body.decode()) == "…"
    assert hide("secret").body(body[: len(body) // 4]) is not None


def test_a_part_with_too_many_numbers_is_hidden_where_numbers_are() -> None:
    body = b"900," + b"1," * MOST_FOUND
    assert hide(900, name="amount").body(body) is None
    assert hide("900,1").body(body) is not None


def test_a_long_part_is_hidden_where_much_is_looked_for_in_it() -> None:
    several = [f"person-{number}@example.com" for number in range(100)]
    body = json.dumps(several).encode() + b" " * 100_000
    assert hide(several).body(body) is None
    assert hide(several[:3]).body(body) is not None


def test_a_number_too_long_to_read_is_hidden_where_numbers_are() -> None:
    masks = hide(900, name="amount")
    assert masks.text("900." + "0" * 100) == "…"
    assert masks.text("x " + "9" * 100_000 + " y") == "x … y"


def test_a_value_of_too_many_texts_is_not_looked_through() -> None:
    masks = hide(["secret-1", "secret-2", "secret-3"])
    assert masks.covers(["a"] * 1000)
    assert not masks.covers(["a"] * 100_000)
    assert masks.value(["a"] * 100_000) == "…"
    assert NO_MASKS.covers(["a"] * 1_000_000)


def test_true_beside_one_does_not_lose_the_one() -> None:
    assert hide([1, True], name="amount").text("x 1 y") == "x … y"


# secrets in logs ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"to {IBAN}.", "to …2051."),
        ("to DE02 1203 0000 0000 2020 51 for rent", "to …2051 for rent"),
        ("AB12 account GB82WEST12345698765432 now", "AB12 account …5432 now"),
        ("gb82 west 1234 5698 7654 32", "…5432"),
        ("DE03120300000000202051", "DE03120300000000202051"),
        (f"x{IBAN}", f"x{IBAN}"),
        (f"{IBAN}9", f"{IBAN}9"),
    ],
)
def test_account_numbers_are_found_by_their_checksum(text: str, shown: str) -> None:
    assert without_secrets(text, ["iban"]) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("card 4111111111111111", "card …1111"),
        ("card 4111-1111-1111-1111 202", "card …1111 202"),
        ("card 378282246310005!", "card …0005!"),
        ("card 4111111111111112", "card 4111111111111112"),
        ("at 1790000000000 ms", "at 1790000000000 ms"),
    ],
)
def test_card_numbers_are_found_by_their_check_digit(text: str, shown: str) -> None:
    assert without_secrets(text, ["card_number"]) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Authorization: Bearer abcdefgh.ijk==", "Authorization: Bearer ***"),
        ("key ilk_agent_0123456789ab_secretsecret", "key ***"),
        ("jwt eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2ln end", "jwt *** end"),
        ("a bearer of news", "a bearer of news"),
    ],
)
def test_tokens_are_found(text: str, shown: str) -> None:
    assert without_secrets(text, ["bearer_token"]) == shown


def test_only_the_detectors_that_policy_names_look() -> None:
    assert without_secrets(IBAN, []) == IBAN
    assert without_secrets(IBAN, ["card_number", "bearer_token"]) == IBAN
