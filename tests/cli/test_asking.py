"""What commands ask the people's API, and times and ids as people type them."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest

from interlock.cli.asking import Api, api_options, moment, path_of, span
from interlock.core.errors import InterlockError

MINUTE, HOUR, DAY = 60_000, 3_600_000, 86_400_000


@pytest.mark.parametrize(
    ("text", "ms"), [("30s", 30_000), ("5m", 5 * MINUTE), ("8h", 8 * HOUR), ("7d", 7 * DAY)]
)
def test_a_span_is_a_number_and_a_unit(text: str, ms: int) -> None:
    assert span(text) == ms


@pytest.mark.parametrize("text", ["", "0s", "8", "h", "1w", "-1h", "100000s", "8h ", "٣h"])
def test_anything_else_is_no_span(text: str) -> None:
    assert span(text) is None


def test_a_moment_is_utc_unless_it_says_otherwise() -> None:
    noon = 1_798_070_400_000
    assert moment("2026-12-24", "UNTIL") == noon
    assert moment("2026-12-24T00:00", "UNTIL") == noon
    assert moment("2026-12-24T02:00+02:00", "UNTIL") == noon
    with pytest.raises(click.BadParameter, match="2026-12-24"):
        moment("tomorrow", "UNTIL")


@pytest.mark.parametrize("call", ["", "a/b", "../v1/me", "a b", "x" * 65, "é"])
def test_what_is_no_id_is_never_part_of_a_path(call: str) -> None:
    with pytest.raises(click.BadParameter, match="an id has only"):
        path_of(call)


def test_a_call_has_its_path() -> None:
    assert path_of("act_5f0c-21ab") == "/v1/approvals/act_5f0c-21ab"


# the options of a command -------------------------------------------------------------------


@api_options
def told(api: Api, name: str) -> int:
    """Say what was asked for."""
    api.say({"name": name}, f"It is {name}.")
    return len(name)


def test_a_command_gets_the_api_and_its_own_options(capsys: pytest.CaptureFixture[str]) -> None:
    plain = {"url": None, "key_file": None, "file": Path("interlock.yaml"), "name": "ann"}
    assert told(**plain, as_json=False) == 3
    assert capsys.readouterr().out == "It is ann.\n"
    told(**plain, as_json=True)
    assert json.loads(capsys.readouterr().out) == {"name": "ann"}


def test_options_of_the_api_are_added_to_those_that_a_command_has() -> None:
    command = click.command()(click.option("--name")(told))
    assert {each.name for each in command.params} == {"url", "key_file", "file", "as_json", "name"}
    assert command.help == "Say what was asked for."


def test_the_key_is_read_once_and_only_where_somebody_asks(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = Api(url="http://127.0.0.1:1", key_file=folder / "none", file=folder, as_json=False)
    with pytest.raises(InterlockError):
        _ = nowhere.access
    monkeypatch.setenv("INTERLOCK_KEY", "ilk_approver_1_x")
    api = Api(url="http://127.0.0.1:1", key_file=None, file=folder, as_json=False)
    found = api.access
    monkeypatch.delenv("INTERLOCK_KEY")
    assert api.access is found and found.key == "ilk_approver_1_x"
