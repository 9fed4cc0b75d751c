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
