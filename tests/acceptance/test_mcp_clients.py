"""Real MCP clients through a real Interlock: what their models are told, and what the server ran.

Each is driven as its makers ship it (requirements/mcp-clients-*.lock), over streamable HTTP, over
pipes through `interlock mcp`, and over HTTP+SSE.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.acceptance.mcp_conversations import (
    PAIRS,
    ROUNDS,
    TASKS,
    Case,
    Conversation,
    as_task,
    in_rounds,
)
from tests.acceptance.mcp_world import World, world

pytestmark = pytest.mark.slow

NOT_EXECUTED = {
    "denied": 'Policy refused this call: "Notes are kept for ten years"',
    "rejected": 'A person reviewed this call and rejected it: "Not on a Friday"',
    "expired": "This call needed a person's approval and its time ran out",
}
TOLD_TOO_LATE = {
    "mcp-1": "McpError: Timed out while waiting for response to ClientRequest. Waited {} seconds.",
    "langchain": "McpError: Timed out while waiting for response to ClientRequest. "
    "Waited {} seconds.",
    "mcp-2": "MCPError: Request 'tools/call' timed out",
    "mcp-2-legacy": "MCPError: Request 'tools/call' timed out",
    "fastmcp": "MCPError: Request 'tools/call' timed out",
    "openai-agents": "An error occurred while running the tool. Please try again.",
    "pydantic-ai": '{{"error":"Request \'tools/call\' timed out"}}',
    "ts-1": "McpError: MCP error -32001: Request timed out",
    "ts-2": "SdkError: Request timed out",
    "ts-2-legacy": "SdkError: Request timed out",
}


@pytest.fixture(scope="module")
def the_world() -> Iterator[World]:
    with world() as running:
        yield running


# what a client is asked over any transport, it is asked in one process: it imports for seconds
@pytest.fixture(
    params=[pytest.param(p, marks=pytest.mark.xdist_group(f"mcp-{p[0]}")) for p in PAIRS],
    ids=["-".join(pair) for pair in PAIRS],
)
def talk(request: pytest.FixtureRequest, the_world: World) -> Conversation:
    client, over = request.param
    return Conversation(world=the_world, client=client, over=over)


def test_what_policy_and_people_decide_is_what_runs_and_what_the_model_is_told(
    talk: Conversation,
) -> None:
    cases = talk.decided()
    allowed, approved, edited = (cases[name] for name in ("allowed", "approved", "edited"))
    assert allowed.told == f"what {allowed.text} says"
    assert (allowed.ran, allowed.asked) == ([f"read {allowed.text}"], 0)
    assert approved.told == f"posted: {approved.text}"
    assert (approved.ran, approved.asked) == ([f"post {approved.text}"], 1)
    assert _says_that_it_was_edited(edited)
    assert (edited.ran, edited.asked) == ([f"post {edited.text}, please"], 1)
    for name, why in NOT_EXECUTED.items():
        case = cases[name]
        assert case.told.startswith(f"NOT EXECUTED. {why}")
        assert not case.calls[-1].is_error, "it ends the run of some frameworks"
        assert (case.ran, case.asked) == ([], 0 if name == "denied" else 1)


def _says_that_it_was_edited(case: Case) -> bool:
    told = case.told.replace('\\"', '"')  # pydantic-ai gives several texts as JSON
    return (
        'A person changed this call before it ran. Their reason: "Calmer"' in told
        and f'Executed instead: "post" with the arguments {{"text": "{case.text}, please"}}' in told
        and f"posted: {case.text}, please" in told
    )


def test_a_model_is_told_before_its_client_gives_up_and_gets_the_answer_when_it_comes_back(
    talk: Conversation,
) -> None:
    for case in talk.told_in_time().values():
        first, last = case.calls
        assert (first.told or "").startswith("NOT EXECUTED YET. This call waits")
        assert not first.is_error and first.seconds < talk.time_out
        assert last.told == f"posted: {case.text}"
        assert (case.ran, case.asked) == ([f"post {case.text}"], 1)


def test_a_call_that_a_client_gives_up_runs_once_when_it_is_approved_and_made_again(
    talk: Conversation,
) -> None:
    case = talk.told_too_late()
    first, last = case.calls
    assert (first.error or first.told) == TOLD_TOO_LATE[talk.client].format(talk.time_out)
    tries = 2 if talk.client == "openai-agents" else 1
    assert talk.time_out * tries <= first.seconds < talk.time_out * tries + 2
    assert last.told == f"posted: {case.text}"
    # whoever takes its call back when its time is out has to have the next one approved
    assert (case.ran, case.asked) == ([f"post {case.text}"], 2 if talk.takes_back else 1)


# what some take instead of waiting -----------------------------------------------------------


def test_clients_that_are_answered_in_rounds_come_back_by_themselves(the_world: World) -> None:
    cases = in_rounds(the_world)
    assert {name: case.told for name, case in cases.items()} == {
        name: f"posted: {cases[name].text}" for name in ROUNDS
    }
    for case in cases.values():
        assert (case.ran, case.asked) == ([f"post {case.text}"], 1)


@pytest.mark.parametrize("client", TASKS)
def test_a_client_that_takes_tasks_polls_until_people_have_decided(
    the_world: World, client: str
) -> None:
    cases = as_task(the_world, client)
    approved, rejected = cases["approve"], cases["reject"]
    assert approved.told == f"posted: {approved.text}"
    assert (approved.ran, approved.asked) == ([f"post {approved.text}"], 1)
    assert rejected.told.startswith(f"NOT EXECUTED. {NOT_EXECUTED['rejected']}")
    assert (rejected.ran, rejected.asked) == ([], 1)
