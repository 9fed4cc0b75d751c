"""Bodies by which somebody could try to run a gated tool. Each is given a call of that tool.

A path returns bodies to send, one after the other.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from tests.promises.mcp_clients import Line
from tests.promises.mcp_world import LARGEST

Document = Mapping[str, Any]
Path = Callable[[Line, str], list[bytes]]
HARMLESS = "look"


def dumped(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False).encode("utf-8", "surrogatepass")


def lax(line: Line, tool: str, *pairs: tuple[str, Any]) -> bytes:
    """Return a message that says exactly *pairs*, in this order, twice where they are twice."""
    said = (("jsonrpc", "2.0"), ("id", next(line.shop.ids)), *pairs)
    return b"{" + b",".join(dumped(key) + b":" + dumped(value) for key, value in said) + b"}"


def params(line: Line, tool: str) -> dict[str, Any]:
    found: dict[str, Any] = line.call(tool)["params"]
    return found


def as_it_is(line: Line, tool: str) -> list[bytes]:
    call = line.call(tool)
    again = {**call, "id": next(line.shop.ids)}
    return [dumped(call), dumped(call), dumped(again), dumped({**again, "id": str(again["id"])})]


def without_an_answer(line: Line, tool: str) -> list[bytes]:
    call = line.call(tool)
    del call["id"]
    ids = (None, 1.5, True, [], {}, -0.0, "")
    return [dumped(call), *(dumped({**line.call(tool), "id": given}) for given in ids)]


def tasks(line: Line, tool: str) -> list[bytes]:
    call = line.call(tool, task={"ttl": 60_000})
    meta = {"modelcontextprotocol.io/task": {"taskId": "t1"}}
    return [dumped(call), dumped(line.call(tool, task={}, _meta=meta))]


def batches(line: Line, tool: str) -> list[bytes]:
    harmless, call, more = line.call(HARMLESS), line.call(tool), line.call(tool)
    del more["id"]
    made: list[Any] = [[call], [harmless, call], [call, harmless], [[call]], [more], [harmless]]
    return [dumped(each) for each in (*made, [], [[]], {"batch": [call]}, {"0": call})]


def twice(line: Line, tool: str) -> list[bytes]:
    gated, free = params(line, tool), params(line, HARMLESS)
    both = b'{"name":"%b","name":"%b","arguments":{}}'
    one = both % (tool.encode(), HARMLESS.encode())
    two = both % (HARMLESS.encode(), tool.encode())
    head = b'{"jsonrpc":"2.0","id":1,"method":"tools/call","params":'
    return [
        lax(line, tool, ("method", "ping"), ("method", "tools/call"), ("params", gated)),
        lax(line, tool, ("method", "tools/call"), ("method", "ping"), ("params", gated)),
        lax(line, tool, ("method", "tools/call"), ("params", gated), ("params", free)),
        lax(line, tool, ("method", "tools/call"), ("params", free), ("params", gated)),
        head + one + b"}",
        head + two + b"}",
    ]


KEYS = {
    "method": (
        "Method",
        "METHOD",
        "ｍethod",
        "method ",
        " method",
        "meth\u200bod",
        "method\0",
        ".",
    ),
    "params": ("Params", "PARAMS", "ｐarams", "param\u017f", "params\t", "params\0x"),
}
NAMES = ("Name", "NAME", "ｎame", "name ", "\ufeffname", "name\0", "na\u00adme")


def keys(line: Line, tool: str) -> list[bytes]:
    gated, free = params(line, tool), params(line, HARMLESS)
    made = []
    for key in KEYS["method"]:
        made.append(lax(line, tool, ("method", "ping"), (key, "tools/call"), ("params", gated)))
        made.append(lax(line, tool, (key, "tools/call"), ("method", "ping"), ("params", gated)))
        made.append(lax(line, tool, (key, "tools/call"), ("params", gated)))
    for key in KEYS["params"]:
        made.append(lax(line, tool, ("method", "tools/call"), ("params", free), (key, gated)))
        made.append(lax(line, tool, ("method", "tools/call"), (key, gated), ("params", free)))
    for key in NAMES:
        made.append(lax(line, tool, ("method", "tools/call"), ("params", {**free, key: tool})))
        made.append(lax(line, tool, ("method", "tools/call"), ("params", {key: tool, **free})))
        made.append(lax(line, tool, ("method", "tools/call"), ("params", {key: tool})))
    return made


def strangers(line: Line, tool: str) -> list[bytes]:
    call = line.call(tool)
    older = {name: value for name, value in call.items() if name != "jsonrpc"}
    made: list[Any] = [{**call, "extra": 1}, {**call, "$ref": "x"}, older]
    made += [{**older, "jsonrpc": version} for version in ("1.0", "2.0 ", 2.0, None, ["2.0"])]
    made += [{**call, "params": each} for each in (None, [tool, {}], json.dumps(call["params"]))]
    made += [{**call, "method": each} for each in (["tools/call"], {"m": "tools/call"}, 1, "")]
    return [dumped(each) for each in made]


METHODS = (
    *(" tools/call", "tools/call ", "tools/call\n", "\ttools/call", "Tools/Call", "TOOLS/CALL"),
    *(
        "tools/Call",
        "ｔools/call",
        "tools／call",
        "tools/call\0",
        "tools/call\0x",
        "tools/ca\u200bll",
    ),
    *("tools//call", "/tools/call", "tools/call/", "./tools/call", "tools/./call", "tools\\call"),
    *("tools.call", "tools_call", "tools-call", "tools:call", "toolsCall", "tools%2Fcall"),
    *(
        "tools/call?x=1",
        "tools/call#x",
        "\u202etools/call",
        "ｔｏｏｌｓ/ｃａｌｌ",
        "tool\u017f/call",
    ),
)


def methods(line: Line, tool: str) -> list[bytes]:
    made = [dumped({**line.call(tool), "method": method}) for method in METHODS]
    quiet = [{**line.call(tool), "method": method} for method in METHODS]
    for each in quiet:
        del each["id"]
    plain = dumped(line.call(tool))
    escaped = plain.replace(b"tools/call", b"tools\\/call")
    spelt = plain.replace(b"tools/call", b"\\u0074ools\\u002fcall")
    return [*made, *map(dumped, quiet), escaped, spelt]


def names(line: Line, tool: str) -> list[bytes]:
    wide = chr(ord(tool[0]) + 0xFEE0) + tool[1:]
    written = (
        *(f" {tool}", f"{tool} ", f"{tool}\n", f"\t{tool}", f"{tool}\u200b", f"\ufeff{tool}"),
        *(f"{tool}\0", f"{tool}\0_all", f"{tool[:2]}\u00ad{tool[2:]}", f"{tool}\u2028", wide),
        *(tool.upper(), tool.capitalize()),
    )
    made: list[Any] = [line.call(name) for name in written]
    made += [line.call([tool]), line.call({"name": tool})]  # type: ignore[arg-type]
    escaped = "".join(f"\\u{ord(c):04x}" for c in tool).encode()
    plain = dumped(line.call(tool)).replace(tool.encode(), escaped)
    return [*map(dumped, made), plain]


def encoded(line: Line, tool: str) -> list[bytes]:
    text = dumped(line.call(tool)).decode()
    ways = ("utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-7")
    raw = text.encode()
    broken = raw.replace(b'"arguments": {', b'"arguments": {"x": "\xff\xc0\xaf", ')
    halved = raw.replace(b'"arguments": {', b'"arguments": {"x": "\\ud800", ')
    packed = [gzip.compress(raw), zlib.compress(raw), zlib.compress(raw)[2:-4]]
    return [*(text.encode(way) for way in ways), broken, halved, *packed]


def around(line: Line, tool: str) -> list[bytes]:
    raw, free = dumped(line.call(tool)), dumped(line.call(HARMLESS))
    quoted = json.dumps(raw.decode()).encode()
    made = [raw + b"}", raw + b"\0", raw + b",", b")]}'" + raw, b"\x1e" + raw, b"data: " + raw]
    made += [free + raw, raw + free, free + b" " + raw, free + b"\r" + raw, free + b"," + raw]
    made += [raw[:-1], raw[:-2], b"// x\r" + raw, b"/* */" + raw, quoted, b"message=" + raw]
    made += [raw.replace(b'"', b"'"), raw[:-1] + b",}", raw.replace(b"{", b"[")]
    for number in (b"NaN", b"Infinity", b"1e999", b"1" * 400, b"01", b"+1", b"0x1", b"1_0"):
        made.append(raw.replace(b'"arguments": {', b'"arguments": {"x": ' + number + b", "))
    deep = raw.replace(b'"arguments": {', b'"arguments": {"x": ' + b"[" * 500 + b"]" * 500 + b", ")
    long = raw.replace(b'"arguments": {', b'"arguments": {"x": "' + b"x" * LARGEST + b'", ')
    return [*made, deep, long]


def responses(line: Line, tool: str) -> list[bytes]:
    call = line.call(tool)
    rest = {name: call[name] for name in ("jsonrpc", "id", "params")}
    made = [{**call, "result": {}}, {**call, "error": {"code": 1, "message": "x"}}]
    made += [{"result": {}, **call}, {**rest, "result": call}, {**call, "result": None}]
    made += [{"jsonrpc": "2.0", "id": call["id"], "result": call}]
    made += [{"jsonrpc": "2.0", "id": call["id"], "result": {"content": [call], **call}}]
    return [dumped(each) for each in made]


def nested(line: Line, tool: str) -> list[bytes]:
    call = line.call(tool)
    inside = {"method": "tools/call", "params": call["params"]}
    reference = {"ref": {"type": "ref/tool", "name": tool}, "argument": {"name": "x", "value": ""}}
    made = [
        line.request("ping", inside),
        line.request("completion/complete", {**reference, **inside}),
        line.request("notifications/message", {"data": call}),
        line.request("logging/setLevel", {"level": call}),
        line.request("sampling/createMessage", {"messages": [call], **inside}),
        line.request("resources/read", {"uri": f"tool://{tool}", **inside}),
        line.request("prompts/get", {"arguments": call["params"], **inside, "name": "p"}),
        {"jsonrpc": "2.0", "message": call},
        {"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {}, "payload": call},
    ]
    return [dumped(each) for each in made]


def continuations(line: Line, tool: str) -> list[bytes]:
    states = ("of-the-server", "interlock-round-1.", "interlock-round-1.W10.x", "", None, 1, {})
    made = [line.call(tool, requestState=state, inputResponses={"a": {}}) for state in states]
    made += [line.call(tool, requestState=state) for state in states]
    return [dumped(each) for each in made]


def separators(line: Line, tool: str) -> list[bytes]:
    """One line, which readers of lines could take for several."""
    inner = dumped(line.call(tool)).decode()
    ends = ("\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\r")
    made = [dumped(line.call(HARMLESS, arguments={"x": f"{e}{inner}{e}"})) for e in ends]
    split = [dumped(line.call(HARMLESS))[:-1] + e.encode() + inner.encode() + b"}" for e in ends]
    return [*made, *split, dumped(line.call(tool)) + b"\r"]


PATHS: Mapping[str, Path] = {
    path.__name__: path
    for path in (
        *(as_it_is, without_an_answer, tasks, batches, twice, keys, strangers, methods, names),
        *(encoded, around, responses, nested, continuations, separators),
    )
}
