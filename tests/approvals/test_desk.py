"""What people share while they review, over the API: looks, hand-overs, absences, load."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import ClientResponse

from interlock.announcing import Announcer
from interlock.approvals.deciding import take
from interlock.approvals.rights import borrowed, rights
from interlock.core.actions import Action, Review, Reviewer, State, Verdict
from interlock.core.decisions import Escalation
from interlock.core.desk import Absence, Assignment, Suspension
from interlock.core.errors import IllegalTransition, StoreUnavailable
from interlock.core.identity import Kind, Principal
from interlock.core.rules import Attention, LevelSpec
from interlock.ports import Notice
from interlock.tasks import Tasks

from .test_access import session
from .world import World, a_call

HOUR = 3_600_000
MAIL = b'{"to": "a", "body": "b"}'
Step = Callable[[World], Awaitable[None]]


async def approver(world: World, name: str = "ann", *groups: str) -> str:
    return await world.key(Kind.APPROVER, name, groups or ("ops",))


async def post(world: World, path: str, key: str, **body: Any) -> ClientResponse:
    return await world.ask("POST", path, key=key, json=body)


async def about(world: World, action: Action, what: str, key: str, **body: Any) -> ClientResponse:
    return await post(world, f"/v1/approvals/{action.id}/{what}", key, **body)


def policy(world: World, **attention: Any) -> None:
    """Change how people's attention is spent, for calls that come from now on."""
    world.gate.policy = replace(world.gate.policy, attention=Attention(**attention))


def levels(world: World, **approve: Any) -> None:
    spec = world.gate.policy.levels
    usual: dict[str, Any] = {"approvers": ("ops",), "hold_ms": HOUR}
    changed = replace(spec, approve=LevelSpec(**(usual | approve)))
    world.gate.policy = replace(world.gate.policy, levels=changed)


async def long_ago(world: World, action: Action, person: str, ms: int, looked: int = 0) -> None:
    """Let a look have begun *ms* ago."""
    at = await world.store.now() - ms
    name = f"{world.store._prefix}:look:{action.id}"
    await world.store.client.hset(name, person, f"{at} {at} {looked} {at} {action.digest}")  # type: ignore[misc]


# looking ------------------------------------------------------------------------------------


async def test_colleagues_see_who_has_a_call_open(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    action = await world.hold()
    await about(world, action, "look", ann, visible_ms=0)
    seen = await (await about(world, action, "look", bob, visible_ms=0)).json()
    assert [each["person"] for each in seen["looking"]] == ["ann"]
    await about(world, action, "look", ann, leaving=True)
    seen = await (await about(world, action, "look", bob, visible_ms=10)).json()
    assert seen["looking"] == []


@pytest.mark.parametrize(("method", "what"), [("GET", ""), ("POST", "/reveal")])
async def test_a_terminal_that_shows_a_call_opens_it(world: World, method: str, what: str) -> None:
    ann = await approver(world)
    action = await world.hold()
    assert await world.deps.desk.looked(action.id, action.digest, "ann") is None
    await world.ask(method, f"/v1/approvals/{action.id}{what}", key=ann)
    look = await world.deps.desk.looked(action.id, action.digest, "ann")
    assert look is not None
    assert look.looked_ms == 0


async def test_whoever_only_reads_opens_nothing(world: World) -> None:
    action = await world.hold()
    for kind in (Kind.ADMIN, Kind.AUDITOR):
        await world.ask("GET", f"/v1/approvals/{action.id}", key=await world.key(kind))
    assert await world.deps.desk.looking([action.id]) == ((),)


async def test_the_page_says_itself_how_long_it_is_in_sight(world: World) -> None:
    client, _ = await session(world)
    action = await world.hold()
    path, ours = f"{world.url}/v1/approvals/{action.id}", {"Origin": world.url}
    async with client:
        item = await (await client.get(path)).json()
        assert await world.deps.desk.looked(action.id, action.digest, "ann") is None
        wrong = await client.post(f"{path}/look", json={}, headers=ours)
        right = await client.post(
            f"{path}/look", json={}, headers=ours | {"Interlock-CSRF": item["csrf"]}
        )
    assert (wrong.status, right.status) == (403, 200)
    assert await world.deps.desk.looked(action.id, action.digest, "ann") is not None


async def test_a_decided_call_is_open_nowhere(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    action = await world.hold()
    await world.deps.desk.assign(action.id, Assignment(to="bob", by="ann", at=0))
    await about(world, action, "look", ann, visible_ms=0)
    assert (await world.decide(action, ann)).status == 200
    assert await world.deps.desk.looking([action.id]) == ((),)
    assert await world.deps.desk.assigned([action.id]) == (None,)
    late = await (await about(world, action, "look", bob, visible_ms=0)).json()
    assert late["looked_ms"] == 0
    assert await world.deps.desk.looking([action.id]) == ((),)


@pytest.mark.parametrize("body", [{"visible_ms": -1}, {"visible_ms": 1.5}, {"seconds": 1}])
async def test_a_look_is_read_strictly(world: World, body: dict[str, Any]) -> None:
    ann, action = await approver(world), await world.hold()
    assert (await about(world, action, "look", ann, **body)).status == 400


async def test_with_a_key_the_time_since_it_was_first_read_counts(world: World) -> None:
    ann = await approver(world)
    action = await world.hold()
    await long_ago(world, action, "ann", 70_000)
    assert (await world.decide(action, ann)).status == 200
    (review,) = (await world.now(action)).reviews
    assert 70_000 <= review.looked_ms < 130_000


@pytest.mark.parametrize(
    ("told", "looked"), [({}, 4000), ({"visible_ms": 2500}, 6500), ({"visible_ms": 10**7}, 74_000)]
)
async def test_in_a_session_the_time_in_sight_counts(
    world: World, told: dict[str, int], looked: int
) -> None:
    """What the page noted, and what it tells at the decision, as far as that is ago."""
    client, _ = await session(world)
    action = await world.hold()
    path = f"{world.url}/v1/approvals/{action.id}"
    async with client:
        item = await (await client.get(path)).json()
        await long_ago(world, action, "ann", 70_000, looked=4000)
        sent = {"Origin": world.url, "Interlock-CSRF": item["csrf"]}
        answer = await client.post(
            f"{path}/decision",
            json={"type": "approve", "digest": action.digest} | told,
            headers=sent | {"If-Match": f'"{action.version}"'},
        )
        assert answer.status == 200
    (review,) = (await world.now(action)).reviews
    assert looked <= review.looked_ms < looked + (60_000 if looked > 70_000 else 1)


async def test_whoever_never_opened_a_call_looked_for_no_time(world: World) -> None:
    ann, action = await approver(world), await world.hold()
    assert (await world.decide(action, ann)).status == 200
    assert (await world.now(action)).reviews[0].looked_ms == 0


async def test_policy_asks_for_a_look_before_an_approval(world: World) -> None:
    ann = await approver(world)
    levels(world, dwell_ms=60_000)
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    await world.ask("GET", f"/v1/approvals/{action.id}", key=ann)
    early = await world.decide(action, ann)
    assert early.status == 422
    said = await early.json()
    assert (said["type"], said["seconds"]) == ("urn:interlock:problem:too-soon", 60)
    await long_ago(world, action, "ann", 61_000)
    assert (await world.decide(action, ann)).status == 200


async def test_promise_05_a_look_at_what_an_edit_replaced_does_not_count(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    levels(world, dwell_ms=60_000, quorum=2)
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    for key, name in ((ann, "ann"), (bob, "bob")):
        await world.ask("GET", f"/v1/approvals/{action.id}", key=key)
        await long_ago(world, action, name, 61_000)
    edit = {"type": "edit", "edited_args": {"to": "mallory", "body": "b"}, "message": "m"}
    assert (await world.decide(action, bob, **edit)).status == 200
    now = await world.now(action)
    assert now.state is State.HELD

    answer = await world.decide(now, ann)
    assert (answer.status, (await answer.json())["type"]) == (422, "urn:interlock:problem:too-soon")
    await world.ask("GET", f"/v1/approvals/{action.id}", key=ann)
    await long_ago(world, now, "ann", 61_000)
    assert (await world.decide(now, ann)).status == 200


async def test_promise_09_todays_policy_says_too_who_decides_and_with_what(world: World) -> None:
    """A call held before a reload: the item says what counts, and the decision is held to it."""
    ann, lea = await approver(world), await approver(world, "lea", "ops", "leads")
    mail = a_call("mail", target="/messages", body=MAIL)
    action = await world.hold(mail)
    levels(world, approvers=("leads",))
    needed = frozenset({"reject", "approve"})
    spec = replace(world.gate.policy.levels, require_reason=needed)
    world.gate.policy = replace(world.gate.policy, levels=spec)

    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=ann)).json()
    may = item["may"]
    assert (may["approve"], may["edit"], may["respond"], may["reject"]) == (
        False,
        False,
        False,
        True,
    )
    assert may["why"] == "Only leads may decide this."
    assert item["decision"]["require_reason"] == ["approve", "edit", "reject", "respond"]
    assert (await world.decide(action, ann, message="fine")).status == 403
    assert (await world.decide(action, lea)).status == 422
    assert world.tool.calls == []
    assert (await world.decide(action, lea, message="fine")).status == 200


async def test_the_item_says_what_todays_policy_adds(world: World) -> None:
    ann = await approver(world)
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    levels(world, dwell_ms=5000, step_up=True)
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=ann)).json()
    assert (item["decision"]["dwell_ms"], item["decision"]["step_up"]) == (5000, True)


async def test_whoever_stands_in_is_lent_what_todays_policy_asks_for(world: World) -> None:
    lea, cat = await approver(world, "lea", "ops", "leads"), await approver(world, "cat", "ops")
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    levels(world, approvers=("leads",))
    assert (await world.decide(action, cat)).status == 403
    await absent(world, lea, "cat")
    assert (await world.decide(action, cat)).status == 200
    (review,) = (await world.now(action)).reviews
    assert "for lea" in review.reviewer.groups


# asking -------------------------------------------------------------------------------------


class Heard:
    """A notifier that remembers what people were told of."""

    def __init__(self) -> None:
        self.whys: list[Notice] = []

    async def notify(self, action: Action, why: Notice) -> None:
        self.whys.append(why)


async def test_who_is_asked_is_told_but_who_asks_themselves_is_not(world: World) -> None:
    ann, _ = await approver(world), await approver(world, "bob")
    action, heard = await world.hold(), Heard()
    world.gate._announcer = Announcer([heard], Tasks())
    for to in ("bob", "ann", ""):
        assert (await about(world, action, "assign", ann, to=to)).status == 200
    await asyncio.sleep(0)
    assert heard.whys == [Notice.ASKED]


async def test_a_call_can_be_handed_to_a_colleague(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    action = await world.hold()
    answer = await about(world, action, "assign", ann, to="bob", message="your\u202eclient")
    asked = (await answer.json())["assigned"]
    assert (asked["to"], asked["by"]) == ("bob", "ann")
    assert asked["message"] == "your<U+202E>client"
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=bob)).json()
    assert item["assigned"]["to"] == "bob"
    assert item["may"]["approve"] is True
    assert (await about(world, action, "assign", bob, to="")).status == 200
    assert await world.deps.desk.assigned([action.id]) == (None,)


async def test_others_than_who_is_asked_may_still_decide(world: World) -> None:
    ann, _ = await approver(world), await approver(world, "bob")
    action = await world.hold()
    await about(world, action, "assign", ann, to="bob")
    assert (await world.decide(action, ann)).status == 200


async def test_nobody_is_asked_who_could_not_decide(world: World) -> None:
    ann = await approver(world)
    await approver(world, "cat", "sales")
    await approver(world, "olga")
    action = await world.hold()
    for to, why in (
        ("nobody", "no approver nobody"),
        ("cat", "in none of them"),
        ("olga", "owns this agent"),
    ):
        answer = await about(world, action, "assign", ann, to=to)
        assert answer.status == 422
        assert why in (await answer.json())["detail"]
    assert await world.deps.desk.assigned([action.id]) == (None,)


async def test_an_agents_owner_asks_nobody(world: World) -> None:
    olga, _ = await approver(world, "olga"), await approver(world, "bob")
    action = await world.hold()
    assert (await about(world, action, "assign", olga, to="bob")).status == 403
    admin = await world.key(Kind.ADMIN)
    assert (await about(world, action, "assign", admin, to="bob")).status == 200


async def test_nobody_is_asked_to_decide_what_is_decided(world: World) -> None:
    ann, _ = await approver(world), await approver(world, "bob")
    action = await world.hold()
    await world.decide(action, ann)
    assert (await about(world, action, "assign", ann, to="bob")).status == 409


async def test_one_vote_of_two_ends_being_asked(world: World) -> None:
    ann, _ = await approver(world), await approver(world, "bob")
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/shop", b""))
    await about(world, action, "assign", ann, to="ann")
    assert (await world.decide(action, ann, message="agreed")).status == 200
    assert (await world.now(action)).state is State.HELD
    assert await world.deps.desk.assigned([action.id]) == (None,)


# escalating ---------------------------------------------------------------------------------

LATER = Escalation(after_ms=900_000, to=("leads",))


async def test_whoever_may_decide_can_let_those_decide_whom_policy_names_for_later(
    world: World,
) -> None:
    ann, lea = await approver(world), await approver(world, "lea", "leads")
    levels(world, escalate=(LATER,))
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    assert (await world.decide(action, lea)).status == 403
    answer = await about(world, action, "escalate", ann, message="I do not know this client")
    assert answer.status == 200
    after = await world.now(action)
    assert answer.headers["ETag"] == f'"{after.version}"'
    assert (after.state, after.digest) == (State.HELD, action.digest)
    assert (await world.decide(after, lea)).status == 200


async def test_there_is_an_end_to_escalating(world: World) -> None:
    ann = await approver(world)
    levels(world, escalate=(LATER,))
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    assert (await about(world, action, "escalate", ann)).status == 200
    assert (await about(world, action, "escalate", ann)).status == 409
    plain = await world.hold()
    await world.decide(plain, ann)
    assert (await about(world, plain, "escalate", ann)).status == 409


async def test_whoever_may_not_decide_does_not_escalate_but_admins_do(world: World) -> None:
    olga, cat = await approver(world, "olga"), await approver(world, "cat", "sales")
    levels(world, escalate=(LATER,))
    action = await world.hold(a_call("mail", target="/messages", body=MAIL))
    for key in (olga, cat):
        assert (await about(world, action, "escalate", key)).status == 403
    assert (await about(world, action, "escalate", await world.key(Kind.ADMIN))).status == 200


# people -------------------------------------------------------------------------------------


async def test_people_are_those_who_were_here_or_have_a_key(world: World) -> None:
    ann, _ = await approver(world), await approver(world, "bob", "leads")
    await world.keys.create(Kind.APPROVER, "gone", "", (), 1)
    action = await world.hold()
    await world.decide(action, ann)
    found = await (await world.ask("GET", "/v1/people", key=ann)).json()
    people = {each["id"]: each for each in found["items"]}
    assert people.keys() == {"ann", "bob"}
    assert (people["ann"]["approved"], people["ann"]["groups"]) == (1, ["ops"])
    assert people["ann"]["seen"] > 0
    assert (people["bob"]["seen"], people["bob"]["groups"]) == (0, ["leads"])


async def test_who_am_i(world: World) -> None:
    ann = await approver(world)
    me = await (await world.ask("GET", "/v1/me", key=ann)).json()
    assert (me["id"], me["kind"], me["groups"]) == ("ann", "approver", ["ops"])
    assert (me["approved"], me["per_hour"], me["away"], me["csrf"]) == (0, 0, None, "")
    admin = await (await world.ask("GET", "/v1/me", key=await world.key(Kind.ADMIN))).json()
    assert admin["kind"] == "admin"


async def absent(world: World, key: str, to: str, **more: Any) -> ClientResponse:
    body = {"to": to, "until": await world.store.now() + HOUR} | more
    return await world.ask("PUT", "/v1/me/away", key=key, json=body)


async def test_whoever_stands_in_decides_in_the_others_groups(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    action = await world.hold()
    assert (await world.decide(action, cat)).status == 403
    with caplog.at_level(logging.WARNING, "interlock.audit"):
        answer = await absent(world, ann, "cat")
    assert answer.status == 200
    assert (await answer.json())["away"]["groups"] == ["ops"]
    assert "person ann away to=cat" in caplog.text
    me = await (await world.ask("GET", "/v1/me", key=cat)).json()
    assert [(each["person"], each["groups"]) for each in me["standing_in"]] == [("ann", ["ops"])]
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=cat)).json()
    assert item["may"]["approve"] is True
    assert (await world.decide(action, cat)).status == 200
    (review,) = (await world.now(action)).reviews
    assert review.reviewer == Reviewer(id="cat", groups=frozenset({"sales", "ops", "for ann"}))


async def test_calls_that_one_may_decide_by_standing_in_are_among_ones_own(world: World) -> None:
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    action = await world.hold()
    for expected in ([], [action.id]):
        queue = await (await world.ask("GET", "/v1/approvals?mine=yes", key=cat)).json()
        assert [card["id"] for card in queue["items"]] == expected
        await absent(world, ann, "cat")


async def test_nobody_stands_in_once_the_other_is_back(world: World) -> None:
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    action = await world.hold()
    await absent(world, ann, "cat")
    back = await (await world.ask("DELETE", "/v1/me/away", key=ann)).json()
    assert back["away"] is None
    assert (await world.decide(action, cat)).status == 403


async def test_an_admin_ends_an_absence_and_nobody_else_does(world: World) -> None:
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    admin, action = await world.key(Kind.ADMIN), await world.hold()
    await absent(world, ann, "cat")
    assert (await world.ask("DELETE", "/v1/people/ann/away", key=cat)).status == 403
    assert (await world.ask("DELETE", "/v1/people/ann/away", key=admin)).status == 200
    assert (await world.ask("DELETE", "/v1/people/ann/away", key=admin)).status == 404
    assert (await world.decide(action, cat)).status == 403


async def test_groups_are_lent_on_to_nobody(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob", "sales")
    dan = await approver(world, "dan", "sales")
    action = await world.hold()
    await absent(world, ann, "bob")
    await absent(world, bob, "dan")
    assert (await world.decide(action, dan)).status == 403
    assert (await world.decide(action, bob)).status == 200


async def test_whoever_stands_in_for_the_owner_is_barred_as_the_owner_is(world: World) -> None:
    olga, bob = await approver(world, "olga"), await approver(world, "bob")
    action = await world.hold()
    await absent(world, olga, "bob")
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=bob)).json()
    assert item["may"]["approve"] is item["may"]["reject"] is item["may"]["reveal"] is False
    assert "stand in for olga" in item["may"]["why"]
    for verdict in ("approve", "reject", "respond"):
        answer = await world.decide(action, bob, type=verdict, message="m")
        assert answer.status == 403
    assert (await about(world, action, "reveal", bob)).status == 403
    assert (await about(world, action, "assign", bob, to="bob")).status == 403
    assert (await world.now(action)).version == action.version


async def test_one_persons_groups_do_not_count_for_two_votes(world: World) -> None:
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/shop", b""))
    assert (await world.decide(action, ann, message="agreed")).status == 200
    await absent(world, ann, "cat")
    action = await world.now(action)
    assert (await world.decide(action, cat, message="agreed")).status == 403
    assert (await world.now(action)).state is State.HELD


@pytest.mark.parametrize("order", ["the absent first", "who stands in first"])
async def test_promise_08_voting_at_once_with_who_stands_in_counts_once(
    world: World, order: str
) -> None:
    """Both were checked before either was written: the write of the second is refused."""
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/shop", b""))
    await absent(world, ann, "cat")
    first, second = (ann, "cat") if order == "the absent first" else (cat, "ann")
    assert (await world.decide(action, first, message="agreed")).status == 200
    review = Review(
        reviewer=Reviewer(id=second, groups=frozenset({"ops" if second == "ann" else "sales"})),
        verdict=Verdict.APPROVE,
        digest=action.digest,
        version=action.version,
        message="agreed",
    )

    with pytest.raises(IllegalTransition, match="another person"):
        await take(world.deps, action, review)
    assert (await world.now(action)).state is State.HELD and world.tool.calls == []


async def test_nobody_votes_for_whom_somebody_voted_already(world: World) -> None:
    ann, cat = await approver(world), await approver(world, "cat", "sales")
    dan = await approver(world, "dan", "sales")
    action = await world.hold(a_call("git", "DELETE", "/repos/acme/shop", b""))
    await absent(world, ann, "cat")
    assert (await world.decide(action, cat, message="agreed")).status == 200
    action = await world.now(action)
    await absent(world, ann, "dan")
    assert (await world.decide(action, dan, message="agreed")).status == 403
    item = await (await world.ask("GET", f"/v1/approvals/{action.id}", key=ann)).json()
    assert item["may"]["approve"] is False
    assert "stood in for you" in item["may"]["why"]
    answer = await world.decide(action, ann, message="agreed")
    assert answer.status == 409
    assert "stood in for you" in (await answer.json())["detail"]
    assert (await world.decide(action, ann, type="reject", message="no")).status == 200


@pytest.mark.parametrize(
    ("to", "until"),
    [("ann", HOUR), ("nobody", HOUR), ("bob", 0), ("bob", -HOUR), ("bob", 93 * 24 * HOUR)],
)
async def test_an_absence_that_makes_no_sense_is_refused(world: World, to: str, until: int) -> None:
    ann, _ = await approver(world), await approver(world, "bob")
    answer = await absent(world, ann, to, until=await world.store.now() + until)
    assert answer.status == 422
    assert await world.deps.desk.away("ann") is None


async def test_being_away_needs_the_pages_own_token(world: World) -> None:
    client, _ = await session(world)
    ours = {"Origin": world.url}
    body = {"until": await world.store.now() + HOUR}
    async with client:
        me = await (await client.get(f"{world.url}/v1/me")).json()
        path = f"{world.url}/v1/me/away"
        wrong = await client.put(path, json=body, headers=ours)
        right = await client.put(path, json=body, headers=ours | {"Interlock-CSRF": me["csrf"]})
        back = await client.delete(path, headers=ours)
    assert (wrong.status, right.status, back.status) == (403, 200, 403)
    assert await world.deps.desk.away("ann") is not None


# load ---------------------------------------------------------------------------------------


async def mails(world: World, count: int) -> list[Action]:
    bodies = (b'{"to": "a%d", "body": "b"}' % n for n in range(count))
    return [await world.hold(a_call("mail", target="/messages", body=body)) for body in bodies]


async def test_nobody_approves_more_in_an_hour_than_policy_lets_them(world: World) -> None:
    ann, bob = await approver(world), await approver(world, "bob")
    policy(world, per_hour=2)
    first, second, third = await mails(world, 3)
    assert (await world.decide(first, ann)).status == 200
    assert (await world.decide(second, ann)).status == 200
    refused = await world.decide(third, ann)
    assert refused.status == 429
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    assert "approved 2 calls" in (await refused.json())["detail"]
    me = await (await world.ask("GET", "/v1/me", key=ann)).json()
    assert (me["approved"], me["per_hour"]) == (2, 2)
    assert me["again_at"] > me["now"]
    assert (await world.decide(third, bob)).status == 200


async def test_rejecting_and_repeating_are_always_possible(world: World) -> None:
    ann = await approver(world)
    policy(world, per_hour=1)
    first, second = await mails(world, 2)
    assert (await world.decide(first, ann)).status == 200
    assert (await world.decide(first, ann)).status == 200
    assert (await world.decide(second, ann, type="reject", message="no")).status == 200


async def test_approvals_sent_at_once_are_counted_one_after_another(world: World) -> None:
    ann = await approver(world)
    policy(world, per_hour=2)
    held = await mails(world, 6)
    answers = await asyncio.gather(*(world.decide(each, ann) for each in held))
    assert sorted(each.status for each in answers) == [200, 200, 429, 429, 429, 429]


async def test_a_decision_is_no_failure_because_it_was_not_counted(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, action = await approver(world), await world.hold()

    async def broken(self: object, person: str, action_id: str) -> None:
        raise StoreUnavailable

    monkeypatch.setattr(type(world.deps.desk), "approved", broken)
    assert (await world.decide(action, ann)).status == 200
    assert (await world.settled(action)).state is State.ANSWERED


# rights -------------------------------------------------------------------------------------


async def test_rights_say_who_stopped_the_agent_and_leave_rejecting(world: World) -> None:
    action, now = await world.hold(), await world.store.now()
    ann = Principal(kind=Kind.APPROVER, id="ann", groups=frozenset({"ops"}))
    stop = Suspension(agent="billing-bot", by="bob", reason="it loops", at=now)
    found = rights(action, ann, now, stopped=stop)
    assert (found.approve, found.edit, found.reject, found.respond) == (False, False, True, True)
    assert "bob" in found.why
    assert "it loops" in found.why


async def test_only_groups_that_are_needed_are_borrowed(world: World) -> None:
    action, now = await world.hold(), await world.store.now()
    lent = Absence(person="ann", groups=("ops", "leads"), to="cat", until=now + 1, since=1)
    assert borrowed(action, frozenset({"sales"}), (lent,), now) == {"ops", "leads", "for ann"}
    assert borrowed(action, frozenset({"ops"}), (lent,), now) == frozenset()
    useless = replace(lent, groups=("leads",))
    assert borrowed(action, frozenset({"sales"}), (useless,), now) == frozenset()
