"""A query says each thing once, and nothing that nobody asks for."""

from __future__ import annotations

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request

from interlock.approvals.queries import LONGEST, filters, once, page_size, whole_number
from interlock.core.errors import MalformedCall

NAMES = ("agent", "limit", "tool")


def asks(query: str) -> web.Request:
    return make_mocked_request("GET", f"/v1/history?{query}")


def test_what_is_asked_for_is_read_once() -> None:
    assert once(asks("agent=bot&tool="), NAMES) == {"agent": "bot", "tool": ""}
    assert once(asks(""), NAMES) == {}


@pytest.mark.parametrize("query", ["agent=a&agent=b", "agent=&agent=", "agents=a", "agent=a&x=1"])
def test_what_is_said_twice_or_not_known_is_refused_with_what_is_known(query: str) -> None:
    for read in (once, filters):
        with pytest.raises(MalformedCall, match="once, and only these: agent, limit, tool"):
            read(asks(query), NAMES)


def test_a_filter_that_a_form_left_empty_is_none() -> None:
    assert filters(asks("agent=&tool=pay"), NAMES) == {"tool": "pay"}


def test_a_filter_has_its_longest() -> None:
    assert filters(asks(f"agent={'a' * LONGEST}"), NAMES)
    with pytest.raises(MalformedCall, match="`agent` has more than 200 characters"):
        filters(asks(f"agent={'a' * (LONGEST + 1)}"), NAMES)


@pytest.mark.parametrize("text", ["", "-1", "1.5", "x", "٣", "1" * 16])
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(MalformedCall, match="`limit` must be a whole number"):
        whole_number({"limit": text}, "limit", 5)
    with pytest.raises(MalformedCall, match="`limit` must be a number from 1 to 200"):
        page_size({"limit": text}, 50, 200)


def test_numbers_are_read_and_have_a_usual_one() -> None:
    assert whole_number({"since": "0"}, "since", 7) == 0
    assert whole_number({}, "since", 7) == 7
    assert page_size({"limit": "200"}, 50, 200) == 200
    assert page_size({}, 50, 200) == 50


@pytest.mark.parametrize("text", ["0", "201"])
def test_a_page_has_its_bounds(text: str) -> None:
    with pytest.raises(MalformedCall, match="`share` must be a number from 1 to 200"):
        page_size({"share": text}, 50, 200, "share")
