"""What is weak about an installation."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from interlock.config import load_config
from interlock.core.decisions import Escalation, Level, PolicyRef, Reversibility
from interlock.core.errors import WeakGround
from interlock.core.identity import KeyRecord, Kind
from interlock.core.matching import build
from interlock.core.patterns import Discriminator, HttpMatch, McpMatch, Pattern
from interlock.core.rules import Levels, LevelSpec, PolicySet, Tool
from interlock.doctor import Ground, Weakness, refuse, survey, weak_ground
from interlock.ports import Durability
from interlock.settings import Config

SOLID = Durability(grade="disk", detail="", eviction="noeviction")
GOOD = Ground(aiohttp=(3, 14, 5))
TWO = {"INTERLOCK__PEOPLE__LOCAL": '[{"id": "ann", "groups": ["ops"]}, {"id": "bob"}]'}


def a_config(**settings: str) -> Config:
    settings = {"UPSTREAMS": '{"a": {"url": "https://a.example"}}'} | settings
    names = {f"INTERLOCK__{name}": value for name, value in settings.items()}
    return load_config(None, TWO | names | {"TOKEN": "t" * 40})


def a_policy(reversibility: Reversibility = Reversibility.READ_ONLY, **more: Any) -> PolicySet:
    match = HttpMatch(upstream="a", methods=frozenset({"GET"}), segments=())
    return PolicySet(
        ref=PolicyRef(name="p", version=1, sha256=""),
        matrix=((Level.APPROVE,) * 3 + (Level.APPROVE_DUAL,),) * 4,
        tools={"a.b": Tool(id="a.b", match=match, reversibility=reversibility)},
        catalogue=build({})[0],
        **more,
    )


LASTING = a_policy(Reversibility.IRREVERSIBLE)


def names(found: tuple[Weakness, ...]) -> set[str]:
    return {weakness.name for weakness in found}


def test_a_good_installation_has_nothing_to_say() -> None:
    assert weak_ground(a_config(), SOLID, LASTING, ground=GOOD) == ()


@pytest.mark.parametrize(
    ("ground", "name"),
    [
        (replace(GOOD, compiled_parser=False), "python-parser"),
        (replace(GOOD, aiohttp=(3, 14, 3)), "old-aiohttp"),
    ],
)
def test_a_program_that_cannot_be_trusted_does_not_start(ground: Ground, name: str) -> None:
    found = weak_ground(a_config(), SOLID, a_policy(), ground=ground)
    assert names(found) == {name}
    with pytest.raises(WeakGround) as raised:
        refuse(found)
    assert found[0].what in raised.value.detail and found[0].cure in raised.value.help


@pytest.mark.parametrize(
    ("durability", "name"),
    [
        (replace(SOLID, eviction="allkeys-lru"), "evicting-store"),
        (replace(SOLID, eviction="volatile-lru"), "evicting-store"),
        (replace(SOLID, writable=False), "read-only-store"),
        (replace(SOLID, grade="memory"), "forgetful-store"),
    ],
)
def test_a_store_that_loses_holds_is_refused(durability: Durability, name: str) -> None:
    found = weak_ground(a_config(), durability, LASTING, ground=GOOD)
    assert names(found) == {name}
    with pytest.raises(WeakGround):
        refuse(found)


def test_a_forgetful_store_is_only_weak_where_everything_can_be_undone() -> None:
    found = weak_ground(a_config(), replace(SOLID, grade="memory"), a_policy(), ground=GOOD)
    assert names(found) == {"forgetful-store"}
    refuse(found)


def test_a_second_may_be_lost_and_it_is_said_so() -> None:
    durability = replace(SOLID, grade="process")
    found = weak_ground(a_config(), durability, LASTING, ground=GOOD)
    assert names(found) == {"power-failure"}
    assert "a.b" in found[0].what and "fsync: always" in found[0].cure
    assert weak_ground(a_config(), durability, a_policy(), ground=GOOD) == ()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"AGENTS__ANONYMOUS": "{}"}, {"anonymous"}),
        ({"AGENTS__LISTEN": "0.0.0.0:8080"}, {"plain-agents"}),
        ({"PEOPLE__LISTEN": "0.0.0.0:8081"}, {"plain-people"}),
        ({"PEOPLE__LISTEN": "0.0.0.0:8081", "PEOPLE__URL": "https://x.example"}, set()),
        ({"STORE__URL": "redis://127.0.0.1/0"}, {"local-secret"}),
        ({"STORE__URL": "redis://db/0", "SECRET": '{"from_env": "TOKEN"}'}, {"plain-store"}),
        ({"STORE__URL": "rediss://db/0", "SECRET": '{"from_env": "TOKEN"}'}, set()),
        ({"PEOPLE__LOCAL": "[]"}, {"nobody"}),
        ({"PEOPLE__LOCAL": '[{"id": "ann"}]'}, {"quorum"}),
    ],
)
def test_what_is_weak_about_a_configuration(settings: dict[str, str], expected: set[str]) -> None:
    found = weak_ground(a_config(**settings), SOLID, LASTING, ground=GOOD)
    assert names(found) == expected
    refuse(found)


@pytest.mark.parametrize(
    ("url", "expected"),
    [("http://db", {"plain-upstream"}), ("https://db", set()), ("http://127.0.0.1:5000", set())],
)
def test_a_credential_belongs_under_tls(url: str, expected: set[str]) -> None:
    token = {"bearer": {"from_env": "TOKEN"}}
    upstream = json.dumps({"a": {"url": url, "allow_private": True, "credentials": token}})
    found = weak_ground(a_config(UPSTREAMS=upstream), SOLID, LASTING, ground=GOOD)
    assert names(found) == expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://hooks.example/x", set()),
        ("http://127.0.0.1:1/x", set()),
        ("http://hooks.example/x", {"plain-webhook"}),
    ],
)
def test_a_webhook_belongs_under_tls(url: str, expected: set[str]) -> None:
    settings = {"ops": {"url": url, "secrets": [{"from_env": "S"}], "allow_private": True}}
    env = TWO | {
        "INTERLOCK__UPSTREAMS": '{"a": {"url": "https://a.example"}}',
        "INTERLOCK__NOTIFY__WEBHOOK": json.dumps(settings),
        "S": "whsec_" + "b" * 32,
    }
    found = weak_ground(load_config(None, env), SOLID, LASTING, ground=GOOD)
    assert names(found) == expected
    assert all(each.path == "notify.webhook.ops.url" for each in found)


def test_what_no_call_can_reach_and_what_no_entry_describes_is_said() -> None:
    match = McpMatch(server="mail", tool=Discriminator("tool", (Pattern("send"),)))
    policy = a_policy()
    tools = {**policy.tools, "mail.send": Tool(id="mail.send", match=match)}
    config = a_config(UPSTREAMS='{"b": {"url": "https://b.example"}}')

    found = weak_ground(config, SOLID, replace(policy, tools=tools), ground=GOOD)

    assert names(found) == {"no-server", "no-upstream", "no-tools"}
    assert any("not configured: mail" in weakness.what for weakness in found)
    assert any("not configured: a." in weakness.what for weakness in found)
    assert any("configured upstream: b." in weakness.what for weakness in found)


def test_an_approvers_key_is_a_person_too() -> None:
    cat = KeyRecord(key_id="1", kind=Kind.APPROVER, subject="cat", hash="", created=0)
    one = a_config(PEOPLE__LOCAL='[{"id": "ann"}]')
    assert weak_ground(one, SOLID, LASTING, keys=(cat,), ground=GOOD) == ()
    gone = replace(cat, revoked=1)
    assert names(weak_ground(one, SOLID, LASTING, keys=(gone,), ground=GOOD)) == {"quorum"}


def test_a_group_that_nobody_is_in_cannot_approve() -> None:
    policy = a_policy(levels=Levels(approve=LevelSpec(approvers=("opps",))))
    (found,) = weak_ground(a_config(), SOLID, policy, ground=GOOD)
    assert found.name == "unknown-group"
    assert found.what == (
        "No local person, key or OIDC role has the group opps (nearest: ops);"
        " calls held for it can only expire."
    )
    assert "levels.approve.approvers" in found.cure and "--group opps" in found.cure


def test_a_group_beside_one_that_decides_and_one_escalated_to_are_said_for_what_they_are() -> None:
    step = Escalation(after_ms=60_000, to=("leads",))
    spec = LevelSpec(approvers=("ops", "night"), escalate=(step,))
    policy = a_policy(levels=Levels(approve=spec, notify=("audience",)))
    found = weak_ground(a_config(), SOLID, policy, ground=GOOD)
    said = [weakness.what.partition("; ")[2] for weakness in found]
    assert said == [
        "nobody decides for it.",
        "escalating to it brings nobody.",
        "nobody is told for it.",
    ]


def test_a_group_that_an_approvers_key_has_is_known() -> None:
    policy = a_policy(levels=Levels(approve=LevelSpec(approvers=("finance",))))
    cat = KeyRecord(
        key_id="1", kind=Kind.APPROVER, subject="cat", groups=("finance",), hash="", created=0
    )
    assert weak_ground(a_config(), SOLID, policy, keys=(cat,), ground=GOOD) == ()


def test_a_group_may_be_one_that_only_the_provider_knows() -> None:
    roles = json.dumps(OIDC | {"roles": {"approver": ["finance-ops"]}})
    config = a_config(PEOPLE__OIDC=roles)
    policy = a_policy(levels=Levels(approve=LevelSpec(approvers=("finance-opps", "finance-ops"))))
    (found,) = weak_ground(config, SOLID, policy, ground=GOOD)
    assert "(nearest: finance-ops), so it has to be one that https://id.example/" in found.what
    assert "expire" not in found.what


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("", "no-signatures-here"),
        ("http://localhost:8081", ""),
        ("https://interlock.example.com", ""),
        ("https://10.0.0.5", "no-signatures"),
        ("http://interlock.example.com", "no-signatures"),
    ],
)
def test_where_browsers_sign_nothing_no_policy_should_ask_for_it(url: str, name: str) -> None:
    config = a_config(PEOPLE__URL=url) if url else a_config()
    policy = a_policy(levels=Levels(approve_dual=LevelSpec(quorum=2, step_up=True)))
    found = weak_ground(config, SOLID, policy, ground=GOOD)
    assert names(found) == ({name} if name else set())
    assert all("people.url" in weakness.cure for weakness in found)
    assert weak_ground(config, SOLID, a_policy(), ground=GOOD) == ()


def test_the_machine_is_looked_at(tmp_path: Path) -> None:
    ground = replace(GOOD, root=True, debug=("python -O",), readable=("/x",), filesystem="tmpfs")
    found = weak_ground(a_config(), SOLID, a_policy(), ground=ground)
    assert names(found) == {"root", "debug", "readable-secret", "volatile-data"}
    assert all(weakness.what and weakness.cure for weakness in found)


def test_critical_things_come_first() -> None:
    ground = replace(GOOD, root=True)
    found = weak_ground(a_config(), replace(SOLID, writable=False), a_policy(), ground=ground)
    assert [weakness.critical for weakness in found] == [True, False]


def test_this_machine_can_be_surveyed(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("x")
    token.chmod(0o644)
    upstream = (
        f'{{"a": {{"url": "http://a", "credentials": {{"bearer": {{"from_file": "{token}"}}}}}}}}'
    )
    ground = survey(a_config(UPSTREAMS=upstream))
    assert ground.compiled_parser
    assert ground.aiohttp >= (3, 14, 4)
    assert ground.readable == (str(token),)


OIDC = {"issuer": "https://id.example/", "client_id": "interlock"}


@pytest.mark.parametrize(
    ("roles", "expected"),
    [
        ({}, {"oidc-no-roles", "nobody"}),
        ({"auditor": ["audit"]}, {"nobody"}),
        ({"approver": ["ops"]}, set()),
        ({"approver": ["ops"], "admin": ["ops"]}, {"oidc-two-roles"}),
    ],
)
def test_who_comes_in_by_a_provider_is_said(
    roles: dict[str, list[str]], expected: set[str]
) -> None:
    oidc = json.dumps(OIDC | {"roles": roles})
    config = a_config(PEOPLE__LOCAL="[]", PEOPLE__OIDC=oidc)
    assert names(weak_ground(config, SOLID, LASTING, ground=GOOD)) == expected


def test_a_full_disk_is_told_with_its_cure() -> None:
    full = replace(GOOD, shortage="The disk of the data directory is full: 3 MB are left.")
    (found,) = weak_ground(a_config(), SOLID, LASTING, ground=full)
    assert (found.name, found.critical) == ("full-disk", False) and "Make room" in found.cure
