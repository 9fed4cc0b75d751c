"""Calls that were drawn: who sees, who judges, what is kept; and reports of the others."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from interlock.approvals.audits import refused
from interlock.core.actions import Action, Answer, State, evolve
from interlock.core.decisions import Level
from interlock.core.desk import Absence
from interlock.core.identity import Kind, Principal
from interlock.core.matching import build
from interlock.core.records import Turned
from interlock.core.rules import Redact
from interlock.store.redis import RedisStore
from tests.core.test_grants import grant
from tests.support.records import audited, unreviewed
from tests.support.stores import Server, fresh_prefix

from .figures import pseudonym
from .test_access import session
from .world import World, a_call, a_world

NASTY = '\u202e<script>alert(1)</script>"'


async def passed(world: World, *, draw: bool = True, **more: Any) -> Action:
    """Have a call go through by itself, and answered; drawn for an audit."""
    call = a_call("bank", "PUT", "/v1/notes/7", b'{"text": "Buy milk"}', **more)
    submission = await world.gate.submit(call)
    action = await world.settled(submission.action)
    assert action.state is State.ANSWERED
    if draw:
        answer = Answer(status=200, headers=(), body=b'{"done": true}')  # kept for auditors alone
        kept = evolve(action, drawn=True, answer=answer)
        world.audits.drawn[action.id] = world.gate.seals.sealed(kept)
    return action


@pytest.fixture(autouse=True)
def drawing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have notes go through by themselves, and the gate read what tests drew as drawn."""
    policy = world.gate.policy
    first, second, *rest = policy.matrix
    world.gate.policy = replace(policy, matrix=(first, (Level.ALLOW, *second[1:]), *rest))
    get = world.gate.get

    async def drawn(action_id: str) -> Action | None:
        found = await get(action_id)
        if found is None or action_id not in world.audits.drawn:
            return found
        return world.gate.seals.sealed(evolve(found, drawn=True))

    monkeypatch.setattr(world.gate, "get", drawn)


def verdict(action: Action, turned: str = "right", **more: Any) -> dict[str, Any]:
    return {"turned": turned, "digest": action.digest} | more


async def judge(world: World, action: Action, key: str, **more: Any) -> tuple[int, dict[str, Any]]:
    body = verdict(action, **more)
    answer = await world.ask("POST", f"/v1/audits/{action.id}", key=key, json=body)
    return answer.status, await answer.json()


async def get(world: World, path: str, key: str, status: int = 200) -> dict[str, Any]:
    answer = await world.ask("GET", path, key=key)
    assert answer.status == status, await answer.text()
    found: dict[str, Any] = await answer.json()
    return found


async def test_what_was_drawn_waits_is_looked_at_and_judged_once(world: World) -> None:
    first, second = await passed(world), await passed(world, session="s-82")
    ann, bob = await world.key(Kind.APPROVER, "ann"), await world.key(Kind.APPROVER, "bob")

    waiting = await get(world, "/v1/audits", ann)
    assert [each["card"]["id"] for each in waiting["items"]] == [first.id, second.id]
    assert (waiting["total"], waiting["next"], waiting["items"][0]["status"]) == (2, None, 200)
    assert waiting["items"][0]["why"] == ""

    shown = await get(world, f"/v1/audits/{first.id}", ann)
    assert shown["item"]["answer"]["visible"] == '{"done": true}'
    assert '"Buy milk"' in shown["item"]["call"]["body"]["visible"]
    assert shown["why"] == "" and shown["judged"] is None

    status, said = await judge(
        world, first, ann, turned="wrong", reason_code="duplicate", message="Twice.", visible_ms=900
    )
    assert (status, said) == (200, {"id": first.id, "turned": "wrong", "waiting": 1})
    kept = world.audits.judged[first.id]
    assert (kept.who, kept.turned) == (pseudonym("ann"), Turned.WRONG)
    assert (kept.reason_code, kept.message) == ("duplicate", "Twice.")

    status, said = await judge(world, first, bob)
    assert status == 409 and "it was judged" in said["detail"]
    assert [each["card"]["id"] for each in (await get(world, "/v1/audits", bob))["items"]] == [
        second.id
    ]
    assert world.audits.judged[first.id] == kept
    assert (await world.now(first)).state is State.ANSWERED  # nothing of the call has changed


async def test_what_was_changed_outside_is_listed_as_what_nobody_can_judge(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Fault caught: somebody who can write to the store makes calls vanish from the list."""
    sound, changed = await passed(world), await passed(world, session="s-82")
    forged = replace(changed.call, body=b'{"text": "Buy cheese"}')
    world.audits.drawn[changed.id] = replace(world.audits.drawn[changed.id], call=forged)
    ann = await world.key(Kind.APPROVER, "ann")

    waiting = await get(world, "/v1/audits", ann)

    assert [each["card"]["id"] for each in waiting["items"]] == [sound.id]
    assert [each["id"] for each in waiting["changed"]] == [changed.id]
    assert "changed outside Interlock" in waiting["changed"][0]["why"]
    assert waiting["total"] == 2
    assert changed.id in caplog.text
    page = await (await world.ask("GET", "/audits", key=ann)).text()
    assert "Changed outside Interlock: cannot be judged" in page
    assert f"<code>{changed.id}</code>" in page and f"/audits/{changed.id}" not in page
    assert "cheese" not in page and "Buy milk" in page
    status, said = await judge(world, changed, ann)
    assert status == 409 and "changed outside Interlock" in said["detail"]
    assert world.audits.judged == {}


async def test_a_list_of_nothing_but_changed_calls_does_not_say_that_none_waits(
    world: World,
) -> None:
    changed = await passed(world)
    world.audits.drawn[changed.id] = replace(world.audits.drawn[changed.id], seal="")
    ann = await world.key(Kind.APPROVER, "ann")
    page = await (await world.ask("GET", "/audits", key=ann)).text()
    assert changed.id in page and "No call waits" not in page


@pytest.mark.parametrize("kind", [Kind.APPROVER, Kind.ADMIN])
async def test_approvers_and_admins_judge_but_not_the_owner_of_the_agent(
    world: World, kind: Kind
) -> None:
    action = await passed(world)
    owner = await world.key(kind, "olga")
    status, said = await judge(world, action, owner)
    assert status == 403 and "You own this agent" in said["detail"]
    assert "own this agent" in (await get(world, f"/v1/audits/{action.id}", owner))["why"]
    assert (await judge(world, action, await world.key(kind, "zoe")))[0] == 200


@pytest.mark.parametrize("kind", [Kind.APPROVER, Kind.ADMIN])
async def test_nobody_judges_who_stands_in_for_the_owner(world: World, kind: Kind) -> None:
    action, now = await passed(world), await world.store.now()
    away = Absence(person="olga", groups=("ops",), to="ann", until=now + 10**8, since=now)
    await world.deps.desk.go_away(away)
    status, said = await judge(world, action, await world.key(kind, "ann"))
    assert status == 403 and "stand in for olga" in said["detail"]


async def test_nobody_judges_what_their_own_grant_let_through(world: World) -> None:
    action = await passed(world)
    assert action.decision is not None
    facts = replace(action.decision.facts, grant=grant(by="ann"))
    granted = evolve(action, decision=replace(action.decision, grant="gr_1", facts=facts))
    ann, bob = (
        Principal(kind=Kind.APPROVER, id=each, groups=frozenset({"ops"})) for each in ("ann", "bob")
    )
    assert "You granted" in refused(granted, ann, 0, ())
    assert refused(granted, bob, 0, ()) == ""


async def test_auditors_read_and_judge_nothing(world: World) -> None:
    action, iris = await passed(world), await world.key(Kind.AUDITOR, "iris")
    assert (await get(world, "/v1/audits", iris))["items"][0]["why"].startswith("Auditors read")
    assert (await get(world, f"/v1/audits/{action.id}", iris))["why"].startswith("Auditors read")
    assert (await judge(world, action, iris))[0] == 403
    assert world.audits.judged == {}


async def test_a_call_that_was_not_drawn_is_none_to_judge(world: World) -> None:
    action, ann = await passed(world, draw=False), await world.key(Kind.APPROVER, "ann")
    await get(world, f"/v1/audits/{action.id}", ann, status=404)
    await get(world, "/v1/audits/act_none", ann, status=404)
    assert (await judge(world, action, ann))[0] == 404


async def test_a_verdict_on_other_bytes_is_none(world: World) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    status, _ = await judge(world, action, ann, digest="0" * 64)
    assert (status, world.audits.judged) == (412, {})


@pytest.mark.parametrize(
    "more", [{"turned": "maybe"}, {"reason_code": "No!"}, {"extra": 1}, {"visible_ms": -1}]
)
async def test_a_verdict_that_makes_no_sense_is_refused(world: World, more: Any) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    assert (await judge(world, action, ann, **more))[0] == 400
    assert world.audits.judged == {}


async def test_what_policy_hides_is_hidden_here_too(world: World) -> None:
    redact = Redact(approver=("args.text",))
    world.gate.policy = replace(world.gate.policy, redact=redact)
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    for path in (f"/v1/audits/{action.id}", "/v1/audits", f"/audits/{action.id}", "/audits"):
        answer = await world.ask("GET", path, key=ann)
        assert answer.status == 200 and "Buy milk" not in await answer.text(), path
    shown = await world.ask("POST", f"/audits/{action.id}/reveal", key=ann)
    assert shown.status == 200 and "Buy milk" in await shown.text()


async def test_pages_of_many_are_read_one_after_the_other(world: World) -> None:
    made = [await passed(world, session=f"s{each}") for each in range(3)]
    ann = await world.key(Kind.APPROVER, "ann")
    first = await get(world, "/v1/audits?limit=2", ann)
    assert len(first["items"]) == 2 and first["next"] == made[1].id
    for query in ("?limit=0", "?limit=201", "?cursor=%22", "?x=1", "?limit=1&limit=2"):
        await get(world, f"/v1/audits{query}", ann, status=400)


async def test_what_waits_is_shown_when_its_own_record_is_gone(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")

    async def gone(action_id: str) -> None:
        return None

    monkeypatch.setattr(world.gate, "get", gone)
    shown = await get(world, f"/v1/audits/{action.id}", ann)
    assert shown["item"]["answer"]["visible"] == '{"done": true}'
    assert '"Buy milk"' in shown["item"]["call"]["body"]["visible"]
    assert (await judge(world, action, ann))[0] == 200
    await get(world, f"/v1/audits/{action.id}", ann, status=404)


async def test_once_it_is_known_the_page_says_who_judged_and_how(world: World) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    said = audited(Turned.WRONG, who=pseudonym("ann"), message=NASTY, reason_code="policy")
    world.archive.records[action.id] = unreviewed(id=action.id, drawn=True, audit=said)
    shown = await get(world, f"/v1/audits/{action.id}", ann)
    assert (shown["judged"]["turned"], shown["judged"]["you"]) == ("wrong", True)
    text = await (await world.ask("GET", f"/audits/{action.id}", key=ann)).text()
    assert "Judged wrong by you" in text and "<script>alert" not in text and "\u202e" not in text
    assert 'name="turned"' not in text


# the page -----------------------------------------------------------------------------------


async def test_the_page_shows_the_call_its_answer_and_two_buttons(world: World) -> None:
    action = await passed(world, reason=NASTY)
    ann = await world.key(Kind.APPROVER, "ann")
    queue = await (await world.ask("GET", "/audits", key=ann)).text()
    assert f'href="/audits/{action.id}"' in queue
    text = await (await world.ask("GET", f"/audits/{action.id}", key=ann)).text()
    assert "The tool answered <b>200</b>" in text and "Buy milk" in text
    assert "What it did" in text and "Exactly what was sent" in text and "let through" in text
    assert "one person" not in text
    assert "<script>alert" not in text and "\u202e" not in text
    for turned, words in (("right", "It was right"), ("wrong", "It was wrong")):
        assert f'name="turned" value="{turned}">{words}</button>' in text


async def test_the_form_of_the_page_judges(world: World) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    form = verdict(action, "wrong", reason_code="policy", message="No.", visible_ms="1234")
    answer = await world.ask("POST", f"/audits/{action.id}", key=ann, data=form)
    assert (answer.status, answer.headers["Location"]) == (303, "/audits?said=wrong")
    assert world.audits.judged[action.id].looked_ms == 0  # it was never opened before
    text = await (await world.ask("GET", "/audits?said=wrong", key=ann)).text()
    assert "Noted: it was wrong." in text and "No call waits for an audit" in text
    again = await world.ask("POST", f"/audits/{action.id}", key=ann, data=form)
    assert again.status == 409


@pytest.mark.parametrize("bad", [{"turned": "x"}, {"visible_ms": "x"}, {"digest": "1"}])
async def test_a_form_that_is_none_of_ours_is_refused(world: World, bad: Any) -> None:
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    answer = await world.ask("POST", f"/audits/{action.id}", key=ann, data=verdict(action) | bad)
    assert (answer.status, world.audits.judged) == (400, {})


async def test_where_no_audits_are_kept_it_says_so(server: Server) -> None:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, learning=False) as world:
        ann = await world.key(Kind.APPROVER, "ann")
        await get(world, "/v1/audits", ann, status=404)
        page = await world.ask("GET", "/audits", key=ann)
        assert page.status == 200 and "No calls are kept for audits" in await page.text()
    await store.close()


# how long it was looked at ------------------------------------------------------------------


async def test_a_page_is_believed_no_longer_look_than_there_was_time_for(world: World) -> None:
    action = await passed(world)
    client, _ = await session(world)
    async with client:
        audit = await (await client.get(f"{world.url}/v1/audits/{action.id}")).json()
        opened = await world.store.now()
        form = verdict(action, csrf=audit["csrf"], visible_ms="86400000")
        said = await client.post(
            f"{world.url}/audits/{action.id}", data=form, headers={"Origin": world.url}
        )
        assert said.status == 200
    kept = world.audits.judged[action.id]
    assert 0 <= kept.looked_ms <= kept.at - opened + 1000  # not a day


async def test_a_page_may_say_that_it_was_looked_at_shorter(world: World) -> None:
    action = await passed(world)
    client, _ = await session(world)
    async with client:
        audit = await (await client.get(f"{world.url}/v1/audits/{action.id}")).json()
        said = await client.post(
            f"{world.url}/v1/audits/{action.id}",
            json=verdict(action, visible_ms=0),
            headers={"Origin": world.url, "Interlock-CSRF": audit["csrf"]},
        )
        assert said.status == 200
    assert world.audits.judged[action.id].looked_ms == 0


async def test_with_a_key_the_time_since_it_was_first_read_counts(world: World) -> None:
    first, second = await passed(world), await passed(world, session="s-82")
    ann = await world.key(Kind.APPROVER, "ann")
    await get(world, f"/v1/audits/{first.id}", ann)
    read = await world.deps.desk.looked(first.id, first.digest, "ann")
    assert read is not None
    for each in (first, second):
        assert (await judge(world, each, ann, visible_ms=86_400_000))[0] == 200
    kept = world.audits.judged[first.id]
    assert 0 <= kept.looked_ms <= await world.store.now() - read.first
    assert world.audits.judged[second.id].looked_ms == 0  # it was never read


# what waits ---------------------------------------------------------------------------------


async def test_every_page_says_how_many_wait_for_an_audit(world: World) -> None:
    ann = await world.key(Kind.APPROVER, "ann")
    badge = 'id="audits-waiting"'
    assert badge not in await (await world.ask("GET", "/review", key=ann)).text()
    first = await passed(world)
    await passed(world, session="s-82")
    for path in ("/review", "/audits", "/history", f"/audits/{first.id}"):
        text = await (await world.ask("GET", path, key=ann)).text()
        assert f'{badge} class="badge" title="calls that wait for an audit">2<' in text, path
    await judge(world, first, ann)
    text = await (await world.ask("GET", "/review", key=ann)).text()
    assert f'{badge} class="badge" title="calls that wait for an audit">1<' in text


async def test_what_policy_hid_of_a_tool_that_it_reads_otherwise_by_now_stays_hidden(
    world: World,
) -> None:
    before = world.gate.policy
    world.gate.policy = replace(before, redact=Redact(approver=("args.text",)))
    action, ann = await passed(world), await world.key(Kind.APPROVER, "ann")
    tools = {name: tool for name, tool in before.tools.items() if name != "bank.note"}
    catalogue, _ = build({tool.id: tool.match for tool in tools.values()})
    world.gate.policy = replace(before, tools=tools, catalogue=catalogue)
    for path in (f"/v1/audits/{action.id}", f"/v1/approvals/{action.id}", f"/audits/{action.id}"):
        answer = await world.ask("GET", path, key=ann)
        assert answer.status == 200 and "Buy milk" not in await answer.text(), path
