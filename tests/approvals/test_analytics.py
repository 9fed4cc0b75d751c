"""Analytics by the API: who reads what of whom, for which calls, and what each figure is."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from interlock.approvals.figures import DEFINITIONS
from interlock.approvals.models_analytics import AnalyticsView
from interlock.core.analytics import Share
from interlock.core.identity import Kind
from interlock.core.practice import Practised
from interlock.store.redis import RedisStore
from tests.support.stores import Server, fresh_prefix

from .figures import DAY, group, nothing, pseudonym, reviewing, some
from .world import World, a_world

ANN, BOB, GONE = pseudonym("ann"), pseudonym("bob"), pseudonym("gone")


async def read(
    world: World, query: str = "", kind: Kind = Kind.ADMIN, who: str = "", status: int = 200
) -> dict[str, Any]:
    key = await world.key(kind, who)
    answer = await world.ask("GET", f"/v1/analytics{query}", key=key)
    assert answer.status == status, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def test_every_figure_says_how_many_calls_it_is_of_and_what_it_is(world: World) -> None:
    world.archive.has(some())
    told = await read(world)

    assert told["definitions"] == dict(DEFINITIONS)
    rule = next(each for each in told["rules"] if each["id"] == "new-recipient")
    assert (rule["precision"]["hits"], rule["precision"]["of"]) == (3, 41)
    assert (rule["precision"]["low"], rule["precision"]["high"]) == (
        pytest.approx(Share(hits=3, of=41).low),
        pytest.approx(Share(hits=3, of=41).high),
    )
    assert rule["held"] == 41 and rule["rates"]["approved"] == pytest.approx(38 / 41)
    assert told["first_look"] == {
        "of": 507,
        "p50": 48_000,
        "p90": 540_000,
        "p99": 5_100_000,
        "few": False,
    }
    assert told["reliability"]["bins"][-1]["of"] == 212
    assert told["auditing"]["judged"]["of"] == 988 and told["auditing"]["wrong"] == 0.0093
    assert told["left_out"] == {"rules": 2}
    assert told["kept"]["records"] == told["records"]


async def test_figures_of_few_calls_say_so(world: World) -> None:
    world.archive.has(some())
    told = await read(world)
    few = {each["id"]: each["precision"]["few"] for each in told["rules"]}
    assert few == {
        "large-payment": False,
        "after-hours": False,
        "new-recipient": False,
        "unknown-tool": True,
    }
    assert {each["who"]: each["fast"]["few"] for each in told["reviewers"]}[BOB] is False
    assert [each["few"] for each in told["reliability"]["bins"]] == [True] * 6 + [False] * 4
    gone = next(each for each in told["reviewers"] if each["who"] == GONE)
    assert gone["fast"]["few"] and gone["agreed"]["value"] is None


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", {"since": -30 * DAY}),
        ("?since=0", {"since": 0}),
        ("?since=12h&until=1h", {"since": -DAY // 2, "until": -DAY // 24}),
        (
            "?since=1780000000000&until=1780000000001",
            {"since": 1780000000000, "until": 1780000000001},
        ),
        ("?since=2026-03-01&until=2026-03-01", {"since": 1772323200000, "until": 1772409600000}),
        (
            "?since=0&agent=billing-bot&tool=a%20b&rule=r&level=approve",
            {
                "since": 0,
                "agent": "billing-bot",
                "tool": "a b",
                "rule": "r",
                "level": "approve",
            },
        ),
        (f"?since=0&reviewer={BOB}", {"since": 0, "reviewer": BOB}),
        ("?since=0&agent=&until=", {"since": 0}),
    ],
)
async def test_filters_choose_calls(world: World, query: str, expected: dict[str, Any]) -> None:
    before = await world.store.now()
    told = await read(world, query)
    after = await world.store.now()
    (selected,) = world.archive.asked
    for name, value in expected.items():
        found = getattr(selected, name)
        if isinstance(value, int) and value < 0:
            assert before + value - 10_000 < found <= after + value
        else:
            assert found == value
        assert told["asked"][name] == found
    rest = {"agent", "tool", "rule", "level", "reviewer", "until"} - expected.keys()
    assert {getattr(selected, name) for name in rest} <= {"", 0}


@pytest.mark.parametrize(
    "query",
    [
        "?since=yesterday",
        "?since=30x",
        "?since=-1d",
        "?until=2026-02-30",
        "?level=high",
        "?reviewer=bob",
        "?reviewer=r-12",
        "?what=1",
        "?since=1d&since=2d",
        "?agent=" + "x" * 201,
        "?since=9999-99-99",
        "?since=%D9%A3d",
    ],
)
async def test_filters_that_make_no_sense_are_refused(world: World, query: str) -> None:
    told = await read(world, query, status=400)
    assert told["type"].endswith("malformed-call") and world.archive.asked == []


@pytest.mark.parametrize("kind", [Kind.ADMIN, Kind.AUDITOR])
async def test_admins_and_auditors_read_of_every_reviewer_by_name_where_it_is_known(
    world: World, kind: Kind
) -> None:
    world.archive.has(some())
    await world.deps.desk.greet("ann", ["ops"])
    await world.deps.desk.greet("bob", ["ops"])
    told = await read(world, kind=kind)
    assert [(each["who"], each["person"]) for each in told["reviewers"]] == [
        (ANN, "ann"),
        (BOB, "bob"),
        (GONE, ""),
    ]
    assert not any(each["you"] for each in told["reviewers"])


async def test_approvers_read_their_own_and_the_totals(world: World) -> None:
    world.archive.has(some())
    await world.deps.desk.greet("ann", ["ops"])
    told = await read(world, kind=Kind.APPROVER, who="bob")
    (mine,) = told["reviewers"]
    assert (mine["who"], mine["person"], mine["you"], mine["streak"]) == (BOB, "bob", True, 112)
    assert told["everybody"]["decided"] == 507 and told["everybody"]["practice"] is None
    assert ANN not in json.dumps(told) and GONE not in json.dumps(told)


async def test_approvers_ask_for_nobody_else(world: World) -> None:
    for asked in (ANN, GONE):
        told = await read(world, f"?reviewer={asked}", Kind.APPROVER, "bob", status=403)
        assert "your own" in told["detail"]
    assert world.archive.asked == []
    for asked in ("me", BOB):
        await read(world, f"?reviewer={asked}", Kind.APPROVER, "bob")
    assert [each.reviewer for each in world.archive.asked] == [BOB, BOB]


async def test_agents_read_nothing(world: World) -> None:
    for kind in (Kind.AGENT, Kind.METRICS):
        await read(world, kind=kind, status=403)


async def practised(world: World) -> None:
    book, now = world.deps.practice, await world.store.now()
    assert book is not None
    for each in range(8):
        await book.note("ann", f"d{each}", Practised.CAUGHT, now)
    await book.note("bob", "d8", Practised.CAUGHT, now)
    await book.note("bob", "d9", Practised.MISSED, now)
    await book.note("new", "d10", Practised.CAUGHT, now)


async def test_practice_stands_beside_whoever_practised_with_its_lower_bound(world: World) -> None:
    world.archive.has(some())
    await practised(world)
    told = await read(world)
    by = {each["person"] or each["who"]: each for each in told["reviewers"]}
    assert by["ann"]["practice"]["caught"]["hits"] == by["ann"]["practice"]["caught"]["of"] == 8
    assert by["ann"]["practice"]["sure"] == pytest.approx(0.05 ** (1 / 8))
    assert by["bob"]["practice"]["caught"]["value"] == 0.5
    assert by["bob"]["practice"]["caught"]["few"]
    assert by[GONE]["practice"] is None
    assert (by["new"]["decided"], by["new"]["practice"]["caught"]["of"]) == (0, 1)
    assert told["everybody"]["practice"]["caught"]["of"] == 11

    mine = await read(world, kind=Kind.APPROVER, who="bob")
    assert mine["reviewers"][0]["practice"] == by["bob"]["practice"]
    assert len(mine["reviewers"]) == 1


async def test_with_one_reviewer_chosen_nobody_else_is_added(world: World) -> None:
    world.archive.has(replace(some(), reviewers=(reviewing(BOB, decided=3),)))
    await practised(world)
    told = await read(world, f"?reviewer={BOB}")
    assert [each["who"] for each in told["reviewers"]] == [BOB]


async def test_names_that_agents_chose_are_visible_and_filters_still_find_them(
    world: World,
) -> None:
    nasty = "pay\u202eyap\n<b>"
    world.archive.has(
        replace(some(), agents=(group(nasty, approved=1), group("\ud800x", approved=1)))
    )
    told = await read(world)
    assert [each["name"] for each in told["agents"]] == ["pay<U+202E>yap<U+000A><b>", "<U+D800>x"]
    assert [each["id"] for each in told["agents"]] == [nasty, ""]
    await read(world, f"?agent={quote(nasty)}")
    assert world.archive.asked[-1].agent == nasty


async def test_the_queue_as_it_is_now_is_there_whatever_is_asked_for(world: World) -> None:
    assert (await read(world))["queue"] == {"held": 0, "oldest_ms": 0}
    await world.hold()
    queue = (await read(world, "?agent=nobody"))["queue"]
    assert queue["held"] == 1 and 0 <= queue["oldest_ms"] < 60_000


async def test_what_the_archive_lost_is_said(world: World) -> None:
    world.archive.kept_ = replace(world.archive.kept_, lost=3, behind=2, forged=1)
    kept = (await read(world))["kept"]
    assert (kept["lost"], kept["behind"], kept["forged"]) == (3, 2, 1)


async def test_no_calls_have_figures_too(world: World) -> None:
    world.archive.has(nothing())
    told = await read(world)
    assert told["total"]["precision"] == {
        "hits": 0,
        "of": 0,
        "value": None,
        "low": 0.0,
        "high": 1.0,
        "few": True,
    }
    assert told["total"]["rates"]["approved"] is None
    AnalyticsView.model_validate(told)


async def test_where_nothing_keeps_calls_it_says_so(server: Server) -> None:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, learning=False) as world:
        told = await read(world, status=404)
        assert "keeps decided calls" in told["detail"]
    await store.close()


def test_the_docs_say_what_each_figure_is_in_the_same_words() -> None:
    text = (Path(__file__).parents[2] / "docs" / "analytics.md").read_text(encoding="utf-8")
    for name, said in DEFINITIONS.items():
        assert f"(`{name}`) | {said} |" in text, name
