"""A real `interlock serve` before a real HTTP tool that records what reaches it.

Clients here block, so the tool answers in threads of its own and Interlock is its own process.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx

LOOKS = 3000  #: how often something is looked for before the test gives up
QUIET = 60  #: how often nothing may move for a second before it does
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
"""For clients of http: URLs. One that reads the certificates of all authorities takes 20 ms."""

POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: acceptance, version: 1}
matrix: standard
stake:
  blast: {self: low, everybody: critical}
tools:
  - id: notes.read
    http: {upstream: tool, method: GET, path: "/notes/{note}"}
    reversibility: read_only
    facets: {blast: self}
  - id: notes.stream
    http: {upstream: tool, method: GET, path: /stream}
    reversibility: read_only
    facets: {blast: self}
  - id: notes.add
    http: {upstream: tool, method: POST, path: /notes}
    args_schema:
      type: object
      required: [text]
      properties: {text: {type: string}, copies: {type: integer}}
    reversibility: reversible
    undo: {reason: Notes keep their history.}
    facets: {blast: self}
  - id: notes.publish
    http: {upstream: tool, method: POST, path: /publish}
    args_schema:
      type: object
      required: [text]
      properties: {text: {type: string}}
    reversibility: reversible
    undo: {reason: It can be withdrawn.}
    facets: {blast: self}
  - id: notes.brief
    description: Nobody is quick enough for this one.
    http: {upstream: tool, method: POST, path: /brief}
    reversibility: reversible
    undo: {reason: It can be withdrawn.}
    facets: {blast: self}
  - id: table.get
    http:
      upstream: aws
      service: dynamodb
      method: POST
      path: /
      header: {x-amz-target: DynamoDB_20120810.GetItem}
    reversibility: read_only
    facets: {blast: self}
  - id: table.put
    http:
      upstream: aws
      service: dynamodb
      method: POST
      path: /
      header: {x-amz-target: DynamoDB_20120810.PutItem}
    reversibility: reversible
    undo: {reason: It keeps its history.}
    facets: {blast: self}
  - id: table.delete
    http:
      upstream: aws
      service: dynamodb
      method: POST
      path: /
      header: {x-amz-target: DynamoDB_20120810.DeleteItem}
    reversibility: reversible
    undo: {reason: It keeps its history.}
    facets: {blast: self}
rules:
  - {id: publishing, tools: [notes.publish, table.put], at_least: approve}
  - {id: hurried, tools: [notes.brief, table.delete], at_least: approve_dual}
levels:
  approve: {quorum: 1, expire_after: 10m}
  approve_dual: {quorum: 2, expire_after: 1s}
"""

CONFIG: Mapping[str, Any] = {
    "agents": {"listen": "127.0.0.1:0", "anonymous": {"id": "local"}},
    "people": {"listen": "127.0.0.1:0", "local": [{"id": "ann"}, {"id": "bob"}]},
    "data": "data",
    "policies": ["policy.yaml"],
    "log": {"level": "warning"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request that reached the tool."""

    method: str
    target: str
    headers: Mapping[str, str]  #: names in lower case
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Tool:
    """Answers every call with what it got; `instead` may answer otherwise, on the raw handler."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.instead: Callable[[BaseHTTPRequestHandler, Call], None] | None = None
        self.reached = threading.Event()
        tool = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length", "0"))
                call = Call(
                    method=self.command,
                    target=self.path,
                    headers={name.lower(): value for name, value in self.headers.items()},
                    body=self.rfile.read(length),
                )
                tool.calls.append(call)
                tool.reached.set()
                (tool.instead or plainly)(self, call)

            do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_PATCH = _answer

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def hits(self) -> int:
        return len(self.calls)

    def forget(self) -> None:
        """Start the next test with nothing recorded."""
        self.calls, self.instead, self.reached = [], None, threading.Event()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def plainly(handler: BaseHTTPRequestHandler, call: Call) -> None:
    """Answer 200 with the call as JSON; AWS clients get an empty item."""
    told = {} if "x-amz-target" in call.headers else {"did": call.target, "got": _text(call.body)}
    body = json.dumps(told).encode()
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    if call.method != "HEAD":
        handler.wfile.write(body)


def _text(body: bytes) -> Any:
    return json.loads(body) if body else None


class Words:
    """What a process prints, as it comes."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._text = ""
        self._ended = False
        self._news = threading.Condition()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self._news:
                self._text += line
                self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()
        process.stdout.close()

    @property
    def text(self) -> str:
        return self._text

    def wait(self, pattern: str, seconds: float = 60) -> re.Match[str]:
        """Return the first match of *pattern*, once it was printed."""
        with self._news:
            self._news.wait_for(lambda: self._ended or re.search(pattern, self._text), seconds)
        found = re.search(pattern, self._text)
        assert found, f"never said {pattern!r}, but: {self._text}"
        return found


class News:
    """Says when a call may have moved: it follows the stream of events that pages follow, too."""

    def __init__(self, person: httpx.Client) -> None:
        self._news = threading.Condition()
        self._told = 0
        self.ended = False
        threading.Thread(target=self._follow, args=(person,), daemon=True).start()

    def _follow(self, person: httpx.Client) -> None:
        with contextlib.suppress(httpx.HTTPError), person:  # it ends with the process that serves
            with person.stream("GET", "/v1/events", timeout=None) as stream:
                for line in stream.iter_lines():
                    if line.startswith("data:"):
                        with self._news:
                            self._told += 1
                            self._news.notify_all()
        self.ended = True

    def until(self, found: Callable[[], bool]) -> bool:
        """Look again whenever a call may have moved; return whether it was found in the end."""
        quiet = 0
        while quiet < QUIET:
            told = self._told
            if found():
                return True
            quiet += not self._more_than(told)
        return False

    def _more_than(self, told: int) -> bool:
        with self._news:
            return self._news.wait_for(lambda: self._told > told, 1)


@dataclass
class Gate:
    """A running `interlock serve`, and the people who decide."""

    process: subprocess.Popen[str]
    folder: Path
    agents: str
    people: str
    words: Words
    pool: ThreadPoolExecutor
    news: News | None = None

    @property
    def tool(self) -> str:
        """The base URL that agents use instead of the tool's."""
        return f"{self.agents}/t/tool"

    def later(self, work: Callable[..., Any], *args: Any) -> Future[Any]:
        """Do *work* in a thread: calls block while they are held."""
        return self.pool.submit(work, *args)

    def person(self, who: str = "ann") -> httpx.Client:
        """Return a client of the people's API with the key of *who*."""
        name = "operator.key" if who == "ann" else f"operator-{who}.key"
        key = (self.folder / "data" / name).read_text().strip()
        headers = {"Authorization": f"Bearer {key}"}
        return httpx.Client(base_url=self.people, headers=headers, timeout=30, verify=NO_TLS)

    def until(self, found: Callable[[], bool]) -> bool:
        """Wait until *found*, which may change with any move of a call; return whether it was."""
        if found():
            return True
        if self.news is None or self.news.ended:
            self.news = News(self.person())
        return self.news.until(found)

    def held(self, count: int = 1) -> list[dict[str, Any]]:
        """Return the held calls, oldest first, once there are *count*."""
        items: list[dict[str, Any]] = []
        with self.person() as ann:

            def all_are_held() -> bool:
                items[:] = ann.get("/v1/approvals").json()["items"]
                return len(items) == count

            if self.until(all_are_held):
                return sorted(items, key=lambda card: card["created"])
        raise AssertionError(f"{len(items)} calls are held, not {count}: {self.said()}")

    def decide(self, verdict: str, who: str = "ann", **more: Any) -> httpx.Response:
        """Decide the one call that is held."""
        return self.decide_card(self.held()[0], verdict, who, **more)

    def decide_card(
        self,
        card: Mapping[str, Any],
        verdict: str,
        who: str = "ann",
        message: str = "",
        **more: Any,
    ) -> httpx.Response:
        """Decide the call on *card*, as it was when the card was read."""
        with self.person(who) as person:
            return person.post(
                f"/v1/approvals/{card['id']}/decision",
                json={"type": verdict, "digest": card["digest"], "message": message, **more},
                headers={"If-Match": f'"{card["version"]}"'},
            )

    def state(self, call: str) -> str:
        with self.person() as ann:
            return str(ann.get(f"/v1/approvals/{call}").json()["card"]["state"])

    def becomes(self, call: str, state: str) -> None:
        """Wait until *call* is in *state*."""
        if not self.until(lambda: self.state(call) == state):
            raise AssertionError(f"{call} is {self.state(call)}, not {state}")

    def said(self) -> str:
        return self.words.text

    def kill(self) -> None:
        """kill -9."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait(10)

    def stop(self, seconds: float = 30) -> int:
        """SIGTERM; return the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)


def write(folder: Path, config: Mapping[str, Any], policy: str = POLICY) -> Path:
    """Write a configuration (JSON is YAML) and its policy; return the configuration's path."""
    (folder / "policy.yaml").write_text(policy)
    path = folder / "interlock.yaml"
    path.write_text(json.dumps(config))
    return path


def serving(path: Path, *options: str) -> tuple[subprocess.Popen[str], Words]:
    """Start `interlock serve` and return at once."""
    process = subprocess.Popen(
        [sys.executable, "-u", "-m", "interlock", "serve", "--config", str(path), *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=path.parent,
        env=os.environ | {"NO_COLOR": "1"},
    )
    return process, Words(process)


def refused_to_start(path: Path, *options: str) -> tuple[int, str]:
    """Run `interlock serve`, which must end by itself; return its exit code and words."""
    ended = subprocess.run(
        [sys.executable, "-m", "interlock", "serve", "--config", str(path), *options],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=path.parent,
    )
    return ended.returncode, ended.stderr + ended.stdout


@contextlib.contextmanager
def gate(folder: Path, config: Mapping[str, Any], policy: str = POLICY) -> Iterator[Gate]:
    """Serve until the block ends."""
    process, words = serving(write(folder, config, policy))
    pool = ThreadPoolExecutor(16)
    try:
        agents, people = (
            words.wait(rf"{side}\s+(http://[^/\s]+)")[1] for side in ("Agents", "People")
        )
        yield Gate(
            process=process, folder=folder, agents=agents, people=people, words=words, pool=pool
        )
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def short_folder() -> Iterator[Path]:
    """A folder with a short path: a Unix socket's path has room for about 100 bytes."""
    made = Path(tempfile.mkdtemp(prefix="il-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def a_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def with_tool(tool: Tool, **upstream: Any) -> dict[str, Any]:
    """Return the usual configuration with *tool* behind it."""
    settings = {"url": tool.url, "allow_private": True} | upstream
    return dict(CONFIG) | {"upstreams": {"tool": settings}}
