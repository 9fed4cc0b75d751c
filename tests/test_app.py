"""The composition root's own decisions; that it holds together is what tests/acceptance shows."""

from __future__ import annotations

import json

import pytest

from interlock.app import _hosts, _route, _timing
from interlock.config import load_config
from interlock.settings import Config


def config(**said: object) -> Config:
    """Read a configuration given as variables: `agents__listen="..."`."""
    named = {f"INTERLOCK__{key.upper()}": json.dumps(value) for key, value in said.items()}
    return load_config(None, named)


HOME = {"127.0.0.1", "localhost", "::1"}


@pytest.mark.parametrize(
    ("listen", "listed", "answered"),
    [
        ("127.0.0.1", (), HOME),
        ("127.0.0.1", ("gate.test",), HOME | {"gate.test"}),
        ("0.0.0.0", ("Gate.test",), HOME | {"gate.test"}),
        ("0.0.0.0", (), set()),  # any name: keys are needed there
    ],
)
def test_a_listed_name_never_shuts_this_machine_out(
    listen: str, listed: tuple[str, ...], answered: set[str]
) -> None:
    read = config(agents__listen=f"{listen}:8080", agents__hosts=listed)

    assert _hosts(read) == answered


def test_a_lease_outlasts_the_slowest_send() -> None:
    slow = {"url": "https://a.test", "connect_timeout": "10s", "timeout": "600s"}

    assert _timing(config(upstreams={"slow": slow})).lease_ms > 610_000


def test_aws_calls_keep_the_headers_that_say_what_they_do() -> None:
    plain = {"url": "https://a.test", "forward_headers": ["X-Mine"]}
    aws = {"url": "https://b.test", "service_from": "aws_sigv4"}
    read = config(upstreams={"plain": plain, "aws": aws})

    assert "x-amz-*" in _route("aws", read).settings.forward
    assert "x-amz-*" not in _route("plain", read).settings.forward
    assert "x-mine" in _route("plain", read).settings.forward
