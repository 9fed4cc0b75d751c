"""`interlock policy schema`, and what it says about interlock.yaml."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from click.testing import CliRunner, Result

from interlock.cli.policy import policy
from interlock.cli.policy_schema import schema_for
from interlock.policies.positions import load_yaml
from tests.support.schemas import undescribed

GOOD = """agents: {listen: 127.0.0.1:8080, hold: 10s, max_body: 1MiB}
people: {local: [{id: ann, groups: [payments]}]}
store: {embedded: {fsync: always}}
policies: [policies/payments.yaml]
upstreams:
  bank:
    url: https://api.bank.example/v1
    credentials: {bearer: {from_env: BANK_TOKEN}}
"""


def run(*words: object) -> Result:
    return CliRunner().invoke(policy, ["schema", *[str(word) for word in words]])


def errors(text: str) -> list[str]:
    data: Any = load_yaml(text, "interlock.yaml").data
    validator = jsonschema_rs.Draft7Validator(schema_for("config"))
    return [each.message for each in validator.iter_errors(data)]


@pytest.mark.parametrize("kind", ["policy", "policy_test", "config"])
def test_each_kind_is_printed_as_one_schema(kind: str) -> None:
    printed = json.loads(run(kind).output)

    jsonschema_rs.meta.validate(printed)
    assert printed == schema_for(kind)
    assert list(undescribed(printed)) == []


def test_all_kinds_are_written_into_a_directory(tmp_path: Path) -> None:
    result = run("--out", tmp_path / "schemas")

    assert result.exit_code == 0
    assert sorted(file.name for file in (tmp_path / "schemas").iterdir()) == [
        "config.schema.json",
        "policy.schema.json",
        "policy_test.schema.json",
    ]


def test_without_a_kind_or_a_directory_it_says_what_to_name() -> None:
    result = run()

    assert result.exit_code == 2
    assert "Name a kind (policy, policy_test, config), or give --out DIRECTORY." in result.output


def test_a_directory_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    result = run("policy", "--out", tmp_path / "file" / "below")

    assert result.exit_code == 1
    assert "cannot be written: Not a directory" in result.output


def test_a_configuration_is_checked_as_it_is_written() -> None:
    assert errors(GOOD) == []
    assert errors("store: embedded\n") == []


@pytest.mark.parametrize(
    ("good", "bad"),
    [
        ("hold: 10s", "hold: 10"),
        ("1MiB", "1 megabyte"),
        ("fsync: always", "fsync: sometimes"),
        ("{from_env: BANK_TOKEN}", "hunter2"),
        ("bank:\n    url", "bank:\n    ulr"),
        ("https://", "ftp://"),
    ],
)
def test_a_mistake_in_the_configuration_is_marked(good: str, bad: str) -> None:
    assert errors(GOOD.replace(good, bad))
