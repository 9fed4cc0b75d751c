"""What indents JSON, and what does not because little of it would become very much."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.approvals.changes import differences
from interlock.approvals.indenting import compact, indented, indents
from interlock.approvals.views import call_view, value_text
from interlock.core.content import parse_content
from interlock.core.masking import NO_MASKS
from interlock.core.redaction import original
from tests.support.builders import a_call, a_decision

BRACKETS: Any = [[[[[[[[[[{}]]]]]]]]]] * 40_000
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(JSON)
def test_what_is_short_is_always_indented(value: Any) -> None:
    lines = indented(value)

    assert lines is not None and json.loads(lines) == value


@pytest.mark.parametrize(
    "value",
    [{"text": "x" * 900_000}, ["x" * 40] * 20_000, {"rows": [{"name": "y" * 30}] * 9_000}],
    ids=["one long text", "many texts", "rows"],
)
def test_what_is_long_is_indented_where_that_adds_little(value: Any) -> None:
    lines = indented(value)

    assert lines is not None and len(lines) <= 2 * len(compact(value))


def test_many_brackets_stay_on_one_line() -> None:
    assert not indents(BRACKETS) and indented(BRACKETS) is None
    assert value_text(BRACKETS) == compact(BRACKETS)
    assert len(json.dumps(BRACKETS, indent=2)) > 9_000_000


def test_a_call_of_many_brackets_is_shown_whole_by_its_exact_bytes() -> None:
    body = json.dumps({"nest": BRACKETS}).encode()
    call = replace(a_call(body=body), content=parse_content("application/json", body))

    shown = call_view(call, {}, NO_MASKS).body

    assert shown.pretty is None and shown.whole
    assert original(shown.visible).encode() == body
    assert len(shown.model_dump_json()) < 3 * len(body)


def test_what_an_edit_changes_of_many_brackets_is_no_longer_than_they_are() -> None:
    call = a_call()
    one, two = (a_decision(arguments={"nest": value}) for value in (BRACKETS, [*BRACKETS, 1]))

    (change,) = differences((call, one, NO_MASKS), (call, two, NO_MASKS))

    assert change.before == compact(BRACKETS) and change.after == compact([*BRACKETS, 1])
