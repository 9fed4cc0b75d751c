"""An MCP server on pipes that does what it is told to, however wrong: python nasty_server.py.

Its tools are named after what they do. Each call of `write` adds a line to the file in WRITTEN.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
KEPT: list[Message] = []  # calls that wait for `release`


def raw(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def say(document: Message) -> None:
    raw(json.dumps({"jsonrpc": "2.0", **document}))


def hear() -> Message:
    line = sys.stdin.readline()
    if not line:
        sys.exit(int(os.environ.get("EXIT_AT_EOF", "0")))
    heard: Message = json.loads(line)
    return heard


def text(given: object, words: str) -> None:
    say({"id": given, "result": {"content": [{"type": "text", "text": words}]}})


def echo(message: Message) -> None:
    params = message["params"]
    text(message["id"], f"{params['name']} {json.dumps(params.get('arguments', {}))}")


def write(message: Message) -> None:
    with open(os.environ["WRITTEN"], "a", encoding="utf-8") as file:
        file.write(json.dumps(message["params"]["arguments"]) + "\n")
    echo(message)


def broken(message: Message) -> None:
    raw(f'{{"jsonrpc": "2.0", "id": {message["id"]}, "result": {{"content": [}}')


def both(message: Message) -> None:
    member = message["params"]["arguments"]["member"]
    answer = {"content": [{"type": "text", "text": "unread"}]}
    say({"method": "notifications/x", member: answer, "id": message["id"]})
    raw(f'{{"jsonrpc": "2.0", "method": "x", "id": {message["id"]}, "result": {{}}}}')


def garbage(message: Message) -> None:
    for words in ("Listening...", "{", "[1]", f'{{"id": {message["id"]}}}', "\x1b[2J", ""):
        raw(words)
    echo(message)


def wrong_id(message: Message) -> None:
    given = message["id"]
    for wrong in (given + 1000, str(given), float(given), None, True):
        text(wrong, "wrong")
    echo(message)


def flood(message: Message) -> None:
    for _ in range(message["params"]["arguments"]["count"]):
        say({"method": "notifications/message", "params": {"level": "info", "data": "x" * 100}})
    echo(message)


def progress(message: Message) -> None:
    token = message["params"]["_meta"]["progressToken"]
    for at in range(1, message["params"]["arguments"]["count"] + 1):
        params = {"progressToken": token, "progress": at}
        say({"method": "notifications/progress", "params": params})
    echo(message)


def ask(message: Message) -> None:
    method = message["params"]["arguments"]["method"]
    say({"id": "of-server-1", "method": method, "params": {}})
    text(message["id"], json.dumps(hear()))


def keep(message: Message) -> None:
    KEPT.append(message)
    say({"method": "notifications/kept"})


def release(message: Message) -> None:
    for kept in KEPT:
        text(kept["id"], "released")
    echo(message)


def twice(message: Message) -> None:
    echo(message)
    echo(message)


def huge(message: Message) -> None:
    text(message["id"], "x" * message["params"]["arguments"]["size"])


def env(message: Message) -> None:
    text(message["id"], json.dumps(sorted(os.environ)))


def silent(message: Message) -> None:
    """Never answer."""


def leave(message: Message) -> None:
    sys.exit(message["params"]["arguments"].get("code", 3))


TOOLS: dict[str, Callable[[Message], None]] = {
    "write": write,
    "wipe": write,
    "both": both,
    "broken": broken,
    "garbage": garbage,
    "wrong_id": wrong_id,
    "flood": flood,
    "progress": progress,
    "ask": ask,
    "keep": keep,
    "release": release,
    "twice": twice,
    "huge": huge,
    "env": env,
    "silent": silent,
    "exit": leave,
}


def initialize(message: Message) -> Message:
    server = {"name": "nasty", "version": "1"}
    version = message["params"]["protocolVersion"]
    return {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": server}


def listing(message: Message) -> Message:
    names = [*TOOLS, "read", "echo"]
    return {"tools": [{"name": name, "inputSchema": {"type": "object"}} for name in names]}


def other(message: Message) -> Message:
    return {"method": message["method"], "params": message.get("params")}


METHODS = {"initialize": initialize, "tools/list": listing}


def signalled(number: int, _: object) -> None:
    say({"method": "notifications/signalled", "params": {"number": number}})


def main() -> None:
    if "IGNORE_TERM" in os.environ:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "TELL_SIGNALS" in os.environ:
        signal.signal(signal.SIGHUP, signalled)
        signal.signal(signal.SIGINT, signalled)
    while True:
        message = hear()
        method, given = message.get("method"), message.get("id")
        if method == "tools/call":
            TOOLS.get(message["params"]["name"], echo)(message)
        elif method == "notifications/cancelled":
            say({"method": "notifications/heard", "params": message["params"]})
        elif method is not None and given is not None:
            say({"id": given, "result": METHODS.get(method, other)(message)})


if __name__ == "__main__":
    main()
