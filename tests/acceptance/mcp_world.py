"""A real `interlock serve` before a real MCP server, for models behind real clients."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.acceptance.mcp_clients import notes
from tests.acceptance.mcp_clients.models import Model, Models
from tests.acceptance.world import CONFIG, Gate, gate, short_folder

SERVER = Path(notes.__file__)
OVER = {"http": "notes", "stdio": "piped", "sse": "old"}  #: transport -> name of the server
REVERSIBLE = {"reversibility": "reversible", "undo": {"reason": "It can be withdrawn."}}
TOOLS: Mapping[str, Mapping[str, Any]] = {
    "read": {"reversibility": "read_only"},
    "post": REVERSIBLE,
    "brief": REVERSIBLE,
    "wipe": {"reversibility": "irreversible"},
}
POLICY = {
    "apiVersion": "interlock/v1",
    "kind": "Policy",
    "metadata": {"name": "clients", "version": 1},
    "matrix": "standard",
    "tools": [
        {
            "id": f"{server}.{tool}",
            "mcp": {"server": server, "tool": tool},
            "facets": {"data": "public" if tool == "read" else "internal"},
            **what,
        }
        for server in OVER.values()
        for tool, what in TOOLS.items()
    ],
    "rules": [
        {"id": "posting", "tools": ["*.post"], "at_least": "approve"},
        {"id": "hurried", "tools": ["*.brief"], "at_least": "approve_dual"},
        {"id": "wiping", "tools": ["*.wipe"], "deny": "Notes are kept for ten years"},
    ],
    "levels": {
        "approve": {"quorum": 1, "expire_after": "10m"},
        "approve_dual": {"quorum": 2, "expire_after": "1s"},
    },
}

AGENTS: Mapping[str, Mapping[str, Any]] = {
    "patient": {"hold": "20s"},
    "brief": {"hold": "1s"},
    "unset": {},
    "rounds": {"hold": "1s", "rounds": True},
}
"""How each agent's client is held."""


@dataclass(kw_only=True)
class World:
    """Interlock, the server behind it, and what ran there."""

    gate: Gate
    keys: Mapping[str, str]
    ran_file: Path
    models: Models

    def ran(self, about: str) -> list[str]:
        """Return what ran at the server and speaks of *about*, in order."""
        lines = self.ran_file.read_text().splitlines()
        return [line for line in lines if about in line]

    def asked(self, about: str) -> int:
        """Return how many calls people were ever asked about that speak of *about*."""
        found = [card for card in self.cards() if about in json.dumps(card)]
        return len({card["id"] for card in found if card["state"] != "denied"})

    def held(self, about: str) -> dict[str, Any]:
        """Return the one call that waits and speaks of *about*, once it does."""
        cards: list[dict[str, Any]] = []
        with self.gate.person() as ann:

            def it_waits() -> bool:
                items = ann.get("/v1/approvals").json()["items"]
                cards[:] = [card for card in items if about in json.dumps(card)]
                return bool(cards)

            if self.gate.until(it_waits):
                [card] = cards
                return card
        raise AssertionError(f"no call waits that speaks of {about}: {self.gate.said()}")

    def decide(self, about: str, verdict: str, **more: Any) -> str:
        """Decide the call that waits and speaks of *about*; return its id."""
        card = self.held(about)
        done = self.gate.decide_card(card, verdict, **more)
        assert done.status_code == 200, done.text
        return str(card["id"])

    def cards(self) -> list[dict[str, Any]]:
        """Return the calls that people see: those that wait, then those of late."""
        with self.gate.person() as ann:
            return [
                card
                for which in ("limit=200", "limit=200&state=recent")
                for card in ann.get(f"/v1/approvals?{which}").json()["items"]
            ]

    @contextlib.contextmanager
    def client(
        self, name: str, over: str = "http", agent: str = "patient", at: str = "", **settings: Any
    ) -> Iterator[Model]:
        """Start a session of a client, *at* another address than Interlock's if that is given."""
        server = OVER[over]
        if over == "stdio":
            shim = [sys.executable, "-m", "interlock", "mcp", "--server", server, "--agent", agent]
            config = ["--config", str(self.gate.folder / "interlock.yaml")]
            command = shlex.join([*shim, *config, "--", sys.executable, str(SERVER), "stdio"])
            env = {"RAN": str(self.ran_file), "PYTHONPATH": os.pathsep.join(sys.path)}
            where: dict[str, Any] = {"command": command, "env": env}
        else:
            key = {"Interlock-Key": self.keys[agent]} if agent in self.keys else {}
            url = f"{at or self.gate.agents}/mcp/{server}"
            where = {"url": url, "headers": key, "sse": over == "sse"}
        with self.models.model(name, **where, **settings) as running:
            yield running


@contextlib.contextmanager
def world() -> Iterator[World]:
    """Serve until the block ends."""
    with short_folder() as folder, _server(folder / "ran") as urls:
        servers = {"notes": _at(urls["mcp"]), "old": _at(urls["sse"], transport="sse"), "piped": {}}
        agents = {"listen": "127.0.0.1:0", "anonymous": {"id": "patient"}}
        settings = {"agents": agents, "servers": servers, "mcp": {"agents": AGENTS}}
        with gate(folder, {**CONFIG, **settings}, json.dumps(POLICY)) as running:
            named = [name for name in AGENTS if name != "patient"]
            with ThreadPoolExecutor(2) as pool:
                keys = dict(zip(named, pool.map(lambda n: _key(folder, n), named), strict=True))
            models = Models()
            try:
                yield World(gate=running, keys=keys, ran_file=folder / "ran", models=models)
            finally:
                models.end()


def _at(url: str, **more: str) -> dict[str, Any]:
    return {"url": url, "allow_private": True, **more}


def _key(folder: Path, agent: str) -> str:
    command = [sys.executable, "-m", "interlock", "keys", "create", "agent", agent, "--json"]
    done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    key: str = json.loads(done.stdout)["key"]
    return key


@contextlib.contextmanager
def _server(ran: Path) -> Iterator[dict[str, str]]:
    """Run the server; yield its addresses by what they end with."""
    ran.touch()
    with subprocess.Popen(
        [sys.executable, str(SERVER), "http"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "RAN": str(ran)},
    ) as process:
        assert process.stdout is not None
        try:
            yield dict(process.stdout.readline().split() for _ in range(2))
        finally:
            process.kill()
