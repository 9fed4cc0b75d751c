"""`interlock keys`, on a real embedded store."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .conftest import Command


@pytest.fixture(autouse=True)
def config(folder: Path) -> None:
    (folder / "interlock.yaml").write_text("people: {url: 'https://gate.example'}\n")


def test_a_key_is_shown_once_and_alone_on_standard_output(interlock: Command) -> None:
    said = interlock("keys", "create", "agent", "bot", "--owner", "olga")
    assert said.code == 0
    (key,) = said.out.splitlines()
    assert key.startswith("ilk_agent_")
    assert "Interlock-Key" in said.err
    listed = interlock("keys", "list").out
    assert "bot" in listed and "olga" in listed and "valid" in listed
    assert key.split("_", 3)[3] not in listed


def test_an_auditors_key_says_what_it_is_for(interlock: Command) -> None:
    said = interlock("keys", "create", "auditor", "iris")
    assert said.out.startswith("ilk_auditor_") and "changes nothing" in said.err
    assert "auditor" in interlock("keys", "list").out


def test_the_list_is_there_for_programs(interlock: Command) -> None:
    made = json.loads(
        interlock("keys", "create", "approver", "ann", "--group", "ops", "--json").out
    )
    (listed,) = json.loads(interlock("keys", "list", "--json").out)
    assert listed["id"] == made["id"] and "key" in made and "key" not in listed
    assert (listed["kind"], listed["groups"], listed["state"]) == ("approver", ["ops"], "valid")


def test_a_key_may_end_by_itself(interlock: Command) -> None:
    made = json.loads(
        interlock("keys", "create", "metrics", "prom", "--expires", "90d", "--json").out
    )
    assert made["expires"] - made["created"] == 90 * 86_400_000


def test_a_revoked_key_says_so(interlock: Command) -> None:
    made = json.loads(interlock("keys", "create", "agent", "bot", "--json").out)
    assert "5 seconds" in interlock("keys", "revoke", made["id"]).out
    assert "revoked" in interlock("keys", "list").out


def test_the_pasted_key_itself_can_be_revoked(interlock: Command) -> None:
    key = interlock("keys", "create", "agent", "bot").out.strip()
    assert interlock("keys", "revoke", key).code == 0
    assert "revoked" in interlock("keys", "list").out


def test_revoking_what_is_not_there_fails_and_does_not_echo_a_secret(interlock: Command) -> None:
    said = interlock("keys", "revoke", "ilk_agent_000000000000_topsecret")
    assert said.code == 1
    assert "000000000000" in said.err and "topsecret" not in said.err


def test_without_keys_it_says_how_to_make_one(interlock: Command) -> None:
    said = interlock("keys", "list")
    assert (said.code, said.out) == (0, "")
    assert "interlock keys create" in said.err


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("king", "ann"), "'king' is not one of"),
        (("agent", "a b"), "use letters, digits"),
        (("agent", "bot", "--expires", "90"), "with its unit"),
        (("approver", "ann", "--owner", "olga"), "--owner is for agents"),
    ],
)
def test_what_is_wrong_is_said(interlock: Command, arguments: tuple[str, ...], told: str) -> None:
    said = interlock("keys", "create", *arguments)
    assert said.code == 2
    assert told in said.err


@pytest.mark.parametrize("name", [".", "..", ".hidden", "a/b", "-"])
def test_an_agent_has_a_name_that_a_path_can_hold(interlock: Command, name: str) -> None:
    """Fault caught: browsers and clients read `/agents/..` as another path: nobody can stop it."""
    said = interlock("keys", "create", "agent", "--", name)
    assert said.code == 2 and "the first a letter or digit" in said.err
    assert "There are no keys" in interlock("keys", "list").err


PARTS = """
notify: {slack: {token: {from_env: BOT}, channel: C0123ABCD}}
upstreams: {bank: {url: 'https://bank.example', credentials: {bearer: {from_env: TOKEN}}}}
"""


def test_a_key_is_made_without_the_secrets_of_channels_and_tools(
    interlock: Command, folder: Path
) -> None:
    (folder / "interlock.yaml").write_text(PARTS)
    assert interlock("keys", "create", "agent", "bot").code == 0
    assert interlock("doctor").code == 2  # it looks at all of it, as `serve` does


def test_the_secret_that_a_command_does_need_is_named_with_its_place(
    interlock: Command, folder: Path
) -> None:
    (folder / "interlock.yaml").write_text(f"{PARTS}secret: {{from_env: MASTER}}\n")
    said = interlock("keys", "create", "agent", "bot")
    assert said.code == 2
    assert "interlock.yaml:4:9: environment variable MASTER is empty or not set" in said.err
    assert "BOT" not in said.err


def test_without_a_key_it_says_how_to_make_one_and_where_to_put_it(
    interlock: Command, folder: Path
) -> None:
    (folder / "interlock.yaml").write_text(PARTS)
    said = interlock("notifications", "test", "slack")
    assert said.code == 1
    assert "interlock keys create admin NAME" in said.err and "--key-file" in said.err
