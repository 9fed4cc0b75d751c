"""What `interlock doctor` finds out by asking the sign-in provider."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from interlock.config import load_config
from interlock.doctor_people import provider_weakness
from interlock.settings import Config
from tests.approvals.oidc_provider import FakeProvider
from tests.approvals.world import FixedClock


def configured(folder: Path, issuer: str) -> Config:
    oidc = {"issuer": issuer, "client_id": "interlock", "roles": {"approver": ["ops"]}}
    file = folder / "interlock.yaml"
    file.write_text(f"people: {{oidc: {json.dumps(oidc)}}}\n")
    return load_config(file, {})


async def test_a_provider_that_answers_as_itself_is_fine(tmp_path: Path) -> None:
    provider = FakeProvider(FixedClock())
    config = configured(tmp_path, provider.issuer)
    async with TestServer(provider.app(), host="127.0.0.1", port=provider.port):
        assert await provider_weakness(config, FixedClock()) == ()


async def test_a_provider_that_calls_itself_otherwise_is_said_to(tmp_path: Path) -> None:
    provider = FakeProvider(FixedClock())
    config = configured(tmp_path, provider.issuer + "/")
    async with TestServer(provider.app(), host="127.0.0.1", port=provider.port):
        (found,) = await provider_weakness(config, FixedClock())
    assert found.name == "oidc-provider" and not found.critical
    assert f"It calls itself {provider.issuer}," in found.what


@pytest.mark.parametrize(("status", "error"), [(401, "invalid_client"), (400, "invalid_client")])
async def test_a_provider_that_does_not_know_the_client_is_said_to(
    tmp_path: Path, status: int, error: str
) -> None:
    provider = FakeProvider(FixedClock())
    provider.token = lambda: web.json_response({"error": error}, status=status)
    config = configured(tmp_path, provider.issuer)
    async with TestServer(provider.app(), host="127.0.0.1", port=provider.port):
        (found,) = await provider_weakness(config, FixedClock())
    assert (found.name, found.path) == ("oidc-client", "people.oidc.client_id")
    assert "client interlock" in found.what


async def test_a_provider_that_does_not_say_whether_it_knows_the_client_is_believed(
    tmp_path: Path,
) -> None:
    provider = FakeProvider(FixedClock())
    provider.token = lambda: web.json_response({"error": "invalid_request"}, status=400)
    config = configured(tmp_path, provider.issuer)
    async with TestServer(provider.app(), host="127.0.0.1", port=provider.port):
        assert await provider_weakness(config, FixedClock()) == ()


async def test_a_provider_that_is_not_there_is_said_not_to_be(tmp_path: Path) -> None:
    provider = FakeProvider(FixedClock())
    (found,) = await provider_weakness(configured(tmp_path, provider.issuer), FixedClock())
    assert "cannot be reached" in found.what and "people.oidc.issuer" in found.cure


async def test_without_a_provider_nobody_is_asked(tmp_path: Path) -> None:
    (tmp_path / "interlock.yaml").write_text("{}\n")
    assert await provider_weakness(load_config(tmp_path / "interlock.yaml", {}), FixedClock()) == ()
