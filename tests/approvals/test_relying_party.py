"""Where browsers sign for an installation, by how people reach it."""

from __future__ import annotations

import pytest

from interlock.approvals.relying_party import elsewhere, obstacle, relying_party
from interlock.core.errors import Forbidden


@pytest.mark.parametrize(
    ("url", "id_", "origin"),
    [
        ("https://interlock.example.com", "interlock.example.com", "https://interlock.example.com"),
        ("https://Interlock.Example.com:443/il", "interlock.example.com", None),
        ("https://a.example:8443", "a.example", "https://a.example:8443"),
        ("http://localhost:8081", "localhost", "http://localhost:8081"),
        ("http://localhost", "localhost", "http://localhost"),
        ("http://127.0.0.1:8081", "localhost", "http://localhost:8081"),
        ("http://[::1]:8081", "localhost", "http://localhost:8081"),
        ("http://il.localhost:8081", "il.localhost", "http://il.localhost:8081"),
    ],
)
def test_a_signature_is_for_the_domain_of_the_page(url: str, id_: str, origin: str | None) -> None:
    party = relying_party(url)
    assert (party.id, party.origin) == (id_, origin or f"https://{id_}")


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("https://10.0.0.5", "IP address (10.0.0.5)"),
        ("http://0.0.0.0:8081", "IP address (0.0.0.0)"),
        ("https://[2001:db8::1]:8081", "IP address (2001:db8::1)"),
        ("http://interlock.example.com", "without TLS"),
    ],
)
def test_where_browsers_sign_nothing_it_is_said(url: str, why: str) -> None:
    assert why in obstacle(url)
    with pytest.raises(Forbidden) as refused:
        relying_party(url)
    assert "people.url" in refused.value.help


@pytest.mark.parametrize(
    ("url", "where"),
    [
        ("http://127.0.0.1:8081", "http://localhost:8081"),
        ("http://localhost:8081", ""),
        ("https://interlock.example.com", ""),
        ("https://10.0.0.5", ""),
    ],
)
def test_of_this_machine_the_page_is_opened_by_its_name(url: str, where: str) -> None:
    assert elsewhere(url) == where
