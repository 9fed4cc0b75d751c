"""A running `interlock serve` whose people sign in at a certified provider, both as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp.test_utils import unused_port

from tests.support import npm
from tests.support.stores import Server, fresh_prefix

ACCOUNTS = {
    "ann": {"email": "Ann@example.com", "email_verified": True, "groups": ["payments"]},
    "iris": {"email": "iris@example.com", "email_verified": True, "groups": ["audit"]},
    "both": {
        "email": "both@example.com",
        "email_verified": True,
        "groups": ["payments", "platform"],
    },
    "eve": {"email": "eve@example.com", "email_verified": True, "groups": ["strangers"]},
    "mallory": {"email": "ann@example.com", "email_verified": False, "groups": ["payments"]},
}
POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: doors, version: 1, owner: ann@example.com, description: All that is unknown waits.}
matrix:
  read_only:    [allow, allow, approve, approve]
  reversible:   [allow, approve, approve, approve]
  compensable:  [approve, approve, approve, approve]
  irreversible: [approve, approve, approve, deny]
levels:
  approve: {approvers: [payments], quorum: 1, expire_after: 60m, on_expire: deny}
"""
CLIENT_SECRET = "a secret of 32 characters, :/%+&"


@dataclass(frozen=True)
class Running:
    """Where everything is."""

    url: str
    issuer: str
    file: Path


@contextlib.asynccontextmanager
async def a_process(*command: str | Path, until: str, **env: str) -> AsyncIterator[str]:
    """Run a command; yield the line of its output that has *until* in it."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env=os.environ | env,
    )
    assert process.stdout is not None
    said = ""
    try:
        async with asyncio.timeout(30):
            while until not in (line := (await process.stdout.readline()).decode()):
                said += line
                assert line, f"{command[0]} ended: {said}"
        yield line
    finally:
        if process.returncode is None:
            process.terminate()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.communicate(), 20)


@contextlib.asynccontextmanager
async def served(
    server: Server, folder: Path, *, secret: str = CLIENT_SECRET, **provider: Any
) -> AsyncIterator[Running]:
    """Both running; *provider*: options of tests/npm/provider.mjs."""
    npm.install()
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    asked = {
        "client_id": "interlock",
        "redirect_uri": f"{url}/oidc/callback",
        "back": f"{url}/",
        "accounts": ACCOUNTS,
        **({"client_secret": secret} if secret else {}),
    }
    script = npm.PACKAGES / "provider.mjs"
    told = json.dumps(asked | provider)
    async with a_process(npm.node(), script, told, until='"issuer"') as line:
        issuer = json.loads(line)["issuer"]
        file = _configured(server, folder, port, issuer, secret)
        command = (sys.executable, "-m", "interlock", "serve", "-c", str(file))
        async with a_process(*command, until="/review", OIDC_SECRET=secret):
            yield Running(url, issuer, file)


def _configured(server: Server, folder: Path, port: int, issuer: str, secret: str) -> Path:
    (folder / "policy.yaml").write_text(POLICY)
    file = folder / "interlock.yaml"
    known = "client_secret: {from_env: OIDC_SECRET}" if secret else ""
    file.write_text(f"""
agents: {{listen: "127.0.0.1:0"}}
data: data
store: {{url: "{server.url}", prefix: {fresh_prefix()}}}
policies: [policy.yaml]
people:
  listen: "127.0.0.1:{port}"
  oidc:
    issuer: {issuer}
    client_id: interlock
    {known}
    name: Example ID
    scopes: [openid, email, groups]
    roles: {{approver: [payments], admin: [platform], auditor: [audit]}}
""")
    return file
