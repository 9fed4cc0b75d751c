"""What the agent reads when the tool's own answer is not what it gets."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from xml.etree import ElementTree

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Action, Agent, State, ToolCall
from interlock.core.decisions import Decision, Level, PolicyRef
from interlock.core.errors import (
    CallTooLarge,
    InterlockError,
    KeyReused,
    MalformedCall,
    NotFound,
    QueueFull,
    StoreUnavailable,
    Suspended,
    Unauthenticated,
    UpstreamLost,
    UpstreamUnreachable,
)
from interlock.ingress.aws_errors import aws
from interlock.ingress.problems import (
    Statuses,
    action_headers,
    action_notice,
    error_notice,
    problem,
)
from tests.support.servers import answer, raw_server

HELD = Action(
    id="act_1",
    call=ToolCall(agent=Agent(id="bot"), upstream="pay", method="POST", target="/"),
    state=State.HELD,
    decision=Decision(
        level=Level.APPROVE, policy=PolicyRef(name="pay", version=7, sha256="0" * 64)
    ),
    deadline=1_800_000_000_000,
)
REFUSED = replace(HELD, state=State.REJECTED, cause='Use "SEPA" <instead>.')
SETTLED = {State.ANSWERED, State.RESPONDED, State.PROPOSED}


def test_a_pending_call_says_that_nothing_was_executed_and_how_to_get_the_result():
    told = problem(action_notice(HELD, base="https://gate"))
    said = json.loads(told.body)
    assert told.status == 202
    assert dict(told.headers) == {
        "Content-Type": "application/json",
        "Cache-Control": "no-store",
        "Interlock-Call-Id": "act_1",
        "Interlock-Decision": "approve",
        "Interlock-Policy": "pay@7",
        "Retry-After": "5",
        "Location": "https://gate/v1/calls/act_1",
    }
    assert said.pop("detail").startswith("NOT EXECUTED YET. This call waits until a person")
    assert said == {
        "type": "urn:interlock:problem:pending-approval",
        "title": "Waiting for approval",
        "status": 202,
        "instance": "https://gate/v1/calls/act_1",
        "executed": False,
        "call": "act_1",
        "state": "held",
        "decision": "approve",
        "expires_at": "2027-01-15T08:00:00Z",
        "retry_after": 5,
        "status_url": "https://gate/v1/calls/act_1",
    }


def test_a_rejection_is_a_problem_with_the_reviewers_words():
    told = problem(action_notice(REFUSED))
    said = json.loads(told.body)
    assert (told.status, dict(told.headers)["Content-Type"]) == (403, "application/problem+json")
    assert said["type"] == "urn:interlock:problem:rejected-by-reviewer"
    assert said["executed"] is False
    assert r'"Use \"SEPA\" <instead>."' in said["detail"]
    assert said["detail"].startswith("NOT EXECUTED. A person")


def test_the_statuses_of_refused_and_pending_are_the_routes_to_choose():
    statuses = Statuses(denied=200, pending=503)
    refused = problem(action_notice(REFUSED, statuses))
    assert (refused.status, dict(refused.headers)["Content-Type"]) == (200, "application/json")
    pending = problem(action_notice(HELD, statuses))
    assert (pending.status, dict(pending.headers)["Retry-After"]) == (503, "5")


@pytest.mark.parametrize(
    "state", [state for state in State if state not in SETTLED], ids=lambda state: state.value
)
def test_every_state_without_an_answer_is_explained(state):
    told = problem(action_notice(replace(HELD, state=state, cause="why")))
    said = json.loads(told.body)
    assert len(said["detail"]) > 60
    assert "{" not in said["detail"]
    executed = "unknown" if state in {State.UNKNOWN, State.FORWARDING, State.RESOLVED} else False
    assert said["executed"] == executed


@pytest.mark.parametrize(
    "state", sorted(SETTLED, key=lambda state: state.value), ids=lambda state: state.value
)
def test_a_state_with_an_answer_of_its_own_has_no_notice(state):
    with pytest.raises(ValueError, match=state.value):
        action_notice(replace(HELD, state=state))


def test_an_edited_call_says_so_in_a_header():
    edited = replace(HELD, original=HELD.call)
    assert ("Interlock-Edited", "true") in action_headers(edited)
    assert ("Interlock-Edited", "true") not in action_headers(HELD)


def test_no_policy_name_can_break_a_header():
    policy = PolicyRef(name="a\r\nSet-Cookie: ü", version=1, sha256="0" * 64)
    action = replace(HELD, decision=replace(HELD.decision, policy=policy))
    assert ("Interlock-Policy", "a--Set-Cookie:--@1") in action_headers(action)


@pytest.mark.parametrize(
    ("error", "status", "executed"),
    [
        (MalformedCall("The path holds `//`."), 400, False),
        (Unauthenticated(), 401, False),
        (NotFound(), 404, False),
        (CallTooLarge(), 413, False),
        (KeyReused(), 422, False),
        (QueueFull(), 429, False),
        (Suspended(), 403, False),
        (StoreUnavailable(), 503, False),
        (UpstreamUnreachable("No route."), 502, False),
        (UpstreamLost("The connection was cut."), 504, "unknown"),
        (InterlockError("Broken.", help="Mend it."), 500, False),
    ],
)
def test_every_error_says_first_whether_anything_was_executed(error, status, executed):
    told = problem(error)
    said = json.loads(told.body)
    assert (told.status, said["status"], said["executed"]) == (status, status, executed)
    assert said["detail"].startswith("OUTCOME UNKNOWN." if executed else "NOT EXECUTED.")
    assert error.detail in said["detail"] and error.help in said["detail"]
    assert said["type"] == f"urn:interlock:problem:{error.kind}"


def test_a_stopped_agent_is_told_not_to_retry_and_to_tell_the_user():
    told = json.loads(problem(Suspended()).body)

    assert told["type"] == "urn:interlock:problem:agent-suspended"
    assert told["detail"] == (
        "NOT EXECUTED. This agent was stopped by a person. Nothing was sent."
        " Do not retry it, in this or another form; tell the user."
    )


def test_errors_carry_the_headers_that_clients_act_on():
    assert "WWW-Authenticate" in dict(problem(Unauthenticated()).headers)
    assert dict(problem(QueueFull()).headers)["Retry-After"] == "5"


# ---- AWS -------------------------------------------------------------------------------------

FORM = "application/x-www-form-urlencoded; charset=utf-8"
CALLS = {
    "s3": ("", lambda c: c.put_object(Bucket="b", Key="k", Body=b"x")),
    "ec2": (FORM, lambda c: c.terminate_instances(InstanceIds=["i-1"])),
    "iam": (FORM, lambda c: c.list_users()),
    "sts": (FORM, lambda c: c.get_caller_identity()),
    "dynamodb": ("application/x-amz-json-1.0", lambda c: c.list_tables()),
    "sqs": ("application/x-amz-json-1.0", lambda c: c.list_queues()),
    "lambda": ("", lambda c: c.list_functions()),
    "route53": ("", lambda c: c.list_hosted_zones()),
}
TRICKY = 'No </Message><Code>Fine</Code> & "quotes" \u202e \x00 ]]> é'


async def raised(service, told, retries=0):
    """Let an unmodified boto3 client make a call that is answered with *told*."""
    async with raw_server(answer(told.status, told.body, *told.headers)) as server:

        def call():
            client = boto3.client(
                service,
                endpoint_url=f"{server.url}/t/aws",
                region_name="eu-west-1",
                aws_access_key_id="ilk_agent_1_x",
                aws_secret_access_key="x",
                config=Config(retries={"max_attempts": retries}),
            )
            try:
                with pytest.raises(ClientError) as caught:
                    CALLS[service][1](client)
            finally:
                client.close()
            return caught.value

        return await asyncio.to_thread(call), server.hits


@pytest.mark.parametrize("service", CALLS)
async def test_boto3_raises_access_denied_with_the_reason(service):
    notice = action_notice(replace(REFUSED, cause=TRICKY))
    told = aws(notice, service=service, media_type=CALLS[service][0])
    error, _ = await raised(service, told)
    code = error.response["Error"]["Code"]
    assert code in {"AccessDenied", "AccessDeniedException"}
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 403
    shown = json.dumps(TRICKY, ensure_ascii=False)
    assert f"rejected it: {shown}. Do not repeat it" in error.response["Error"]["Message"]
    assert "NOT EXECUTED" in str(error)


@pytest.mark.parametrize("service", ["s3", "ec2", "iam", "dynamodb", "lambda"])
async def test_boto3_raises_pending_with_the_reason_after_its_own_retries(service):
    told = aws(action_notice(HELD), service=service, media_type=CALLS[service][0])
    error, hits = await raised(service, told, retries=1)
    assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 503
    assert error.response["Error"]["Code"] == "ApprovalPending"
    assert "NOT EXECUTED YET" in str(error) and "act_1" in str(error)
    assert hits == 2


def test_an_aws_answer_is_never_a_success():
    for denied, pending in ((200, 202), (403, 503)):
        statuses = Statuses(denied=denied, pending=pending)
        for state in set(State) - SETTLED:
            notice = action_notice(replace(HELD, state=state), statuses)
            assert aws(notice, service="s3", media_type="").status >= 400


def test_errors_have_an_aws_shape_too():
    told = aws(MalformedCall("Bad."), service="iam", media_type=FORM)
    assert told.status == 400
    root = ElementTree.fromstring(told.body)
    assert root.findtext("Error/Code") == "ValidationError"
    assert root.findtext("Error/Message") == error_notice(MalformedCall("Bad.")).detail


@given(st.text(), st.sampled_from(["s3", "ec2", "iam"]))
def test_no_text_breaks_the_xml(text, service):
    notice = replace(error_notice(MalformedCall()), detail=text)
    root = ElementTree.fromstring(aws(notice, service=service, media_type=FORM).body)
    messages = list(root.iter("Message"))
    assert len(messages) == len(list(root.iter("Code"))) == 1
    assert len(messages[0]) == 0
    assert (messages[0].text or "").replace("\n", "\r") == "".join(
        c
        if c in "\t\n\r" or " " <= c <= "\ud7ff" or "\ue000" <= c <= "\ufffd" or c > "\uffff"
        else "\ufffd"
        for c in text
    ).replace("\r\n", "\r").replace("\n", "\r")


def test_no_sdk_is_made_to_repeat_a_call_whose_outcome_is_unknown() -> None:
    rendered = aws(UpstreamLost("cut"), service="s3", media_type="")

    assert rendered.status == 424 and b"OUTCOME UNKNOWN" in rendered.body
