"""Presets: one for each name that configuration takes, none longer than its client lasts."""

from __future__ import annotations

from typing import get_args

from interlock.ingress.mcp.presets import PRESETS
from interlock.ingress.mcp.rounds import MOST
from interlock.settings_tools import Preset


def test_there_is_a_preset_for_each_name() -> None:
    assert set(PRESETS) == set(get_args(Preset))


def test_no_preset_waits_longer_than_its_client() -> None:
    wall = {"default": 5, "openai-agents": 5, "claude-code": 300}  # evidence: measured, reported
    others = {"langchain": 300, "pydantic-ai": 300}

    for name, holding in PRESETS.items():
        assert 0 < holding.seconds < (wall | others).get(name, 61)
        assert holding.rounds <= MOST and holding.round_seconds < 61
        assert not holding.errors


def test_clients_that_fail_on_rounds_get_none() -> None:
    assert PRESETS["openai-agents"].rounds == PRESETS["default"].rounds == 0
