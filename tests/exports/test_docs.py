"""The examples of docs/exports.md are what is exported."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from interlock.exports import formats
from interlock.exports.making.exporter import Exporter, Wanted
from interlock.exports.making.messages import tools
from interlock.noting_schemas import schema_of
from interlock.policies.load import read_policies

from .example import CALL, HASH, SCHEMAS

PAGE = Path(__file__).parents[2] / "docs" / "exports.md"


@pytest.mark.parametrize("name", list(formats()))
def test_the_example_of_a_format_is_what_it_gives(name: str) -> None:
    _, _, section = PAGE.read_text(encoding="utf-8").partition(f"\n### `{name}`\n")
    blocks = re.findall(r"^```json\n(.*?)^```", section.partition("\n### ")[0], re.M | re.S)
    lines = Exporter(formats()[name], Wanted()).lines(CALL, SCHEMAS)
    assert [json.loads(block) for block in blocks] == [json.loads(line) for line in lines]


def test_the_example_of_a_schema_is_what_policy_gives() -> None:
    _, _, section = PAGE.read_text(encoding="utf-8").partition("**The tool's schema**")
    written, shown = re.findall(r"^```(?:yaml|json)\n(.*?)^```", section, re.M | re.S)[:2]
    entry = yaml.safe_load(written)
    policy = {
        "apiVersion": "interlock/v1",
        "kind": "Policy",
        "metadata": {"name": "bank", "version": 1},
        "stake": {"data": {"public": "low"}},
        "tools": [entry | {"reversibility": "irreversible", "facets": {"data": "public"}}],
    }
    tool = read_policies([("bank.yaml", json.dumps(policy))]).tools["bank.transfer"]
    schema = schema_of(tool)
    assert schema is not None
    assert tools(CALL, {HASH: schema}) == [json.loads(shown)]


def test_every_format_is_in_the_table() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \|", PAGE.read_text(encoding="utf-8"), re.M)
    assert sorted(rows[: len(formats())]) == list(formats())
