"""One request becomes one call, or one refusal that says what to change."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Agent, Body
from interlock.core.digest import digest
from interlock.core.errors import CallRefused, CallTooLarge, MalformedCall
from interlock.ingress.wire import (
    DEFAULT_FORWARD,
    Prefer,
    RawRequest,
    Settings,
    agent_key,
    parse_call,
    parse_prefer,
)

KEY = "ilk_agent_7f_secret"
BOT = Agent(id="bot", owner="ann")
SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={KEY}/20261122/eu-west-1/s3/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00ff"
)
PLAIN = Settings()


def read(method="GET", target="/", *headers, settings=PLAIN, version=(1, 1), body=b""):
    request = RawRequest(method=method, target=target, version=version, headers=headers, body=body)
    return parse_call(request, settings, agent=BOT, upstream="pay")


def test_a_call_keeps_every_byte_and_gains_its_readings():
    call = read(
        "POST",
        "/v1/a%20b?x=1&x=2",
        ("Host", "gate"),
        ("Content-Type", "application/json"),
        ("ACCEPT", "*/*"),
        ("Content-Length", "9"),
        body=b'{"a" : 1}',
    )
    assert (call.method, call.target, call.body) == ("POST", "/v1/a%20b?x=1&x=2", b'{"a" : 1}')
    assert call.headers == (("Content-Type", "application/json"), ("ACCEPT", "*/*"))
    assert (call.path, call.query) == ("/v1/a b", (("x", "1"), ("x", "2")))
    assert (call.content.kind, call.content.value) == (Body.JSON, {"a": 1})
    assert call.digest == digest(call)


def test_an_empty_remainder_is_the_root_as_boto3_sends_it():
    assert read("GET", "").target == "/"
    assert read("GET", "?list-type=2").target == "/?list-type=2"


REFUSED = {
    "HTTP/0.9": dict(version=(0, 9)),
    "HTTP/2 preface": dict(version=(2, 0)),
    "TE gzip": dict(headers=[("Transfer-Encoding", "gzip, chunked")]),
    "TE in HTTP/1.0": dict(version=(1, 0), headers=[("Transfer-Encoding", "chunked")]),
    "CONNECT": dict(method="CONNECT", target="evil:443"),
    "TRACE": dict(method="TRACE"),
    "lower-case method": dict(method="get"),
    "unknown method": dict(method="FOO"),
    "upgrade to h2c": dict(headers=[("Connection", "Upgrade"), ("Upgrade", "h2c")]),
    "upgrade to websocket": dict(headers=[("Upgrade", "websocket")]),
    "connection names a header": dict(headers=[("Connection", "close, Authorization")]),
    "method override": dict(headers=[("X-HTTP-Method-Override", "DELETE")]),
    "method override, second": dict(headers=[("x-method-override", "DELETE")]),
    "method override, third": dict(headers=[("X-Http-Method", "DELETE")]),
    "method override in the query": dict(target="/a?_method=DELETE"),
    "underscore in a name": dict(headers=[("X_Forwarded_For", "1")]),
    "space before the colon": dict(headers=[("Content-Length ", "3")]),
    "empty name": dict(headers=[("", "3")]),
    "NUL in a value": dict(headers=[("X", "a\0b")]),
    "line break in a value": dict(headers=[("X", "a\r\nY: b")]),
    "absolute target": dict(target="http://evil/a"),
    "dot segments": dict(target="/a/../b"),
    "declared JSON that is not": dict(
        method="POST", headers=[("Content-Type", "application/json")], body=b"{"
    ),
    "confidence above one": dict(headers=[("Interlock-Confidence", "1.1")]),
    "confidence below zero": dict(headers=[("Interlock-Confidence", "-0.1")]),
    "confidence NaN": dict(headers=[("Interlock-Confidence", "nan")]),
    "confidence in words": dict(headers=[("Interlock-Confidence", "high")]),
    "confidence without end": dict(headers=[("Interlock-Confidence", "0." + "1" * 50)]),
    "session too long": dict(headers=[("Interlock-Session", "s" * 201)]),
    "session with a space": dict(headers=[("Interlock-Session", "a b")]),
    "session with an invisible": dict(headers=[("Interlock-Session", "a\u200bb")]),
    "reason too long": dict(headers=[("Interlock-Reason", "r" * 2001)]),
    "task too long": dict(headers=[("Interlock-Task", "t" * 8001)]),
    "reason not UTF-8": dict(headers=[("Interlock-Reason", "caf\udce9")]),
    "forwarded header not UTF-8": dict(headers=[("Accept", "caf\udce9")]),
    "forwarded header twice": dict(headers=[("Range", "bytes=0-1"), ("range", "bytes=5-")]),
} | {
    f"{name} twice": dict(headers=[(name, "1"), (name.lower(), "1")])
    for name in [
        "Host",
        "Content-Length",
        "Content-Type",
        "Content-Encoding",
        "Transfer-Encoding",
        "Authorization",
        "Idempotency-Key",
        "Interlock-Key",
        "Interlock-Confidence",
        "Interlock-Anything",
    ]
}


@pytest.mark.parametrize("case", REFUSED.values(), ids=REFUSED.keys())
def test_what_is_malformed_or_ambiguous_is_refused_with_a_reason(case):
    request = RawRequest(
        method=case.get("method", "GET"),
        target=case.get("target", "/a"),
        version=case.get("version", (1, 1)),
        headers=tuple(case.get("headers", ())),
        body=case.get("body", b""),
    )
    with pytest.raises(MalformedCall) as caught:
        parse_call(request, Settings(), agent=BOT, upstream="pay")
    assert len(caught.value.detail) > 20


def test_a_body_over_the_limit_is_too_large():
    with pytest.raises(CallTooLarge, match="larger than 3 bytes"):
        read("POST", "/", body=b"abcd", settings=Settings(max_body=3))


def test_http_1_0_with_a_length_is_taken():
    assert read("POST", "/", ("Content-Length", "1"), version=(1, 0), body=b"x").body == b"x"


def test_a_list_header_may_be_repeated_and_keeps_its_order():
    call = read("GET", "/", ("Accept", "a/b"), ("If-Match", '"1"'), ("Accept", "c/d"))
    assert call.headers == (("Accept", "a/b"), ("If-Match", '"1"'), ("Accept", "c/d"))


EVERYTHING = Settings(forward=frozenset({"*"}))


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Keep-Alive",
        "Proxy-Authorization",
        "Proxy-Authenticate",
        "TE",
        "Trailer",
        "HTTP2-Settings",
        "Host",
        "Content-Length",
        "Expect",
        "Forwarded",
        "Via",
        "X-Real-IP",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "Interlock-Key",
        "Interlock-Session",
        "Authorization",
        "Cookie",
    ],
)
def test_a_header_that_is_not_the_agents_to_send_never_passes_by_a_glob(name):
    value = "close" if name == "Connection" else "ilk_agent_x"
    assert read("GET", "/", (name, value), settings=EVERYTHING).headers == ()


def test_a_glob_passes_the_rest():
    headers = (("X-Amz-Target", "T.Op"), ("X-Other", "1"))
    call = read("GET", "/", *headers, settings=Settings(forward=frozenset({"x-amz-*"})))
    assert call.headers == (("X-Amz-Target", "T.Op"),)


def test_an_agents_own_credential_passes_only_where_it_is_listed():
    theirs = (("Authorization", "Bearer theirs"), ("Cookie", "a=b"))
    assert read("GET", "/", *theirs).headers == ()
    listed = Settings(forward=frozenset({"authorization", "cookie"}))
    assert read("GET", "/", *theirs, settings=listed).headers == theirs


@pytest.mark.parametrize(
    "value",
    [
        f"Bearer {KEY}",
        "Basic " + base64.b64encode(f"x:{KEY}".encode()).decode(),
        "Basic " + base64.b64encode(f"{KEY}:".encode()).decode(),
        SIGNED,
    ],
)
def test_an_interlock_key_never_passes_even_where_authorization_is_listed(value):
    listed = Settings(forward=frozenset({"authorization"}))
    assert read("GET", "/", ("Authorization", value), settings=listed).headers == ()


def test_a_header_that_the_credential_writes_never_comes_from_the_agent():
    settings = Settings(forward=frozenset({"x-api-key"}), reserved=frozenset({"x-api-key"}))
    assert read("GET", "/", ("X-Api-Key", "mine"), settings=settings).headers == ()


def test_the_context_is_what_the_agent_says():
    trace = "00-" + "a" * 32 + "-" + "b" * 16 + "-01"
    call = read(
        "GET",
        "/",
        ("Interlock-Confidence", "0.75"),
        ("Interlock-Session", "s-1"),
        ("Interlock-Reason", "Größe prüfen"),
        ("Interlock-Task", "Pay Ann."),
        ("Traceparent", trace),
    )
    said = call.context
    assert (said.confidence, said.session, said.reason) == (0.75, "s-1", "Größe prüfen")
    assert (said.task, said.traceparent) == ("Pay Ann.", trace)
    assert call.headers == (("Traceparent", trace),)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), ("1", 1.0), (".5", 0.5), ("1e-05", 1e-05)])
def test_a_confidence_is_a_number_from_zero_to_one(text, value):
    assert read("GET", "/", ("Interlock-Confidence", text)).context.confidence == value


def test_a_traceparent_that_is_not_one_is_ignored():
    assert read("GET", "/", ("Traceparent", "zz")).context.traceparent == ""


def test_an_encoded_body_is_opaque():
    call = read(
        "POST",
        "/",
        ("Content-Type", "application/json"),
        ("Content-Encoding", "gzip"),
        body=b"\x1f\x8b",
    )
    assert call.content.kind is Body.OPAQUE
    assert ("Content-Encoding", "gzip") in call.headers


# ---- keys ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        [("Interlock-Key", KEY)],
        [("interlock-key", f" {KEY} ")],
        [("Authorization", f"Bearer {KEY}")],
        [("authorization", f"bearer {KEY}")],
        [("Authorization", "Basic " + base64.b64encode(f"user:{KEY}".encode()).decode())],
        [("Authorization", "Basic " + base64.b64encode(f"{KEY}:".encode()).decode())],
        [("Authorization", SIGNED)],
        [("Interlock-Key", KEY), ("Authorization", f"Bearer {KEY}")],
        [("Interlock-Key", KEY), ("Authorization", "Bearer someone-elses")],
    ],
)
def test_the_key_is_found_wherever_a_client_can_put_it(headers):
    assert agent_key(headers) == KEY


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer sk-theirs")],
        [("Authorization", "Basic !!!")],
        [("Authorization", "Basic " + base64.b64encode(b"\xff:\xfe").decode())],
        [("Authorization", "AWS4-HMAC-SHA256 Credential=AKIA/20261122/a/s3/aws4_request")],
        [("Cookie", f"Interlock-Key={KEY}")],
    ],
)
def test_what_is_no_interlock_key_is_none(headers):
    assert agent_key(headers) is None


def test_two_different_keys_are_refused():
    with pytest.raises(MalformedCall, match="two different"):
        agent_key([("Interlock-Key", KEY), ("Authorization", f"Bearer {KEY}2")])


# ---- Prefer ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "prefer"),
    [
        ([], Prefer()),
        (["wait=10"], Prefer(wait=10)),
        (["respond-async, wait=10"], Prefer(wait=10, respond_async=True)),
        (["Respond-Async", "WAIT = 3"], Prefer(wait=3, respond_async=True)),
        (['wait="5"; foo=bar'], Prefer(wait=5)),
        (["wait=1, wait=9"], Prefer(wait=1)),
        (["wait=-1"], Prefer()),
        (["wait=soon"], Prefer()),
        (["wait=99999999999"], Prefer()),
        (["handling=strict, return=minimal"], Prefer()),
        (["wait=0"], Prefer(wait=0)),
    ],
)
def test_preferences_are_read_and_unknown_ones_ignored(values, prefer):
    assert parse_prefer([("Prefer", value) for value in values]) == prefer


# ---- everything --------------------------------------------------------------------------------

names = st.sampled_from([*DEFAULT_FORWARD, "Authorization", "Host", "Interlock-Reason", "X-A"])
values = st.text(st.characters(min_codepoint=0, max_codepoint=0xDFFF), max_size=12)


@given(
    st.sampled_from(["GET", "POST", "get", "CONNECT"]),
    st.text(max_size=12),
    st.lists(st.tuples(names, values), max_size=4),
    st.binary(max_size=20),
)
def test_any_request_ends_in_a_sealed_call_or_a_refusal(method, target, headers, body):
    request = RawRequest(method=method, target=target, headers=tuple(headers), body=body)
    try:
        call = parse_call(request, EVERYTHING, agent=BOT, upstream="pay")
    except CallRefused as refused:
        assert 400 <= refused.status < 500
        return
    assert call.digest == digest(call)
    assert (call.target.lstrip("/"), call.body) == (target.lstrip("/"), body)
