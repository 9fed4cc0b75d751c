"""Whose a session is, and that remembering has an end."""

from __future__ import annotations

from interlock.ingress.mcp.connections import Sessions


def owner(sessions: Sessions, session: str) -> str | None:
    found = sessions.find("shop", session)
    return found.agent if found else None


def test_a_session_belongs_to_whoever_the_server_gave_it_to() -> None:
    sessions = Sessions()
    sessions.worked("shop", "s", "eve")
    sessions.began("shop", "s", "bot", "2025-06-18", {"roots": {}})
    sessions.worked("shop", "s", "eve")
    found = sessions.find("shop", "s")
    assert found is not None
    assert (found.agent, found.version, found.capabilities) == ("bot", "2025-06-18", {"roots": {}})
    assert sessions.find("bank", "s") is None
    sessions.ended("shop", "s")
    sessions.ended("shop", "s")
    assert owner(sessions, "s") is None


def test_one_agent_does_not_crowd_out_another() -> None:
    sessions = Sessions(per_agent=2)
    sessions.worked("shop", "mine", "bot")
    for number in range(4):
        sessions.worked("shop", f"e{number}", "eve")
        sessions.find("shop", "e0")
    assert owner(sessions, "mine") == "bot"
    assert [owner(sessions, f"e{n}") for n in range(4)] == ["eve", None, None, "eve"]


def test_capabilities_that_are_too_large_to_keep_count_as_none() -> None:
    sessions = Sessions()
    sessions.began("shop", "s", "bot", "", {"x": "y" * 20_000})
    found = sessions.find("shop", "s")
    assert found is not None and found.capabilities == {}
