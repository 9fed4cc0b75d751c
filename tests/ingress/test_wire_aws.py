"""Requests signed by AWS SDKs: the scope is read, the signature goes, the bytes stay."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace

import boto3
import pytest

from interlock.core.actions import Agent, Body
from interlock.core.digest import digest
from interlock.core.errors import MalformedCall
from interlock.ingress.wire import (
    AWS_SIGV4,
    DEFAULT_FORWARD,
    UNSIGNED_TRAILER,
    RawRequest,
    Settings,
    agent_key,
    parse_call,
    sigv4_scope,
)
from tests.support.servers import answer, raw_server, self_signed

KEY = "ilk_agent_7f_secret"
BOT = Agent(id="bot", owner="ann")
SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={KEY}/20261122/eu-west-1/s3/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00ff"
)
AWS = Settings(
    service=AWS_SIGV4, forward=DEFAULT_FORWARD | {"x-amz-*", "content-md5", "authorization"}
)


def read(method, target, *headers, settings=AWS, body=b""):
    request = RawRequest(method=method, target=target, headers=headers, body=body)
    return parse_call(request, settings, agent=BOT, upstream="aws")


def test_service_and_region_come_from_the_signature_and_are_sealed():
    call = read("PUT", "/b", ("Authorization", SIGNED), settings=AWS)
    assert (call.service, call.region) == ("s3", "eu-west-1")
    assert call.digest != digest(replace(call, service="iam"))


def test_the_agents_signature_never_passes_and_what_it_signed_does():
    call = read(
        "PUT",
        "/b/k",
        ("Authorization", SIGNED),
        ("X-Amz-Date", "20261122T000000Z"),
        ("X-Amz-Security-Token", "t"),
        ("X-Amz-Content-SHA256", "ab" * 32),
        ("x-amz-checksum-crc32", "NhCmhg=="),
        ("amz-sdk-request", "attempt=1; max=3"),
        settings=AWS,
    )
    assert call.headers == (("x-amz-checksum-crc32", "NhCmhg=="),)


def test_an_unsigned_trailer_passes_as_opaque_bytes():
    call = read(
        "PUT",
        "/b/k",
        ("Authorization", SIGNED),
        ("Content-Encoding", "aws-chunked"),
        ("X-Amz-Content-SHA256", UNSIGNED_TRAILER),
        settings=AWS,
        body=b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n",
    )
    assert call.content.kind is Body.OPAQUE
    assert ("X-Amz-Content-SHA256", UNSIGNED_TRAILER) in call.headers


def test_a_body_signed_chunk_by_chunk_is_refused_with_the_setting_that_helps():
    with pytest.raises(MalformedCall, match="request_checksum_calculation"):
        read(
            "PUT",
            "/b/k",
            ("Authorization", SIGNED),
            ("X-Amz-Content-SHA256", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"),
            settings=AWS,
        )


def test_without_a_signature_there_is_no_service_and_no_call():
    with pytest.raises(MalformedCall, match="Signature Version 4"):
        read("GET", "/", ("Interlock-Key", KEY), settings=AWS)


def test_a_presigned_url_is_refused():
    with pytest.raises(MalformedCall, match="Presigned"):
        read("GET", "/b/k?X-Amz-Signature=00", ("Authorization", SIGNED), settings=AWS)


def test_the_scope_of_a_signature():
    assert sigv4_scope(SIGNED) == (KEY, "eu-west-1", "s3")


@pytest.mark.parametrize(
    "value",
    [
        "",
        "Bearer x",
        SIGNED.replace("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
        SIGNED.replace("/s3/", "/"),
        SIGNED.replace("eu-west-1", "EU WEST"),
        SIGNED + "," + SIGNED.partition(" ")[2].replace("s3", "iam"),
    ],
)
def test_a_scope_that_cannot_be_read_once_is_refused(value):
    with pytest.raises(MalformedCall):
        sigv4_scope(value)


# ---- what boto3 really sends ------------------------------------------------------------------

OPERATIONS = {
    "s3 PutObject": ("s3", lambda c: c.put_object(Bucket="b", Key="a b+;ü/é.txt", Body=b"hello")),
    "s3 ListObjectsV2": ("s3", lambda c: c.list_objects_v2(Bucket="b", Prefix="a/")),
    "s3 DeleteBucket": ("s3", lambda c: c.delete_bucket(Bucket="b")),
    "s3 ListBuckets": ("s3", lambda c: c.list_buckets()),
    "ec2 TerminateInstances": ("ec2", lambda c: c.terminate_instances(InstanceIds=["i-1"])),
    "iam ListUsers": ("iam", lambda c: c.list_users()),
    "sts GetCallerIdentity": ("sts", lambda c: c.get_caller_identity()),
    "dynamodb ListTables": ("dynamodb", lambda c: c.list_tables()),
}


async def sent_by_boto3(service, operation, *, tls=None, ca=None):
    """Record the first request of an unmodified client whose base URL has a path."""
    async with raw_server(answer(400, b"<Error/>"), tls=tls) as server:
        scheme = "https" if tls else "http"

        def call():
            client = boto3.client(
                service,
                endpoint_url=f"{scheme}://127.0.0.1:{server.port}/t/aws",
                region_name="eu-west-1",
                aws_access_key_id=KEY,
                aws_secret_access_key="any",
                verify=str(ca) if ca else None,
            )
            with pytest.raises(client.exceptions.ClientError):
                operation(client)
            client.close()

        await asyncio.to_thread(call)
        received = server.requests[0]
    return RawRequest(
        method=received.line.split(" ")[0],
        target=received.target.removeprefix("/t/aws"),
        headers=received.headers,
        body=received.body,
    )


@pytest.mark.parametrize("name", OPERATIONS)
async def test_what_boto3_sends_is_taken_as_it_is(name):
    request = await sent_by_boto3(*OPERATIONS[name])
    assert agent_key(request.headers) == KEY
    call = parse_call(request, AWS, agent=BOT, upstream="aws")
    assert (call.service, call.region) == (OPERATIONS[name][0], "eu-west-1")
    assert call.target == (request.target or "/")
    assert KEY not in str(call)
    if call.content.kind is Body.FORM:
        assert call.content.value["Action"] == name.split(" ")[1]


async def test_over_tls_boto3_frames_objects_and_the_frame_is_taken_as_opaque_bytes(tmp_path):
    key, chain = self_signed(tmp_path)
    tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    tls.load_cert_chain(chain, key)
    service, operation = OPERATIONS["s3 PutObject"]
    request = await sent_by_boto3(service, operation, tls=tls, ca=chain)
    call = parse_call(request, AWS, agent=BOT, upstream="aws")
    passed = {name.lower(): value for name, value in call.headers}
    assert passed["content-encoding"] == "aws-chunked"
    assert passed["x-amz-content-sha256"] == UNSIGNED_TRAILER
    assert (call.content.kind, call.body) == (Body.OPAQUE, request.body)
    assert call.body.startswith(b"5\r\nhello\r\n0\r\n")
