"""Texts whose normalising would take for ever."""

from __future__ import annotations

import json

import pytest

from interlock.core.content import parse_content, parse_target
from interlock.core.errors import MalformedCall
from interlock.core.marks import MOST, piled_up

PILE = "a" + "\u0301\u0323" * 40


def test_writing_is_not_a_pile() -> None:
    for text in ("", "plain", "e\u0301", "\u0915\u094d\u0937\u093f", "Z" + "\u0301" * MOST):
        assert not piled_up(text)


def test_more_marks_in_a_row_than_any_writing_needs_are_a_pile() -> None:
    assert piled_up(PILE)
    assert piled_up("ok " * 1000 + "Z" + "\u0301" * (MOST + 1) + " ok")
    assert not piled_up(("Z" + "\u0301" * MOST) * 3)


def test_a_body_or_a_path_with_such_a_name_is_refused() -> None:
    """Fault caught: normalised first, 128 kB of marks stop the proxy for seconds."""
    with pytest.raises(MalformedCall, match="combining marks"):
        parse_content("application/json", json.dumps({PILE: 1}).encode())
    with pytest.raises(MalformedCall, match="combining marks"):
        parse_target("/" + "%CC%81%CC%A3" * 40)


def test_a_repeated_key_is_named() -> None:
    with pytest.raises(MalformedCall, match='"b" more than once'):
        parse_content("application/json", b'{"a": 1, "b": 1, "c": 2, "b": 3}')
