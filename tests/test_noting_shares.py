"""What one agent's records take in a day is bounded; what people decided stays whole."""

from __future__ import annotations

import json
import logging
from dataclasses import replace

import pytest

from interlock.core.records import pack, unpack
from interlock.noting_shares import Shares, short
from tests.support.records import DAY, record, unreviewed

LARGE = replace(
    unreviewed(size=20_000, task="t" * 16_000),
    request={"upstream": "bank", "method": "POST", "path": "/p", "json": {"a": "x" * 20_000}},
    arguments={"a": "x" * 20_000},
    facts={"task": "t" * 16_000, "used": {}},
)


def test_a_flood_of_one_agent_is_kept_short_and_others_are_whole() -> None:
    shares = Shares(200_000)
    found = [shares.fitting(LARGE, 0) for _ in range(50)]
    assert found[0] is LARGE
    cut = found[-1]
    assert cut.masked and cut.short and cut.arguments == {} and cut.task == ""
    assert cut.request == {"upstream": "bank", "method": "POST", "path": "/…"}
    assert len(json.dumps(pack(cut))) < 1500
    assert (cut.tool, cut.level, cut.drawn, cut.share) == (
        LARGE.tool,
        LARGE.level,
        LARGE.drawn,
        LARGE.share,
    )
    assert unpack(pack(cut)) == cut
    other = replace(LARGE, agent="other")
    assert shares.fitting(other, 0) is other


def test_what_an_agent_tells_of_its_calls_counts_as_it_is_written() -> None:
    shares, told = Shares(100_000), "\N{WASTEBASKET}\N{BUG}" * 1000
    at = LARGE.ended

    found = [shares.words("bot", at, told) for _ in range(10)]

    assert found == [told] * 4 + [told[:500]] * 6
    assert shares.words("other", at, told) == told
    assert shares.words("bot", at, "it bounced") == "it bounced", "there is room for this"
    assert shares.words("bot", at + DAY, told) == told


def test_what_an_agent_tells_takes_the_share_of_its_records_and_they_take_it_of_that() -> None:
    shares = Shares(100_000)
    while shares.words(LARGE.agent, LARGE.ended, "x" * 2000) == "x" * 2000:
        pass
    assert shares.fitting(LARGE, 0) is not LARGE
    assert shares.words(LARGE.agent, LARGE.ended, "x" * 2000) == "x" * 500


def test_a_share_begins_anew_each_day() -> None:
    shares = Shares(1000)
    assert shares.fitting(LARGE, 0) is not LARGE
    small = replace(unreviewed(), agent=LARGE.agent, ended=LARGE.ended + DAY, size=0)
    assert Shares(100_000).fitting(small, 0) is small
    shares = Shares(100_000)
    for _ in range(5):
        shares.fitting(LARGE, 0)
    assert shares.fitting(LARGE, 0) is not LARGE
    assert shares.fitting(small, 0) is small


def test_what_people_decided_is_whole_however_much_there_is() -> None:
    shares, decided = Shares(1000), replace(record(size=20_000), agent=LARGE.agent)
    for _ in range(3):
        shares.fitting(LARGE, 0)
    assert decided.reviews and shares.fitting(decided, 0) is decided


def test_the_log_says_once_whose_records_are_short(caplog: pytest.LogCaptureFixture) -> None:
    shares = Shares(1000)
    with caplog.at_level(logging.WARNING, "interlock"):
        for _ in range(3):
            shares.fitting(LARGE, 0)
    assert [LARGE.agent in each for each in caplog.messages] == [True]


def test_a_short_record_of_an_mcp_call_names_its_tool() -> None:
    named = {"server": "s", "tool": "t"}
    assert short(replace(LARGE, request={"mcp": named, "args": {"a": 1}})).request == {"mcp": named}
