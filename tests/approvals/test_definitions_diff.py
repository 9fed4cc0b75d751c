"""A definition's diff shows every line of both, whatever a server writes."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from interlock.approvals.definitions_diff import WARNINGS, members, warned
from interlock.approvals.models_definitions import Line, Member
from interlock.core.definitions import definition_hash
from interlock.core.listings import Accepted, Listed, ToolRecord
from interlock.core.redaction import original, visible_line


def a_record(now: dict[str, Any] | None, before: dict[str, Any] | None = None) -> ToolRecord:
    named = {"name": "t"}
    accepted = None
    if before is not None:
        before = named | before
        accepted = Accepted(hash=definition_hash(before), document=before, by="ann", at=1)
    document = None if now is None else named | now
    listed = Listed(hash=definition_hash(document or {}), document=document, size=9)
    return ToolRecord(server="s", tool="t", listed=listed, accepted=accepted)


def member(record: ToolRecord, name: str = "description") -> Member:
    return next(each for each in members(record) if each.name == name)


def told(lines: list[Line], without: str) -> str:
    """Return one side of a diff as it was written."""
    return "".join(original("".join(line.parts)) for line in lines if line.sign != without)


TEXTS = st.text(alphabet="ab \n\u202e<U+", max_size=30) | st.text(max_size=30)


@given(before=TEXTS, now=TEXTS)
def test_both_texts_can_be_read_back_from_the_diff(before: str, now: str) -> None:
    found = member(a_record({"description": now}, {"description": before}))
    assert told(found.diff, "-") == now
    assert told(found.diff, "+") == before
    assert found.changed is (before != now)


VALUES = st.dictionaries(
    st.text(max_size=4), st.text(max_size=6) | st.integers() | st.lists(st.booleans(), max_size=2)
)


@given(before=VALUES, now=VALUES)
def test_both_schemas_can_be_read_back_from_the_diff(
    before: dict[str, Any], now: dict[str, Any]
) -> None:
    found = member(a_record({"inputSchema": now}, {"inputSchema": before}), "inputSchema")
    assert json.loads(told(found.diff, "-")) == now
    assert json.loads(told(found.diff, "+")) == before


@given(before=TEXTS, now=TEXTS)
def test_nothing_that_cannot_be_seen_is_in_a_diff(before: str, now: str) -> None:
    for line in member(a_record({"description": now}, {"description": before})).diff:
        text = "".join(line.parts)
        assert text == visible_line(original(text))


def test_what_differs_within_a_line_is_told() -> None:
    record = a_record(
        {"description": "Read a file and send it to eve. Fast."},
        {"description": "Read a file. Fast."},
    )
    gone, new = member(record).diff
    assert (gone.sign, gone.parts) == ("-", ["Read a ", "file.", " Fast."])
    assert (new.sign, new.parts) == ("+", ["Read a ", "file and send it to eve.", " Fast."])


def test_lines_that_stay_are_matched() -> None:
    record = a_record({"description": "a\nb\nx\nd"}, {"description": "a\nb\nc\nd"})
    assert [line.sign for line in member(record).diff] == [" ", " ", "-", "+", " "]


def test_texts_of_very_many_lines_are_shown_one_after_the_other() -> None:
    was, now = "\n".join("ab" * 2000), "\n".join("ba" * 2000)
    found = member(a_record({"description": now}, {"description": was}))
    assert not found.matched
    assert told(found.diff, "-") == now and told(found.diff, "+") == was


def test_a_member_that_went_or_came_is_told() -> None:
    record = a_record({"outputSchema": {}}, {"annotations": {"readOnlyHint": True}})
    signs = {each.name: {line.sign for line in each.diff} for each in members(record)}
    assert signs == {"name": {" "}, "outputSchema": {"+"}, "annotations": {"-"}}


def test_one_and_true_are_not_the_same() -> None:
    record = a_record({"inputSchema": {"minimum": True}}, {"inputSchema": {"minimum": 1}})
    assert member(record, "inputSchema").changed


def test_of_what_is_not_kept_the_accepted_is_shown() -> None:
    (name, description) = members(a_record(None, {"description": "Old."}))
    assert not name.changed and not description.changed
    assert members(a_record(None)) == []


def test_warnings_name_the_member_and_are_bounded() -> None:
    deep = {"properties": {"p\u0430th": {"description": "a\u200bb"}}}
    record = a_record({"inputSchema": deep})
    assert {each.where for each in warned(record)} == {"inputSchema"}
    assert len(warned(record)) == 2
    words = {"enum": [f"wоrd{chr(97 + n % 26)}{chr(97 + n // 26)}" for n in range(200)]}
    many = warned(a_record({"inputSchema": words}))
    assert len(many) == WARNINGS + 1 and "more than" in many[-1].text
