"""How calls turned out: who reports it, who reads it, and that nobody else's page reports."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action
from interlock.core.desk import Absence
from interlock.core.errors import StoreUnavailable
from interlock.core.identity import Kind
from interlock.core.records import Turned
from interlock.core.rules import Redact
from tests.support.records import audited, reported, unreviewed

from .figures import pseudonym
from .test_access import session
from .test_audits import NASTY, drawing, get, passed, verdict
from .world import World

__all__ = ["drawing"]


async def report(world: World, action: Action, key: str, turned: str = "wrong", **more: Any) -> int:
    body = {"turned": turned} | more
    path = f"/v1/approvals/{action.id}/outcome"
    return (await world.ask("POST", path, key=key, json=body)).status


async def test_people_report_how_a_call_that_was_sent_turned_out(world: World) -> None:
    action, ann = await passed(world, draw=False), await world.key(Kind.APPROVER, "ann")
    assert await report(world, action, ann, message="The note was lost.") == 200
    (kept,) = world.audits.reported[action.id]
    assert (kept.by, kept.turned, kept.message) == (
        pseudonym("ann"),
        Turned.WRONG,
        "The note was lost.",
    )
    assert await report(world, action, ann, "right") == 200
    (kept,) = world.audits.reported[action.id]
    assert (kept.turned, kept.changed) == (Turned.RIGHT, 1)


async def test_a_persons_word_is_kept_whatever_the_agent_and_five_others_said(world: World) -> None:
    action, ann = await passed(world, draw=False), await world.key(Kind.APPROVER, "ann")
    people = [reported(Turned.RIGHT, by=f"r-{n:012}") for n in range(4)]
    four = [reported(Turned.RIGHT), *people]
    world.audits.reported[action.id] = [*four, reported(Turned.WRONG, by="r-aaaaaaaaaaaa")]
    assert await report(world, action, ann, "right") == 429
    assert await report(world, action, ann) == 200
    kept = world.audits.reported[action.id]
    assert len(kept) == 6 and (kept[-1].by, kept[-1].turned) == (pseudonym("ann"), Turned.WRONG)
    world.audits.reported[action.id] = [reported(Turned.WRONG, by=f"r-{n:012}") for n in range(5)]
    assert await report(world, action, ann) == 429


@pytest.mark.parametrize("kind", [Kind.APPROVER, Kind.ADMIN])
async def test_the_owner_of_the_agent_reports_what_was_wrong_and_nothing_as_right(
    world: World, kind: Kind
) -> None:
    action, owner = await passed(world, draw=False), await world.key(kind, "olga")
    assert await report(world, action, owner, "right") == 403
    assert world.audits.reported == {}
    told = await get(world, f"/v1/approvals/{action.id}/outcome", owner)
    assert told["why"] == "" and "You own this agent" in told["why_right"]
    text = await the_page(world, action, owner)
    assert BUTTONS[0] not in text and BUTTONS[1] in text
    assert await report(world, action, owner, "wrong") == 200


async def test_who_stands_in_for_the_owner_reports_nothing_as_right(world: World) -> None:
    action, now = await passed(world, draw=False), await world.store.now()
    away = Absence(person="olga", groups=("ops",), to="ann", until=now + 10**8, since=now)
    await world.deps.desk.go_away(away)
    ann = await world.key(Kind.APPROVER, "ann")
    assert await report(world, action, ann, "right") == 403
    assert await report(world, action, ann, "wrong") == 200


async def test_what_was_not_sent_turned_out_in_no_way(world: World) -> None:
    action, ann = await world.hold(), await world.key(Kind.APPROVER, "ann")
    assert await report(world, action, ann) == 409
    await world.decide(action, ann, type="reject", message="No.")
    assert await report(world, action, ann) == 409
    assert world.audits.reported == {}


async def the_page(world: World, action: Action, key: str, query: str = "") -> str:
    answer = await world.ask("GET", f"/review/{action.id}{query}", key=key)
    assert answer.status == 200
    return await answer.text()


BUTTONS = ("It turned out right</button>", "It turned out wrong</button>")


async def test_the_page_of_a_call_that_was_sent_asks_how_it_turned_out(world: World) -> None:
    action, ann = await passed(world, draw=False), await world.key(Kind.APPROVER, "ann")
    text = await the_page(world, action, ann)
    assert all(each in text for each in BUTTONS) and "Nobody has said yet" in text
    form = {"turned": "wrong", "message": "Twice."}
    answer = await world.ask("POST", f"/review/{action.id}/outcome", key=ann, data=form)
    assert (answer.status, answer.headers["Location"]) == (
        303,
        f"/review/{action.id}?turned=wrong#outcome",
    )
    (kept,) = world.audits.reported[action.id]
    assert (kept.by, kept.turned, kept.message) == (pseudonym("ann"), Turned.WRONG, "Twice.")
    assert "Noted: it turned out wrong." in await the_page(world, action, ann, "?turned=wrong")
    assert "Noted" not in await the_page(world, action, ann, "?turned=%3Cb%3E")


async def test_what_was_not_sent_is_not_asked_about(world: World) -> None:
    action, ann = await world.hold(), await world.key(Kind.APPROVER, "ann")
    assert 'id="outcome"' not in await the_page(world, action, ann)
    await world.decide(action, ann, type="reject", message="No.")
    assert 'id="outcome"' not in await the_page(world, action, ann)
    why = (await get(world, f"/v1/approvals/{action.id}/outcome", ann))["why"]
    assert why == "It was not sent, so it did not turn out in any way."


async def test_it_shows_what_agent_people_and_auditor_said(world: World) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    reports = (
        reported(Turned.WRONG, by="agent", message=NASTY),
        reported(Turned.RIGHT, by=pseudonym("ann")),
        reported(Turned.WRONG, by=pseudonym("bob"), message="It was paid twice."),
    )
    said = audited(Turned.WRONG, who=pseudonym("bob"), message="Never.", reason_code="policy")
    record = unreviewed(id=action.id, drawn=True, audit=said, reports=reports)
    world.archive.records[action.id] = record
    told = await get(world, f"/v1/approvals/{action.id}/outcome", ann)
    assert [(each["by"], each["you"]) for each in told["reports"]] == [
        ("agent", False),
        (pseudonym("ann"), True),
        (pseudonym("bob"), False),
    ]
    assert (told["judged"]["turned"], told["judged"]["you"], told["why"]) == ("wrong", False, "")
    text = await the_page(world, action, ann)
    assert "<script>alert" not in text and "\u202e" not in text
    words = " ".join(re.sub(r"<[^>]+>", "", text).split())
    assert f"It was wrong, says {pseudonym('bob')} in an audit" in words
    assert "It turned out wrong, says the agent itself" in words
    assert "It turned out right, says you" not in words and "It turned out right, say you" in words
    audit = await (await world.ask("GET", f"/audits/{action.id}", key=ann)).text()
    assert "It was paid twice." in audit and "Reported since" in audit
    five = tuple(reported(Turned.WRONG, by=f"r-{n:012}") for n in range(5))
    world.archive.records[action.id] = replace(record, reports=five)
    text = await the_page(world, action, ann)
    assert "5 people reported on it already" in text and BUTTONS[0] not in text


async def test_what_policy_hides_of_a_call_is_hidden_in_what_was_said_of_it(world: World) -> None:
    redact = Redact(approver=("args.text",))
    world.gate.policy = replace(world.gate.policy, redact=redact)
    action, iris = await passed(world), await world.key(Kind.AUDITOR, "iris")
    quoted = "It wrote Buy milk everywhere."
    reports = tuple(reported(Turned.WRONG, by=by, message=quoted) for by in ("agent", "r-0"))
    said = audited(Turned.WRONG, who=pseudonym("bob"), message=quoted)
    record = unreviewed(id=action.id, drawn=True, audit=said, reports=reports)
    world.archive.records[action.id] = record
    for path in (f"/v1/approvals/{action.id}/outcome", f"/v1/audits/{action.id}"):
        told = await get(world, path, iris)
        shown = [each["message"] for each in (told["judged"], *told["reports"])]
        assert shown == ["It wrote …milk everywhere."] * 3, path
    for path in (f"/review/{action.id}", f"/audits/{action.id}"):
        assert "Buy milk" not in await (await world.ask("GET", path, key=iris)).text(), path


async def test_auditors_read_how_it_turned_out_and_get_no_form(world: World) -> None:
    action, iris = await passed(world, draw=False), await world.key(Kind.AUDITOR, "iris")
    text = await the_page(world, action, iris)
    assert "Auditors read; approvers and admins report." in text and BUTTONS[0] not in text
    form = {"turned": "wrong"}
    answer = await world.ask("POST", f"/review/{action.id}/outcome", key=iris, data=form)
    assert (answer.status, world.audits.reported) == (403, {})


@pytest.mark.parametrize("bad", [{"turned": "x"}, {"turned": ""}, {"message": "x" * 10_001}])
async def test_a_report_that_is_none_of_ours_is_refused(world: World, bad: Any) -> None:
    action, ann = await passed(world, draw=False), await world.key(Kind.APPROVER, "ann")
    form = {"turned": "wrong"} | bad
    answer = await world.ask("POST", f"/review/{action.id}/outcome", key=ann, data=form)
    assert (answer.status, world.audits.reported) == (400, {})


async def test_another_sites_page_judges_and_reports_nothing(world: World) -> None:
    action = await passed(world)
    client, _ = await session(world)
    async with client:
        audit = await (await client.get(f"{world.url}/v1/audits/{action.id}")).json()
        tokens = {"audits": audit["csrf"], "review": audit["item"]["csrf"]}
        assert tokens["audits"] != tokens["review"]
        for place, other in (("audits", "review"), ("review", "audits")):
            path = f"/audits/{action.id}" if place == "audits" else f"/review/{action.id}/outcome"
            for token, headers in (
                ("", {"Origin": world.url}),
                ("0" * 64, {"Origin": world.url}),
                (tokens[other], {"Origin": world.url}),
                (tokens[place], {"Origin": "https://evil.example"}),
                (tokens[place], {"Origin": world.url, "Sec-Fetch-Site": "cross-site"}),
                (tokens[place], {}),
            ):
                form = verdict(action, csrf=token)
                answer = await client.post(f"{world.url}{path}", data=form, headers=headers)
                assert answer.status == 403, (path, token, headers)
    assert (world.audits.judged, world.audits.reported) == ({}, {})


async def test_a_call_is_shown_though_the_archive_cannot_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, ann = await passed(world, draw=False), await world.key(Kind.APPROVER, "ann")

    async def locked(action_id: str) -> None:
        raise StoreUnavailable("The archive is locked.")

    monkeypatch.setattr(world.archive, "get", locked)
    text = await the_page(world, action, ann)
    assert "Buy milk" in text and 'id="outcome"' not in text


async def test_auditors_report_nothing(world: World) -> None:
    action = await passed(world, draw=False)
    assert await report(world, action, await world.key(Kind.AUDITOR)) == 403
