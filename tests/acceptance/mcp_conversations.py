"""What models of real clients ask for through Interlock, what people say, and what comes of it."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from tests.acceptance.mcp_clients.environments import CLIENTS, Call
from tests.acceptance.mcp_clients.models import Model
from tests.acceptance.mcp_clients.wire import wire
from tests.acceptance.mcp_world import World

PIPED = ("mcp-1", "mcp-2", "fastmcp", "ts-1", "ts-2")
STREAMED = ("mcp-1", "ts-1")  #: over HTTP+SSE, to a server of 2024-11-05
PAIRS = (
    *((client, "http") for client in CLIENTS),
    *((client, "stdio") for client in PIPED),
    *((client, "sse") for client in STREAMED),
)
ROUNDS = ("ts-2", "mcp-2", "pydantic-ai")
TASKS = ("fastmcp", "pydantic-ai")

TIME_OUT = 2.0  #: seconds, of a client that is held for too long
START_OUT = 6.0  #: the same, where it counts for the start of the server too
HANG_UP = {"mcp-2", "fastmcp", "openai-agents", "pydantic-ai", "ts-2"}
TAKE_BACK = frozenset(
    {
        *((client, "http") for client in ("mcp-2-legacy", "ts-1", "ts-2-legacy")),
        *((client, "stdio") for client in ("mcp-2", "fastmcp", "ts-1", "ts-2")),
        ("ts-1", "sse"),
    }
)
"""Who says `notifications/cancelled` when its time is out: the call is taken back by that."""
DIES = frozenset({("fastmcp", "http"), ("pydantic-ai", "http")})
"""Whose session may be dead after a time-out, with and without Interlock: a race in FastMCP."""
MEASURED = "MCP_CLIENTS_MEASURED"
"""Names the file that gets each case as a line of JSON; `mcp_table` makes the table from it."""


@dataclass(kw_only=True)
class Case:
    """One case: what the model was told, in turn, what the server ran, how often people were asked.

    `text` is what the call was about: nothing else speaks of it.
    """

    name: str
    text: str
    calls: list[Call] = field(default_factory=list)
    ran: list[str] = field(default_factory=list)
    asked: int = 0
    protocol: str | None = None

    @property
    def told(self) -> str:
        """The last text, as the model read it."""
        return self.calls[-1].told or ""


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """One client, over one transport, in one world."""

    world: World
    client: str
    over: str

    @property
    def time_out(self) -> float:
        """How long the client waits for an answer, where it does not wait for long."""
        start = self.over == "stdio" and not self.client.startswith("ts-")
        return START_OUT if start else TIME_OUT

    @property
    def takes_back(self) -> bool:
        return (self.client, self.over) in TAKE_BACK

    @property
    def hangs_up(self) -> bool:
        """Whether it cancels by leaving, as clients of 2026-07-28 do, so that nothing runs."""
        return self.over == "http" and self.client in HANG_UP

    @property
    def ends_sessions(self) -> bool:
        """Whether each call has a session of its own, without which nothing can be sent for it."""
        return self.client == "langchain"

    def case(self, name: str) -> Case:
        return Case(name=name, text=f"hello ({name}, {self.client} over {self.over})")

    def counted(self, case: Case, calls: list[Call], model: Model | None = None) -> Case:
        case.calls = calls
        case.ran = self.world.ran(case.text)
        case.asked = self.world.asked(case.text)
        case.protocol = model.protocol if model is not None else None
        if path := os.environ.get(MEASURED):
            measured = {"client": self.client, "over": self.over, **asdict(case)}
            with Path(path).open("a") as file:
                file.write(json.dumps(measured) + "\n")
        return case

    @contextmanager
    def model(self, agent: str, timeout: float, retries: int = 0) -> Iterator[Model]:
        with self.world.client(
            self.client, self.over, agent, timeout=timeout, retries=retries
        ) as model:
            yield model

    # while the client waits ----------------------------------------------------------------

    def decided(self) -> dict[str, Case]:
        """Policy decides, or people do while the client waits."""
        told: dict[str, tuple[Case, Call]] = {}
        with self.model("patient", timeout=30) as model:
            case = self.case("allowed")
            told["allowed"] = case, model.calls("read", note=case.text)
            case = self.case("denied")
            told["denied"] = case, model.calls("wipe", folder=case.text)
            for name, verdict, message in (
                ("approved", "approve", ""),
                ("edited", "edit", "Calmer"),
                ("rejected", "reject", "Not on a Friday"),
            ):
                case = self.case(name)
                changed = {"edited_args": {"text": f"{case.text}, please"}}
                more: dict[str, Any] = changed if verdict == "edit" else {}
                model.asks("post", text=case.text)
                self.world.decide(case.text, verdict, message=message, **more)
                told[name] = case, model.is_told()
            case = self.case("expired")
            told["expired"] = case, model.calls("brief", text=case.text)
        return {name: self.counted(case, [call], model) for name, (case, call) in told.items()}

    # longer than the client waits ----------------------------------------------------------

    def told_in_time(self) -> dict[str, Case]:
        """The hold is shorter than the client's time-out, and people take longer than both."""
        again, waited = self.case("sent again"), self.case("waited for")
        with self.model("brief", timeout=self.time_out) as model:
            calls = [model.calls("post", text=again.text)]
            self.world.decide(again.text, "approve")
            calls.append(model.calls("post", text=again.text))
            others = [model.calls("post", text=waited.text)]
            reference = self.world.decide(waited.text, "approve")
            others.append(model.calls("interlock_wait", call=reference))
        return {"again": self.counted(again, calls), "waited": self.counted(waited, others)}

    def told_too_late(self) -> Case:
        """The client is held for longer than it waits, as nobody has said what it can take."""
        case = self.case("too late")
        agent = "unset" if self.time_out == TIME_OUT else "patient"
        retries = 1 if self.client == "openai-agents" else 0
        with ExitStack() as stack:
            model = stack.enter_context(self.model(agent, self.time_out, retries))
            model.asks("post", text=case.text)
            reference = self.world.held(case.text)["id"]
            calls = [model.is_told()]
            if (self.client, self.over) in DIES:
                stack.pop_all().close()
                model = stack.enter_context(self.model(agent, self.time_out))
            if self.takes_back:
                self.world.gate.becomes(reference, "cancelled")
                model.asks("post", text=case.text)
                self.world.decide(case.text, "approve")
                calls.append(model.is_told())
            else:
                self.world.decide(case.text, "approve")
                if self.hangs_up:
                    self.world.gate.becomes(reference, "approved")
                elif not self.ends_sessions:  # it runs for nobody: `orphans` is `execute`
                    self.world.gate.becomes(reference, "answered")
                calls.append(model.calls("post", text=case.text))
        return self.counted(case, calls)


def in_rounds(world: World) -> dict[str, Case]:
    """Each client asks again on its own, several times, until a person approves. All at once."""
    cases = {}
    with ExitStack() as stack:
        listening = {}
        for client in ROUNDS:
            listening[client] = stack.enter_context(wire(world.gate.agents))
            model = stack.enter_context(
                world.client(client, agent="rounds", at=listening[client].url, timeout=30)
            )
            cases[client] = (Conversation(world=world, client=client, over="rounds"), model)
        told = {name: talk.case("in rounds") for name, (talk, _) in cases.items()}
        for name, (_, model) in cases.items():
            model.asks("post", text=told[name].text)
        for client, heard in listening.items():
            heard.hears(b'"requestState"', times=1)
            world.decide(told[client].text, "approve")
        calls = {name: model.is_told() for name, (_, model) in cases.items()}
    return {name: talk.counted(told[name], [calls[name]]) for name, (talk, _) in cases.items()}


def as_task(world: World, client: str) -> dict[str, Case]:
    """The client is given a task and polls it; a person approves one and rejects the other."""
    talk = Conversation(world=world, client=client, over="tasks")
    told = {}
    with (
        wire(world.gate.agents) as heard,
        world.client(client, agent="brief", at=heard.url, timeout=30, task=True) as model,
    ):
        for verdict in ("approve", "reject"):
            case = talk.case(f"a task, {verdict}")
            model.asks("post", text=case.text)
            heard.hears(b'"tasks/get"')
            world.decide(case.text, verdict, message="Not on a Friday")
            told[verdict] = case, model.is_told()
            heard.forgets()
    return {name: talk.counted(case, [call]) for name, (case, call) in told.items()}
