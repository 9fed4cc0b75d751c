"""`people.oidc` and `people.sessions` in interlock.yaml: what is refused, where, and why."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.config import load_config
from interlock.core.errors import InvalidDocument
from interlock.settings import Config

WHOLE = """
people:
  url: https://interlock.example.com
  listen: 0.0.0.0:8081
  sessions: {idle: 30m, longest: 10h}
  oidc:
    issuer: https://id.example.com/realms/main/
    client_id: interlock
    client_secret: {from_env: S}
    scopes: [openid, groups]
    id_claim: sub
    groups_claim: realm_access.roles
    roles: {approver: [/payments, Domain Users], auditor: [audit]}
"""


def load(folder: Path, text: str) -> Config:
    file = folder / "interlock.yaml"
    file.write_text(text)
    return load_config(file, {"S": "very secret"})


def test_everything_can_be_said(tmp_path: Path) -> None:
    people = load(tmp_path, WHOLE).people
    assert people.oidc is not None
    assert people.oidc.issuer == "https://id.example.com/realms/main/"  # not a slash less
    assert people.oidc.roles.approver == ("/payments", "Domain Users")
    assert (people.sessions.idle, people.sessions.longest) == (1800, 36_000)
    assert "very secret" not in repr(people)


@pytest.mark.parametrize(
    ("before", "after", "where", "why"),
    [
        ("https://id.example.com/realms/main/", "http://id.example.com", ":7:13", "https://"),
        ("https://id.example.com/realms/main/", '""', ":7:13", "issuer"),
        ("https://id.example.com/realms/main/", "id.example.com", ":7:13", "http"),
        ("{from_env: S}", "very-secret-in-the-file", ":9:20", "from_env"),
        ("[openid, groups]", "[groups]", ":7:5", "`openid`"),
        ("[openid, groups]", '["openid groups"]', ":10:", "one word each"),
        ("id_claim: sub", "id_claim: name", ":11:15", "email"),
        ("{idle: 30m", "{idle: 3s", ":5:20", "60"),
        ("url: https://interlock.example.com", "url: http://interlock.example.com", ":3:", "https"),
        ("url: https://interlock.example.com", "url: ''", ":3:", "https"),
        ("auditor: [audit]", "owner: [audit]", ":13:", "owner"),
        ("  issuer", "  isuer", ":7:", "issuer"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(
    tmp_path: Path, before: str, after: str, where: str, why: str
) -> None:
    assert before in WHOLE
    with pytest.raises(InvalidDocument) as raised:
        load(tmp_path, WHOLE.replace(before, after, 1))
    told = str(raised.value)
    assert f"interlock.yaml{where}" in told and why in told
    assert "very-secret" not in told


def test_a_provider_on_this_machine_needs_no_tls(tmp_path: Path) -> None:
    text = "people: {oidc: {issuer: 'http://127.0.0.1:9000', client_id: x}}\n"
    assert load(tmp_path, text).people.oidc is not None
