"""Talking to people in a terminal, and to programs in a pipe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.cli.console import fail, safe, say_json, since, table
from interlock.core.errors import InterlockError, InvalidDocument, Problem, WeakGround
from interlock.core.redaction import visible_text

CONTROL = {chr(code) for code in (*range(32), *range(127, 160))} - {"\n"}


@given(st.text())
def test_no_text_moves_the_cursor(text: str) -> None:
    assert not set(safe(text)) & CONTROL


@given(st.text())
def test_what_the_api_made_visible_stays_as_it_is(text: str) -> None:
    assert safe(visible_text(text)) == visible_text(text)


def test_columns_are_aligned_and_whole_in_a_pipe() -> None:
    shown = table(("ID", "CALL"), [("1", "x" * 200), ("12345", "y")])
    head, first, second = shown.splitlines()
    assert head == "ID     CALL"
    assert first == "1      " + "x" * 200
    assert second == "12345  y"


def test_an_agent_cannot_add_rows_to_a_table() -> None:
    assert len(table(("A",), [("one\n\x1b[1A\rtwo",)]).splitlines()) == 2


@pytest.mark.parametrize(
    ("span", "words"),
    [(0, "0 s"), (90_000, "90 s"), (600_000, "10 min"), (7_200_000, "2 h"), (-1, "over")]
    + [(3 * 86_400_000, "3 d")],
)
def test_a_span_is_told_in_one_unit(span: int, words: str) -> None:
    assert since(span) == words


def test_json_is_ascii(capsys: pytest.CaptureFixture[str]) -> None:
    say_json({"text": "\u202eé"})
    assert capsys.readouterr().out.isascii()


def test_an_error_has_its_cure(capsys: pytest.CaptureFixture[str]) -> None:
    fail(WeakGround("The ground is weak.", help="Fix it."))
    assert capsys.readouterr().err == "Error: The ground is weak.\nCure: Fix it.\n"
    fail(InterlockError("It failed."))
    assert capsys.readouterr().err == "Error: It failed.\n"


def test_a_document_has_every_problem(capsys: pytest.CaptureFixture[str]) -> None:
    places = ("a.yaml", "INTERLOCK__LOG", "--store")
    fail(InvalidDocument(tuple(Problem(file=f, line=2, column=3, message="no") for f in places)))
    assert capsys.readouterr().err.splitlines() == [
        "a.yaml:2:3: no",
        "INTERLOCK__LOG: no",
        "--store: no",
        "3 problems found.",
    ]
