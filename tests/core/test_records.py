"""A record of a decided call: written and read back, and what it says of right and wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given

from interlock.core.records import (
    DecidedCall,
    Label,
    Turned,
    label_of,
    pack,
    unpack,
)
from tests.support.records import audited, record, records, reported, said, unreviewed

RIGHT, WRONG = Label(right=True, weight=1.0), Label(right=False, weight=1.0)


@given(records())
def test_what_is_packed_is_read_back_as_it_was(one: DecidedCall) -> None:
    assert unpack(json.loads(json.dumps(pack(one)))) == one


@given(records())
def test_what_is_packed_is_plain(one: DecidedCall) -> None:
    assert json.loads(json.dumps(pack(one), ensure_ascii=False)) == pack(one)


def test_what_is_as_usual_is_not_written() -> None:
    least = DecidedCall(
        id="a1",
        version=1,
        state="denied",
        created=1,
        ended=2,
        agent="b",
        upstream="u",
        tool="",
        level="deny",
    )
    assert sorted(pack(least)) == sorted(
        "id version state created ended agent upstream tool level".split()
    )


@pytest.mark.parametrize(
    "packed",
    [
        {},
        {"id": "a1"},
        pack(record()) | {"unheard_of": 1},
        pack(record()) | {"reviews": [{}]},
        pack(record()) | {"reviews": 3},
        pack(record()) | {"audit": {"who": "r", "turned": "sideways", "at": 1}},
        pack(record()) | {"audit": "right"},
        pack(record()) | {"reports": [{"by": "agent", "at": 1}]},
    ],
)
def test_what_is_no_record_is_refused(packed: dict[str, object]) -> None:
    with pytest.raises((TypeError, ValueError, KeyError, AttributeError)):
        unpack(packed)


def test_approved_as_it_was_is_right() -> None:
    assert label_of(record()) == RIGHT
    assert label_of(record(level="approve_dual", reviews=(said(), said(who="r-2")))) == RIGHT


@pytest.mark.parametrize("verdict", ["edit", "reject"])
def test_what_people_changed_or_refused_is_not_right(verdict: str) -> None:
    assert label_of(record(reviews=(said(verdict),))) == WRONG
    assert label_of(record(reviews=(said(), said(verdict)))) == WRONG


def test_an_answer_in_the_tools_place_says_neither() -> None:
    assert label_of(record(state="responded", reviews=(said("respond"),))) is None


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_nobody_having_decided_says_nothing(state: str) -> None:
    dual: dict[str, Any] = {"state": state, "level": "approve_dual", "quorum": 2}
    assert label_of(record(state=state, reviews=())) is None
    assert label_of(record(**dual, reviews=(said(),))) is None
    assert label_of(record(**dual, reviews=(said(), said()))) is None, "one person is one voice"
    assert record(**dual, reviews=(said(),)).verdict == ""


@pytest.mark.parametrize("state", ["expired", "cancelled"])
def test_what_people_approved_is_right_though_it_was_never_sent(state: str) -> None:
    both = (said(), said(who="r-2"))
    dual = record(state=state, level="approve_dual", quorum=2, reviews=both)
    for one in (record(state=state), dual):
        assert one.verdict == "approve"
        assert label_of(one) == RIGHT
    assert label_of(record(state=state, reviews=(said("edit"),))) == WRONG


def test_an_unreviewed_call_says_nothing_unless_it_was_drawn_and_judged() -> None:
    assert label_of(unreviewed()) is None
    assert label_of(unreviewed(share=0.05)) is None
    assert label_of(unreviewed(share=0.05, drawn=True)) is None
    assert label_of(unreviewed(share=0.05, audit=audited())) is None
    assert label_of(unreviewed(drawn=True, audit=audited())) is None


@pytest.mark.parametrize("turned", list(Turned))
def test_one_drawn_stands_for_as_many_as_were_not(turned: Turned) -> None:
    drawn = unreviewed(share=0.05, drawn=True, audit=audited(turned))
    assert label_of(drawn) == Label(right=turned is Turned.RIGHT, weight=20.0)


def test_a_report_counts_against_a_call_and_never_for_it() -> None:
    wrong, right = reported(Turned.WRONG), reported(Turned.RIGHT)
    assert label_of(record(reports=(wrong,))) == WRONG
    assert label_of(record(reports=(right,), reviews=(said("reject"),))) == WRONG
    assert label_of(record(reports=(right, wrong))) == WRONG
    assert label_of(unreviewed(reports=(wrong,))) is None, "it was not drawn: no weight is known"
    drawn = unreviewed(share=0.5, drawn=True, audit=audited(), reports=(wrong,))
    assert label_of(drawn) == Label(right=False, weight=2.0)


def test_an_auditors_word_goes_over_the_reviewers() -> None:
    assert label_of(record(audit=audited(Turned.WRONG))) == WRONG
    assert label_of(record(reviews=(said("reject"),), audit=audited(Turned.RIGHT))) == RIGHT


@given(records())
def test_a_label_weighs_at_least_one_call(one: DecidedCall) -> None:
    label = label_of(one)
    assert label is None or label.weight >= 1
    assert label is None or one.held or one.drawn


@given(records())
def test_a_report_of_wrong_never_makes_a_label_right(one: DecidedCall) -> None:
    label = label_of(replace(one, reports=(*one.reports, reported())))
    assert label is None or not label.right


@given(records())
def test_the_strongest_verdict_counts(one: DecidedCall) -> None:
    given_ = {each.verdict for each in one.reviews}
    assert one.verdict == "" or one.verdict in given_
    if "reject" in given_:
        assert one.verdict == "reject"
    assert (one.decided == 0) == (not one.reviews)
