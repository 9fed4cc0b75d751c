"""From files to a policy: what is read, what is left out, and keys without a value."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.errors import InvalidDocument
from interlock.policies.load import load_policies
from tests.policies.building import HEAD, PAY, policy, problems


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("edit: {allow: }\n", "1:8: 'allow' has no value: write one, or take it out"),
        ("matrix:\n", "1:1: 'matrix' has no value"),
        ("rules: [{id: r, tools: ['*'], when: null, deny: x}]\n", "1:31: 'when' has no value"),
        (PAY + "    args_schema:\n", "duplicate key 'args_schema'"),
    ],
)
def test_a_key_without_a_value_is_a_problem(body: str, said: str) -> None:
    """Fault caught: `allow:` taken as left out would let every argument be edited."""
    found = problems(body)

    assert any(said in line for line in found), found


def test_a_schema_may_speak_of_null() -> None:
    assert policy(PAY.replace("memo: {type: string}", "memo: {default: null}")).tools


def test_a_directory_stands_for_its_policies_without_their_tests(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(HEAD.replace("NAME", "a") + PAY)
    (tmp_path / "b.yml").write_text(HEAD.replace("NAME", "b"))
    (tmp_path / "a_test.yaml").write_text("not a policy")

    assert load_policies([tmp_path]).ref.name == "a+b"


def test_what_cannot_be_read_is_a_problem(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocument, match="cannot be read: No such file"):
        load_policies([tmp_path / "gone.yaml"])
    with pytest.raises(InvalidDocument, match="no policy file here"):
        load_policies([tmp_path])
