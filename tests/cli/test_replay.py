"""`interlock replay`, on files and on a server that gives records page by page."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.records import DecidedCall, pack

from ..support.records import NOON, reported, said
from .conftest import Command
from .recorded_calls import POLICY, RULES, paid, written


@pytest.fixture
def new(folder: Path) -> str:
    """A policy that asks nobody about small payments."""
    (folder / "new.yaml").write_text(POLICY)
    return "new.yaml"


def history() -> list[DecidedCall]:
    return [
        paid(1),
        paid(2, reviews=(said("reject", reason_code="duplicate"),)),
        paid(3, amount=900, stake="high"),
        paid(4, level="notify", reviews=(), reports=(reported(),)),
    ]


def test_sums_come_first_and_then_what_gets_looser(
    interlock: Command, folder: Path, new: str
) -> None:
    said = interlock("replay", "--policy", new, "--records", written(folder / "r", history()))
    assert said.code == 0, said.err
    sums, calls = said.out.split("\nlooser   c", 1)
    assert "bank version 1" in sums and "4 recorded calls of 1 day" in sums
    assert "2 of 2" not in sums and "1 of 2, 50 %" in sums and "0 of 2, 0 %" in sums
    assert "2 (1 were right, 1 bad, 0 unknown)" in sums
    assert calls.startswith("00002 pay: approve -> notify\n")  # the bad one first
    assert "people: reject (duplicate)" in calls
    assert "account: 7, amount: 20, to: bob" in calls
    assert "c00003" not in said.out


def test_json_has_sums_and_calls(interlock: Command, folder: Path, new: str) -> None:
    file = written(folder / "r", history())
    found = json.loads(interlock("replay", "--policy", new, "--records", file, "--json").out)
    assert found["counts"] == {"looser": 2, "stricter": 0, "reason": 0, "same": 2}
    assert found["catch"]["new"]["hits"] == 0 and found["catch"]["then"]["of"] == 2
    assert [each["id"] for each in found["calls"]] == ["c00002", "c00001"]
    assert found["not_listed"] == 0


def test_a_run_can_fail_where_a_call_gets_looser(
    interlock: Command, folder: Path, new: str
) -> None:
    file = written(folder / "r", history())
    asked = ("replay", "--policy", new, "--fail-on-looser", "--records")
    assert interlock(*asked, file).code == 3
    assert interlock(*asked, written(folder / "s", [paid(1, amount=900, stake="high")])).code == 0


def test_the_stricter_ones_are_listed_where_they_are_asked_for(
    interlock: Command, folder: Path
) -> None:
    (folder / "strict.yaml").write_text(POLICY + RULES)
    calls = [paid(1, amount=200, level="notify", reviews=())]
    asked = ("replay", "--policy", "strict.yaml", "--records", written(folder / "r", calls))
    assert "c00001" not in interlock(*asked).out
    listed = interlock(*asked, "--calls", "stricter").out
    assert "stricter c00001 pay: notify -> approve" in listed and "rule big now" in listed


def test_no_more_calls_are_listed_than_asked_for(
    interlock: Command, folder: Path, new: str
) -> None:
    file = written(folder / "r", (paid(each) for each in range(9)))
    few = interlock("replay", "--policy", new, "--records", file, "--limit", "2")
    assert few.out.count("\nlooser   c") == 2 and "7 more calls" in few.err
    every = interlock("replay", "--policy", new, "--records", file, "--limit", "0")
    assert every.out.count("\nlooser   c") == 9 and "more calls" not in every.err


def test_only_some_tools_or_agents_are_judged(interlock: Command, folder: Path, new: str) -> None:
    file = written(folder / "r", [paid(1), paid(2, agent="other")])
    asked = ("replay", "--policy", new, "--records", file, "--json")
    assert json.loads(interlock(*asked, "--agent", "other").out)["calls"][0]["id"] == "c00002"
    assert interlock(*asked, "--tool", "nothing").code == 2


def test_masked_calls_are_judged_and_marked(interlock: Command, folder: Path, new: str) -> None:
    file = written(folder / "r", [paid(1, masked=True)])
    said = interlock("replay", "--policy", new, "--records", file)
    assert "(masked: may differ)" in said.out and "1 call is masked" in said.out


def test_what_is_not_recorded_is_named(interlock: Command, folder: Path) -> None:
    limit = "limits: [{id: day, tools: [pay], key: [tool], window: 1d, count: 1, then: approve}]\n"
    (folder / "new.yaml").write_text(POLICY + limit)
    file = written(folder / "r", [paid(1)])
    said = interlock("replay", "--policy", "new.yaml", "--records", file)
    assert "not recorded, judged as if nothing had happened: limit day (1)" in said.out


def test_a_replay_of_nothing_does_not_look_like_one_without_differences(
    interlock: Command, folder: Path, new: str
) -> None:
    for calls in ([], [paid(1, request={"upstream": "bank", "path": "no"})]):
        said = interlock("replay", "--policy", new, "--records", written(folder / "r", calls))
        assert said.code == 2 and "no call that can be judged" in said.err


@pytest.mark.parametrize(
    "line",
    [
        "{",
        "[]",
        "{}",
        "[" * 9_000,
        json.dumps(pack(paid()) | {"level": "maybe"}),
        json.dumps(pack(paid()) | {"created": "then"}),
        json.dumps(pack(paid()) | {"request": [1]}),
        json.dumps(pack(paid()) | {"rules": [1]}),
        json.dumps(pack(paid()) | {"more": 1}),
        json.dumps(pack(paid()) | {"share": 3}),
    ],
)
def test_a_line_that_is_no_record_is_named(
    interlock: Command, folder: Path, new: str, line: str
) -> None:
    file = written(folder / "r", [paid()])
    with Path(file).open("a") as more:
        more.write(line + "\n")
    said = interlock("replay", "--policy", new, "--records", file)
    assert said.code == 2 and f"{file}:2:1:" in said.err, said.err
    assert "interlock export" in said.err and "Traceback" not in said.err


_HOSTILE = st.text(max_size=30) | st.sampled_from(
    ("\x1b[2J\x1b[H", "x\n  looser   c9 pay: a -> b", "\u202egpj", "\r\nok", "a\x00b")
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=_HOSTILE)
def test_no_text_of_a_record_forges_a_line_or_moves_the_cursor(
    interlock: Command, folder: Path, text: str
) -> None:
    (folder / "new.yaml").write_text(POLICY)
    hostile = paid(
        1,
        id=text,
        tool=text,
        agent=text,
        rules=(text,),
        arguments={text: text},
        why=text,
        reviews=(said("reject", reason_code=text),),
    )
    file = written(folder / "r", [hostile])
    shown = interlock("replay", "--policy", "new.yaml", "--records", file).out
    assert all(each == "\n" or each.isprintable() for each in shown)
    assert sum(each.startswith(("looser   ", "stricter ")) for each in shown.splitlines()) <= 5
    plain = interlock(
        "replay", "--policy", "new.yaml", "--records", written(folder / "r", [paid()])
    )
    # the tables, and the same lines of one call: no line more
    assert shown.count("\n") - plain.out.count("\n") <= 3


# ---- from the running Interlock --------------------------------------------------------------


@contextlib.contextmanager
def served(pages: list[list[DecidedCall]], seen: list[dict[str, str]]) -> Iterator[str]:
    """Serve *pages* of records, as the people's side does, in a thread of its own."""

    async def export(request: web.Request) -> web.StreamResponse:
        seen.append(dict(request.query) | {"key": request.headers["Authorization"]})
        at = int(request.query.get("cursor", "0"))
        body = "".join(json.dumps(pack(each)) + "\n" for each in pages[at])
        headers = {}
        if at + 1 < len(pages):
            headers["Link"] = f'</v1/feedback/export?format=records&cursor={at + 1}>; rel="next"'
        return web.Response(text=body, headers=headers, content_type="application/x-ndjson")

    async def me(request: web.Request) -> web.Response:
        return web.json_response({"now": NOON + 100_000_000})

    ready, loop = threading.Event(), asyncio.new_event_loop()
    told: dict[str, Any] = {}

    async def start() -> None:
        app = web.Application()
        app.router.add_get("/v1/feedback/export", export)
        app.router.add_get("/v1/me", me)
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        told["runner"], told["port"] = runner, runner.addresses[0][1]
        ready.set()

    def serve() -> None:
        loop.run_until_complete(start())
        loop.run_forever()
        loop.run_until_complete(told["runner"].cleanup())
        loop.close()

    thread = threading.Thread(target=serve)
    thread.start()
    assert ready.wait(20)
    try:
        yield f"http://127.0.0.1:{told['port']}"
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(20)


def test_records_are_read_from_the_running_interlock_page_by_page(
    interlock: Command, folder: Path, new: str
) -> None:
    (folder / "key").write_text("secret")
    (folder / "key").chmod(0o600)
    seen: list[dict[str, str]] = []
    with served([[paid(1)], [], [paid(2), paid(3)]], seen) as url:
        asked = ("replay", "--policy", new, "--url", url, "--key-file", "key", "--json")
        said = interlock(*asked, "--since", "1d", "--tool", "pay")
    assert said.code == 0, said.err
    assert json.loads(said.out)["calls"][0]["id"] == "c00001"
    assert json.loads(said.out)["counts"]["looser"] == 3
    first = {"format": "records", "tool": "pay", "since": str(NOON + 100_000_000 - 86_400_000)}
    assert seen[0] == first | {"key": "Bearer secret"}
    assert [each.get("cursor") for each in seen] == [None, "1", "2"]


def test_nobody_who_does_not_answer_is_waited_for(
    interlock: Command, folder: Path, new: str
) -> None:
    (folder / "key").write_text("secret")
    (folder / "key").chmod(0o600)
    with socket.socket() as taken:  # and nobody listens there, so nobody else can either
        taken.bind(("127.0.0.1", 0))
        gone = f"http://127.0.0.1:{taken.getsockname()[1]}"
        said = interlock("replay", "--policy", new, "--url", gone, "--key-file", "key")
    assert said.code == 1 and "does not answer" in said.err and "--records" in said.err
