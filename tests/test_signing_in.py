"""Sessions as configuration has them: who is taken out of the file is signed out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interlock.approvals.identity import Sessions, linked
from interlock.config import load_config
from interlock.core.actions import Reviewer
from interlock.signing_in import oidc_of, sessions_of
from interlock.store.redis import RedisStore
from tests.approvals.world import FixedClock

ANN = Reviewer(id="ann", groups=frozenset({"ops"}))
LOCAL = [{"id": "ann", "groups": ["ops"]}]
OIDC = {"issuer": "https://id.example", "client_id": "x", "roles": {"approver": ["ops"]}}


class Files:
    """Interlock started with one file after the other, on one store."""

    def __init__(self, folder: Path, store: RedisStore) -> None:
        self.folder = folder
        self.store = store

    def started(self, **people: Any) -> tuple[Sessions, str]:
        """Who is signed in with this file, and what its provider's sessions say."""
        file = self.folder / "interlock.yaml"
        file.write_text(json.dumps({"people": people, "store": {"prefix": "signing-in"}}))
        config = load_config(file, {})
        clock, key = FixedClock(), b"k" * 32
        door = oidc_of(config, key, clock)
        way = door.provider.registered.way if door else ""
        return sessions_of(config, self.store, key, clock), way


@pytest.fixture
def files(tmp_path: Path, store: RedisStore) -> Files:
    return Files(tmp_path, store)


async def test_a_restart_signs_nobody_out(files: Files) -> None:
    sessions, _ = files.started(local=LOCAL)
    cookie = await sessions.open(ANN, by=linked(ANN))
    again, _ = files.started(local=LOCAL, sessions={"idle": "1h"})
    found = await again.find(cookie)
    assert found is not None and found.person == ANN


@pytest.mark.parametrize(
    "local", [[], [{"id": "ann"}], [{"id": "ann", "groups": ["ops", "leads"]}], [{"id": "bob"}]]
)
async def test_who_is_no_longer_in_the_file_as_they_were_is_signed_out(
    files: Files, local: list[dict[str, Any]]
) -> None:
    sessions, _ = files.started(local=LOCAL)
    cookie = await sessions.open(ANN, by=linked(ANN))
    changed, _ = files.started(local=local)
    assert await changed.find(cookie) is None


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://other.example"},
        {"client_id": "y"},
        {"id_claim": "sub"},
        {"groups_claim": "roles"},
        {"roles": {"approver": ["other"]}},
        {"roles": {"approver": ["ops"], "admin": ["ops"]}},
    ],
    ids=lambda change: next(iter(change)),
)
async def test_what_decides_who_comes_in_signs_everybody_out_when_it_changes(
    files: Files, change: dict[str, Any]
) -> None:
    sessions, way = files.started(oidc=OIDC)
    cookie = await sessions.open(ANN, by=way)
    assert await sessions.find(cookie) is not None
    assert await files.started(oidc=OIDC | {"name": "Another name"})[0].find(cookie) is not None
    assert await files.started(oidc=OIDC | change)[0].find(cookie) is None
    assert await files.started(local=LOCAL)[0].find(cookie) is None
