"""The store on Redis or Valkey: ports.Store, with every guard inside the scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, cast

from redis.asyncio import Redis

from ..core.actions import Action, Answer, State
from ..core.desk import EVERYBODY, Suspension
from ..core.errors import StoreUnavailable
from ..core.events import Answered, Claimed, Decided
from ..core.facts import Facts, Grant, Needs
from ..ports import Change, Durability, Limits, Listed, Put, Searched, Stored
from .batch import Batch
from .codec import DAMAGED, decode_action, sealed_answer
from .connection import Lane, connect, patiently
from .lua import Script
from .operations import audited, encode_change, session_key
from .past import Past
from .searching import Searching
from .stopped import KnownStops, stopped_key, suspension
from .watch import BLOCK, Watch

_TO_A_SEND = (Decided, Claimed)
_HERE, _LEFT = b"1", b"0"  #: what is noted of a caller: it waits; it has cancelled by leaving
_SCANNED, _SCANS = 2000, 10  #: ids looked at together for those of one agent, and how often at most
_LISTED = "st ver rec call call2 digest created changed deadline lapses fence fp owner_nonce answer"


class RedisStore:
    """ports.Store. Every method raises StoreUnavailable when the store does not answer."""

    def __init__(self, url: str, prefix: str = "interlock", limits: Limits | None = None) -> None:
        self.url = url
        self._limits = limits or Limits()
        self._prefix = "{" + prefix + "}"
        self._client = connect(url)
        self._tail = connect(url, patience=BLOCK / 1000 + 5)
        self._lane = Lane(url)
        self._put, self._get = Script("put"), Script("get")
        self._held_of, self._audits = Script("held_of"), Script("audits")
        self._batch = Batch(self._send)
        self._past = Past(self._client, self._prefix, self._ask, self._limits.tasks_per_agent)
        self._searching = Searching(self._client, self._prefix, self._ask, self._read)
        self._watch = Watch(self._tail, f"{self._prefix}:log", self._versions)
        self.on_lapsed: Callable[[Action, str], None] = lambda action, before: None
        self.on_error: Callable[[], None] = lambda: None
        self._answer_key = b""  #: empty: answers are neither sealed nor checked
        self.stops_known: KnownStops | None = None  #: None: only the store says who is stopped

    @property
    def client(self) -> Redis:
        """The connection, for the key ring that lives beside the actions."""
        return self._client

    def seal_answers(self, key: bytes) -> None:
        """Keep tools' answers under MACs of *key* from now on, and read none without."""
        self._answer_key = key

    def listen(self, listener: Callable[[str], None]) -> Callable[[], None]:
        """Call *listener* with the id of every held-class action that moves."""
        return self._watch.listen(listener)

    async def close(self) -> None:
        await self._watch.close()
        await self._batch.close()
        await self._past.close()
        await self._lane.close()
        await self._client.aclose()
        await self._tail.aclose()

    # writing -------------------------------------------------------------------------------

    async def put(self, change: Change) -> Stored:
        write = self._batch.write_soon if _nobody_waits(change) else self._batch.write
        stopped = await self._stands(change)
        said = encode_change(change, self._limits, stopped=stopped, key=self._answer_key)
        row = await write(said)
        outcome, told, version, now, deadline, created, lapsed, other = map(bytes.decode, row)
        answer = Put(outcome)
        if other:
            names = other.split()
            await self._report(dict(zip(names[::2], names[1::2], strict=True)))
        named = told if answer in (Put.JOIN, Put.REUSED) else change.after.id
        return Stored(
            outcome=answer,
            id=named,
            state="" if answer in (Put.JOIN, Put.REUSED) else told,
            version=int(version),
            now=int(now),
            deadline=int(deadline),
            created=int(created),
            lapsed=lapsed,
        )

    async def _stands(self, change: Change) -> bool:
        """Say whether this process knows better than the store that the agent is stopped.

        The store is asked only where a stop was seen that concerns the agent.
        """
        known, agent = self.stops_known, change.before.call.agent.id
        if known is None or not isinstance(change.event, _TO_A_SEND) or not known.knows(agent):
            return False
        return bool(await self._ask(lambda: known.holding((agent, EVERYBODY))))

    async def _send(self, group: Sequence[bytes]) -> list[list[bytes]]:
        rows = await self._ask(lambda: self._put(self._lane, self._prefix, *group))
        return cast(list[list[bytes]], rows)

    # reading -------------------------------------------------------------------------------

    async def get(self, action_id: str) -> Action | None:
        for row in await self._rows("", [action_id]):
            return self._decoded(*row)
        return None

    async def _read(self, fields: str, ids: Sequence[str]) -> list[Action]:
        """Read many; one damaged record must not hide all the others from people."""
        actions = []
        for row in await self._rows(fields, ids):
            try:
                actions.append(self._decoded(*row))
            except StoreUnavailable:
                self.on_error()
        return actions

    async def _rows(
        self, fields: str, ids: Sequence[str]
    ) -> list[tuple[bytes, bytes, list[bytes]]]:
        if not ids:
            return []
        answer = await self._ask(lambda: self._get(self._client, self._prefix, fields, *ids))
        return [row for row in cast(list[Any], answer[1:]) if row[2]]

    def _decoded(self, action_id: bytes, lapsed: bytes, flat: list[bytes]) -> Action:
        name = action_id.decode()
        try:
            fields = dict(zip(flat[::2], flat[1::2], strict=True))
            action = decode_action(name, fields, self._answer_key)
        except DAMAGED as error:
            raise StoreUnavailable(
                f"The record of call {name} is damaged ({error!r}); it will not be sent."
            ) from error
        if lapsed:
            self.on_lapsed(action, lapsed.decode())
        return action

    async def _versions(self, ids: Iterable[str]) -> dict[str, int]:
        listed, found = list(ids), {}
        for start in range(0, len(listed), 500):
            for action in await self._read_versions(listed[start : start + 500]):
                found[action[0]] = action[1]
        return found

    async def _read_versions(self, ids: Sequence[str]) -> list[tuple[str, int]]:
        answer = await self._ask(lambda: self._get(self._client, self._prefix, "ver", *ids))
        rows = [row for row in cast(list[Any], answer[1:]) if row[2]]
        await self._report({name.decode(): was.decode() for name, was, _ in rows if was})
        return [(name.decode(), int(flat[1])) for name, _, flat in rows]

    async def _report(self, ended: Mapping[str, str]) -> None:
        """Tell what a script ended on its way, and in which state each was before."""
        for action in await self._read("", list(ended)):
            self.on_lapsed(action, ended[action.id])

    async def changed(self, action_id: str, version: int, seconds: float) -> None:
        await self._watch.changed(action_id, version, seconds)

    def release(self) -> None:
        self._watch.release()

    async def held(self, cursor: str | None, limit: int) -> Listed:
        key = f"{self._prefix}:open"
        rows = await self._page(key, cursor, limit)
        total = await self._ask(lambda: self._client.zcard(key))
        actions = await self._read(_LISTED, [name.decode() for name, _ in rows])
        following = f"{rows[-1][1]:.0f}-{rows[-1][0].decode()}" if len(rows) == limit else None
        still = tuple(action for action in actions if action.state is State.HELD)
        return Listed(actions=still, next=following, total=int(total))

    async def held_of(self, agent: str, cursor: str | None, limit: int) -> Listed:
        key, place = f"{self._prefix}:open", cursor
        found: list[str] = []
        start = await self._behind(key, cursor)
        total = await self._ask(lambda: self._client.zcard(key))
        who, ended = agent.encode("utf-8", "surrogatepass"), False
        for _ in range(_SCANS):
            left = limit - len(found)
            said = (who, start, _SCANNED, left)
            seen, score, last, ids = cast(list[Any], await self._ask_of(*said))
            start, place = start + seen, f"{float(score):.0f}-{last.decode()}" if seen else place
            found += [name.decode() for name in ids]
            ended = len(ids) < left and seen < _SCANNED
            if ended or len(found) == limit:
                break
        actions = await self._read(_LISTED, found)
        still = tuple(action for action in actions if action.state is State.HELD)
        return Listed(actions=still, next=None if ended else place, total=int(total))

    async def _ask_of(self, *said: str | bytes | int) -> list[object]:
        return cast(
            list[object],
            await self._ask(lambda: self._held_of(self._client, self._prefix, *said)),
        )

    async def _page(self, key: str, cursor: str | None, limit: int) -> list[tuple[bytes, float]]:
        """Return what comes after *cursor*: equal scores are in the order of their members."""
        start = await self._behind(key, cursor)
        found = await self._ask(
            lambda: self._client.zrange(key, start, start + limit - 1, withscores=True)
        )
        return list(found)

    async def _behind(self, key: str, cursor: str | None) -> int:
        """Return how many come before what follows *cursor*."""
        if cursor is None:
            return 0
        score, _, last = cursor.partition("-")
        rank = await self._ask(lambda: self._client.zrank(key, last))
        if rank is None:  # it was decided meanwhile: go on behind where it stood
            before = await self._ask(lambda: self._client.zcount(key, "-inf", f"({score}"))
            ties = await self._ask(lambda: self._client.zrangebyscore(key, score, score))
            rank = int(before) + sum(tie.decode() < last for tie in ties) - 1
        return int(rank) + 1

    async def recent(self, limit: int) -> tuple[Action, ...]:
        ids = await self._ask(
            lambda: self._client.zrevrange(f"{self._prefix}:recent", 0, limit - 1)
        )
        return tuple(await self._read(_LISTED, [name.decode() for name in ids]))

    async def unknown(self, limit: int) -> tuple[Action, ...]:
        ids = await self._ask(lambda: self._client.zrange(f"{self._prefix}:unknown", 0, limit - 1))
        return tuple(await self._read(_LISTED, [name.decode() for name in ids]))

    async def session(self, action: Action, limit: int) -> tuple[Action, ...]:
        key = session_key(action)
        if not key:
            return ()
        ids = await self._ask(lambda: self._client.lrange(f"{self._prefix}:s:{key}", 0, limit))
        others = [name.decode() for name in ids if name.decode() != action.id]
        return tuple(await self._read(_LISTED, others[:limit]))

    async def ready(self) -> tuple[str, ...]:
        names = await self._ask(lambda: self._client.smembers(f"{self._prefix}:ready"))
        return tuple(sorted(name.decode() for name in names))

    async def due(self, limit: int) -> tuple[str, ...]:
        now = await self.now()
        names = await self._ask(
            lambda: self._client.zrangebyscore(f"{self._prefix}:due", "-inf", now, 0, limit)
        )
        return tuple(name.decode() for name in names)

    async def history(self, action_id: str) -> tuple[Mapping[str, str], ...]:
        fields = await self._ask(lambda: self._client.hgetall(f"{self._prefix}:c:{action_id}"))
        rows = []
        for name, value in fields.items():
            if name.startswith(b"e:"):
                nonce, at, before, after, event = value.decode().split(" ", 4)
                rows.append(
                    {"version": name[2:].decode(), "at": at, "from": before, "to": after}
                    | {"event": event, "nonce": nonce}
                )
        return tuple(sorted(rows, key=lambda row: int(row["version"])))

    async def search(self, wanted: Searched, cursor: str | None, limit: int) -> Listed:
        return await self._searching.search(wanted, cursor, limit)

    async def attach(self, action_id: str, answer: Answer) -> None:
        kept = sealed_answer(audited(answer), action_id, self._answer_key)
        said = ("attach", action_id, kept)
        await self._ask(lambda: self._audits(self._client, self._prefix, *said))

    async def like(self, action: Action) -> Action | None:
        return await self._searching.like(action)

    async def keyed(self, keys: Sequence[str]) -> tuple[Action | None, ...]:
        return await self._searching.keyed(keys)

    # the past ------------------------------------------------------------------------------

    async def facts(self, needs: Needs) -> Facts:
        return await self._past.facts(needs)

    async def state_task(self, agent_id: str, session: str, task: str, keep_ms: int) -> None:
        await self._past.state_task(agent_id, session, task, keep_ms)

    async def give(self, grant: Grant) -> None:
        await self._past.give(grant)

    async def grants(self, limit: int) -> tuple[Grant, ...]:
        return await self._past.grants(limit)

    async def take_back(self, grant_id: str) -> Grant | None:
        return await self._past.take_back(grant_id)

    async def remind(self, limit: int) -> tuple[str, ...]:
        return await self._past.remind(limit)

    # the rest ------------------------------------------------------------------------------

    async def stopped(self, agent: str) -> Suspension | None:
        names = (agent, EVERYBODY)
        key = stopped_key(self._prefix)
        found = await self._ask(lambda: self._client.hmget(key, names))
        said = zip(names, found, strict=True)
        stop = next((suspension(name, text) for name, text in said if text is not None), None)
        known = self.stops_known
        if stop is None and known is not None and known.knows(agent):
            held = await self._ask(lambda: known.holding(names))
            stop = next((suspension(name, text) for name, text in held), None)
        return stop

    async def look_for_stops(self) -> None:
        known = self.stops_known
        if known is not None:
            await self._ask(known.look)

    @property
    def stops_lifted(self) -> tuple[Suspension, ...]:
        """Return which stops somebody took out of the store, as this process knows."""
        return self.stops_known.lifted if self.stops_known is not None else ()

    async def attend(self, action_id: str, seconds: float) -> None:
        key = f"{self._prefix}:w:{action_id}"
        await self._ask(lambda: self._client.set(key, _HERE, px=max(int(seconds * 1000), 1)))

    async def attended(self, action_ids: Sequence[str]) -> tuple[bool, ...]:
        if not action_ids:
            return ()
        keys = [f"{self._prefix}:w:{name}" for name in action_ids]
        return tuple(value == _HERE for value in await self._ask(lambda: self._client.mget(keys)))

    async def leave(self, action_id: str) -> None:
        key, keep = f"{self._prefix}:w:{action_id}", self._limits.keep_reviewed_ms
        await self._ask(lambda: self._client.set(key, _LEFT, px=keep))

    async def left(self, action_id: str) -> bool:
        key = f"{self._prefix}:w:{action_id}"
        return bool(await self._ask(lambda: self._client.get(key)) == _LEFT)

    async def now(self) -> int:
        seconds, micros = await self._ask(self._client.time)
        return int(seconds) * 1000 + int(micros) // 1000

    async def counts(self) -> Mapping[str, int]:
        """How many actions are held and how many unknown: the truth that gauges show."""
        held = await self._ask(lambda: self._client.zcard(f"{self._prefix}:open"))
        unknown = await self._ask(lambda: self._client.zcard(f"{self._prefix}:unknown"))
        return {"held": int(held), "unknown": int(unknown)}

    async def oldest(self) -> int:
        """When the hold that waits longest was created, ms; 0 where none is open."""
        return await self._past.oldest()

    async def durability(self) -> Durability:
        info = await self._ask(lambda: self._client.info("persistence", "replication", "memory"))
        policy = str(info.get("maxmemory_policy", "unknown"))
        writable = info.get("role") == "master"
        most = int(info.get("maxmemory", 0))
        full = 0 < most <= int(info.get("used_memory", 0))
        grade, detail = await self._grade(info)
        return Durability(grade=grade, detail=detail, eviction=policy, writable=writable, full=full)

    async def _grade(self, info: Mapping[str, Any]) -> tuple[str, str]:
        if not int(info.get("aof_enabled", 0)):
            return "memory", "no append-only file: holds are lost when the store stops"
        settings = await self._ask(lambda: self._client.config_get("appendfsync"))
        if settings.get("appendfsync", settings.get(b"appendfsync")) in ("always", b"always"):
            return "disk", "append-only file, written at every change"
        return "process", "append-only file, written every second: a crash may lose the last two"

    async def _ask(self, command: Callable[[], Any]) -> Any:
        try:
            return await patiently(command)
        except StoreUnavailable:
            self.on_error()
            raise


def _nobody_waits(change: Change) -> bool:
    """Whether it only says that a tool answered, of a call that no one else can wait for."""
    after = change.after
    return isinstance(change.event, Answered) and not (after.key or after.votes)
