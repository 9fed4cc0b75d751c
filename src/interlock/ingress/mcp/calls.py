"""Takes what runs a tool through the gate, and answers it by the best that its client can take.

A call is written down before anything else; then, while people decide: a task where the client
declares tasks, rounds where they are configured, a stream that is kept open, and in the end an
ordinary result that says that nothing was executed yet and how to come back for it. Used alike by
every transport.
"""

from __future__ import annotations

from typing import Protocol

from ...callers import Submission
from ...core.actions import PENDING, Action, State, ToolCall
from ...core.digest import fingerprint
from ...core.errors import (
    IllegalTransition,
    Lapsed,
    MalformedMessage,
    NotFound,
    QueueFull,
    StateUnavailable,
    StoreUnavailable,
    Suspended,
    UpstreamError,
)
from ...core.messages import INVALID_PARAMS, TOOLS_CALL, Message, asked
from ...gate import Gate
from ...mcp_ports import Definition, Definitions
from ...ports import Clock
from ...tasks import Tasks
from . import answers, own_tools, results, rounds
from .learning import Learner
from .outlook import may_be_refused
from .reading import read_call
from .results import Asker
from .rounds import Round
from .session import TASKS, Caller, Channel, Document, Live
from .waiting import SILENT, Waiting, asked_here

ROUND_MS = 120_000  #: how long a client has to come back with a token; it comes within a second


class Tasking(Protocol):
    """Makes tasks of calls that take long: `tasks.ServedTasks`."""

    async def submit(
        self, call: ToolCall, message: Message, caller: Caller
    ) -> Submission | Document:
        """As `gate.submit`; or the task that the call has become, as its tool takes long."""

    async def held(self, action: Action, message: Message, caller: Caller) -> Document | None:
        """Answer a held call with a task; None: it is answered in another way."""


class Calls:
    """Answers calls of tools, and of what else a server's settings say is judged.

    *key*: of the tokens of rounds; replicas on one store need the same.
    """

    def __init__(
        self,
        gate: Gate,
        definitions: Definitions,
        key: bytes,
        clock: Clock,
        *,
        tasks: Tasking | None = None,
    ) -> None:
        self._gate = gate
        self._definitions = definitions
        self._key = key
        self._clock = clock
        self._tasks = tasks
        self._running = Tasks()
        self.learner = Learner(definitions, self._running)
        self._waiting = Waiting(gate, self._running)

    async def answer(self, message: Message, caller: Caller, channel: Channel) -> Document | Live:
        """Return the response to *message*, with its id; or the server's own answer, as it comes.

        Raises:
            MalformedCall: it is not taken; `results.malformed` words it, with HTTP status 400.
        """
        try:
            own = own_tools.asked(message, caller)
        except MalformedMessage as misfit:
            said = f"NOT EXECUTED. {misfit.detail} Correct the call and send it again."
            return results.told(said, {}, results.asker(message, caller))
        if own is not None:
            return await self._own(own, message, caller, channel)
        definition = await self._definition(message, caller)
        try:
            return await self._judged(message, caller, channel, definition)
        except (QueueFull, StoreUnavailable, Suspended, UpstreamError) as error:
            return results.failure(error, self._asker(message, caller, definition))

    async def learn(self, message: Message, caller: Caller) -> None:
        """Have the server listed, so that what it says of its tools is known."""
        await self.learner.learn(message, caller)

    async def close(self, seconds: float) -> int:
        """Finish what runs in the background; return how many did not finish."""
        return await self._running.drain(seconds)

    async def _definition(self, message: Message, caller: Caller) -> Definition | None:
        name = message.params.get("name")
        if message.method != TOOLS_CALL or not isinstance(name, str):
            return None
        await self.learn(message, caller)
        return self._definitions.current(caller.server.name, name)

    def _asker(self, message: Message, caller: Caller, definition: Definition | None) -> Asker:
        shown = definition is not None and self._shown_schema(definition, caller)
        return results.asker(message, caller, schema=shown)

    def _shown_schema(self, definition: Definition, caller: Caller) -> bool:
        """Say whether the client may know an outputSchema that a refusal does not fit."""
        if "outputSchema" not in definition.document:
            return False
        policy, server = self._gate.policy, caller.server.name
        foreseen = definition.accepted and may_be_refused(policy, server, definition.document)
        return not foreseen

    # the ladder ----------------------------------------------------------------------------

    async def _judged(
        self, message: Message, caller: Caller, channel: Channel, definition: Definition | None
    ) -> Document | Live:
        number, action = 0, None
        if rounds.is_ours(message.params.get(rounds.STATE)):
            call, number, action = await self._returned(message, caller, definition)
        else:
            call = read_call(message, caller, definition)
        if action is not None and action.state not in PENDING:
            return results.outcome(action, self._asker(message, caller, definition))
        submission = await self._submission(call, action, message, caller)
        if not isinstance(submission, Submission):
            return submission
        action = submission.action
        if submission.relay is not None:
            return Live(relay=submission.relay, action=action)
        to = self._asker(message, caller, definition)
        if submission.failure is not None:
            return results.failure(submission.failure, to, action)
        if action.state not in PENDING:
            return results.outcome(action, to)
        task = await self._task(action, message, caller)
        if task is not None:
            return task
        return await self._hold(action, message, caller, channel, to, number)

    async def _submission(
        self, call: ToolCall, known: Action | None, message: Message, caller: Caller
    ) -> Submission | Document:
        """Take *call* as far as it goes without a person; or the task that it has become."""
        if known is not None:
            return await self._gate.join(known.id, call)
        if self._tasks is None or not declares_tasks(caller):
            return await self._gate.submit(call)
        return await self._tasks.submit(call, message, caller)

    async def _task(self, action: Action, message: Message, caller: Caller) -> Document | None:
        if self._tasks is None or not caller.holding.tasks or not declares_tasks(caller):
            return None
        return await self._tasks.held(action, message, caller)

    async def _hold(
        self,
        action: Action,
        message: Message,
        caller: Caller,
        channel: Channel,
        to: Asker,
        number: int,
    ) -> Document | Live:
        """Wait as long as the client can take, then say how to come back."""
        holding = caller.holding
        more = min(holding.rounds, rounds.MOST) if caller.modern else 0
        seconds = holding.round_seconds if more else holding.seconds
        if not channel.streams:
            seconds = min(seconds, SILENT)
        with self._waiting.named(message, caller, action):
            submission = await self._waiting.follow(action, message, caller, channel, seconds)
        action = submission.action
        if submission.relay is not None:
            return _live(submission, to)
        if number < more and action.state in PENDING and not _unsent(action):
            return results.come_back(to, self._token(action, number + 1, caller))
        if action.state in PENDING:
            await self._waiting.told(action)
        return results.outcome(action, to)

    # rounds --------------------------------------------------------------------------------

    def _token(self, action: Action, number: int, caller: Caller) -> str:
        first = action.original or action.call
        params = asked(first)
        held = Round(
            action=action.id,
            fingerprint=fingerprint(first),
            number=number,
            expires=self._clock.now_ms() + ROUND_MS,
            continues=rounds.STATE in params or rounds.INPUTS in params,
        )
        return rounds.issue(held, caller.agent.id, caller.server.name, self._key)

    async def _returned(
        self, message: Message, caller: Caller, definition: Definition | None
    ) -> tuple[ToolCall, int, Action | None]:
        """Return the call that comes back with a token of ours, which round it is, and its action.

        A token that is too old counts as none: the call is judged as a new one, and joins.

        Raises:
            MalformedMessage: the token is not the caller's, or came with another call.
        """
        token = message.params[rounds.STATE]
        held = rounds.redeem(token, caller.agent.id, caller.server.name, self._key)
        try:
            action = await self._gate.of_agent(held.action, caller.agent.id)
        except StoreUnavailable as error:
            raise StateUnavailable from error
        if held.continues and action is None:
            raise MalformedMessage(
                "This `requestState` has lapsed. Send the call again from its beginning.",
                code=INVALID_PARAMS,
            )
        before = asked(action.original or action.call) if action and held.continues else None
        call = read_call(rounds.restored(message, before), caller, definition)
        if fingerprint(call) != held.fingerprint:
            raise MalformedMessage(
                "This `requestState` belongs to another call. Send it with the params that it was"
                " given for, or send this call without it.",
                code=INVALID_PARAMS,
            )
        if held.expires < self._clock.now_ms():
            return call, 0, None
        return call, held.number, action

    # our own tools -------------------------------------------------------------------------

    async def _own(
        self, own: own_tools.Asked, message: Message, caller: Caller, channel: Channel
    ) -> Document | Live:
        to = results.asker(message, caller)
        try:
            action = await self._mine(own.call, caller)
            if action is None:
                said = f"NOT FOUND. You have no call `{own.call}` at this server."
                return results.told(said, {}, to)
            if own.name == own_tools.CANCEL:
                return await self._take_back(action, caller, to)
            return await self._wait(action, own.seconds, message, caller, channel, to)
        except StoreUnavailable as error:
            known = error if isinstance(error, StateUnavailable) else StateUnavailable()
            return results.failure(known, to)

    async def _mine(self, action_id: str, caller: Caller) -> Action | None:
        action = await self._gate.of_agent(action_id, caller.agent.id)
        mine = action is not None and action.call.upstream == caller.server.name
        return action if mine else None

    async def _wait(
        self,
        action: Action,
        seconds: float,
        message: Message,
        caller: Caller,
        channel: Channel,
        to: Asker,
    ) -> Document | Live:
        if action.state in PENDING:
            action = (await self._gate.join(action.id, asked_here(action.call, caller))).action
        if action.state in PENDING:
            seconds = seconds if channel.streams else min(seconds, SILENT)
            alone = answers.may_need_asker(action)
            wait = self._waiting.settle if alone else self._waiting.follow
            submission = await wait(action, message, caller, channel, seconds)
            action = submission.action
            if submission.relay is not None:
                return _live(submission, to)
            if action.state in PENDING:
                await self._waiting.told(action)
        return answers.for_own_tool(results.outcome(action, to), action) or results.told(
            answers.ASK_AGAIN, results.meta(action), to
        )

    async def _take_back(self, action: Action, caller: Caller, to: Asker) -> Document:
        try:
            action = await self._gate.cancel(action.id, caller.agent.id)
        except (IllegalTransition, Lapsed):
            action = await self._gate.get(action.id) or action
            said = f"TOO LATE. The call `{action.id}` cannot be taken back any more: it is"
            return results.told(f"{said} {action.state.value}.", results.meta(action), to)
        return results.outcome(action, to)

    # notifications -------------------------------------------------------------------------

    async def cancelled(self, message: Message, caller: Caller) -> bool:
        """Take back the call of a request that its client has cancelled, where it is held here.

        Returns whether that is all there is to do; else the notification is for the server.
        """
        action_id = self._waiting.waits_for(message.params.get("requestId"), caller)
        if action_id is None:
            return False
        if self._waiting.others_wait(action_id):
            return True
        try:
            await self._gate.cancel(action_id, caller.agent.id)
        except (NotFound, IllegalTransition, Lapsed):
            return False  # it is at the server already, or settled
        except StoreUnavailable:
            return True  # it was not sent; what is not attended lapses
        return True


def declares_tasks(caller: Caller) -> bool:
    """Say whether the client takes tasks in place of results."""
    extensions = caller.capabilities.get("extensions")
    return caller.modern and isinstance(extensions, dict) and TASKS in extensions


def _live(submission: Submission, to: Asker) -> Live:
    assert submission.relay is not None  # noqa: S101 -- whoever calls has looked
    foreign = answers.is_foreign(submission.action, to.id, to.progress)
    return Live(relay=submission.relay, action=submission.action, foreign_id=foreign)


def _unsent(action: Action) -> bool:
    """Approved, tried, provably not sent: waiting longer changes nothing."""
    return action.state is State.APPROVED and action.fence > 0
