"""Tasks, as conversations of a client that polls: what it is told, and what ever ran."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from interlock.callers import Submission
from interlock.core.actions import PENDING, Action, Agent, State, ToolCall, Verdict
from interlock.core.errors import IllegalTransition, UpstreamLost, UpstreamUnreachable
from interlock.core.messages import MODERN, Message, message_of
from interlock.ingress.mcp import answers, results
from interlock.ingress.mcp import tasks_documents as documents
from interlock.ingress.mcp.reading import read_call
from interlock.ingress.mcp.session import (
    CAPABILITIES_KEY,
    TASKS,
    VERSION_KEY,
    Caller,
    Document,
    Holding,
    Server,
)
from interlock.ingress.mcp.tasks import ServedTasks
from interlock.ingress.mcp.tasks_notes import ROUNDS
from interlock.store.redis import RedisStore
from interlock.store.task_notes import RedisTaskNotes
from interlock.system import RandomIds
from interlock.tasks import Tasks
from tests.ingress.mcp.conversation import TOOLS, Listed, policy, text
from tests.support.fakes import World
from tests.support.stores import Server as StoreServer

KEY = b"the key of notes, not in the store"
DECLARED: Mapping[str, Any] = {"extensions": {TASKS: {}}}
SOON = 0.02  #: seconds after which a slow call is a task
DONE = {"content": [{"type": "text", "text": "done"}], "resultType": "complete"}


ORPHANS = """
  - id: files.send
    description: Sends a file.
    mcp: {server: files, tool: send}
    reversibility: reversible
    undo: {reason: It can be taken back.}
    facets: {data: confidential}
    orphans: refuse
"""


def asks(*names: str, state: str | None = "s-1") -> dict[str, Any]:
    """A result that asks the client for input."""
    request = {"method": "elicitation/create", "params": {"message": "Sure?"}}
    said: dict[str, Any] = {"resultType": "input_required"}
    if names:
        said["inputRequests"] = dict.fromkeys(names, request)
    return said if state is None else said | {"requestState": state}


@dataclass
class Works:
    """ports.McpServer: answers one after the other what it is told to, when it may."""

    says: list[Any] = field(default_factory=list)  #: results; `{"error": ...}`; or raised
    calls: list[ToolCall] = field(default_factory=list)
    events: bool = False  #: answers with a head at once, and the response in an event
    free: asyncio.Event = field(default_factory=asyncio.Event)
    busy: asyncio.Event = field(default_factory=asyncio.Event)
    read: asyncio.Event = field(default_factory=asyncio.Event)  #: set once the head was read
    closed: int = 0
    remote: Mapping[str, Any] | None = None
    passed: list[ToolCall] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.free.set()

    def serves(self, call: ToolCall) -> bool:
        return True

    async def send(self, call: ToolCall) -> Said:
        self.calls.append(call)
        self.busy.set()
        says = self.says.pop(0) if self.says else DONE
        if isinstance(says, Exception):
            raise says
        if not self.events:
            await self.free.wait()
        document = {"jsonrpc": "2.0", "id": json.loads(call.body)["id"]}
        document |= says if "error" in says else {"result": says}
        return Said(self, json.dumps(document).encode())

    async def pass_on(self, call: ToolCall) -> Said:
        """Answer for a task of the server's own; `remote` is how it stands, None: it is down."""
        self.passed.append(call)
        if self.remote is None:
            raise UpstreamUnreachable("It is down.")
        document = {"jsonrpc": "2.0", "id": json.loads(call.body)["id"], **self.remote}
        return Said(self, json.dumps(document).encode())

    @property
    def params(self) -> list[Any]:
        return [json.loads(call.body)["params"] for call in self.calls]


@dataclass
class Said:
    server: Works
    body: bytes
    status: int = 200

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        kind = "text/event-stream" if self.server.events else "application/json"
        return (("Content-Type", kind),)

    async def chunks(self) -> AsyncIterator[bytes]:
        if not self.server.events:
            yield self.body
            return
        yield b": hello\n\n"
        self.server.read.set()
        await self.server.free.wait()
        yield b"data: " + self.body + b"\n\n"

    async def close(self) -> None:
        self.server.closed += 1


class Client:
    """A client that declares tasks, one process of Interlock, and the server behind it."""

    def __init__(
        self,
        store: RedisStore,
        name: str,
        *,
        works: Works | None = None,
        after: float = 0,
        **more: Any,
    ) -> None:
        self.works, self.listed = works or Works(), Listed()
        self.world = World(
            store,
            name=name,
            policy=policy(),
            upstreams={"files": self.works},
            definitions=self.listed,
            **({"ids": RandomIds()} | more),
        )
        self.gate = self.world.gate
        prefix = store._prefix[1:-1]
        self.notes = RedisTaskNotes(store.client, key=KEY, prefix=prefix)
        self.tasks = ServedTasks(
            self.gate, self.notes, self.listed, RandomIds(), after=lambda caller: after
        )
        self.caller = Caller(
            agent=Agent(id="bot", owner="olga"),
            server=Server(name="files", upstream=self.works),
            holding=Holding(),
            version=MODERN,
            capabilities=DECLARED,
        )
        self._ids = itertools.count(1)
        self._asked = Tasks()

    def start(self, asked: Coroutine[Any, Any, Document]) -> asyncio.Task[Document]:
        """Ask without waiting for the answer."""
        return self._asked.spawn(asked, "asked")

    def message(self, method: str, **params: Any) -> Message:
        meta = {VERSION_KEY: MODERN, CAPABILITIES_KEY: self.caller.capabilities}
        document = {"jsonrpc": "2.0", "id": next(self._ids), "method": method}
        return message_of({**document, "params": {**params, "_meta": meta}})

    async def call(self, tool: str = "write", **arguments: Any) -> Document:
        """Call a tool as `Calls` does for a client that declares tasks."""
        await self.listed.listed("files", [*TOOLS, {"name": "send"}], whole=True)
        message = self.message("tools/call", name=tool, arguments=arguments)
        call = read_call(message, self.caller, self.listed.current("files", tool))
        taken = await self.tasks.submit(call, message, self.caller)
        if not isinstance(taken, Submission):
            return taken
        if taken.relay is not None:
            async with taken.relay as relay:
                body = b"".join([chunk async for chunk in relay.chunks()])
            found = answers.response_in(body, message.id)
            assert found is not None
            return found
        if taken.action.state in PENDING:
            task = await self.tasks.held(taken.action, message, self.caller)
            if task is not None:
                return task
        return results.outcome(taken.action, results.asker(message, self.caller))

    async def task(self, tool: str = "write", **arguments: Any) -> str:
        answer = await self.call(tool, **arguments)
        assert answer["result"]["resultType"] == "task"
        task: str = answer["result"]["taskId"]
        return task

    async def ask(self, method: str, **params: Any) -> Document:
        answer = await self.tasks.answer(self.message(f"tasks/{method}", **params), self.caller)
        assert answer is not None
        return answer

    async def get(self, task: str) -> Mapping[str, Any]:
        answer = await self.ask("get", taskId=task)
        result: dict[str, Any] = answer["result"]
        assert result["resultType"] == "complete" and result["taskId"] == task
        return result

    async def until(self, task: str, status: str) -> Mapping[str, Any]:
        """Poll until the task has that status, and has nothing to do with any other end."""
        async with asyncio.timeout(10):
            while (now := await self.get(task))["status"] != status:
                assert now["status"] in ("working", "input_required"), now
                await asyncio.sleep(0.005)
            return now

    async def update(self, task: str, responses: Mapping[str, Any]) -> None:
        answer = await self.ask("update", taskId=task, inputResponses=responses)
        assert answer["result"] == {"resultType": "complete"}

    async def cancel(self, task: str) -> None:
        answer = await self.ask("cancel", taskId=task)
        assert answer["result"] == {"resultType": "complete"}

    async def action(self, task: str) -> Action:
        found = await self.gate.get(documents.action_of(task) or "")
        assert found is not None
        return found

    async def held(self) -> Action:
        async with asyncio.timeout(10):
            while not (found := (await self.gate.store.held(None, 10)).actions):
                await asyncio.sleep(0.005)
        (action,) = found
        return action

    async def approve(self) -> Action:
        return await self.world.says(await self.held())


Start = Callable[..., Client]


@pytest.fixture
async def start(store: RedisStore) -> AsyncIterator[Start]:
    """Return what starts a process with its client; all share a store, and end after the test."""
    begun: list[Client] = []

    def one(**more: Any) -> Client:
        begun.append(Client(store, f"t{len(begun)}", **more))
        return begun[-1]

    yield one
    for each in begun:
        each.works.free.set()
        assert await each.tasks.close(10) == 0
        assert await each.gate.close(10) == 0


def code(answer: Document) -> int:
    found: int = answer["error"]["code"]
    return found


# a hold is a task ---------------------------------------------------------------------------


async def test_a_held_call_is_a_task_at_once_and_written_down_before_its_client_knows(
    start: Start,
) -> None:
    client = start()
    result = (await client.call(path="a"))["result"]

    assert result["resultType"] == "task" and result["status"] == "working"
    assert not result.keys() & {"task", "result", "error", "inputRequests", "requestState", "ttl"}
    assert type(result["ttlMs"]) is int and type(result["pollIntervalMs"]) is int
    assert result["createdAt"].endswith("Z")
    action = await client.action(result["taskId"])
    assert action.state is State.HELD
    assert (await client.gate.store.attended([action.id])) == (True,)
    assert client.works.calls == []


async def test_an_approved_task_is_completed_with_the_servers_own_result(start: Start) -> None:
    client = start()
    client.works.says = [DONE | {"structuredContent": {"n": 1}}]
    task = await client.task()
    before = await client.get(task)
    assert before["status"] == "working"
    assert before["_meta"]["dev.interlock/call"]["state"] == "held"
    assert "io.modelcontextprotocol/authorization" in before["_meta"]

    await client.approve()
    after = await client.until(task, "completed")

    assert after["result"] == DONE | {"structuredContent": {"n": 1}}
    assert "_meta" not in after and after["ttlMs"] == before["ttlMs"]
    assert len(client.works.calls) == 1


async def test_a_rejected_task_is_completed_with_the_ordinary_refusal(start: Start) -> None:
    client = start()
    task = await client.task()
    await client.world.says(await client.held(), verdict=Verdict.REJECT)

    after = await client.get(task)

    assert after["status"] == "completed"
    assert text(after).startswith("NOT EXECUTED") and after["result"]["isError"]
    assert "error" not in after
    assert client.works.calls == []


async def test_a_task_that_nobody_decided_on_in_time_is_completed_with_the_refusal(
    start: Start,
) -> None:
    client = start()
    task = await client.task()
    await client.world.forge(await client.held(), deadline=1)
    after = await client.until(task, "completed")
    assert text(after).startswith("NOT EXECUTED") and "_meta" in after["result"]
    assert client.works.calls == []


async def test_an_answer_of_a_person_in_the_tools_place_completes_the_task(start: Start) -> None:
    client = start()
    task = await client.task()
    await client.world.says(await client.held(), verdict=Verdict.RESPOND)
    assert "looked at it" in text(await client.get(task))


async def test_what_is_answered_at_once_is_no_task(start: Start) -> None:
    client = start()
    assert (await client.call("read"))["result"] == DONE
    assert text(await client.call("wipe")).startswith("NOT EXECUTED")


@pytest.mark.parametrize(
    "other",
    [
        {"capabilities": {}},
        {"capabilities": {"extensions": {}}},
        {"version": "2025-11-25"},
        {"holding": Holding(tasks=False)},
    ],
)
async def test_a_client_that_does_not_declare_tasks_in_this_very_request_gets_none(
    start: Start, other: dict[str, Any]
) -> None:
    client = start(after=SOON)
    client.caller = replace(client.caller, **other)
    client.works.free.clear()
    slow = client.start(client.call("read"))
    await client.works.busy.wait()
    assert text(await client.call()).startswith("NOT EXECUTED YET")
    client.works.free.set()
    assert (await slow)["result"] == DONE


async def test_the_same_call_again_is_the_same_task(start: Start) -> None:
    client = start()
    task = await client.task(path="a")
    assert await client.task(path="a") == task
    assert await client.task(path="b") != task


async def test_a_call_that_is_lost_on_the_way_is_completed_with_an_unknown_outcome(
    start: Start,
) -> None:
    client = start()
    client.works.says = [UpstreamLost("It hung up.")]
    task = await client.task()
    await client.approve()
    after = await client.until(task, "completed")
    assert text(after).startswith("OUTCOME UNKNOWN")


async def test_an_approved_call_that_could_not_be_sent_is_sent_when_its_client_asks_again(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.ingress.mcp.tasks.RETRY_MS", -1)
    client = start()
    client.works.says = [UpstreamUnreachable("It is down.")]
    task = await client.task()
    await client.approve()
    after = await client.until(task, "completed")
    assert after["result"] == DONE
    assert len(client.works.calls) == 2


async def test_a_call_that_needs_its_caller_is_sent_once_its_client_polls_again(
    start: Start, store: RedisStore
) -> None:
    client = start()
    client.gate.policy = policy(ORPHANS)
    task = await client.task("send")
    await store.client.delete(f"{store._prefix}:w:{documents.action_of(task)}")
    await client.approve()
    await client.world.quiet()
    assert client.works.calls == []
    assert (await client.until(task, "completed"))["result"] == DONE


# whose task it is ---------------------------------------------------------------------------


async def test_any_process_knows_a_task_also_after_a_crash(start: Start) -> None:
    one, two = start(), start()
    task = await one.task()
    assert (await two.get(task))["status"] == "working"
    await two.approve()
    assert (await one.until(task, "completed"))["result"] == DONE
    assert len(one.works.calls) + len(two.works.calls) == 1


async def test_a_task_outlives_the_crash_of_the_store(own_server: StoreServer) -> None:
    before = RedisStore(own_server.url, prefix="crash")
    one = Client(before, "one", after=SOON)
    held, asked = await one.task(), await asking(one, asks("name"))
    await one.until(asked, "input_required")
    await before.close()
    own_server.kill()
    own_server.start()
    after = RedisStore(own_server.url, prefix="crash")
    two = Client(after, "two")
    try:
        assert (await two.get(held))["status"] == "working"
        assert set((await two.get(asked))["inputRequests"]) == {"1.name"}
    finally:
        for each in (one, two):
            await each.tasks.close(10)
            await each.gate.close(10)
        await after.close()


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
async def test_the_task_of_another_agent_and_no_task_are_answered_alike(
    start: Start, method: str
) -> None:
    client, spy = start(), start()
    task = await client.task()
    spy.caller = replace(spy.caller, agent=Agent(id="spy"))
    elsewhere = start()
    elsewhere.caller = replace(elsewhere.caller, server=replace(spy.caller.server, name="mail"))

    said = [
        await each.ask(method, taskId=name, inputResponses={})
        for each, name in ((spy, task), (elsewhere, task), (spy, "ilt_0000"), (spy, "ilt_"))
    ]

    assert {(code(each), each["error"]["message"]) for each in said} == {
        (-32602, said[0]["error"]["message"])
    }
    assert (await client.get(task))["status"] == "working"


@pytest.mark.parametrize("method", ["get", "update", "cancel"])
@pytest.mark.parametrize("name", ["gate-test", "ilt_a1"])
async def test_who_does_not_declare_tasks_is_told_so_before_anything_is_looked_up(
    start: Start, method: str, name: str
) -> None:
    client = start()
    client.caller = replace(client.caller, capabilities={})
    answer = await client.ask(method, taskId=name)
    assert code(answer) == -32021
    assert answer["error"]["data"] == {"requiredCapabilities": {"extensions": {TASKS: {}}}}
    assert documents.status_of(answer) == 400


async def test_methods_that_tasks_had_once_are_not_there(start: Start) -> None:
    client = start()
    task = await client.task()
    for method, params in (("result", {"taskId": task}), ("list", {})):
        answer = await client.ask(method, **params)
        assert code(answer) == -32601 and documents.status_of(answer) == 404


async def test_tasks_of_the_server_and_of_older_clients_are_none_of_ours(start: Start) -> None:
    client = start()
    for method in ("get", "update", "cancel", "result"):
        theirs = client.message(f"tasks/{method}", taskId="786512e2")
        assert await client.tasks.answer(theirs, client.caller) is None
    mine = client.message("tasks/get", taskId=await client.task())
    older: dict[str, Any] = {"version": "2025-11-25"}
    for other in (older, {"holding": Holding(tasks=False)}):
        assert await client.tasks.answer(mine, replace(client.caller, **other)) is None
    notice = message_of({"jsonrpc": "2.0", "method": "tasks/get", "params": {"taskId": "ilt_1"}})
    assert await client.tasks.answer(notice, client.caller) is None


def test_a_server_without_tasks_says_the_id_is_wrong_not_the_method() -> None:
    asked = message_of({"jsonrpc": "2.0", "id": 1, "method": "tasks/get", "params": {}})
    lacking = {"jsonrpc": "2.0", "id": 1, "error": {"code": -32601, "message": "no"}}
    assert code(documents.foreign(asked, lacking)) == -32602
    others: tuple[Document, ...] = ({"result": {}}, {"error": {"code": -32602, "message": "no"}})
    for other in others:
        assert documents.foreign(asked, other) is other
    listing = replace(asked, method="tools/list")
    assert documents.foreign(listing, lacking) is lacking


@pytest.mark.parametrize("params", [{}, {"taskId": 7}, {"taskId": ""}])
async def test_params_without_a_task_are_refused(start: Start, params: dict[str, Any]) -> None:
    assert code(await start().ask("get", **params)) == -32602


async def test_input_that_is_no_object_is_refused(start: Start) -> None:
    client = start()
    task = await client.task()
    assert code(await client.ask("update", taskId=task, inputResponses=[])) == -32602
    assert code(await client.ask("update", taskId=task)) == -32602


async def test_a_task_whose_time_is_over_is_unknown(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start()
    task = await client.task()
    monkeypatch.setattr("interlock.ingress.mcp.tasks_notes.lifetime", lambda action: 0)
    assert code(await client.ask("get", taskId=task)) == -32602


# giving up ----------------------------------------------------------------------------------


async def test_a_cancelled_hold_is_never_sent(start: Start) -> None:
    client = start()
    task = await client.task()
    action = await client.held()
    await client.cancel(task)

    assert (await client.get(task))["status"] == "cancelled"
    with pytest.raises(IllegalTransition):
        await client.world.says(action)
    await client.cancel(task)
    assert client.works.calls == []


async def test_cancelling_what_has_ended_changes_nothing(start: Start) -> None:
    client = start()
    task = await client.task()
    await client.approve()
    before = await client.until(task, "completed")
    await client.cancel(task)
    assert await client.get(task) == before


async def test_a_call_that_was_sent_after_its_hold_can_be_given_up_and_its_record_stays_true(
    start: Start,
) -> None:
    client = start()
    client.works.free.clear()
    task = await client.task()
    await client.approve()
    await client.works.busy.wait()
    await client.cancel(task)

    now = await client.get(task)
    assert now["status"] == "cancelled" and "not known" in now["statusMessage"]
    client.works.free.set()
    async with asyncio.timeout(10):
        while (await client.action(task)).state is not State.ANSWERED:
            await asyncio.sleep(0.005)
    now = await client.get(task)
    assert now["status"] == "cancelled" and "was called" in now["statusMessage"]
    assert (await start().get(task)) == now


# slow tools ---------------------------------------------------------------------------------


@pytest.mark.parametrize("events", [False, True])
async def test_a_slow_call_becomes_a_task_and_its_answer_is_kept(
    start: Start, events: bool
) -> None:
    client = start(after=SOON)
    client.works.events = events
    client.works.free.clear()
    task = await client.task("read", path="x" * 2000)
    assert (await client.get(task))["status"] == "working"
    client.works.free.set()
    assert (await client.until(task, "completed"))["result"] == DONE
    assert (await start().get(task))["result"] == DONE
    assert len(client.works.calls) == 1


@pytest.mark.parametrize("events", [False, True])
async def test_an_early_answer_passes_as_it_came(start: Start, events: bool) -> None:
    client = start(after=60)
    client.works.events = events
    client.works.says = [DONE, asks("name"), {"error": {"code": -32603, "message": "no"}}]
    assert (await client.call("read"))["result"] == DONE
    assert (await client.call("read"))["result"] == asks("name")
    assert code(await client.call("read")) == -32603
    assert len(client.works.calls) == 3 and client.works.closed == 3


async def test_two_equal_slow_calls_are_two_tasks(start: Start) -> None:
    client = start(after=SOON)
    client.works.free.clear()
    assert await client.task("read") != await client.task("read")
    assert len(client.works.calls) == 2


async def test_the_error_of_a_slow_call_fails_its_task(start: Start) -> None:
    client = start(after=SOON)
    client.works.free.clear()
    client.works.says = [{"error": {"code": -32001, "message": "broken", "data": {"a": 1}}}]
    task = await client.task("read")
    client.works.free.set()
    after = await client.until(task, "failed")
    assert after["error"] == {"code": -32001, "message": "broken", "data": {"a": 1}}
    assert after["statusMessage"] == "broken" and "result" not in after


async def test_a_slow_call_that_is_given_up_ends_at_its_server(start: Start) -> None:
    client = start(after=SOON)
    client.works.events = True
    client.works.free.clear()
    task = await client.task("read")
    await client.cancel(task)
    assert (await client.get(task))["status"] == "cancelled"
    assert client.works.closed >= 1
    await client.cancel(task)


async def test_a_slow_call_without_a_head_is_ended_at_its_server(start: Start) -> None:
    client = start(after=SOON)
    client.works.free.clear()
    task = await client.task("read")
    await client.cancel(task)
    assert (await client.get(task))["status"] == "cancelled"
    await client.world.quiet()
    action = await client.gate.get(task.removeprefix("ilt_"))
    assert action is not None and action.state in (State.UNKNOWN, State.RESOLVED)
    assert "took it back while the tool was at work" in action.cause
    assert (await client.get(task))["status"] == "cancelled"


@pytest.mark.parametrize("events", [False, True])
async def test_a_call_whose_judgement_takes_long_is_sent_once(
    start: Start, monkeypatch: pytest.MonkeyPatch, events: bool
) -> None:
    client = start(after=SOON)
    client.works.events = events
    judge, times = client.gate.judging.judge, itertools.count()

    async def slow_at_first(call: ToolCall, own: str = "") -> Any:
        if next(times) == 0:
            await client.works.busy.wait()  # until the same call was sent again, and first
        return await judge(call, own)

    monkeypatch.setattr(client.gate.judging, "judge", slow_at_first)
    answer = await client.call("read")
    if events:  # by then nobody waits for more than its head
        assert answer["result"]["resultType"] in ("task", "complete")
    else:
        assert answer["result"] == DONE
    await client.tasks.close(10)
    assert len(client.works.calls) == 1


async def test_a_slow_call_that_policy_denies_in_the_end_is_no_task(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = start(after=SOON)
    judge, go_on = client.gate.judging.judge, asyncio.Event()

    async def slowly(call: ToolCall, own: str = "") -> Any:
        await go_on.wait()
        return await judge(call, own)

    monkeypatch.setattr(client.gate.judging, "judge", slowly)
    answer = client.start(client.call("wipe"))
    await asyncio.sleep(SOON * 3)
    go_on.set()
    assert text(await answer).startswith("NOT EXECUTED")
    assert client.works.calls == []


async def test_a_slow_call_for_which_there_is_no_room_is_answered_as_ever(
    start: Start, store: RedisStore
) -> None:
    client = start(after=SOON)
    client.notes._most = 0
    client.works.free.clear()
    answer = client.start(client.call("read"))
    await client.works.busy.wait()
    await asyncio.sleep(SOON * 3)
    client.works.free.set()
    assert (await answer)["result"] == DONE


async def test_a_call_whose_answer_cannot_be_kept_is_sent_as_ever(
    start: Start, store: RedisStore
) -> None:
    client = start(after=60)
    await store.client.set(f"{store._prefix}:v:bot", 2**28)
    assert (await client.call("read"))["result"] == DONE
    assert len(client.works.calls) == 1


async def test_a_slow_call_whose_client_goes_away_is_no_task_and_is_recorded(
    start: Start,
) -> None:
    client = start(after=60)
    client.works.free.clear()
    asked = client.start(client.call("read"))
    await client.works.busy.wait()
    asked.cancel()
    await asyncio.wait({asked})
    client.works.free.set()
    await client.world.quiet()
    assert len(client.works.calls) == 1


async def test_a_slow_answer_ends_with_a_client_that_goes_away_before_it_is_a_task(
    start: Start,
) -> None:
    client = start(after=60)
    client.works.events = True
    client.works.free.clear()
    asked = client.start(client.call("read"))
    await client.works.read.wait()
    asked.cancel()
    await asyncio.wait({asked})
    assert client.works.closed == 1
    await client.world.quiet()
    assert client.world.seen.moves[-1][2].state is State.ANSWERED


# input inside a task ------------------------------------------------------------------------


async def asking(client: Client, *says: Any) -> str:
    """Return the task of a slow call whose tool says these one after the other."""
    client.works.free.clear()
    client.works.says = [*says]
    task = await client.task("read", path="a")
    client.works.free.set()
    return task


async def test_input_goes_to_the_tool_as_a_new_call_with_its_state(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("first", "second"))
    now = await client.until(task, "input_required")
    assert set(now["inputRequests"]) == {"1.first", "1.second"}
    assert now["inputRequests"]["1.first"]["method"] == "elicitation/create"
    assert "requestState" not in now and "_meta" not in now

    await client.update(task, {"first": {"action": "accept"}, "2.first": {"action": "accept"}})
    assert set((await client.get(task))["inputRequests"]) == {"1.first", "1.second"}
    await client.update(task, {"1.first": {"action": "accept"}})
    assert set((await client.get(task))["inputRequests"]) == {"1.second"}
    again = {"1.first": {"action": "decline"}, "1.second": {"action": "decline"}}
    await client.ask("update", taskId=task, inputResponses=again)

    assert (await client.until(task, "completed"))["result"] == DONE
    first, second = client.works.params
    assert second["name"] == first["name"] and second["arguments"] == first["arguments"]
    assert second["_meta"] == first["_meta"]
    assert second["requestState"] == "s-1"
    assert second["inputResponses"] == {
        "first": {"action": "accept"},
        "second": {"action": "decline"},
    }
    ids = [json.loads(call.body)["id"] for call in client.works.calls]
    assert ids[0] != ids[1]
    assert client.works.calls[0].headers == client.works.calls[1].headers


async def answer_all(client: Client, task: str) -> None:
    now = await client.until(task, "input_required")
    said = {key: {"action": "accept"} for key in now["inputRequests"]}
    await client.ask("update", taskId=task, inputResponses=said)


async def test_what_goes_on_after_an_approved_call_is_held_again(start: Start) -> None:
    client = start()
    client.works.says = [asks("name")]
    task = await client.task()
    await client.approve()
    await answer_all(client, task)
    again = await client.held()
    await client.tasks.close(10)

    now = await client.get(task)
    assert now["status"] == "working" and again.id in now["statusMessage"]
    assert again.id != documents.action_of(task)
    assert len(client.works.calls) == 1

    await client.world.says(again)
    assert (await client.until(task, "completed"))["result"] == DONE
    assert len(client.works.calls) == 2


async def test_input_that_people_refuse_never_reaches_the_tool(start: Start) -> None:
    client = start()
    client.works.says = [asks("name")]
    task = await client.task()
    await client.approve()
    await answer_all(client, task)
    await client.world.says(await client.held(), verdict=Verdict.REJECT)
    assert text(await client.until(task, "completed")).startswith("NOT EXECUTED")
    assert len(client.works.calls) == 1


async def test_a_second_hold_can_be_cancelled_through_its_task(start: Start) -> None:
    client = start()
    client.works.says = [asks("name")]
    task = await client.task()
    await client.approve()
    await answer_all(client, task)
    await client.held()
    await client.until(task, "working")
    await client.cancel(task)
    assert (await client.get(task))["status"] == "cancelled"
    assert (await client.gate.store.held(None, 10)).actions == ()


async def test_input_of_several_rounds_has_keys_of_its_own_in_each(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("name"), asks("name", state="s-2"))
    await answer_all(client, task)
    async with asyncio.timeout(10):
        while "2.name" not in (now := await client.get(task)).get("inputRequests", {}):
            assert now["status"] == "working"
            await asyncio.sleep(0.005)
    await answer_all(client, task)
    await client.until(task, "completed")
    assert [each.get("requestState") for each in client.works.params] == [None, "s-1", "s-2"]


async def test_a_state_without_questions_is_sent_back_at_once(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks(state="a"), asks(state="b"))
    assert (await client.until(task, "completed"))["result"] == DONE
    assert [each.get("requestState") for each in client.works.params] == [None, "a", "b"]
    assert all("inputResponses" not in each for each in client.works.params)


async def test_a_tool_that_asks_for_ever_fails_its_task(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, *(asks(state="a") for _ in range(ROUNDS + 5)))
    now = await client.until(task, "failed")
    assert now["error"]["code"] == -32603
    assert len(client.works.calls) == ROUNDS + 1


@pytest.mark.parametrize(
    "says",
    [
        asks(state=None),
        {"resultType": "input_required", "inputRequests": [1]},
        {"resultType": "input_required", "inputRequests": {"a": 1}},
        asks("n" * 600_000),
        asks("half \ud800"),
        asks("name", state="half \ud800"),
        {"content": [float("nan")]},
        {"content": ["half \ud800"]},
    ],
)
async def test_answers_that_cannot_be_passed_on_fail_the_task(start: Start, says: Any) -> None:
    client = start(after=SOON)
    task = await asking(client, says)
    assert (await client.until(task, "failed"))["error"]["code"] == -32603


async def test_answers_that_are_too_long_are_refused(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("name"))
    await client.until(task, "input_required")
    said = {"1.name": {"content": "x" * 600_000}}
    assert code(await client.ask("update", taskId=task, inputResponses=said)) == -32602
    assert (await client.get(task))["status"] == "input_required"


async def test_a_task_that_waits_for_input_can_be_given_up(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("name"))
    await client.until(task, "input_required")
    await client.cancel(task)
    assert (await client.get(task))["status"] == "cancelled"
    await client.ask("update", taskId=task, inputResponses={"1.name": {"action": "accept"}})
    assert (await client.get(task))["status"] == "cancelled"
    assert len(client.works.calls) == 1


async def test_a_task_that_is_given_up_while_its_input_is_sent_stays_so(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("name"))
    await client.until(task, "input_required")
    client.works.free.clear()
    client.works.busy.clear()
    await answer_all(client, task)
    await client.works.busy.wait()
    await client.cancel(task)
    client.works.free.set()
    await client.tasks.close(10)
    assert (await client.get(task))["status"] == "cancelled"
    assert len(client.works.calls) == 2


async def test_input_that_comes_twice_and_to_two_processes_is_sent_once(
    start: Start, store: RedisStore
) -> None:
    one = start(after=SOON)
    task = await asking(one, asks("name"))
    two = start(works=one.works, after=SOON)
    await two.listed.listed("files", TOOLS, whole=True)
    await one.until(task, "input_required")
    one.works.free.clear()
    said = {"1.name": {"action": "accept"}}
    both = [each.ask("update", taskId=task, inputResponses=said) for each in (one, two)]
    await asyncio.gather(*both)
    polls = [each.get(task) for each in (one, two, one, two)]
    assert {now["status"] for now in await asyncio.gather(*polls)} == {"working"}
    one.works.free.set()
    for each in (one, two):
        assert (await each.until(task, "completed"))["result"] == DONE
    assert len(one.works.calls) == 2


async def test_input_that_a_process_took_before_it_crashed_is_sent_by_another(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two = start(after=SOON), start(after=SOON)
    task = await asking(one, asks("name"))
    await one.until(task, "input_required")
    monkeypatch.setattr(one.tasks, "_go_on", lambda known, note: None)
    await answer_all(one, task)
    await two.listed.listed("files", TOOLS, whole=True)
    assert (await two.until(task, "completed"))["result"] == DONE
    assert (len(one.works.calls), len(two.works.calls)) == (1, 1)


async def test_input_for_a_tool_that_its_server_changed_meanwhile_is_held(start: Start) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("name"))
    await client.until(task, "input_required")
    client.listed.changed.add("read")
    await answer_all(client, task)
    assert not (await client.held()).call.mcp.accepted  # type: ignore[union-attr]
    assert len(client.works.calls) == 1


# tasks of the server inside of ours ---------------------------------------------------------

THEIRS = {"resultType": "task", "taskId": "theirs", "status": "working"}


async def test_a_task_that_the_server_makes_of_a_held_call_is_asked_for_there(
    start: Start,
) -> None:
    client = start()
    client.caller = replace(client.caller, headers=(("Mcp-Name", "ilt_1"), ("Accept", "*/*")))
    client.works.says = [THEIRS]
    client.works.remote = {"result": {"resultType": "complete", "taskId": "theirs", "status": "x"}}
    task = await client.task()
    await client.approve()
    assert await client.until(task, "x") == {
        "resultType": "complete",
        "taskId": task,
        "status": "x",
    }
    passed = client.works.passed[-1]
    assert json.loads(passed.body)["params"]["taskId"] == "theirs"
    assert [each for each in passed.headers if each[0].lower() == "mcp-name"] == [
        ("Mcp-Name", "theirs")
    ]
    client.works.remote = {"result": {"resultType": "complete"}}
    await client.update(task, {"a": {}})
    await client.cancel(task)
    methods = [json.loads(call.body)["method"] for call in client.works.passed[-2:]]
    assert methods == ["tasks/update", "tasks/cancel"]


@pytest.fixture
async def gated(start: Start) -> tuple[Client, str]:
    """A client, and its task that is one of the server's own, where updates are judged."""
    client = start()
    server = replace(client.caller.server, gates=frozenset({"tasks/update"}))
    client.caller = replace(
        client.caller,
        server=server,
        holding=Holding(seconds=0.05),
        headers=(("Mcp-Method", "tasks/update"), ("Mcp-Name", "ilt_1")),
    )
    client.works.says = [THEIRS]
    client.works.remote = {"result": {"resultType": "complete", "status": "x"}}
    task = await client.task()
    await client.approve()
    await client.until(task, "x")
    client.works.passed.clear()
    return client, task


INPUT = {"a": {"action": "accept", "content": {"confirm": "DROP TABLE"}}}


async def test_an_update_of_a_task_of_the_servers_own_is_judged_where_updates_are(
    gated: tuple[Client, str],
) -> None:
    """Fault caught: under the name that the client knows, a gated message went out unjudged."""
    client, task = gated
    sent = len(client.works.calls)

    held = await client.ask("update", taskId=task, inputResponses=INPUT)

    assert code(held) == results.REFUSED and "NOT EXECUTED YET" in held["error"]["message"]
    assert client.works.passed == [] and len(client.works.calls) == sent
    action = await client.held()
    assert action.call.mcp is not None and action.call.mcp.name == "tasks/update"
    asked = json.loads(action.call.body)["params"]
    assert (asked["taskId"], asked["inputResponses"]) == ("theirs", INPUT)

    client.works.says = [{"resultType": "complete"}]
    await client.approve()
    await client.update(task, INPUT)
    await client.update(task, INPUT)

    (call,) = client.works.calls[sent:]
    assert json.loads(call.body)["params"]["taskId"] == "theirs"
    assert [value for name, value in call.headers if name.lower() == "mcp-name"] == ["theirs"]
    assert client.works.passed == []


async def test_a_rejected_update_never_reaches_the_servers_own_task(
    gated: tuple[Client, str],
) -> None:
    client, task = gated
    sent = len(client.works.calls)
    await client.ask("update", taskId=task, inputResponses=INPUT)
    await client.world.says(await client.held(), verdict=Verdict.REJECT)

    refused = await client.ask("update", taskId=task, inputResponses=INPUT)

    assert code(refused) == results.REFUSED
    assert len(client.works.calls) == sent and client.works.passed == []
    await client.ask("cancel", taskId=task)  # which is not gated
    assert len(client.works.passed) == 1


async def test_a_judged_update_whose_answer_is_lost_says_so(gated: tuple[Client, str]) -> None:
    client, task = gated
    client.caller = replace(client.caller, holding=Holding(seconds=5))
    client.works.says = [UpstreamLost("It broke off.")]
    asking = client.start(client.ask("update", taskId=task, inputResponses=INPUT))
    await client.approve()

    assert "OUTCOME UNKNOWN" in (await asking)["error"]["message"]


async def test_a_judged_update_is_answered_as_soon_as_a_person_approves_it(
    gated: tuple[Client, str],
) -> None:
    client, task = gated
    client.caller = replace(client.caller, holding=Holding(seconds=5))
    client.works.says, client.works.events = [{"resultType": "complete"}], True
    asking = client.start(client.ask("update", taskId=task, inputResponses=INPUT))
    await client.approve()

    assert (await asking)["result"] == {"resultType": "complete"}


async def test_a_task_of_a_server_that_is_down_is_still_being_worked_on(start: Start) -> None:
    client = start()
    client.works.says = [THEIRS]
    client.works.remote = {"error": {"code": -32602, "message": "no"}}
    task = await client.task()
    await client.approve()
    async with asyncio.timeout(10):
        while not client.works.passed:
            await client.ask("get", taskId=task)
    assert code(await client.ask("get", taskId=task)) == -32602
    client.works.remote = None
    assert (await client.get(task))["status"] == "working"
    assert code(await client.ask("cancel", taskId=task)) == -32603


async def test_a_note_that_somebody_changed_in_the_store_moves_nothing(
    start: Start, store: RedisStore
) -> None:
    client = start(after=SOON)
    task = await asking(client, asks("name"))
    await client.until(task, "input_required")
    await store.client.hset(f"{store._prefix}:task:{task}", "ver", "9")
    assert code(await client.ask("get", taskId=task)) == -32603
    said = {"1.name": {"action": "accept"}}
    assert code(await client.ask("update", taskId=task, inputResponses=said)) == -32603
    assert len(client.works.calls) == 1
