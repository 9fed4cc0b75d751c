from __future__ import annotations

import json
import logging
from collections.abc import Iterator

import pytest

from interlock.observe.logging import configure, hide_secrets


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


@pytest.mark.parametrize("how", ["text", "json"])
def test_no_line_shows_what_the_detectors_of_policy_find(
    capsys: pytest.CaptureFixture[str], how: str
) -> None:
    detectors: list[str] = []
    configure("info", how)
    hide_secrets(lambda: detectors)
    hide_secrets(lambda: detectors)  # again, as after a restart in one process
    log = logging.getLogger("interlock.x")
    log.warning("POST /to/DE02120300000000202051 waits")
    detectors += ["iban", "bearer_token"]  # a reload of policy takes effect at once
    log.warning("POST /to/DE02120300000000202051 waits, Bearer abcdefghijkl")
    try:
        raise ValueError("no room for DE02120300000000202051")
    except ValueError:
        log.exception("failed")

    before, *after = capsys.readouterr().err.splitlines()
    assert "DE02120300000000202051" in before
    assert "POST /to/…2051 waits, Bearer ***" in after[0]
    assert "…2051" in "".join(after[1:])
    assert "DE02120300000000202051" not in "".join(after)
