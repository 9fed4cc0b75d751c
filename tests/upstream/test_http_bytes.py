"""What the tool receives is the call; what the agent receives is the answer."""

from __future__ import annotations

import asyncio
import gzip

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.actions import Agent
from interlock.core.errors import UpstreamLost, UpstreamUnreachable
from interlock.ingress.wire import DEFAULT_FORWARD, RawRequest, Settings, parse_call
from interlock.reach import ForbiddenAddress
from interlock.upstream.credentials import BearerCredential, HeaderCredential, Secret
from interlock.upstream.http import HttpSettings, HttpUpstream, _end_to_end, base_url
from tests.support.servers import (
    answer,
    closed_port,
    raw,
    raw_server,
    silence,
)
from tests.upstream.calls import CALL, METHODS, Names, call_of, exchange_of

# ---- byte for byte -------------------------------------------------------------------------------


async def test_the_wire_holds_the_call_and_nothing_else(to):
    async with raw_server() as server:
        headers = (("X-One", "1"), ("accept", "a/b"), ("X-Unicode", "ü"))
        call = call_of("POST", "/a?b=c", b"body", *headers, ("Accept", "c/d"))
        await exchange_of(to(server.url + "/base/"), call)
        (received,) = server.requests
    assert received.head == (
        b"POST /base/a?b=c HTTP/1.1\r\n"
        b"Host: 127.0.0.1:%d\r\n"
        % server.port
        + "X-One: 1\r\naccept: a/b\r\nX-Unicode: ü\r\nAccept: c/d\r\n".encode()
        + b"Content-Length: 4\r\n\r\n"
    )
    assert received.body == b"body"


@pytest.mark.parametrize("method", METHODS)
async def test_a_call_without_headers_gains_only_host_and_length(to, method):
    async with raw_server() as server:
        await exchange_of(to(server.url), call_of(method))
        names = {name for name, _ in server.requests[0].headers}
    assert names <= {"Host", "Content-Length"}


@pytest.mark.parametrize(
    "target",
    [
        "/a/../admin",
        "/a/%2e%2e/admin",
        "/a%2fb",
        "//a",
        "/a+b?c+d",
        "/%7Euser/(x)!*'",
        "/a%20b%2Bc?x=%41&x=%zz",
        "/a?b=[c]&d",
    ],
)
async def test_the_target_is_sent_as_it_is_even_where_intake_would_refuse_it(to, target):
    async with raw_server() as server:
        await exchange_of(to(server.url), call_of("GET", target))
        assert server.requests[0].line == f"GET {target} HTTP/1.1"


@pytest.mark.parametrize("size", [0, 1, 2**16, 2**20 - 1, 2**20, 2**20 + 7, 3 * 2**20])
async def test_a_body_of_any_size_arrives_whole_with_its_length(to, size):
    body = bytes(range(256)) * (size // 256) + bytes(size % 256)
    async with raw_server() as server:
        await exchange_of(to(server.url), call_of("POST", "/", body))
        (received,) = server.requests
    assert (received.body, received.header("Content-Length")) == (body, str(size))
    assert received.header("Transfer-Encoding") is None


SEGMENT = st.text("abcXYZ019-._~!$&'()*+,=:@", min_size=1, max_size=5).filter(
    lambda text: text not in {".", ".."}
)
ESCAPED = st.sampled_from(["%20", "%2B", "%C3%BC", "%25", "%41", "a%3Db"])
PATHS = st.lists(SEGMENT | ESCAPED, max_size=4).map(lambda parts: "/" + "/".join(parts))
QUERIES = st.lists(
    st.tuples(
        st.from_regex("[a-z]{1,3}", fullmatch=True),
        SEGMENT.filter(lambda value: "&" not in value) | ESCAPED,
    ),
    max_size=3,
).map(lambda pairs: "?" + "&".join(f"{k}={v}" for k, v in pairs) if pairs else "")
HEADER = st.tuples(
    st.sampled_from(["Accept", "accept-language", "Content-Type", "USER-AGENT", "If-Match"]),
    st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E) | st.just("é"), min_size=1),
)


async def test_what_the_tool_receives_is_the_call_for_any_call():
    async with raw_server() as server:
        upstream = HttpUpstream(HttpSettings(url=server.url))

        async def check(method, target, headers, body):
            request = RawRequest(method=method, target=target, headers=headers, body=body)
            plain = Settings(forward=DEFAULT_FORWARD - {"content-type"})
            call = parse_call(request, plain, agent=Agent(id="bot"), upstream="pay")
            await exchange_of(upstream, call)
            received = server.requests.pop()
            added = {"Host", "Content-Length"}
            assert received.line == f"{method} {target} HTTP/1.1"
            assert tuple(h for h in received.headers if h[0] not in added) == call.headers
            assert received.body == body

        loop = asyncio.get_running_loop()

        @settings(max_examples=60, suppress_health_check=list(HealthCheck), deadline=None)
        @given(
            st.sampled_from(METHODS),
            st.builds(str.__add__, PATHS, QUERIES),
            st.lists(HEADER, max_size=4, unique_by=lambda h: h[0].lower()).map(tuple),
            st.binary(max_size=50),
        )
        def run(method, target, headers, body):
            headers = tuple(h for h in headers if h[0] != "Content-Type")
            done = asyncio.run_coroutine_threadsafe(check(method, target, headers, body), loop)
            done.result(timeout=10)

        await asyncio.to_thread(run)
        await upstream.close()


# ---- nothing added, nothing followed ------------------------------------------------------------


async def test_a_redirect_is_returned_and_not_followed(to):
    async with raw_server(answer(307, b"", ("Location", "/admin"))) as server:
        status, headers, _ = await exchange_of(to(server.url))
        assert (status, dict(headers)["Location"], server.hits) == (307, "/admin", 1)


async def test_a_cookie_of_one_call_is_not_sent_with_the_next(to):
    async with raw_server(answer(200, b"", ("Set-Cookie", "session=ann; Path=/"))) as server:
        upstream = to(server.url)
        _, headers, _ = await exchange_of(upstream)
        await exchange_of(upstream)
        assert dict(headers)["Set-Cookie"] == "session=ann; Path=/"
        assert [request.header("Cookie") for request in server.requests] == [None, None]


async def test_a_listed_cookie_of_the_agent_is_sent_as_it_came(to):
    async with raw_server() as server:
        await exchange_of(to(server.url), call_of("GET", "/", b"", ("Cookie", "b=2; a=1")))
        assert server.requests[0].header("Cookie") == "b=2; a=1"


async def test_a_compressed_answer_passes_compressed(to):
    bomb = gzip.compress(b"0" * 5_000_000)
    async with raw_server(answer(200, bomb, ("Content-Encoding", "gzip"))) as server:
        _, headers, body = await exchange_of(to(server.url))
        assert body == bomb
        assert dict(headers)["Content-Encoding"] == "gzip"


async def test_proxy_variables_are_not_obeyed(to, monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{await closed_port()}")
    monkeypatch.delenv("no_proxy", raising=False)
    async with raw_server() as server:
        assert (await exchange_of(to(server.url)))[0] == 200
        assert server.hits == 1


async def test_a_netrc_file_is_not_read(to, monkeypatch, tmp_path):
    (tmp_path / "netrc").write_text("machine 127.0.0.1 login canary password canary\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    async with raw_server() as server:
        await exchange_of(to(server.url))
        assert b"uthorization" not in server.requests[0].head


async def test_hop_by_hop_headers_of_the_answer_stay_here_and_all_others_pass(to):
    kept = (("X-A", "1"), ("x-a", "2"), ("ETag", '"e"'), ("Content-Length", "0"))
    gone = (("Connection", "keep-alive, X-Gone"), ("Keep-Alive", "timeout=5"), ("X-Gone", "1"))
    async with raw_server(answer(204, b"", *kept, *gone, ("Trailer", "X"))) as server:
        _, headers, _ = await exchange_of(to(server.url))
        assert headers == kept


async def test_a_header_of_the_answer_in_latin_1_is_text(to):
    data = b"HTTP/1.1 200 OK\r\nX-A: caf\xe9\r\nX-B: \xc3\xa9\r\nContent-Length: 0\r\n\r\n"
    async with raw_server(raw(data)) as server:
        _, headers, _ = await exchange_of(to(server.url))
        assert headers[:2] == (("X-A", "café"), ("X-B", "é"))


@pytest.mark.parametrize("status", [200, 201, 304, 400, 401, 404, 407, 429, 500, 503])
async def test_every_status_is_the_tools_own_answer(to, status):
    async with raw_server(answer(status)) as server:
        assert (await exchange_of(to(server.url)))[0] == status
        assert server.hits == 1


async def test_an_interim_answer_is_skipped(to):
    early = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
    async with raw_server(raw(early + b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")) as server:
        assert (await exchange_of(to(server.url)))[0] == 200
        assert server.hits == 1


async def test_events_arrive_one_by_one_as_they_are_sent(to):
    go = asyncio.Event()

    async def events(received, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n")
        writer.write(b"Transfer-Encoding: chunked\r\n\r\n")
        for number in (b"1", b"2", b"3"):
            writer.write(b"9\r\ndata: %s\n\n\r\n" % number)
            await writer.drain()
            await go.wait()
            go.clear()
        writer.write(b"0\r\n\r\n")

    async with raw_server(events) as server:
        exchange = await to(server.url).send(CALL)
        came = []
        async for chunk in exchange.chunks():
            came.append(chunk)
            go.set()  # the next event is sent only after this one has arrived
        await exchange.close()
    assert came == [b"data: 1\n\n", b"data: 2\n\n", b"data: 3\n\n"]


async def test_an_exchange_may_be_closed_at_any_time_and_twice(to):
    async with raw_server(answer(200, b"x" * 100_000)) as server:
        upstream = to(server.url)
        unread = await upstream.send(CALL)
        await unread.close()
        await unread.close()
        assert (await exchange_of(upstream))[2] == b"x" * 100_000


async def test_a_sender_that_is_cancelled_leaves_nothing_open(to):
    async with raw_server(silence) as server:
        sending = asyncio.ensure_future(to(server.url).send(CALL))
        while not server.hits:
            await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert server.hits == 1


# ---- credentials and addresses ------------------------------------------------------------------


async def test_the_upstreams_credential_is_added_last_and_the_agents_never_leaves(to):
    credential = BearerCredential(token=Secret("ours"))
    request = RawRequest(
        method="GET",
        target="/",
        headers=(
            ("Interlock-Key", "ilk_agent_canary"),
            ("Authorization", "Bearer canary"),
            ("Cookie", "canary"),
            ("Proxy-Authorization", "canary"),
            ("X-Forwarded-For", "canary"),
            ("Accept", "a/b"),
        ),
    )
    call = parse_call(
        request, Settings(reserved=credential.names), agent=Agent(id="bot"), upstream="pay"
    )
    async with raw_server() as server:
        await exchange_of(to(server.url, credential=credential), call)
        (received,) = server.requests
    assert b"canary" not in received.head
    assert received.headers[1:] == (("Accept", "a/b"), ("Authorization", "Bearer ours"))


async def test_a_header_of_the_agent_never_overrides_the_credential(to):
    credential = HeaderCredential(name="X-Api-Key", value=Secret("ours"))
    async with raw_server() as server:
        call = call_of("GET", "/", b"", ("x-api-key", "theirs"))
        await exchange_of(to(server.url, credential=credential), call)
        assert server.requests[0].header("X-Api-Key") == "ours"


async def test_the_address_connected_to_is_the_address_checked_each_time(to):
    async with raw_server(answer(200, b"", ("Connection", "close"))) as server:
        url = f"http://localhost:{server.port}"
        names = Names(["127.0.0.1"], ["127.0.0.1", "10.0.0.1"], ["8.8.8.8"])
        upstream = to(url, resolver=names)
        assert (await exchange_of(upstream))[0] == 200
        for elsewhere in ("10.0.0.1", "8.8.8.8"):
            with pytest.raises(UpstreamUnreachable, match=f"{elsewhere}, which is not this"):
                await upstream.send(CALL)
        assert server.hits == 1


async def test_a_name_that_turns_private_is_not_connected_to(to):
    async with raw_server() as server:
        upstream = to(f"http://tool.test:{server.port}", resolver=Names(["127.0.0.1"]))
        with pytest.raises(UpstreamUnreachable, match="allow_private"):
            await upstream.send(CALL)
        assert server.connections == 0


@pytest.mark.parametrize("host", ["10.0.0.1", "[::ffff:10.0.0.1]", "[fd12::1]"])
def test_a_private_address_in_the_url_needs_to_be_allowed(host):
    with pytest.raises(ForbiddenAddress, match="allow_private"):
        HttpSettings(url=f"http://{host}")
    assert HttpSettings(url=f"http://{host}", allow_private=True).url == f"http://{host}"


def test_the_metadata_service_is_never_an_upstream():
    with pytest.raises(ForbiddenAddress, match="where nothing may be"):
        HttpSettings(url="http://169.254.169.254", allow_private=True)


@pytest.mark.parametrize(
    "url",
    ["", "tool", "ftp://tool", "http://", "http://a:b@tool", "http://tool?x", "http://tool#x"],
)
def test_a_base_url_that_is_not_one_is_refused(url):
    with pytest.raises(ValueError):
        base_url(url)


def test_no_answer_speaks_in_our_name_or_breaks_the_one_we_write() -> None:
    raw = (
        (b"X-Fine", b"yes\tindeed"),
        (b"X-Bad", b"a\x01b"),
        (b"Interlock-Decision", b"deny"),
        (b"Transfer-Encoding", b"chunked"),
    )

    assert _end_to_end(raw) == (("X-Fine", "yes\tindeed"),)


async def test_a_status_that_is_no_final_answer_is_an_unknown_outcome() -> None:
    async with raw_server(raw(b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n")) as server:
        upstream = HttpUpstream(HttpSettings(url=server.url, allow_private=True))
        with pytest.raises(UpstreamLost, match="999"):
            await upstream.send(CALL)
        await upstream.close()
