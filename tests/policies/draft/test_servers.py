"""Listing the tools of a real MCP server, over stdio and over HTTP."""

from __future__ import annotations

import builtins
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from interlock.core.definitions import definition_hash
from interlock.policies.draft.operations import DraftError
from interlock.policies.draft.servers import list_tools

TOOL = {
    "name": "read_note",
    "description": "Read a note.",
    "inputSchema": {"type": "object", "properties": {"path": {"type": "string"}}},
    "annotations": {"readOnlyHint": True},
}
MORE = {"name": "write_note", "inputSchema": {"type": "object"}}
SERVER = """
import json, sys
TOOLS = {tools}
for line in sys.stdin:
    call = json.loads(line)
    if "id" not in call:
        continue
    answer = {{"jsonrpc": "2.0", "id": call["id"]}}
    if call["method"] == "initialize":
        answer["result"] = {{"protocolVersion": call["params"]["protocolVersion"],
                             "capabilities": {{"tools": {{}}}},
                             "serverInfo": {{"name": "notes", "version": "1"}}}}
    elif call["method"] == "tools/list":
        page = int((call.get("params") or {{}}).get("cursor") or 0)
        answer["result"] = {{"tools": [TOOLS[page]]}}
        if page + 1 < len(TOOLS):
            answer["result"]["nextCursor"] = str(page + 1)
    else:
        answer["error"] = {{"code": -32601, "message": "no such method"}}
    print(json.dumps(answer), flush=True)
"""


@pytest.fixture
def command(tmp_path: Path) -> str:
    pytest.importorskip("mcp")
    file = tmp_path / "server.py"
    file.write_text(SERVER.format(tools=repr([TOOL, MORE])))
    return f"{sys.executable} {file}"


@pytest.fixture
async def url() -> AsyncIterator[str]:
    pytest.importorskip("mcp")

    async def answer(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != "Bearer secret" or request.method != "POST":
            return web.Response(status=401 if request.method == "POST" else 405)
        call = await request.json()
        if "id" not in call:
            return web.Response(status=202)
        result: Mapping[str, Any] = {"tools": [TOOL]}
        if call["method"] == "initialize":
            version = call["params"]["protocolVersion"]
            info = {"name": "notes", "version": "1"}
            result = {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info}
        elif call["method"] != "tools/list":
            error = {"code": -32601, "message": "no such method"}
            return web.json_response({"jsonrpc": "2.0", "id": call["id"], "error": error})
        return web.json_response({"jsonrpc": "2.0", "id": call["id"], "result": result})

    app = web.Application()
    app.router.add_route("*", "/mcp", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    yield f"http://127.0.0.1:{port}/mcp"
    await runner.cleanup()


async def test_every_page_of_a_server_on_stdio_is_read(command: str) -> None:
    assert await list_tools(command, {}) == [TOOL, MORE]


async def test_what_is_listed_hashes_as_it_came_over_the_wire(command: str) -> None:
    listed = await list_tools(command, {})
    assert [definition_hash(each) for each in listed] == list(map(definition_hash, (TOOL, MORE)))


async def test_a_list_that_is_not_mcp_is_told_in_one_line(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    (tmp_path / "server.py").write_text(
        SERVER.format(tools=repr([{"name": "a", "inputSchema": {}}]))
    )
    with pytest.raises(DraftError) as caught:
        await list_tools(f"{sys.executable} {tmp_path / 'server.py'} --token hush", {})
    assert "its list of tools is not what MCP asks for: tools.0" in str(caught.value)
    assert "\n" not in str(caught.value) and "hush" not in str(caught.value)


async def test_a_server_behind_a_url_is_read_with_the_given_headers(url: str) -> None:
    assert await list_tools(url, {"Authorization": "Bearer secret"}) == [TOOL]


async def test_a_server_that_turns_us_away_is_told(url: str) -> None:
    with pytest.raises(DraftError, match="http://127.0.0.1"):
        await list_tools(url, {})


@pytest.mark.parametrize("where", ["/no/such/program", "'unclosed", " ", "http://127.0.0.1:1/mcp"])
async def test_what_is_no_server_is_told(where: str) -> None:
    pytest.importorskip("mcp")
    with pytest.raises(DraftError):
        await list_tools(where, {})


async def test_a_server_that_never_answers_is_given_up(tmp_path: Path) -> None:
    pytest.importorskip("mcp")
    with pytest.raises(DraftError, match=r"no list of tools within 0\.5 s"):
        await list_tools(f"{sys.executable} -c 'import sys; sys.stdin.read()'", {}, 0.5)


async def test_without_the_client_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    original = builtins.__import__

    def without(name: str, *rest: Any, **more: Any) -> Any:
        if name.partition(".")[0] == "mcp":
            raise ImportError("No module named 'mcp'", name="mcp")
        return original(name, *rest, **more)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(DraftError, match=r"pip install 'interlock\[mcp\]'"):
        await list_tools("server", {})
