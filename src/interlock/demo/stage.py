"""What the tour needs running: an AWS of its own, and `interlock serve` in front of it."""

from __future__ import annotations

import contextlib
import json
import logging
import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..config import PREFIX, environment
from ..core.errors import InterlockError
from ..keyfiles import read_private

YOU, COLLEAGUE = "you", "colleague"
AGENT = "deploy-bot"
START_SECONDS = 30.0
HOLD_SECONDS = 20  #: boto3 reads for 60 s before it gives up on one attempt
_LINK = re.compile(r"Sign in (\S+)\s+(http\S+)")
CONFIG = """\
# Made for the tour; removed at its end.
agents: {{listen: "127.0.0.1:{agents}", hold: {hold}s}}
people:
  listen: 127.0.0.1:{people}
  local: [{{id: {you}}}, {{id: {colleague}}}]
data: {folder}/data
policies: [{policy}]
upstreams:
  aws:
    url: {aws}
    allow_private: true                 # it runs on this machine
    forward_headers: ["x-amz-*"]          # they are part of what AWS is asked for
    credentials:
      aws_sigv4:                        # the agent has no AWS credentials; Interlock signs
        access_key_id: {{from_file: aws-id}}
        secret_access_key: {{from_file: aws-secret}}
        services: [s3, ec2, iam, sts]
    refused: {{format: aws}}              # boto3 raises an exception that carries the reason
    pending: {{status: 503}}              # boto3 tries again by itself, and joins the held call
log: {{level: warning}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """Where everything is. `links`: each person's one-time sign-in link."""

    aws: str
    agents: str
    people: str
    config: Path
    policy: Path
    agent_key: str = field(repr=False)
    links: Mapping[str, str] = field(repr=False)
    data: Path

    def key_file(self, person: str) -> Path:
        """Return the file with *person*'s key for the terminal and the API."""
        name = "operator.key" if person == YOU else f"operator-{person}.key"
        return self.data / name

    def key(self, person: str) -> str:
        return read_private(self.key_file(person))


@contextlib.contextmanager
def staged(server: Any) -> Iterator[Stage]:
    """Start everything in a private folder; stop and remove it at the end.

    *server* is moto's class `ThreadedMotoServer`.

    Raises:
        InterlockError: something did not start; the message says what it printed.
    """
    folder = Path(tempfile.mkdtemp(prefix="interlock-demo-"))
    logging.getLogger("werkzeug").setLevel(logging.ERROR)  # moto's own line for each request
    aws = server(ip_address="127.0.0.1", port=0, verbose=False)
    aws.start()
    host, port = aws.get_host_and_port()
    try:
        with _interlock(folder, f"http://{host}:{port}") as stage:
            yield stage
    finally:
        aws.stop()
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _interlock(folder: Path, aws: str) -> Iterator[Stage]:
    agents, people = _free_port(), _free_port()
    config, policy = folder / "interlock.yaml", shipped_policy("aws.yaml")
    (folder / "aws-id").write_text("AKIADEMODEMODEMO", encoding="utf-8")
    (folder / "aws-secret").write_text("known-to-interlock-only", encoding="utf-8")
    config.write_text(
        CONFIG.format(
            agents=agents,
            people=people,
            hold=HOLD_SECONDS,
            you=YOU,
            colleague=COLLEAGUE,
            folder=folder,
            policy=policy,
            aws=aws,
        ),
        encoding="utf-8",
    )
    log = folder / "interlock.log"
    with log.open("wb") as output:
        serving = subprocess.Popen(  # noqa: S603 (our own program)
            [*_program(), "serve", "--config", str(config)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=_environment(),
            start_new_session=True,  # Ctrl-C is for the tour, which then stops this one
        )
    try:
        _wait(f"http://127.0.0.1:{people}/readyz", serving, log)
        yield Stage(
            aws=aws,
            agents=f"http://127.0.0.1:{agents}",
            people=f"http://127.0.0.1:{people}",
            config=config,
            policy=policy,
            agent_key=_agent_key(config),
            links=dict(_LINK.findall(log.read_text(encoding="utf-8"))),
            data=folder / "data",
        )
    finally:
        serving.terminate()
        try:
            serving.wait(30)
        except subprocess.TimeoutExpired:
            serving.kill()
            serving.wait()


def _program() -> list[str]:
    return [sys.executable, "-m", "interlock"]


def _environment() -> dict[str, str]:
    """This process's environment, without settings for another Interlock."""
    return {k: v for k, v in environment().items() if not k.upper().startswith(PREFIX)}


def _agent_key(config: Path) -> str:
    made = subprocess.run(  # noqa: S603 (our own program)
        [*_program(), *("keys", "create", "agent", AGENT), "--config", str(config), "--json"],
        capture_output=True,
        text=True,
        env=_environment(),
        timeout=START_SECONDS,
    )
    if made.returncode:
        raise InterlockError(f"The agent's key could not be made: {made.stderr.strip()}")
    return str(json.loads(made.stdout)["key"])


def _wait(url: str, serving: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and serving.poll() is None:
        try:
            urllib.request.urlopen(url, timeout=2).close()  # noqa: S310 (our own address)
            return
        except (OSError, urllib.error.URLError):
            time.sleep(0.1)
    said = log.read_text(encoding="utf-8").strip() or "nothing"
    raise InterlockError(f"Interlock did not start. It said:\n{said}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def shipped_policy(name: str) -> Path:
    """Return a policy that ships with Interlock: in the package, or beside its source.

    Raises:
        InterlockError: it is in neither place.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "policies" / "shipped", package.parent.parent / "policies"):
        if (folder / name).is_file():
            return folder / name
    raise InterlockError(
        f"The policy {name} is not installed.", help="Run the demo from a clone: make demo"
    )
