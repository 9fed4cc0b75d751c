"""Who may use the agents' listener: every way in, with every kind of key, in a whole Interlock."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import ClientSession

from interlock.app import opened
from interlock.config import load_config
from interlock.core.identity import Kind
from interlock.ingress import http
from interlock.keyfiles import derived_keys
from interlock.store.keyring import RedisKeyRing
from interlock.store.redis import RedisStore
from interlock.system import SystemClock
from tests.support.stores import Server, fresh_prefix

WAYS = {
    "_CALL": ("POST", "/t/bank/pay"),
    "_STATUS": ("GET", "/v1/calls/a1b2c3d4e5"),
    "OUTCOME_PATH": ("POST", "/v1/calls/a1b2c3d4e5/outcome"),
    "SESSION_PATH": ("PUT", "/v1/sessions/s1"),
    "/mcp/": ("POST", "/mcp/notes"),
}
"""A request for each pattern of paths that the listener knows. Add yours."""

VISITORS: tuple[Kind | str, ...] = (*Kind, "none", "expired", "revoked")
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
  approve: {approvers: [], quorum: 1, expire_after: 60m, on_expire: deny}
"""
CONFIG = """
agents: {listen: "127.0.0.1:0", hold: 0s}
people: {listen: "127.0.0.1:0"}
data: data
store: {url: "URL", prefix: PREFIX}
policies: [policy.yaml]
upstreams: {bank: {url: "http://127.0.0.1:9", allow_private: true}}
servers: {notes: {url: "http://127.0.0.1:9/mcp", allow_private: true}}
"""


@dataclass
class Whole:
    url: str
    keys: RedisKeyRing

    async def key(self, visitor: Kind | str) -> str:
        if isinstance(visitor, Kind):
            return (await self.keys.create(visitor, "somebody", "", (), 0))[0]
        if visitor == "none":
            return ""
        key, record = await self.keys.create(Kind.AGENT, "bot", "", (), int(visitor == "expired"))
        if visitor == "revoked":
            assert await self.keys.revoke(record.key_id)
        return key


@pytest.fixture
async def whole(server: Server, tmp_path: Path) -> AsyncIterator[Whole]:
    prefix = fresh_prefix()
    (tmp_path / "policy.yaml").write_text(POLICY)
    file = tmp_path / "interlock.yaml"
    file.write_text(CONFIG.replace("URL", server.url).replace("PREFIX", prefix))
    config = load_config(file, {})
    store = RedisStore(server.url, prefix=prefix)
    async with opened(config) as running:
        pepper = derived_keys(config).pepper
        keys = RedisKeyRing(store.client, pepper=pepper, clock=SystemClock(), prefix=prefix)
        yield Whole(running.agents, keys)
    await store.close()


def test_every_path_that_the_listener_knows_is_tried_here() -> None:
    codes = (http.AgentsListener.__call__.__code__, http.AgentsListener._told.__code__)
    names = {name for code in codes for name in code.co_names}
    patterns = {name for name in names if isinstance(getattr(http, name, 0), re.Pattern)}
    said = {str(each) for each in codes[0].co_consts}
    prefixes = {each for each in said if each.startswith("/") and each != "/"}
    assert patterns | prefixes == set(WAYS)


@pytest.mark.parametrize("way", WAYS)
async def test_only_an_agents_valid_key_gets_in(whole: Whole, way: str) -> None:
    method, path = WAYS[way]
    statuses: dict[Kind | str, int] = {}
    async with ClientSession() as client:
        for visitor in VISITORS:
            key = await whole.key(visitor)
            headers = {"Interlock-Key": key} if key else {}
            async with client.request(method, whole.url + path, headers=headers) as answer:
                statuses[visitor] = answer.status
    agents = statuses.pop(Kind.AGENT)
    assert agents not in (401, 403)
    assert statuses == dict.fromkeys(statuses, 401)
