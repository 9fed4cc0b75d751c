"""What stands between a client and an MCP server, each a process of its own on 127.0.0.1."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import free_port, process, wait_for

ROOT = Path(__file__).resolve().parent.parent
UPSTREAM = str(Path(__file__).with_name("mcp_upstream.py"))
MCP_PROXY_LOCK = ROOT / "requirements" / "mcp-bench.lock"
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: benchmark, version: 1}
matrix: standard
stake:
  data: {public: low, secret: critical}
tools:
  - id: bench.read
    mcp: {server: fake, tool: read}
    reversibility: read_only
    facets: {data: public}
  - id: bench.others
    mcp: {server: fake, tool: "read_*"}
    reversibility: read_only
    facets: {data: public}
  - id: pipes.read
    mcp: {server: pipes, tool: "*"}
    reversibility: read_only
    facets: {data: public}
  - id: records.write
    http: {upstream: tool, method: POST, path: "/records/{record}"}
    args_schema:
      type: object
      required: [amount]
      properties: {record: {type: string}, amount: {type: number}, note: {type: string}}
    reversibility: reversible
    undo: {reason: The record keeps its history.}
    facets: {data: public}
rules:
  - id: large-amounts
    tools: [bench.read, pipes.read, records.write]
    when: args.amount > 1000
    at_least: approve
  - id: notes-with-passwords
    tools: ["*"]
    when: has(args.note) && args.note.contains("password")
    at_least: approve
"""
CONFIG = """
agents: {{listen: "127.0.0.1:{agents}", anonymous: {{id: bench}}, kept_per_agent: 64GiB}}
people: {{listen: "127.0.0.1:{people}", local: [{{id: ann}}]}}
data: {folder}/data
store: {{embedded: {{max_memory: 0B, fsync: {fsync}}}}}
policies: [{folder}/policy.yaml]
upstreams:
  tool: {{url: "http://127.0.0.1:{upstream}", allow_private: true}}
servers:
  fake: {{url: "http://127.0.0.1:{upstream}/mcp", allow_private: true}}
  pipes: {{}}
notify: {{log: null}}
log: {{level: error}}
"""
FASTMCP = """
import asyncio, sys
from fastmcp import Client
from fastmcp.server.providers.proxy import FastMCPProxy

async def main():
    async with Client(sys.argv[1]) as shared:
        await FastMCPProxy(client_factory=lambda: shared).run_http_async(
            host="127.0.0.1", port=int(sys.argv[2]), path="/mcp", show_banner=False,
            log_level="error", json_response=True)

asyncio.run(main())
"""
BARE = """
import sys, uvloop
from benchmarks.bare_proxy import serve
uvloop.run(serve(sys.argv[1], 0))
"""


Started = contextlib.AbstractContextManager[tuple[subprocess.Popen[bytes], str]]


class NotThere(Exception):
    """What would be compared with is not installed here, and could not be; it says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interlock:
    """A running `interlock serve`."""

    process: subprocess.Popen[bytes]
    agents: int
    people: int
    config: Path
    socket: Path  #: of its store

    @property
    def metrics(self) -> str:
        """What Prometheus would be told."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.people}/metrics", timeout=5) as said:
            text: str = said.read().decode()
            return text


@contextlib.contextmanager
def upstream() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the fake server; yield its process and its port."""
    with _printing(UPSTREAM) as (running, port):
        yield running, port


@contextlib.contextmanager
def pass_through(before: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run the bare aiohttp proxy, on uvloop as Interlock is; yield it and its endpoint."""
    with _printing("-c", BARE, f"http://127.0.0.1:{before}") as (running, port):
        yield running, f"http://127.0.0.1:{port}/mcp"


@contextlib.contextmanager
def _printing(*command: str) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    run = (sys.executable, *command)
    with process(*run, stdout=subprocess.PIPE, cwd=ROOT, env=_environment()) as running:
        assert running.stdout is not None
        yield running, int(running.stdout.readline())


def _environment() -> dict[str, str]:
    return {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"}


@contextlib.contextmanager
def interlock(where: Path, before: int, fsync: str = "always") -> Iterator[Interlock]:
    """Run `interlock serve` before the fake server, as an MCP server and as an HTTP tool."""
    from interlock.store.ground import socket_path

    agents, people = free_port(), free_port()
    (where / "policy.yaml").write_text(POLICY)
    config = where / "interlock.yaml"
    config.write_text(
        CONFIG.format(folder=where, agents=agents, people=people, upstream=before, fsync=fsync)
    )
    command = (sys.executable, "-m", "interlock", "serve", "--config", str(config))
    log = where / "interlock.log"
    with log.open("wb") as output, process(*command, stdout=output, stderr=output) as running:
        try:
            wait_for(f"http://127.0.0.1:{people}/readyz", running)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; it said: {log.read_text()}") from None
        yield Interlock(
            process=running,
            agents=agents,
            people=people,
            config=config,
            socket=socket_path(where / "data" / "store"),
        )


@contextlib.contextmanager
def fastmcp(where: Path, before: int) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run FastMCP's proxy with one client for everybody; yield it and its endpoint.

    Raises:
        NotThere: its environment could not be made.
    """
    from tests.acceptance.mcp_clients.environments import python

    port = free_port()
    run = (
        str(_made(lambda: python(2))),
        "-c",
        FASTMCP,
        f"http://127.0.0.1:{before}/mcp",
        str(port),
    )
    quiet = {"FASTMCP_CHECK_FOR_UPDATES": "off", "HOME": str(where), "PATH": "/usr/bin:/bin"}
    url = f"http://127.0.0.1:{port}/mcp"
    with _logged(where / "fastmcp.log", run, quiet, url) as running:
        yield running, url


@contextlib.contextmanager
def mcp_proxy(where: Path) -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """Run mcp-proxy before the fake server on pipes; yield it and its endpoint.

    Raises:
        NotThere: its environment could not be made.
    """
    port = free_port()
    program = _made(_mcp_proxy).parent / "mcp-proxy"
    run = (str(program), "--port", str(port), "--log-level", "ERROR", "--", *pipes_command())
    url = f"http://127.0.0.1:{port}/mcp"
    with _logged(where / "mcp-proxy.log", run, {"PATH": "/usr/bin:/bin"}, url) as running:
        yield running, url


def pipes_command() -> tuple[str, ...]:
    """Return what starts the fake server on pipes."""
    return (sys.executable, UPSTREAM, "--stdio")


def wrapped_command(config: Path) -> tuple[str, ...]:
    """Return what starts the fake server on pipes, behind `interlock mcp`."""
    mcp = (sys.executable, "-m", "interlock", "mcp", "--server", "pipes", "--config", str(config))
    return (*mcp, "--", *pipes_command())


@contextlib.contextmanager
def _logged(
    log: Path, run: tuple[str, ...], env: dict[str, str], url: str
) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output, process(*run, stdout=output, stderr=output, env=env) as running:
        try:
            wait_for(url, running)
        except RuntimeError as error:
            raise NotThere(f"{error}; it said: {log.read_text()[-2000:]}") from None
        yield running


def _mcp_proxy() -> Path:
    from tests.acceptance.mcp_clients.environments import MADE, made

    def install(folder: Path) -> None:
        venv.create(folder, with_pip=False)
        pip = (sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install")
        locked = ("--quiet", "--require-hashes", "-r", str(MCP_PROXY_LOCK))
        subprocess.run((*pip, *locked), check=True, capture_output=True)

    return made(MADE / "bench", MCP_PROXY_LOCK, install) / "bin" / "python"


def _made(make: Callable[[], Path]) -> Path:
    try:
        return make()
    except (OSError, RuntimeError, subprocess.CalledProcessError) as error:
        raise NotThere(f"its environment could not be made: {str(error)[-300:]}") from None
