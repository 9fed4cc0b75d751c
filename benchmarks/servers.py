"""The servers that a benchmark compares, each a process of its own on 127.0.0.1."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

ANSWER = '{"ok": true, "record": {"id": 7, "name": "seven", "tags": ["a", "b"], "total": 12.5}}'
NGINX = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 60s;
  client_body_temp_path {folder}; proxy_temp_path {folder}; fastcgi_temp_path {folder};
  uwsgi_temp_path {folder}; scgi_temp_path {folder};
  upstream tool {{ server 127.0.0.1:{tool}; keepalive 256; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{tool} backlog=4096;
    location / {{ default_type application/json; return 200 '{answer}'; }} }}
  server {{ listen 127.0.0.1:{proxy} backlog=4096;
    location / {{ proxy_pass http://tool; proxy_http_version 1.1;
                  proxy_set_header Connection ""; }} }}
}}
"""
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: benchmark, version: 1}
matrix: standard
stake:
  data: {public: low, secret: critical}
tools:
  - id: records.write
    http: {upstream: tool, method: POST, path: "/records/{record}"}
    args_schema:
      type: object
      required: [amount]
      properties: {record: {type: string}, amount: {type: number}, note: {type: string}}
    reversibility: reversible
    undo: {reason: The record keeps its history.}
    facets: {data: public}
  - id: records.drop
    http: {upstream: tool, method: POST, path: "/drop/{record}"}
    reversibility: irreversible
    facets: {data: public}
rules:
  - id: large-amounts
    tools: [records.write]
    when: args.amount > 1000
    at_least: approve
  - id: notes-with-passwords
    tools: ["*"]
    when: has(args.note) && args.note.contains("password")
    at_least: approve
  - id: drops
    tools: [records.drop]
    at_least: approve
"""
CONFIG = """
agents: {{listen: "127.0.0.1:{agents}", anonymous: {{id: bench}}, held_per_agent: 100000}}
people: {{listen: "127.0.0.1:{people}", local: [{{id: ann}}]}}
data: {folder}/data
policies: [{folder}/policy.yaml]
upstreams:
  tool: {{url: "http://127.0.0.1:{tool}", allow_private: true}}
notify: {{log: null}}
log: {{level: error}}
"""


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_for(url: str, process: subprocess.Popen[bytes], seconds: float = 30.0) -> None:
    """Return once *url* answers anything below 500.

    Raises:
        RuntimeError: the process ended, or *seconds* passed.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            urllib.request.urlopen(url, timeout=2).close()
            return
        except urllib.error.HTTPError as answered:
            if answered.code < 500:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise RuntimeError(f"{url} did not answer within {seconds} s")


@contextlib.contextmanager
def process(*command: str, **more: object) -> Iterator[subprocess.Popen[bytes]]:
    """Run *command* until the block ends."""
    running = subprocess.Popen(command, stdin=subprocess.DEVNULL, **more)  # type: ignore[call-overload]
    try:
        yield running
    finally:
        running.terminate()
        try:
            running.wait(20)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """A private folder, removed at the end. Its path is short: sockets have little room."""
    made = Path(tempfile.mkdtemp(prefix="il-bench-"))
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


@contextlib.contextmanager
def nginx(where: Path) -> Iterator[tuple[int, int]]:
    """Run nginx as the tool and as a reverse proxy before it; yield both ports.

    Raises:
        RuntimeError: nginx is not installed.
    """
    found = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin:/usr/local/sbin")
    if found is None:
        raise RuntimeError("nginx is not installed; on Debian: apt-get install nginx-light wrk")
    tool, proxy = free_port(), free_port()
    config = where / "nginx.conf"
    config.write_text(NGINX.format(folder=where, tool=tool, proxy=proxy, answer=ANSWER))
    with process(found, "-p", str(where), "-c", str(config)) as running:
        wait_for(f"http://127.0.0.1:{proxy}/", running)
        yield tool, proxy


@contextlib.contextmanager
def bare_proxy(tool: int) -> Iterator[int]:
    """Run the bare aiohttp proxy before the tool; yield its port."""
    script = str(Path(__file__).with_name("bare_proxy.py"))
    upstream = f"http://127.0.0.1:{tool}"
    with process(sys.executable, script, upstream, stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        yield int(running.stdout.readline())


@contextlib.contextmanager
def interlock(where: Path, tool: int) -> Iterator[tuple[subprocess.Popen[bytes], int, int]]:
    """Run `interlock serve` before the tool; yield its process and both listeners' ports."""
    agents, people = free_port(), free_port()
    (where / "policy.yaml").write_text(POLICY)
    config = where / "interlock.yaml"
    config.write_text(CONFIG.format(folder=where, agents=agents, people=people, tool=tool))
    command = (sys.executable, "-m", "interlock", "serve", "--config", str(config))
    log = where / "interlock.log"
    with log.open("wb") as output, process(*command, stdout=output, stderr=output) as running:
        try:
            wait_for(f"http://127.0.0.1:{people}/readyz", running)
        except RuntimeError as error:
            raise RuntimeError(f"{error}; it said: {log.read_text()}") from None
        yield running, agents, people


def resident(pid: int) -> int:
    """Return the resident memory of a process in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0


def processor_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def children(pid: int) -> list[int]:
    """Return the processes that a process has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]
