"""Calls that were drawn for an audit: who sees them, how they are judged, and what tells of it."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from interlock.core.actions import Action, Review, Reviewer, State, Verdict
from interlock.core.decisions import Level
from interlock.core.errors import MalformedCall
from interlock.core.records import Audited, DecidedCall, Reported, Turned, label_of
from interlock.core.reporting import MOST as REPORTS
from interlock.core.rules import PolicySet
from interlock.ingress.outcomes import Answers, follow, render, replay
from interlock.learning_ports import Changed
from interlock.mcp_ports import NothingListed
from interlock.noting import Noting
from interlock.noting_shares import Shares
from interlock.observe.archive_merging import merged
from interlock.store.audits import RedisAudits
from interlock.store.feed import RedisFeed
from interlock.store.redis import RedisStore
from interlock.system import RandomIds
from tests.support.fakes import SEAL_KEY, Numbers, World, a_policy

WRONG = Audited(who="r-0123456789ab", turned=Turned.WRONG, at=0, message="too much")
AGAIN = Reported(by="agent", turned=Turned.WRONG, at=0, message="it bounced")


def of_another(call: bytes) -> bytes:
    """Return a stored call in the name of another agent, of a name as long."""
    return re.sub(rb'"agent":"(.)', rb'"agent":"Z', call)


DRAWN, NOT_DRAWN = 0.0, 0.999
AUDITING = a_policy("\naudit: {share: 0.1}\n")


class Auditing:
    """A world whose policy audits a tenth of what goes through."""

    def __init__(self, store: RedisStore, policy: PolicySet = AUDITING) -> None:
        self.ids = Numbers()
        self.world = World(store, ids=self.ids, policy=policy)
        self.store, self.notes = store, self.world.gate.notes
        prefix = store._prefix.strip("{}")
        self.audits = RedisAudits(store.client, self.notes, prefix)
        self.feed = RedisFeed(store.url, prefix)

    async def ended(self, drawn: float = DRAWN, level: Level = Level.ALLOW, **call: Any) -> Action:
        self.ids.drawn = drawn
        submission = await self.world.ask(level, **call)
        return await self.world.now(submission.action)

    async def records(self) -> list[DecidedCall]:
        found = await self.feed.read("", 1000, 0)
        return [self.notes.decode(each) for each in found.entries]

    async def forge(self, action: Action, **changed: Callable[[bytes], bytes]) -> None:
        """Write to every copy of a call past every script, as an intruder would."""
        for kind in "cd":
            found = await self.key(kind, action)
            for name, change in changed.items():
                if name.encode() in found:
                    value = change(found[name.encode()])
                    await self.store.client.hset(  # type: ignore[misc]
                        f"{self.store._prefix}:{kind}:{action.id}", name, value
                    )

    async def key(self, kind: str, action: Action) -> dict[bytes, bytes]:
        found: Any = await self.store.client.hgetall(f"{self.store._prefix}:{kind}:{action.id}")  # type: ignore[misc]
        return dict(found)


@pytest.fixture
async def audited(store: RedisStore) -> AsyncIterator[Auditing]:
    made = Auditing(store)
    yield made
    await made.feed.close()


async def test_a_drawn_call_waits_with_its_body_and_its_answer(audited: Auditing) -> None:
    body = b'{"amount": 900, "note": "%s"}' % (b"x" * 6000)
    action = await audited.ended(body=body)

    (found,), following = await audited.audits.waiting(None, 10)

    assert isinstance(found, Action)
    assert await audited.audits.count() == 1
    assert following is None
    assert (found.id, found.call.body) == (action.id, body)
    assert found.answer is not None and found.answer.body == b"paid"
    (record,) = await audited.records()
    assert (record.drawn, record.share) == (True, 0.1)


async def test_a_call_that_is_not_drawn_waits_for_nobody(audited: Auditing) -> None:
    await audited.ended(NOT_DRAWN)
    assert await audited.audits.waiting(None, 10) == ((), None)
    (record,) = await audited.records()
    assert (record.drawn, record.share) == (False, 0.1)


async def test_what_people_decide_or_policy_denies_is_never_drawn(audited: Auditing) -> None:
    held = await audited.ended(level=Level.APPROVE)
    await audited.world.says(held)
    await audited.world.quiet()
    await audited.ended(level=Level.DENY)
    assert await audited.audits.count() == 0
    assert [each.share for each in await audited.records()] == [0.0, 0.0]


async def test_a_verdict_makes_a_new_record_and_ends_the_waiting(audited: Auditing) -> None:
    action = await audited.ended()

    assert await audited.audits.judge(action.id, WRONG)

    before, after = await audited.records()
    assert (before.told, before.audit) == (0, None)
    assert after.audit is not None
    assert after.told == 1 and after.version == before.version
    assert (after.audit.who, after.audit.turned) == ("r-0123456789ab", Turned.WRONG)
    assert after.audit.at >= after.ended
    changed = merged({}, (before, after)).changed
    label = label_of(changed[action.id])
    assert label is not None and (label.right, label.weight) == (False, 10)
    assert await audited.audits.count() == 0
    assert await audited.audits.get(action.id) is None


async def test_a_call_that_cannot_be_read_any_more_is_among_those_that_wait(
    audited: Auditing,
) -> None:
    damaged, sound = await audited.ended(), await audited.ended()
    await audited.forge(damaged, call=lambda _: b"no call")

    found, _ = await audited.audits.waiting(None, 10)

    assert found[0] == Changed(id=damaged.id)
    assert [each.id for each in found] == [damaged.id, sound.id]
    assert await audited.audits.count() == len(found)
    assert not await audited.audits.judge(damaged.id, WRONG)


async def test_one_verdict_counts_whoever_else_gives_one(audited: Auditing) -> None:
    action = await audited.ended()
    said = [replace(WRONG, who=f"r-{n:012d}") for n in range(4)]

    counted = await asyncio.gather(*(audited.audits.judge(action.id, each) for each in said))

    assert sorted(counted) == [False, False, False, True]
    assert len(await audited.records()) == 2


async def test_nobody_judges_a_call_that_was_not_drawn(audited: Auditing) -> None:
    action = await audited.ended(NOT_DRAWN)
    assert not await audited.audits.judge(action.id, WRONG)
    assert not await audited.audits.judge("none", WRONG)


async def test_reports_and_a_verdict_are_all_in_the_latest_record(audited: Auditing) -> None:
    action = await audited.ended()

    assert await audited.audits.report(action.id, AGAIN)
    assert await audited.audits.judge(action.id, WRONG)
    assert await audited.audits.report(action.id, replace(AGAIN, by="r-00000000000b"))

    *_, latest = await audited.records()
    assert latest.told == 3
    assert latest.audit is not None
    assert [each.by for each in latest.reports] == ["agent", "r-00000000000b"]


async def test_reports_at_the_same_time_are_all_kept_up_to_the_bound(audited: Auditing) -> None:
    action = await audited.ended(NOT_DRAWN)
    said = [replace(AGAIN, by=f"r-{n:012}", message=str(n)) for n in range(REPORTS + 2)]

    kept = await asyncio.gather(*(audited.audits.report(action.id, each) for each in said))

    assert kept.count(True) == REPORTS
    *_, latest = await audited.records()
    assert len(latest.reports) == REPORTS
    assert [each.told for each in await audited.records()] == list(range(REPORTS + 1))


async def test_an_agents_words_take_the_place_of_nobody_elses(audited: Auditing) -> None:
    action = await audited.ended(NOT_DRAWN)
    right = replace(AGAIN, turned=Turned.RIGHT)
    assert [await audited.audits.report(action.id, right) for _ in range(REPORTS + 1)] == [
        *[True] * REPORTS,
        False,
    ]
    assert await audited.audits.report(action.id, replace(AGAIN, by="r-00000000000b"))
    *_, latest = await audited.records()
    assert [(each.by, each.turned) for each in latest.reports] == [
        ("agent", Turned.RIGHT),
        ("r-00000000000b", Turned.WRONG),
    ]


async def test_what_an_agent_tells_counts_in_its_share_of_records(
    audited: Auditing, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [await audited.ended(body=b'{"amount": %d}' % each) for each in (1, 2)]
    monkeypatch.setattr(audited.notes, "_shares", Shares(30_000))
    for call in calls:
        said = replace(AGAIN, message="\N{BUG}" * 2000)
        assert await audited.audits.report(call.id, said)
        assert await audited.audits.report(call.id, replace(said, by="r-0123456789ab"))

    told = {each.id: each.reports for each in await audited.records() if each.reports}
    assert [[len(each.message) for each in told[call.id]] for call in calls] == [
        [2000, 2000],
        [500, 2000],
    ], "what people say is not the agent's"


async def test_a_call_that_has_not_ended_cannot_be_reported(audited: Auditing) -> None:
    held = await audited.world.held()
    assert not await audited.audits.report(held.id, AGAIN)


async def test_what_somebody_wrote_into_the_store_is_in_no_record(audited: Auditing) -> None:
    action = await audited.ended(NOT_DRAWN)
    other = Noting(b"another key that is not ours....", lambda: a_policy(), NothingListed())
    forged = other.encode(replace(audited.notes.record(action), told=7, audit=WRONG))
    await audited.world.forge(action, told=forged)

    assert await audited.audits.report(action.id, AGAIN)

    *_, latest = await audited.records()
    assert latest.audit is None
    assert latest.told == 1


async def test_what_was_told_of_one_call_is_not_told_of_another(audited: Auditing) -> None:
    one, other = await audited.ended(NOT_DRAWN), await audited.ended(NOT_DRAWN)
    assert await audited.audits.report(one.id, AGAIN)
    told = (await audited.key("c", one))[b"told"]
    await audited.world.forge(other, told=told)

    found = await audited.store.get(other.id)

    assert found is not None and audited.notes.record(found).reports == ()


async def test_waiting_calls_come_page_by_page_oldest_first(audited: Auditing) -> None:
    names = [(await audited.ended()).id for _ in range(5)]

    first, following = await audited.audits.waiting(None, 2)
    second, more = await audited.audits.waiting(following, 2)
    third, end = await audited.audits.waiting(more, 2)

    assert sorted(each.id for each in (*first, *second, *third)) == sorted(names)
    assert end is None


@pytest.mark.parametrize("cursor", ["", "x", "12", "12-a b"])
async def test_a_cursor_that_is_none_of_ours_is_refused(audited: Auditing, cursor: str) -> None:
    with pytest.raises(MalformedCall):
        await audited.audits.waiting(cursor, 2)


async def test_an_audit_outlives_the_calls_own_record(audited: Auditing) -> None:
    action = await audited.ended()
    await audited.store.client.delete(f"{audited.store._prefix}:c:{action.id}")

    assert await audited.audits.judge(action.id, WRONG)

    *_, latest = await audited.records()
    assert latest.audit is not None and latest.id == action.id


async def full(audited: Auditing, of: Mapping[str, int]) -> None:
    """Have calls wait already: so many of each agent."""
    names = [(f"{agent}-{n}", agent) for agent, count in of.items() for n in range(count)]
    prefix, pipe = audited.store._prefix, audited.store.client.pipeline()
    for at, (name, agent) in enumerate(names):
        pipe.hset(f"{prefix}:d:{name}", "agent", agent)
        pipe.zadd(f"{prefix}:audits", {name: at})
        pipe.hset(f"{prefix}:audits:of", name, agent)
    pipe.zadd(f"{prefix}:audits:by", dict(of))
    await pipe.execute()


async def test_an_agent_pushes_nobodys_calls_out_of_the_audits(audited: Auditing) -> None:
    first = await audited.ended()
    await full(audited, {"flood": 1999})

    other = await audited.ended()

    assert await audited.audits.count() == 2000 and await audited.audits.dropped() == 1
    assert await audited.audits.get(first.id) and await audited.audits.get(other.id)
    names = await audited.store.client.zrange(f"{audited.store._prefix}:audits", 0, -1)
    assert b"flood-0" in names and b"flood-1998" not in names


async def test_of_one_agent_no_more_than_its_share_waits_and_the_first_stay(
    audited: Auditing,
) -> None:
    first = await audited.ended()
    agent = first.call.agent.id
    await full(audited, {agent: 199})
    by = f"{audited.store._prefix}:audits:by"
    await audited.store.client.zadd(by, {agent: 200})

    last = await audited.ended()

    assert await audited.audits.get(first.id) is not None
    assert await audited.audits.get(last.id) is None and await audited.key("d", last) == {}
    assert (await audited.audits.count(), await audited.audits.dropped()) == (200, 1)
    *_, record = await audited.records()
    assert (record.drawn, record.share) == (
        True,
        0.1,
    )  # what was not looked at was drawn all the same
    assert await audited.audits.judge(first.id, WRONG)
    assert await audited.audits.get((await audited.ended()).id) is not None


async def test_what_nobody_looked_at_in_time_takes_no_room(audited: Auditing) -> None:
    first = await audited.ended()
    agent, prefix = first.call.agent.id, audited.store._prefix
    await full(audited, {agent: 200})
    await audited.store.client.delete(*[f"{prefix}:d:{agent}-{n}" for n in range(200)])

    assert await audited.audits.get((await audited.ended()).id) is not None
    assert await audited.store.client.hlen(f"{prefix}:audits:of") < 200  # type: ignore[misc]


# nothing tells an agent that a call was drawn -----------------------------------------------


async def pairs(audited: Auditing, **call: Any) -> tuple[Action, Action]:
    """Return two calls that differ only in that the first was drawn, as their agent reads them."""
    names = [(await audited.ended(drawn, **call)).id for drawn in (DRAWN, NOT_DRAWN)]
    found = [await audited.world.gate.of_agent(name, "bot") for name in names]
    assert all(each is not None for each in found)
    return found[0], found[1]  # type: ignore[return-value]


@pytest.mark.parametrize("size", [10, 6000])
async def test_every_answer_about_a_drawn_call_is_that_of_another(
    audited: Auditing, size: int
) -> None:
    body = b'{"amount": 900, "note": "%s"}' % (b"x" * size)
    drawn, other = await pairs(audited, body=body)

    assert drawn.drawn and not other.drawn
    for show in (lambda it: replay(it, Answers()), lambda it: render(it, Answers()), follow):
        one, two = show(drawn), show(other)
        assert (one.status, one.body.replace(drawn.id.encode(), other.id.encode())) == (
            two.status,
            two.body.replace(b"%d" % drawn.created, b"%d" % other.created),
        )
        shown = [(name, value.replace(drawn.id, other.id)) for name, value in one.headers]
        assert shown == list(two.headers)


def unsealed(fields: dict[bytes, bytes]) -> dict[str, Any]:
    """Return a call's record without its seal, which is another for each id."""
    record: dict[str, Any] = json.loads(fields[b"rec"])
    return record | {"seal": ""}


async def test_the_record_that_agents_read_from_is_that_of_another(audited: Auditing) -> None:
    drawn, other = await pairs(audited)

    one, two = await audited.key("c", drawn), await audited.key("c", other)

    assert one.keys() - two.keys() == {b"drawn"}
    for name in ("call", "keep", "st", "ver"):
        assert one[name.encode()] == two[name.encode()]
    assert one[b"answer"][33:] == two[b"answer"][33:], "but for its MAC, which names the call"
    assert len(one[b"rec"]) == len(two[b"rec"])  # what it fills of the agent's room
    assert unsealed(one) == unsealed(two)
    left = [
        await audited.store.client.pttl(f"{audited.store._prefix}:c:{each.id}")
        for each in (drawn, other)
    ]
    assert abs(left[0] - left[1]) < 5_000


async def test_a_verdict_changes_nothing_that_an_agent_reads(audited: Auditing) -> None:
    action = await audited.ended()
    before = await audited.world.gate.of_agent(action.id, "bot")
    assert before is not None
    assert await audited.audits.judge(action.id, WRONG)

    after = await audited.world.gate.of_agent(action.id, "bot")

    assert after is not None
    assert follow(after) == follow(before)
    assert replay(after, Answers()) == replay(before, Answers())


async def test_a_draw_is_as_likely_as_policy_says() -> None:
    draw = RandomIds().draw
    hits = sum(draw() < 0.2 for _ in range(20_000))
    assert 3600 < hits < 4400  # seven standard deviations


async def test_a_seal_key_makes_the_same_names_in_every_process() -> None:
    one, other = (Noting(SEAL_KEY, lambda: a_policy(), NothingListed()) for _ in range(2))
    assert one.pseudonym("ann") == other.pseudonym("ann") != one.pseudonym("bob")


async def test_an_unknown_outcome_that_is_told_of_keeps_what_was_told(audited: Auditing) -> None:
    from interlock.core.errors import UpstreamLost

    audited.world.tool.fails = [UpstreamLost("cut")]
    action = await audited.ended(NOT_DRAWN)
    assert action.state is State.UNKNOWN
    assert await audited.audits.report(action.id, AGAIN)

    await audited.world.gate.resolve(action.id, "ann@example.com", True, "I saw it")

    unknown, told, resolved = await audited.records()
    assert (unknown.state, told.told, resolved.state) == ("unknown", 1, "resolved")
    assert len(resolved.reports) == 1
    assert (resolved.version, resolved.told) > (told.version, told.told)
    assert "ann@example.com" not in resolved.cause
    assert audited.notes.pseudonym("ann@example.com") in resolved.cause


@pytest.mark.parametrize("size", [10, 6000])
async def test_nobody_judges_a_drawn_call_whose_body_was_changed(
    audited: Auditing, size: int
) -> None:
    action = await audited.ended(body=b'{"amount": 900, "note": "%s"}' % (b"x" * size))
    shown = await audited.audits.get(action.id)
    assert shown is not None and audited.world.gate.genuine(shown)

    await audited.forge(action, call=lambda data: data.replace(b"900", b"100"))

    assert await audited.audits.waiting(None, 10) == ((Changed(id=action.id),), None)
    assert not await audited.audits.judge(action.id, WRONG)


@pytest.mark.parametrize(
    "changed",
    [
        {"rec": lambda data: data.replace(b'"audit_share":0.1', b'"audit_share":0.0001')},
        {"rec": lambda data: re.sub(rb'"seal":"[^"]*"', b'"seal":""', data)},
        {"rec": lambda data: re.sub(rb'"seal":"[^"]*"', b'"seal":"\xc3\xa9"', data)},
        {"call": of_another},
    ],
    ids=["share", "no seal", "a seal that is no text of ours", "agent"],
)
async def test_nobody_judges_a_drawn_call_that_was_changed_outside(
    audited: Auditing, changed: dict[str, Callable[[bytes], bytes]]
) -> None:
    action = await audited.ended()
    before = await audited.key("d", action)

    await audited.forge(action, **changed)

    assert await audited.key("d", action) != before

    assert not await audited.audits.judge(action.id, WRONG)
    assert await audited.audits.count() == 1


async def test_what_is_told_of_a_call_signs_nothing_that_the_store_says_of_it(
    audited: Auditing,
) -> None:
    action = await audited.ended(NOT_DRAWN)
    await audited.forge(action, call=of_another, st=lambda _: b"resolved")

    assert await audited.audits.report(action.id, AGAIN)

    true, told = await audited.records()
    assert (told.agent, told.tool, told.request, told.state) == ("", "", {}, "told")
    changed = merged({}, (true, told)).changed
    assert changed[action.id] == replace(true, told=1, reports=told.reports)


async def test_a_call_that_was_changed_before_it_ended_makes_no_record(audited: Auditing) -> None:
    held = await audited.world.held()
    await audited.forge(held, call=of_another)

    await audited.world.says(held, verdict=Verdict.REJECT)

    assert await audited.records() == []
    assert (await audited.feed.read("", 10, 0)).ended == (held.id,)
    found = await audited.store.get(held.id)
    assert found is not None and audited.notes.lapsed(found) is None


async def test_what_a_lapse_makes_is_believed_only_where_all_is_sealed(audited: Auditing) -> None:
    held = await audited.world.held()
    await audited.forge(held, st=lambda _: b"expired", ver=lambda _: b"3000000000")
    lapsed = await audited.store.get(held.id)
    assert lapsed is not None
    record = audited.notes.lapsed(lapsed)
    assert record is not None
    assert (record.version, record.state, record.reviews) == (0, "expired", ())

    copied = replace(lapsed, id="f" * 32)
    answered = replace(lapsed, state=State.ANSWERED)
    invented = replace(
        lapsed,
        state=State.UNKNOWN,
        reviews=(
            Review(
                reviewer=Reviewer(id="bob"),
                verdict=Verdict.APPROVE,
                digest=lapsed.digest,
                version=1,
                mac="00",
            ),
        ),
    )
    for forged in (copied, answered, invented, replace(lapsed, seal="")):
        assert audited.notes.lapsed(forged) is None


async def test_a_call_whose_sender_died_is_recorded_from_what_its_seal_covers(
    audited: Auditing,
) -> None:
    action = await audited.ended(NOT_DRAWN)
    await audited.forge(action, st=lambda _: b"unknown")
    lost = await audited.store.get(action.id)
    assert lost is not None

    record = audited.notes.lapsed(lost)

    assert record is not None and (record.agent, record.level) == (action.call.agent.id, "allow")
    assert record.arguments


# what is said of a call is masked as the call is ----------------------------------------------

SECRET, IBAN = "900712345", "DE89370400440532013000"
TOKEN = "Bearer abcdefghijklmnop.qrstuv"
TOLD = f"it sent {SECRET} and {IBAN} with {TOKEN}"
HIDING = a_policy(
    "\naudit: {share: 0.1}\n"
    "redact:\n  approver: [args.amount]\n  logs: [args.amount]\n  detectors: [iban, bearer_token]\n"
)
SENT = b'{"amount": %s}' % SECRET.encode()


@pytest.fixture
async def hiding(store: RedisStore) -> AsyncIterator[Auditing]:
    made = Auditing(store, policy=HIDING)
    yield made
    await made.feed.close()


def words(record: DecidedCall) -> str:
    said = [each.message for each in record.reports]
    return " ".join(said + [record.audit.message if record.audit is not None else ""])


@pytest.mark.parametrize("drawn", [DRAWN, NOT_DRAWN])
async def test_what_is_reported_of_a_call_quotes_no_secret_of_it(
    hiding: Auditing, drawn: float
) -> None:
    action = await hiding.ended(drawn, body=SENT)
    assert action.state is State.ANSWERED
    for by in ("agent", "r-0123456789ab"):
        assert await hiding.audits.report(action.id, replace(AGAIN, by=by, message=TOLD))

    for entry in (await hiding.feed.read("", 1000, 0)).entries:
        record = hiding.notes.decode(entry)
        for secret in (SECRET, IBAN, TOKEN):
            assert secret not in words(record)
    assert len(record.reports) == 2
    assert record.reports[0].message.startswith("it sent …2345 and …3000 with")


async def test_what_an_auditor_says_quotes_no_secret_of_the_call(hiding: Auditing) -> None:
    action = await hiding.ended(body=SENT)
    assert await hiding.audits.judge(action.id, replace(WRONG, message=TOLD))

    record = (await hiding.records())[-1]

    assert record.audit is not None and "…2345" in record.audit.message
    for secret in (SECRET, IBAN, TOKEN):
        assert secret not in words(record)


async def test_a_secret_at_the_end_of_what_is_kept_is_masked_before_it_is_cut(
    hiding: Auditing,
) -> None:
    action = await hiding.ended(NOT_DRAWN, body=SENT)
    long = "x " * 998 + SECRET
    assert await hiding.audits.report(action.id, replace(AGAIN, message=long))
    assert SECRET[:4] not in words((await hiding.records())[-1])


async def test_where_what_is_hidden_was_not_kept_nothing_that_is_said_is(hiding: Auditing) -> None:
    large = SENT[:-1] + b"%s}" % (b" " * 6000)
    action = await hiding.ended(NOT_DRAWN, body=large)
    assert await hiding.audits.report(action.id, replace(AGAIN, message=TOLD))
    assert words((await hiding.records())[-1]).strip() == "…"


async def test_words_that_quote_nothing_hidden_stay_as_they_are(hiding: Auditing) -> None:
    action = await hiding.ended(NOT_DRAWN, body=SENT)
    assert await hiding.audits.report(action.id, AGAIN)
    assert words((await hiding.records())[-1]).strip() == "it bounced"
