"""`interlock mcp` as clients start it: a real process, a real store, a server that misbehaves."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import pytest

from tests.support.wrapped import PATIENCE, configured, decide, environment, person, words, wrapped

from .conftest import Command


async def test_what_is_allowed_is_called_and_everything_else_passes(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path)) as shim:
        greeting = await shim.initialize()
        assert greeting["result"]["serverInfo"]["name"] == "nasty"
        assert await shim.text("write", line=1) == 'write {"line": 1}'
        assert shim.written() == [{"line": 1}]
        answer = await shim.until(id=await shim.ask("resources/read", {"uri": "x:y"}))
        assert answer["result"] == {"method": "resources/read", "params": {"uri": "x:y"}}


async def test_a_held_call_reaches_the_server_once_a_person_approves(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path, mcp={"default": {"hold": "30s"}})) as shim:
        await shim.initialize()
        given = await shim.call("wipe", line=1)
        assert await shim.text("write", line=0) == 'write {"line": 0}'  # others are not held
        assert shim.written() == [{"line": 0}]
        await shim.decide("approve")
        assert words(await shim.until(id=given)) == 'wipe {"line": 1}'
        assert shim.written() == [{"line": 0}, {"line": 1}]


async def test_a_rejected_call_never_reaches_the_server(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path, mcp={"default": {"hold": "30s"}})) as shim:
        await shim.initialize()
        given = await shim.call("wipe", line=1)
        await shim.decide("reject", message="No.")
        assert words(await shim.until(id=given)).startswith("NOT EXECUTED.")
        assert shim.written() == []


async def test_a_call_approved_after_its_ticket_is_sent_and_its_repeat_gets_the_answer(
    tmp_path: Path,
) -> None:
    async with wrapped(configured(tmp_path, mcp={"default": {"hold": "0s"}})) as shim:
        await shim.initialize()
        assert (await shim.text("wipe", line=1)).startswith("NOT EXECUTED YET.")
        call = await shim.decide("approve")
        assert await shim.text("interlock_wait", call=call) == 'wipe {"line": 1}'
        assert await shim.text("wipe", line=1) == 'wipe {"line": 1}'
        assert shim.written() == [{"line": 1}]


async def test_an_edited_call_is_sent_as_edited_and_the_model_is_told(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path, mcp={"default": {"hold": "30s"}})) as shim:
        await shim.initialize()
        given = await shim.call("wipe", line=1)
        await shim.decide("edit", edited_args={"line": 2})
        answer = await shim.until(id=given)
        assert "Executed instead" in answer["result"]["content"][0]["text"]
        assert shim.written() == [{"line": 2}]


async def test_progress_keeps_a_client_alive_that_asked_for_it(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path, mcp={"default": {"hold": "30s"}})) as shim:
        await shim.initialize()
        params = {"name": "wipe", "arguments": {}, "_meta": {"progressToken": "p"}}
        given = await shim.ask("tools/call", params)
        sign = await shim.until(method="notifications/progress")
        assert sign["params"]["progressToken"] == "p"
        await shim.decide("approve")
        assert words(await shim.until(id=given)) == "wipe {}"


async def test_a_held_call_that_its_client_cancels_is_never_sent(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path, mcp={"default": {"hold": "30s"}})) as shim:
        await shim.initialize()
        given = await shim.call("wipe", line=1)
        url = await shim.people()
        async with person(url, tmp_path) as ann:
            while True:
                async with ann.get("/v1/approvals") as got:
                    if (await got.json())["items"]:
                        break
            params = {"requestId": given}
            await shim.write(
                {"jsonrpc": "2.0", "method": "notifications/cancelled", "params": params}
            )
            while True:
                async with ann.get("/v1/approvals") as got:
                    if not (await got.json())["items"]:
                        break
        assert await shim.text("write", line=2)
        assert shim.written() == [{"line": 2}]


async def test_an_approval_in_another_process_sends_the_call_here(tmp_path: Path) -> None:
    config = configured(tmp_path, mcp={"default": {"hold": "0s"}})
    async with wrapped(config) as one:
        await one.initialize()
        await one.people()
        async with wrapped(config) as two:
            await two.initialize()
            assert (await two.text("wipe", line=1)).startswith("NOT EXECUTED YET.")
            call = await one.decide("approve")
            assert await two.text("interlock_wait", call=call) == 'wipe {"line": 1}'
            assert two.written() == [{"line": 1}]


async def test_the_page_is_taken_over_when_the_process_that_serves_it_goes(tmp_path: Path) -> None:
    first = configured(tmp_path)
    async with wrapped(first) as one:
        url = await one.people()
        at = url.removeprefix("http://")
        config = configured(tmp_path, people=at, mcp={"default": {"hold": "0s"}})
        async with wrapped(config) as two:
            await two.initialize()
            await two.hears("People decide at (.*)\n")
            assert "served by this process" not in two.said
            await two.text("wipe", line=1)
            one.leave()
            await one.code()
            assert await two.hears("(http://.*)/review, served by this process") == url
            async with person(url, tmp_path) as ann:
                call = await decide(ann, "approve")
            assert await two.text("interlock_wait", call=call) == 'wipe {"line": 1}'


async def test_what_is_not_json_rpc_is_answered_and_goes_nowhere(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path)) as shim:
        await shim.initialize()
        call = {"name": "write", "arguments": {}}
        params = json.dumps(call)
        for line, given, code in (
            (b"garbage", None, -32700),
            (b"\xff\xfe", None, -32700),
            (b"[]", None, -32600),
            (
                b'[{"jsonrpc":"2.0","id":90,"method":"tools/call","params":%s}]' % params.encode(),
                None,
                -32600,
            ),
            (b'{"jsonrpc":"2.0","id":91,"method":"tools/call","Params":{}}', 91, -32600),
            (b'{"jsonrpc":"2.0","id":92,"method":"x","method":"tools/call"}', 92, -32700),
            (b'{"jsonrpc":"2.0","id":93,"method":"tools/call","params":[]}', 93, -32602),
        ):
            await shim.write(line)
            answer = await shim.read()
            assert (answer["id"], answer["error"]["code"]) == (given, code), line
        # a notification runs no tool either, and is not answered
        await shim.write({"jsonrpc": "2.0", "method": "tools/call", "params": call})
        assert await shim.text("echo") == "echo {}"
        assert shim.written() == []


async def test_a_message_that_is_too_long_is_answered(tmp_path: Path) -> None:
    agents = {"listen": "127.0.0.1:0", "anonymous": {"id": "local"}, "max_body": 10_000}
    async with wrapped(configured(tmp_path, agents=agents)) as shim:
        await shim.initialize()
        given = await shim.call("write", text="x" * 200_000)
        answer = await shim.until(id=given)
        assert "max_body" in answer["error"]["message"]
        assert shim.written() == []


async def test_an_id_that_is_under_way_is_not_taken_twice(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path)) as shim:
        await shim.initialize()
        await shim.call("keep", given=50)
        await shim.until(method="notifications/kept")
        await shim.call("write", given=50, line=1)
        refusal = await shim.until(id=None)
        assert refusal["error"]["code"] == -32600
        await shim.text("release")
        assert words(await shim.until(id=50)) == "released"
        assert shim.written() == []


async def test_a_server_that_exits_in_mid_call_is_told_as_unknown_and_its_code_passed(
    tmp_path: Path,
) -> None:
    async with wrapped(configured(tmp_path)) as shim:
        await shim.initialize()
        held = await shim.call("keep")
        await shim.until(method="notifications/kept")
        given = await shim.call("exit", code=5)
        assert words(await shim.until(id=given)).startswith("OUTCOME UNKNOWN")
        assert words(await shim.until(id=held)).startswith("OUTCOME UNKNOWN")
        assert await shim.code() == 5


async def test_a_server_that_never_answers_is_told_as_unknown(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path, servers={"nasty": {"timeout": "500ms"}})) as shim:
        await shim.initialize()
        assert (await shim.text("silent")).startswith("OUTCOME UNKNOWN")


async def test_the_server_may_ask_the_client(tmp_path: Path) -> None:
    policy_is_silent = {"default": {"hold": "30s"}}
    async with wrapped(configured(tmp_path, mcp=policy_is_silent)) as shim:
        await shim.initialize()
        given = await shim.call("ask", method="roots/list")  # nobody described it: it is held
        await shim.decide("approve")
        asked = await shim.until(method="roots/list")
        await shim.write({"jsonrpc": "2.0", "id": asked["id"], "result": {"roots": []}})
        assert '"roots": []' in words(await shim.until(id=given))


async def test_sampling_is_refused_where_configuration_says_so(tmp_path: Path) -> None:
    config = configured(
        tmp_path, servers={"nasty": {"sampling": "refuse"}}, mcp={"default": {"hold": "30s"}}
    )
    async with wrapped(config) as shim:
        await shim.initialize()
        given = await shim.call("ask", method="sampling/createMessage")
        await shim.decide("approve")
        assert "error" in words(await shim.until(id=given))
        assert not [each for each in shim.stray if each.get("method") == "sampling/createMessage"]


async def test_signals_reach_the_server_and_its_end_is_ours(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path), env={"TELL_SIGNALS": "1"}) as shim:
        await shim.initialize()
        for number in (signal.SIGHUP, signal.SIGINT):
            shim.process.send_signal(number)
            told = await shim.until(method="notifications/signalled")
            assert told["params"]["number"] == number
        shim.process.send_signal(signal.SIGTERM)
        assert await shim.code() == 128 + signal.SIGTERM


async def test_a_client_that_leaves_ends_the_server_with_its_own_code(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path), env={"EXIT_AT_EOF": "6"}) as shim:
        await shim.initialize()
        shim.leave()
        assert await shim.code() == 6


async def test_secrets_of_interlock_stay_out_of_the_server(tmp_path: Path) -> None:
    env = {"INTERLOCK_KEY": "secret", "INTERLOCK__LOG__LEVEL": "info", "TOKEN": "of the server"}
    config = configured(tmp_path, mcp={"default": {"hold": "30s"}})
    async with wrapped(config, env=env) as shim:
        await shim.initialize()
        given = await shim.call("env")
        await shim.decide("approve")
        names = json.loads(words(await shim.until(id=given)))
        assert "TOKEN" in names
        assert [name for name in names if name.startswith("INTERLOCK")] == []


async def test_secrets_that_the_configuration_reads_stay_out_of_the_server(tmp_path: Path) -> None:
    """Fault caught: the untrusted server can forge clearances, or call the bank by itself."""
    env = {"SEALING": "s" * 40, "BANK_TOKEN": "t0ken", "OTHER_TOKEN": "of the server"}
    bank = {
        "url": "https://bank.example.com",
        "credentials": {"header": {"name": "X-Token", "value": {"from_env": "BANK_TOKEN"}}},
    }
    config = configured(
        tmp_path,
        secret={"from_env": "SEALING"},
        upstreams={"bank": bank},
        mcp={"default": {"hold": "30s"}},
    )
    async with wrapped(config, env=env) as shim:
        await shim.initialize()
        given = await shim.call("env")
        await shim.decide("approve")
        names = json.loads(words(await shim.until(id=given)))
        assert env.keys() & set(names) == {"OTHER_TOKEN"}
        assert "BANK_TOKEN, SEALING" in shim.said


async def test_sign_in_links_are_not_told_where_agents_read(tmp_path: Path) -> None:
    """Fault caught: an agent that reads its client's log signs in as the person who approves."""
    async with wrapped(configured(tmp_path)) as shim:
        await shim.initialize()
        url = await shim.people()
        path = Path(await shim.hears(r"Sign in by the link in (\S+)"))
        assert path == tmp_path / "data" / "sign-in-ann.url"
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.read_text().startswith(f"{url}/sign-in?t=")
        shim.leave()
        assert "sign-in?" not in await shim.rest()
        assert not path.exists()


async def test_a_key_that_says_nothing_is_told_once(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path), env={"INTERLOCK_KEY": "secret"}) as shim:
        await shim.initialize()
        await shim.text("echo")
        shim.leave()
        said = await shim.rest()
        assert said.count("INTERLOCK_KEY is not used: `agents.anonymous` says") == 1
        assert "secret" not in said


async def test_who_nobody_names_cannot_start(tmp_path: Path) -> None:
    config = configured(tmp_path, agents={"listen": "127.0.0.1:0"})
    async with wrapped(config) as shim:
        assert "--agent ID" in await shim.rest()
        assert await shim.code() == 1
    async with wrapped(config, "--agent", "claude") as shim:
        await shim.initialize()
        assert await shim.text("echo") == "echo {}"


def test_without_a_configuration_it_says_how_to_make_one(interlock: Command) -> None:
    said = interlock("mcp", "--server", "x", "--", "true")
    assert said.code == 2
    assert "interlock init" in said.err


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--server", "Not a name", "--", "true"), "--server"),
        (("--server", "nasty"), "behind `--`"),
        (("--server", "nasty", "--", "/no/such/command"), "cannot be started"),
        (("--server", "nasty", "--agent", "Not a name", "--", "true"), "--agent"),
    ],
)
def test_what_cannot_run_is_told(
    interlock: Command, folder: Path, options: tuple[str, ...], told: str
) -> None:
    configured(folder)
    said = interlock("mcp", *options)
    assert said.code != 0
    assert told in said.err
    assert said.out == ""


async def test_a_call_is_decided_at_a_running_serve_and_sent_here(tmp_path: Path) -> None:
    config = configured(tmp_path, mcp={"default": {"hold": "0s"}})
    serve = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "interlock", "serve", "--config", str(config)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment(tmp_path),
    )
    try:
        assert serve.stdout is not None
        async with asyncio.timeout(PATIENCE):
            while b"People" not in (line := await serve.stdout.readline()):
                assert line
        url = line.split()[-1].decode().removesuffix("/review")
        at = url.removeprefix("http://")
        config = configured(tmp_path, people=at, mcp={"default": {"hold": "0s"}})
        async with wrapped(config) as shim:
            await shim.initialize()
            assert (await shim.text("wipe", line=1)).startswith("NOT EXECUTED YET.")
            async with person(url, tmp_path) as ann:
                call = await decide(ann, "approve")
            assert await shim.text("interlock_wait", call=call) == 'wipe {"line": 1}'
            assert "served by this process" not in shim.said
    finally:
        serve.terminate()
        await serve.wait()
        await serve.stdout.read()


async def test_a_call_whose_client_was_killed_is_sent_when_it_is_asked_for_again(
    tmp_path: Path,
) -> None:
    config = configured(tmp_path, mcp={"default": {"hold": "0s"}})
    async with wrapped(config) as one:
        await one.initialize()
        assert (await one.text("wipe", line=1)).startswith("NOT EXECUTED YET.")
        one.process.kill()
        await one.code()
    async with wrapped(config) as two:
        await two.initialize()
        await two.decide("approve")
        assert two.written() == []  # its connection has gone: nobody waits for it any more
        given = await two.call("wipe", line=1)
        answer = words(await two.until(id=given))
        while answer.startswith(("NOT EXECUTED YET", "SENT")):
            answer = await two.text("wipe", line=1)
        assert answer == 'wipe {"line": 1}'
        assert two.written() == [{"line": 1}]


async def test_a_store_that_dies_lets_nothing_through_and_comes_back(tmp_path: Path) -> None:
    async with wrapped(configured(tmp_path)) as shim:
        await shim.initialize()
        assert await shim.text("write", line=1)
        pid = int((tmp_path / "data" / "store" / "valkey.pid").read_text())
        os.kill(pid, signal.SIGKILL)
        answer = await shim.text("write", line=2)
        assert answer.startswith(("NOT EXECUTED", "write"))
        while not answer.startswith("write"):
            answer = await shim.text("write", line=2)
        assert shim.written()[0] == {"line": 1}
        assert shim.written().count({"line": 2}) == 1


async def test_a_policy_that_is_wrong_keeps_it_from_starting(tmp_path: Path) -> None:
    config = configured(tmp_path)
    (tmp_path / "policy.yaml").write_text("nothing: here")
    async with wrapped(config) as shim:
        given = await shim.call("write", line=1)
        assert "apiVersion" in await shim.rest()
        assert await shim.code() == 2
        assert given == 1
        assert shim.written() == []
