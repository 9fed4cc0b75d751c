from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from interlock.observe.logging import configure


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


def test_a_line_never_moves_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")
    logging.getLogger("interlock.x").info("hello \x1b[2Jworld\u202e")

    said = capsys.readouterr().err
    assert "hello" in said and "\x1b" not in said and "\u202e" not in said


def test_machines_get_one_json_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "json")
    logging.getLogger("interlock.x").warning("look\nhere")

    said = json.loads(capsys.readouterr().err)
    assert (said["level"], said["message"]) == ("warning", "look\nhere")


def test_what_aiohttp_could_not_parse_is_not_logged(capsys: pytest.CaptureFixture[str]) -> None:
    configure("info", "text")
    try:
        raise ValueError("400, Invalid header: canary")
    except ValueError:
        logging.getLogger("aiohttp.server").exception("Error handling request from 127.0.0.1")

    said = capsys.readouterr().err
    assert "aiohttp refused a request: ValueError" in said and "canary" not in said
