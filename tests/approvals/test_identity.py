"""Sign-in links, sessions and their tokens."""

from __future__ import annotations

from interlock.approvals.identity import LINK_MS, SESSION_MS, OneTimeLinks, Sessions, deciding

from .world import ANN, BOB, FixedClock


def test_a_link_signs_in_once() -> None:
    links = OneTimeLinks(FixedClock())
    token = links.issue(ANN)
    assert links.redeem(token) == ANN
    assert links.redeem(token) is None


def test_looking_at_a_link_does_not_use_it_up() -> None:
    links = OneTimeLinks(FixedClock())
    token = links.issue(ANN)
    assert [links.peek(token) for _ in range(3)] == [ANN, ANN, ANN]
    assert links.redeem(token) == ANN


def test_an_old_link_signs_nobody_in() -> None:
    clock = FixedClock()
    links = OneTimeLinks(clock)
    token = links.issue(ANN)
    clock.now += LINK_MS
    assert links.peek(token) is None
    assert links.redeem(token) is None


def test_links_are_not_kept_as_they_are() -> None:
    links = OneTimeLinks(FixedClock())
    token = links.issue(ANN)
    assert token not in repr(vars(links))


def test_a_session_ends_after_its_time() -> None:
    clock = FixedClock()
    sessions = Sessions(clock)
    cookie = sessions.open(ANN)
    found = sessions.find(cookie)
    assert found is not None and found.person == ANN
    clock.now += SESSION_MS
    assert sessions.find(cookie) is None


def test_signing_out_ends_the_session() -> None:
    sessions = Sessions(FixedClock())
    cookie = sessions.open(ANN)
    sessions.close(cookie)
    assert sessions.find(cookie) is None


def test_a_cookie_that_was_made_up_or_changed_is_nobodys() -> None:
    sessions = Sessions(FixedClock())
    name, _, mac = sessions.open(ANN).partition(".")
    for cookie in ("", ".", name, f"{name}.", f"{name}.{mac[:-1]}x", f"x{name}.{mac}", "é.é"):
        assert sessions.find(cookie) is None, cookie


def test_a_token_is_for_one_session_and_one_call() -> None:
    sessions = Sessions(FixedClock())
    ann, bob = sessions.find(sessions.open(ANN)), sessions.find(sessions.open(BOB))
    assert ann is not None and bob is not None
    token = ann.token(deciding("d1"))
    assert ann.permits(token, deciding("d1"))
    assert not ann.permits(token, deciding("d2"))
    assert not bob.permits(token, deciding("d1"))
