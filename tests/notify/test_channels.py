"""Every channel has a file, a key in the configuration, a builder, tests and a section of docs."""

from __future__ import annotations

import base64
import importlib
import pkgutil
import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import interlock.notify
from interlock.channels import BUILDERS
from interlock.config import load_config
from interlock.core.errors import InvalidDocument
from interlock.notify.webhook import signed
from interlock.settings_notify import Notify
from tests.support.builders import NOON

ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs/channels.md").read_text(encoding="utf-8")
SECRET = "whsec_" + base64.b64encode(b"n" * 32).decode()
KEYS = tuple(Notify.model_fields)


def section(key: str) -> str:
    """Return the part of the page that is about a channel."""
    found = [each for each in re.split(r"^## ", DOCS, flags=re.M) if f"Key `{key}`" in each]
    assert len(found) == 1, key
    return found[0]


def test_every_key_but_the_logs_is_built() -> None:
    assert set(BUILDERS) == set(KEYS) - {"log"}


def test_every_channel_of_the_package_has_a_key() -> None:
    files = {each.name for each in pkgutil.iter_modules(interlock.notify.__path__)}
    channels = {
        name
        for name in files
        for each in vars(importlib.import_module(f"interlock.notify.{name}")).values()
        if isinstance(each, type)
        and each.__module__ == f"interlock.notify.{name}"
        and {"send", "send_digest"} <= vars(each).keys()
    }
    assert channels - {"channel"} == set(BUILDERS) and set(KEYS) <= files


@pytest.mark.parametrize("key", KEYS)
def test_every_channel_has_tests_and_a_section_with_an_example(key: str) -> None:
    assert (ROOT / f"tests/notify/test_{key}.py").exists()
    assert f"  {key}:" in section(key)


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", DOCS, re.S))
def test_every_example_is_a_valid_configuration(example: str, tmp_path: Path) -> None:
    names = re.findall(r"from_env: (\w+)", example)
    env = {name: SECRET if "SECRET" in name else _value(name) for name in names}
    (tmp_path / "interlock.yaml").write_text(example)
    load_config(tmp_path / "interlock.yaml", env)


def _value(name: str) -> str:
    if name in ("MAIL", "TEAMS"):
        return "mailtos://ann:secret@example.com"
    return "https://hooks.example.com/x" if "URL" in name else "xoxb-1"


def receiver() -> dict[str, Any]:
    """Return what the receiver's code on the page defines."""
    (code,) = re.findall(r"```python\n(.*?)```", section("webhook"), re.S)
    found: dict[str, Any] = {}
    exec(code, found)
    found["time"] = SimpleNamespace(time=lambda: NOON / 1000)
    return found


def test_the_receivers_code_on_the_page_tells_genuine_messages_from_others() -> None:
    genuine, body, now = receiver()["genuine"], b'{"a": 1}', NOON // 1000
    keys = (b"o" * 32, b"n" * 32)
    headers = signed("1-1", now, body, keys)
    assert genuine(headers, body, SECRET)
    assert not genuine(headers, body + b" ", SECRET)
    assert not genuine(headers | {"webhook-id": "1-2"}, body, SECRET)
    assert not genuine(headers | {"webhook-signature": "v1,x"}, body, SECRET)
    assert not genuine(signed("1-1", now - 301, body, keys), body, SECRET)
    assert not genuine(signed("1-1", now, body, keys[:1]), body, SECRET)


def test_the_receivers_code_on_the_page_knows_a_retry() -> None:
    is_new, headers = receiver()["is_new"], {"webhook-id": "1-1"}
    assert is_new(headers) and not is_new(headers) and is_new({"webhook-id": "1-2"})


@pytest.mark.parametrize(
    ("webhook", "said"),
    [
        ("{url: 'https://x.example', secrets: [{from_env: S}]}", "a name of your own"),
        ("{ops: {url: 'https://x.example', secrets: []}}", "at least one"),
        ("{ops: {url: 'ftp://x.example', secrets: [{from_env: S}]}}", "http://"),
        ("{ops: {url: 'https://a:b@x.example', secrets: [{from_env: S}]}}", "no user"),
        ("{ops: {url: 'http://10.1.2.3/', secrets: [{from_env: S}]}}", "allow_private"),
        ("{ops: {url: 'https://x.example', secrets: [{from_env: WEAK}]}}", "24 to 64 bytes"),
        ("{ops: {url: 'https://x.example', secrets: [whsec_abc]}}", "from_env"),
        ("{ops: {url: 'https://x.example', secret: [{from_env: S}]}}", "did you mean 'secrets'"),
        (
            "{ops: {url: 'https://x.example', secrets: [{from_env: S}], notices: [holds]}}",
            "did you mean 'held'",
        ),
    ],
)
def test_a_wrong_setting_is_named_with_the_way_out(webhook: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "interlock.yaml").write_text(f"notify:\n  webhook: {webhook}\n")
    with pytest.raises(InvalidDocument) as found:
        load_config(tmp_path / "interlock.yaml", {"S": SECRET, "WEAK": "whsec_c2hvcnQ="})
    problems = [str(each) for each in found.value.problems]
    assert any(said in each and "interlock.yaml:2:" in each for each in problems), problems
    assert SECRET not in str(problems)
