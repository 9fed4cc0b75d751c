"""The upstream's own credential: written last, printed never, signed over what is sent."""

from __future__ import annotations

import builtins
import copy
import hashlib
import hmac
import pickle
from urllib.parse import urlsplit

import pytest

from interlock.core.actions import Agent, ToolCall
from interlock.core.errors import UpstreamUnreachable, WeakGround
from interlock.upstream.credentials import (
    AwsCredential,
    BasicCredential,
    BearerCredential,
    HeaderCredential,
    NoCredential,
    Secret,
)
from interlock.upstream.http import HttpSettings, HttpUpstream
from tests.support.servers import raw_server

CALL = ToolCall(agent=Agent(id="bot"), upstream="aws", method="GET", target="/")
URL = "https://tool.test/"
CANARY = "canary-secret"


@pytest.mark.parametrize(
    "shown",
    [
        str,
        repr,
        format,
        lambda secret: f"{secret}{secret!r}{secret:>30}",
        lambda secret: str([secret]),
        lambda secret: repr(BearerCredential(token=secret)),
        lambda secret: repr(HeaderCredential(name="X", value=secret)),
        lambda secret: repr(BasicCredential(username="u", password=secret)),
        lambda secret: repr(
            AwsCredential(
                access_key_id="A",
                secret_access_key=secret,
                session_token=secret,
                services=frozenset(),
            )
        ),
        lambda secret: repr(
            HttpSettings(url="https://tool.test", credential=BearerCredential(token=secret))
        ),
    ],
)
def test_a_secret_is_never_printed(shown):
    assert CANARY not in shown(Secret(CANARY))
    assert "***" in shown(Secret(CANARY))


def test_a_secret_is_not_written_and_still_compares():
    assert Secret("a") == Secret("a") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    with pytest.raises(TypeError):
        pickle.dumps(Secret(CANARY))
    with pytest.raises(TypeError):
        copy.deepcopy(Secret(CANARY))


@pytest.mark.parametrize(
    ("credential", "written"),
    [
        (NoCredential(), ()),
        (HeaderCredential(name="X-Api-Key", value=Secret("k")), (("X-Api-Key", "k"),)),
        (BearerCredential(token=Secret("t")), (("Authorization", "Bearer t"),)),
        (
            BasicCredential(username="ann", password=Secret("pä:ss")),
            (("Authorization", "Basic YW5uOnDDpDpzcw=="),),
        ),
    ],
)
def test_a_credential_is_written_last_over_what_came_under_its_name(credential, written):
    theirs = tuple((name.upper(), "theirs") for name in credential.names)
    headers = (("Accept", "a/b"), *theirs, ("X-Other", "1"))
    assert credential.apply(CALL, URL, headers) == (("Accept", "a/b"), ("X-Other", "1"), *written)
    assert {name.lower() for name, _ in written} <= credential.names


# ---- AWS -------------------------------------------------------------------------------------

AWS = AwsCredential(
    access_key_id="AKIDEXAMPLE",
    secret_access_key=Secret(CANARY),
    session_token=Secret("session"),
    services=frozenset({"s3", "iam", "dynamodb"}),
)


def signature(received, scope, secret):
    """Sign what the server received, by the letter of the AWS documentation."""
    signed = received.header("Authorization").split("SignedHeaders=")[1].split(",")[0].split(";")
    url = urlsplit(received.target)
    query = "&".join(sorted(p if "=" in p else p + "=" for p in url.query.split("&") if p))
    sha = received.header("X-Amz-Content-SHA256") or hashlib.sha256(received.body).hexdigest()
    lines = [f"{name}:{' '.join(received.header(name).split())}" for name in signed]
    request = "\n".join(
        [received.line.split(" ")[0], url.path, query, *lines, "", ";".join(signed), sha]
    )
    text = "\n".join(
        [
            "AWS4-HMAC-SHA256",
            received.header("X-Amz-Date"),
            "/".join(scope),
            hashlib.sha256(request.encode()).hexdigest(),
        ]
    )
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.new(key, text.encode(), "sha256").hexdigest()


async def received_from(call, credential=AWS):
    async with raw_server() as server:
        upstream = HttpUpstream(HttpSettings(url=server.url, credential=credential))
        exchange = await upstream.send(call)
        await exchange.close()
        await upstream.close()
        return server.requests[0]


def aws_call(method, target, service, body=b"", *headers):
    return ToolCall(
        agent=Agent(id="bot"),
        upstream="aws",
        method=method,
        target=target,
        headers=headers,
        body=body,
        service=service,
        region="eu-west-1",
    )


FORM = ("Content-Type", "application/x-www-form-urlencoded; charset=utf-8")


@pytest.mark.parametrize(
    "call",
    [
        aws_call("PUT", "/b/dir/a%20b%2Bc%3B%C3%BC.txt", "s3", b"hello", ("x-amz-meta-a", "1  2")),
        aws_call("GET", "/b?prefix=a%2Fb&list-type=2&delimiter", "s3"),
        aws_call("DELETE", "/b", "s3"),
        aws_call("POST", "/", "iam", b"Action=ListUsers&Version=2010-05-08", FORM),
        aws_call("POST", "/", "dynamodb", b"{}", ("X-Amz-Target", "DynamoDB_20120810.ListTables")),
        aws_call("PUT", "/big", "s3", b"x" * (2**20 + 1), ("Accept", "a"), ("User-Agent", "b")),
    ],
    ids=lambda call: f"{call.service} {call.method}",
)
async def test_the_signature_is_that_of_the_bytes_that_arrive(call):
    received = await received_from(call)
    scope = [received.header("X-Amz-Date")[:8], "eu-west-1", call.service, "aws4_request"]
    authorization = received.header("Authorization")
    assert authorization.startswith(f"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{'/'.join(scope)}, ")
    assert authorization.endswith(f"Signature={signature(received, scope, CANARY)}")
    assert received.header("X-Amz-Security-Token") == "session"
    if call.service == "s3":
        assert received.header("X-Amz-Content-SHA256") == hashlib.sha256(call.body).hexdigest()
    assert (received.target, received.body) == (call.target, call.body)
    assert CANARY.encode() not in received.head


async def test_an_unsigned_trailer_is_signed_as_what_it_is_and_sent_as_it_came():
    framed = b"5\r\nhello\r\n0\r\nx-amz-checksum-crc32:NhCmhg==\r\n\r\n"
    trailer = ("X-Amz-Content-SHA256", "STREAMING-UNSIGNED-PAYLOAD-TRAILER")
    coding = ("Content-Encoding", "aws-chunked")
    received = await received_from(aws_call("PUT", "/b/k", "s3", framed, coding, trailer))
    scope = [received.header("X-Amz-Date")[:8], "eu-west-1", "s3", "aws4_request"]
    assert received.header("X-Amz-Content-SHA256") == trailer[1]
    assert received.header("Authorization").endswith(signature(received, scope, CANARY))
    assert received.body == framed


async def test_what_an_agent_signed_is_replaced_whole():
    theirs = (("authorization", "AWS4 theirs"), ("x-amz-date", "1"), ("x-amz-security-token", "t"))
    received = await received_from(aws_call("GET", "/", "s3", b"", *theirs))
    assert b"theirs" not in received.head
    assert received.header("X-Amz-Security-Token") == "session"


@pytest.mark.parametrize("service", ["ec2", "", "S3"])
async def test_a_service_that_is_not_listed_is_not_signed_for_and_nothing_is_sent(service):
    async with raw_server() as server:
        upstream = HttpUpstream(HttpSettings(url=server.url, credential=AWS))
        with pytest.raises(UpstreamUnreachable, match="signs for dynamodb, iam, s3"):
            await upstream.send(aws_call("GET", "/", service))
        await upstream.close()
        assert server.connections == 0


def test_without_botocore_the_error_names_the_cure(monkeypatch):
    real = builtins.__import__

    def missing(name, *rest):
        if name.startswith("botocore"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(WeakGround) as caught:
        AwsCredential(access_key_id="A", secret_access_key=Secret("x"), services=frozenset())
    assert "pip install 'interlock[aws]'" in caught.value.help


async def test_a_credential_that_fails_sends_nothing_and_tells_nothing():
    class Broken(NoCredential):
        def apply(self, call, url, headers):
            raise ValueError(CANARY)

    async with raw_server() as server:
        upstream = HttpUpstream(HttpSettings(url=server.url, credential=Broken()))
        with pytest.raises(UpstreamUnreachable, match="ValueError") as caught:
            await upstream.send(CALL)
        await upstream.close()
        assert server.connections == 0
    assert CANARY not in str(caught.value)
