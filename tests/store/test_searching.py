"""Looking for calls that people had to do with: all of them, once, and nothing that is hidden."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import McpTool, Raised, State, ToolCall, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import MalformedCall
from interlock.core.events import Decided, Resolved
from interlock.ports import Put, Searched
from interlock.store import searching
from interlock.store.redis import RedisStore
from interlock.store.searching import matches
from tests.store.calls import Calls
from tests.support.builders import a_call, a_decision, a_review, an_action
from tests.support.stores import Server, fresh_prefix

ALL = Searched()


@pytest.fixture
async def calls(server: Server) -> AsyncIterator[Calls]:
    store = RedisStore(server.url, prefix=fresh_prefix())
    yield Calls(store)
    await store.close()


async def hold(calls: Calls, name: str, call: ToolCall | None = None, **decision: Any) -> None:
    action = replace(an_action(call, action_id=name), decoy_of=decision.pop("decoy_of", ""))
    event = Decided(at=await calls.store.now(), decision=a_decision(**decision))
    assert await calls.write(action, event) is Put.OK


async def settled(calls: Calls, name: str, at: int = 0, call: ToolCall | None = None) -> None:
    """Hold and reject a call; *at*: when, by the index."""
    await hold(calls, name, call)
    await calls.rejected(name)
    if at:
        await calls.store.client.zadd(f"{calls.store._prefix}:past", {name: at})


async def pages(calls: Calls, wanted: Searched, limit: int) -> list[list[str]]:
    found, cursor = [], None
    while True:
        page = await calls.store.search(wanted, cursor, limit)
        found.append([each.id for each in page.actions])
        if page.next is None:
            return found
        cursor = page.next


async def names(calls: Calls, wanted: Searched = ALL) -> list[str]:
    return sum(await pages(calls, wanted, 50), [])


async def test_what_people_settled_is_found_latest_first_and_what_waits_is_not(
    calls: Calls,
) -> None:
    for name in ("a1", "a2", "a3", "a4"):
        await hold(calls, name)
    await calls.rejected("a2")
    await asyncio.sleep(0.002)
    await calls.responded("a1")
    await asyncio.sleep(0.002)
    await calls.expired("a3")

    assert await names(calls) == ["a3", "a1", "a2"]
    assert (await calls.store.search(ALL, None, 1)).total == 3


async def test_what_people_had_nothing_to_do_with_is_not_found(calls: Calls) -> None:
    await calls.proposed("a1", level=Level.ALLOW)
    await calls.answered("a1")
    await calls.proposed("a2", level=Level.NOTIFY)
    await calls.answered("a2")
    await calls.proposed("a3", level=Level.DENY)

    assert await names(calls) == []


async def test_a_practice_call_is_never_found(calls: Calls) -> None:
    await hold(calls, "a1", decoy_of="a0")
    await calls.rejected("a1")

    assert (await calls.read("a1")).state is State.CANCELLED
    assert await names(calls) == []


async def test_an_unknown_outcome_is_found_and_again_once_somebody_settles_it(
    calls: Calls,
) -> None:
    await calls.proposed("a1")
    await calls.approved("a1")
    await calls.claimed("a1")
    assert await names(calls) == []
    await calls.lost("a1")
    await asyncio.sleep(0.002)
    await settled(calls, "a2")

    assert await names(calls, Searched(state="unknown")) == ["a1"]
    await asyncio.sleep(0.002)
    resolved = Resolved(at=await calls.store.now(), by="ann", happened=True, message="seen")
    await calls.write(await calls.read("a1"), resolved)
    assert await names(calls) == ["a1", "a2"]


async def test_answers_of_tools_are_left_out(calls: Calls) -> None:
    await calls.proposed("a1")
    await calls.approved("a1")
    await calls.claimed("a1")
    await calls.answered("a1")

    (found,) = (await calls.store.search(ALL, None, 5)).actions
    assert found == replace(await calls.read("a1"), answer=None)


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
async def test_every_page_goes_on_where_the_last_one_ended_also_in_one_millisecond(
    calls: Calls, limit: int
) -> None:
    times = [random.Random(3).randint(1, 4) for _ in range(20)]
    for number, at in enumerate(times):
        await settled(calls, f"a{number}", at)
    expected = sorted(((at, f"a{n}") for n, at in enumerate(times)), reverse=True)

    found = await pages(calls, ALL, limit)

    assert sum(found, []) == [name for _, name in expected]
    assert all(len(page) <= limit for page in found)


async def test_a_page_goes_on_though_what_it_ended_with_has_gone_or_moved(calls: Calls) -> None:
    for number in range(1, 6):
        await settled(calls, f"a{number}", number)
    page = await calls.store.search(ALL, None, 2)
    assert [each.id for each in page.actions] == ["a5", "a4"]
    await calls.store.client.zrem(f"{calls.store._prefix}:past", "a4")
    await settled(calls, "a6", 9)

    rest = await calls.store.search(ALL, page.next, 9)

    assert [each.id for each in rest.actions] == ["a3", "a2", "a1"]


async def test_one_answer_looks_at_so_many_records_and_the_next_one_goes_on(
    calls: Calls, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searching, "MOST", 4)
    monkeypatch.setattr(searching, "AT_ONCE", 2)
    for number in range(1, 11):
        call = a_call(agent="rare") if number == 2 else None
        await settled(calls, f"a{number:02}", number, call)

    assert await pages(calls, Searched(agent="rare"), 5) == [[], [], ["a02"]]


async def test_since_and_until_bound_when_it_was_settled(calls: Calls) -> None:
    for number in range(1, 6):
        await settled(calls, f"a{number}", number * 10)

    assert await names(calls, Searched(since=20, until=40)) == ["a4", "a3", "a2"]
    assert (await calls.store.search(Searched(since=20, until=40), None, 1)).total == 3
    assert await pages(calls, Searched(since=20, until=40), 1) == [["a4"], ["a3"], ["a2"], []]


@pytest.mark.parametrize("cursor", ["", "x-a", "5", "-a", "5-", "²-a", "9" * 17 + "-a"])
async def test_a_cursor_that_is_none_of_ours_is_refused(calls: Calls, cursor: str) -> None:
    with pytest.raises(MalformedCall, match="cursor"):
        await calls.store.search(ALL, cursor, 5)


async def test_the_index_forgets_with_the_records(calls: Calls) -> None:
    """Fault caught: a flood of calls that are held and taken back fills the store with names."""
    client, prefix = calls.store.client, calls.store._prefix
    for number in range(20):
        await hold(calls, f"a{number}")
        await calls.cancelled(f"a{number}")
        record = await client.pexpiretime(f"{prefix}:c:a{number}")
        assert abs(await client.zscore(f"{prefix}:past:end", f"a{number}") - record) < 50
    await client.zadd(f"{prefix}:past:end", {f"a{number}": 1 for number in range(20)})

    for name in ("b1", "b2"):
        await settled(calls, name)

    assert set(await names(calls)) == {"b1", "b2"}
    assert await client.zcard(f"{prefix}:past:end") == 2


# what matches ------------------------------------------------------------------------------

FOUND = replace(
    an_action(a_call(target="/pay?to=bob", session="s")),
    state=State.REJECTED,
    decision=a_decision(arguments={"amount": 900, "to": "Bob Fine", "iban": "DE123456789"}),
    reviews=(a_review(an_action(), verdict=Verdict.REJECT, message="Too Much"),),
    raised=(Raised(by="bob", message="who knows him?", at=1),),
    cause="Too Much",
)


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (ALL, True),
        (Searched(agent="bot"), True),
        (Searched(agent="bo"), False),
        (Searched(tool="bank.pay"), True),
        (Searched(tool="bank"), False),
        (Searched(state="rejected"), True),
        (Searched(state="held"), False),
        (Searched(by="ann"), True),
        (Searched(by="bob"), True),
        (Searched(by="cat"), False),
        (Searched(text="bob fine"), True),
        (Searched(text="900"), True),
        (Searched(text="too MUCH"), True),
        (Searched(text="rent is"), True),
        (Searched(text="/pay"), True),
        (Searched(text="who knows"), True),
        (Searched(text="iban"), True),
        (Searched(text="nobody"), False),
        (Searched(text="bob fine", agent="other"), False),
    ],
)
def test_everything_that_is_asked_for_has_to_match(wanted: Searched, found: bool) -> None:
    assert matches(FOUND, wanted) is found


@pytest.mark.parametrize("now", [False, True])
def test_nobody_finds_out_by_searching_what_is_hidden(now: bool) -> None:
    """Fault caught: the search answers whether a hidden value begins with what was typed."""
    redacted = () if now else ("iban",)
    action = replace(
        FOUND,
        cause="Not to DE123456789",
        decision=replace(FOUND.decision, redacted=redacted),  # type: ignore[type-var]
    )
    hidden = ("args.iban",) if now else ()

    assert matches(action, Searched(text="bob fine", hidden=hidden))
    for text in ("DE123456789", "DE12", "3456"):
        assert not matches(action, Searched(text=text, hidden=hidden))


def test_a_tool_of_an_mcp_server_is_found_by_the_name_that_it_has_there() -> None:
    call = replace(a_call(), mcp=McpTool(name="send"))
    unknown = replace(an_action(call), decision=a_decision(tool=""))

    assert matches(unknown, Searched(tool="send")) and matches(unknown, Searched(text="send"))


@given(st.text(), st.text(min_size=1))
def test_what_is_found_by_a_text_is_found_by_each_part_of_it(text: str, part: str) -> None:
    action = replace(FOUND, cause=text + part)

    assert matches(action, Searched(text=part)) and matches(action, Searched(text=text + part))


# the latest of its kind --------------------------------------------------------------------


async def approved(calls: Calls, name: str, call: ToolCall | None = None, **decision: Any) -> None:
    await hold(calls, name, call, **decision)
    assert await calls.approved(name, **decision) is Put.OK


async def like(calls: Calls, name: str) -> str:
    found = await calls.store.like(await calls.read(name))
    return found.id if found is not None else ""


async def test_the_latest_call_of_the_same_tool_that_people_approved_is_found(
    calls: Calls,
) -> None:
    await hold(calls, "new")
    assert await like(calls, "new") == ""
    await approved(calls, "a1")
    await approved(calls, "a2")
    await calls.claimed("a2")
    await approved(calls, "other", tool="bank.other")

    assert await like(calls, "new") == "a2"


async def test_one_of_the_same_agent_comes_first(calls: Calls) -> None:
    await approved(calls, "mine")
    await approved(calls, "theirs", a_call(agent="other"))
    await hold(calls, "new")
    await hold(calls, "third", a_call(agent="third"))

    assert await like(calls, "new") == "mine"
    assert await like(calls, "third") == "theirs"


async def test_it_is_never_the_call_itself(calls: Calls) -> None:
    await approved(calls, "a1")

    assert await like(calls, "a1") == ""


async def test_what_was_not_sent_after_all_is_no_precedent(calls: Calls) -> None:
    await hold(calls, "new")
    await hold(calls, "a1")
    await calls.rejected("a1")
    await approved(calls, "a2")
    await calls.cancelled("a2")

    assert await like(calls, "new") == ""


async def test_one_vote_of_two_is_no_precedent(calls: Calls) -> None:
    await hold(calls, "new")
    await hold(calls, "a1", level=Level.APPROVE_DUAL)
    await calls.approved("a1", level=Level.APPROVE_DUAL)
    assert await like(calls, "new") == ""

    await calls.approved("a1", level=Level.APPROVE_DUAL)

    assert await like(calls, "new") == "a1"


async def test_a_call_of_no_known_tool_has_no_kind(calls: Calls) -> None:
    await approved(calls, "a1", tool="")
    await hold(calls, "new", tool="")

    assert await like(calls, "new") == ""


async def test_what_the_index_names_wrongly_is_not_shown(calls: Calls) -> None:
    """Fault caught: who can write to the store shows another call as the precedent."""
    await approved(calls, "a1")
    await approved(calls, "odd", tool="bank.other")
    await hold(calls, "new")
    for key in await calls.store.client.keys(f"{calls.store._prefix}:a:*"):
        await calls.store.client.set(key, "odd")

    assert await like(calls, "new") == ""
