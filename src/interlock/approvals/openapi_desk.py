"""What the OpenAPI document says of people, agents, batches and the past."""

from __future__ import annotations

from ..core.actions import State
from . import models_decisions, models_desk
from .operation import CSRF, IN_PATH, Operation, query

_AGENT = {
    "name": "id",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9@._+-]{1,128}$"},
    "description": "the agent; `-`: all of them",
}
_TEXT = {"type": "string", "maxLength": 200}
_TIME = {"type": "integer", "minimum": 0, "maximum": 10**15 - 1}
_PAST = (
    query("agent", _TEXT, "only this agent's"),
    query("tool", _TEXT, "only this catalogue entry's"),
    query("state", {"enum": [state.value for state in State]}, "only those in this state"),
    query("by", _TEXT, "only those that this person had to do with"),
    query("q", _TEXT, "occurs in tool, destination, arguments or reasons, in any case"),
    query("since", _TIME, "not before, ms since the epoch"),
    query("until", _TIME, "not after, ms since the epoch"),
    query("limit", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}, "per page"),
    query(
        "cursor",
        {"type": "string", "pattern": "^([0-9]{1,20}-[0-9A-Za-z_-]{1,64})?$"},
        "`next` of the page before",
    ),
)

OPERATIONS = (
    Operation(
        method="POST",
        path="/v1/approvals/{id}/look",
        name="look",
        summary="Say that the call is in sight, or is closed; who else has it open",
        answers=models_desk.LookView,
        takes=models_desk.LookRequest,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 415, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/assign",
        name="assign",
        summary="Ask a colleague to decide a call; others who may still may",
        answers=models_desk.AssignmentView,
        takes=models_desk.AssignRequest,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 409, 415, 421, 422, 503),
    ),
    Operation(
        method="POST",
        path="/v1/approvals/{id}/escalate",
        name="escalate",
        summary="Let those decide now whom policy names for later",
        answers=models_decisions.Outcome,
        takes=models_desk.EscalateRequest,
        parameters=(IN_PATH, CSRF),
        refusals=(400, 401, 403, 404, 409, 410, 412, 415, 421, 503),
        headers={"ETag": "the version, in quotes"},
    ),
    Operation(
        method="POST",
        path="/v1/approvals/decisions",
        name="decideSeveral",
        summary="Approve or reject up to 50 calls, each named; a verdict for each",
        answers=models_desk.BatchOutcome,
        takes=models_desk.BatchRequest,
        refusals=(400, 401, 403, 415, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/history",
        name="searchHistory",
        summary="Calls that people had to do with, latest first",
        answers=models_desk.Past,
        parameters=_PAST,
        refusals=(400, 401, 403, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/people",
        name="listPeople",
        summary="Who can be asked, and how much is asked of each",
        answers=models_desk.PeopleList,
    ),
    Operation(
        method="DELETE",
        path="/v1/people/{id}/away",
        name="endAbsence",
        summary="End somebody's absence: nobody stands in for them any more (admins)",
        answers=models_desk.PeopleList,
        parameters=(_AGENT | {"description": "whose"}, CSRF),
        refusals=(401, 403, 404, 421, 503),
    ),
    Operation(
        method="GET",
        path="/v1/me",
        name="whoAmI",
        summary="Who you are, for whom you stand in, how much you may still approve",
        answers=models_desk.Me,
    ),
    Operation(
        method="PUT",
        path="/v1/me/away",
        name="goAway",
        summary="Be away, and say who stands in",
        answers=models_desk.Me,
        takes=models_desk.AwayRequest,
        parameters=(CSRF,),
        refusals=(400, 401, 403, 415, 421, 422, 503),
    ),
    Operation(
        method="DELETE",
        path="/v1/me/away",
        name="comeBack",
        summary="Be back: nobody stands in any more",
        answers=models_desk.Me,
        parameters=(CSRF,),
    ),
    Operation(
        method="GET",
        path="/v1/agents",
        name="listAgents",
        summary="Agents that have a key, a held or recent call, or are stopped",
        answers=models_desk.AgentList,
    ),
    Operation(
        method="POST",
        path="/v1/agents/{id}/suspend",
        name="suspendAgent",
        summary="Stop an agent: once this is answered, no send of it starts",
        answers=models_desk.AgentState,
        takes=models_desk.SuspendRequest,
        parameters=(_AGENT, CSRF),
        refusals=(400, 401, 403, 404, 415, 421, 429, 503),
    ),
    Operation(
        method="POST",
        path="/v1/agents/{id}/resume",
        name="resumeAgent",
        summary="Let an agent go on (admins and approvers who do not own it)",
        answers=models_desk.AgentState,
        parameters=(_AGENT, CSRF),
        refusals=(401, 403, 404, 421, 503),
    ),
)
