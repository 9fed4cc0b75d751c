"""Signing in by a link and out again: who is told, and what is noted."""

from __future__ import annotations

import logging

import pytest
from aiohttp import ClientSession, CookieJar

from interlock.core.identity import Kind

from .world import ANN, World


async def by_link(world: World, client: ClientSession) -> None:
    response = await client.post(
        f"{world.url}/sign-in",
        data={"t": world.deps.links.issue(ANN)},
        headers={"Origin": world.url},
        allow_redirects=False,
    )
    assert response.status == 303


async def test_colleagues_know_who_followed_a_link_and_who_has_a_key(world: World) -> None:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        await by_link(world, client)
    for kind in (Kind.APPROVER, Kind.ADMIN, Kind.AUDITOR):
        await world.ask("GET", "/v1/approvals", key=await world.key(kind))
    known = await world.deps.desk.colleagues()
    assert {each.id: each.groups for each in known} == {"ann": ("ops",), "a-approver": ("ops",)}


async def test_coming_and_going_is_in_the_audit_log(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.audit")
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        await by_link(world, client)
        text = await (await client.get(f"{world.url}/review")).text()
        token = text.partition('action="/sign-out"')[2].partition('value="')[2].partition('"')[0]
        await client.post(
            f"{world.url}/sign-out",
            data={"csrf": token},
            headers={"Origin": world.url},
            allow_redirects=False,
        )
    said = [record.getMessage() for record in caplog.records if record.name == "interlock.audit"]
    assert said == ["ann signed in by a link", "ann signed out"]


async def test_the_page_of_a_link_says_how_long_it_signs_in_for(world: World) -> None:
    answer = await world.ask("GET", f"/sign-in?t={world.deps.links.issue(ANN)}")
    assert "for 12 h at most" in await answer.text()


async def test_a_local_person_gets_a_fresh_link_with_their_own_key(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.audit")
    ann = await world.key(Kind.APPROVER, "ann", ("ops",))
    said = await (await world.ask("POST", "/v1/me/link", key=ann)).json()
    assert (said["id"], said["seconds"]) == ("ann", 900)
    assert said["url"].endswith(said["path"])
    token = said["path"].partition("=")[2]
    assert token not in caplog.text and "link made for=ann" in caplog.text
    answers = [await world.ask("POST", "/sign-in", data={"t": token}) for _ in range(2)]
    assert [each.status for each in answers] == [303, 401]


@pytest.mark.parametrize(
    ("kind", "name", "groups", "status"),
    [
        (Kind.APPROVER, "bob", ("ops",), 404),  # not in `people.local`
        (Kind.APPROVER, "ann", (), 403),  # a key with fewer groups than a link would give
        (Kind.ADMIN, "ann", ("ops",), 403),  # may not approve, so does not become who may
        (Kind.AUDITOR, "ann", ("ops",), 403),
    ],
)
async def test_nobody_gets_more_by_a_link_than_their_key_gives(
    world: World, kind: Kind, name: str, groups: tuple[str, ...], status: int
) -> None:
    key = await world.key(kind, name, groups)
    assert (await world.ask("POST", "/v1/me/link", key=key)).status == status


async def test_a_session_makes_no_link(world: World) -> None:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        await by_link(world, client)
        answer = await client.post(f"{world.url}/v1/me/link", headers={"Origin": world.url})
        assert answer.status == 403


@pytest.mark.parametrize(
    ("asked", "led"),
    [("/review/abc?x=1", "/review/abc?x=1"), ("/history", "/history"), ("/review", "/review")],
)
async def test_a_link_leads_to_the_page_that_one_came_for(
    world: World, asked: str, led: str
) -> None:
    async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
        first = await client.get(f"{world.url}{asked}")
        assert first.status == 401 and "interlock sessions link" in await first.text()
        for expected in (led, "/review"):  # and only once
            answer = await client.post(
                f"{world.url}/sign-in",
                data={"t": world.deps.links.issue(ANN)},
                headers={"Origin": world.url},
                allow_redirects=False,
            )
            assert answer.headers["Location"] == expected


@pytest.mark.parametrize("to", ["//evil.example", "https://evil.example", "/v1/me", "/x/../y"])
async def test_no_cookie_leads_elsewhere(world: World, to: str) -> None:
    async with ClientSession() as client:
        answer = await client.post(
            f"{world.url}/sign-in",
            data={"t": world.deps.links.issue(ANN)},
            headers={"Origin": world.url, "Cookie": f"{world.deps.cookie}-to={to}"},
            allow_redirects=False,
        )
        assert answer.headers["Location"] == "/review"
