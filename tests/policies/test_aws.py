"""What an unmodified boto3 sends is what `policies/aws.yaml` says; nothing leaves the process."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSPreparedRequest
from botocore.config import Config

from interlock.core.actions import Agent, ToolCall
from interlock.core.decisions import Level
from interlock.ingress.wire import RawRequest, Settings, parse_call
from interlock.policies.load import load_policies
from interlock.policies.suite_document import FactsEntry
from interlock.policies.suite_facts import judged
from tests.policies.building import NOON

POLICY = load_policies([Path(__file__).parents[2] / "policies/aws.yaml"])
PREFIX = "http://127.0.0.1:1/t/aws"
SETTINGS = Settings(forward=frozenset({"content-type", "x-amz-*"}), service="aws_sigv4")
ADMIN = "arn:aws:iam::aws:policy/AdministratorAccess"


class Caught(Exception):
    """Carries the request that would have been sent."""


def sent(service: str, operation: str, **arguments: Any) -> ToolCall:
    client = boto3.client(
        service,
        endpoint_url=PREFIX,
        region_name="us-east-1",
        aws_access_key_id="AKIAEXAMPLE",
        aws_secret_access_key="example",
        config=Config(retries={"max_attempts": 1}),
    )

    def catch(request: AWSPreparedRequest, **_: Any) -> None:
        raise Caught(request)

    client.meta.events.register("before-send", catch)
    with pytest.raises(Caught) as caught:
        getattr(client, operation)(**arguments)
    return parsed(caught.value.args[0])


def parsed(request: AWSPreparedRequest) -> ToolCall:
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    headers = tuple(
        (name, value.decode() if isinstance(value, bytes) else str(value))
        for name, value in request.headers.items()
    )
    raw = RawRequest(
        method=request.method,
        target=request.url.removeprefix(PREFIX),
        headers=headers,
        body=body if isinstance(body, bytes) else body.encode(),
    )
    return parse_call(raw, SETTINGS, agent=Agent(id="bot"), upstream="aws")


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "tool", "level"),
    [
        ("s3", "list_buckets", {}, "s3.ListBuckets", Level.ALLOW),
        ("s3", "list_objects_v2", {"Bucket": "bkt", "Prefix": "a/"}, "s3.ListObjects", Level.ALLOW),
        ("s3", "get_object", {"Bucket": "bkt", "Key": "a/b c"}, "s3.GetObject", Level.ALLOW),
        ("s3", "head_object", {"Bucket": "bkt", "Key": "k"}, "s3.GetObject", Level.ALLOW),
        ("s3", "create_bucket", {"Bucket": "bkt"}, "s3.CreateBucket", Level.NOTIFY),
        (
            "s3",
            "put_object",
            {"Bucket": "reports", "Key": "a/k+1", "Body": b"hello"},
            "s3.PutObject",
            Level.NOTIFY,
        ),
        (
            "s3",
            "put_object",
            {"Bucket": "bkt", "Key": "k", "Body": b"x", "ACL": "public-read"},
            "s3.PutObjectPublic",
            Level.APPROVE_DUAL,
        ),
        ("s3", "delete_bucket", {"Bucket": "bkt"}, "s3.DeleteBucket", Level.APPROVE),
        ("s3", "delete_object", {"Bucket": "bkt", "Key": "k"}, "s3.DeleteObject", Level.APPROVE),
        (
            "s3",
            "put_bucket_acl",
            {"Bucket": "bkt", "ACL": "public-read"},
            "s3.PutBucketAclPublic",
            Level.DENY,
        ),
        ("ec2", "describe_instances", {}, "ec2.Describe", Level.ALLOW),
        (
            "ec2",
            "run_instances",
            {"ImageId": "ami-1", "MinCount": 1, "MaxCount": 1, "InstanceType": "t3.micro"},
            "ec2.RunInstances",
            Level.NOTIFY,
        ),
        (
            "ec2",
            "terminate_instances",
            {"InstanceIds": ["i-0a", "i-0b"]},
            "ec2.TerminateInstances",
            Level.APPROVE,
        ),
        ("sts", "get_caller_identity", {}, "sts.GetCallerIdentity", Level.ALLOW),
        ("iam", "list_users", {}, "iam.Read", Level.ALLOW),
        ("iam", "create_user", {"UserName": "ann"}, "iam.CreateUser", Level.NOTIFY),
        ("iam", "create_user", {"UserName": "admin2"}, "iam.CreateUser", Level.APPROVE_DUAL),
        (
            "iam",
            "attach_user_policy",
            {"UserName": "ann", "PolicyArn": ADMIN},
            "iam.AttachUserPolicy",
            Level.APPROVE_DUAL,
        ),
        (
            "iam",
            "delete_account_password_policy",
            {},
            "iam.DeleteAccountPasswordPolicy",
            Level.DENY,
        ),
        ("dynamodb", "list_tables", {}, "dynamodb.ListTables", Level.ALLOW),
        (
            "dynamodb",
            "delete_table",
            {"TableName": "ttt"},
            "dynamodb.DeleteTable",
            Level.APPROVE_DUAL,
        ),
    ],
)
def test_what_boto3_sends_is_judged_as_the_operation_that_it_is(
    service: str, operation: str, arguments: dict[str, Any], tool: str, level: Level
) -> None:
    decision = judged(sent(service, operation, **arguments), POLICY, FactsEntry(), NOON)

    assert (decision.tool, decision.level) == (tool, level), decision.trace


def test_an_operation_that_is_in_no_entry_is_held() -> None:
    decision = judged(sent("ec2", "delete_vpc", VpcId="vpc-1"), POLICY, FactsEntry(), NOON)

    assert (decision.reason, decision.level) == ("unknown_tool", Level.APPROVE)
