"""Messages in Slack: within its limits, and with no word of an agent outside its box."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.actions import Action, Reviewer, State, ToolCall, Verdict
from interlock.core.digest import seal
from interlock.core.redaction import original
from interlock.core.rules import Redact
from interlock.notify import slack_blocks as blocks
from interlock.notify.slack_blocks import Buttons
from interlock.notify.telling import Digest, Told, told
from interlock.ports import Notice
from tests.support.builders import a_call, a_decision, a_review, an_action
from tests.support.slack import decoded, texts, unfit

URL = "https://interlock.example.com"
BANK = {"bank": "https://api.bank.example/v1"}


def held(call: ToolCall | None = None, **decided: Any) -> Action:
    decision = a_decision(**decided)
    return replace(
        an_action(call), state=State.HELD, version=1, decision=decision, deadline=1_790_000_000_000
    )


def said_of(action: Action, why: Notice = Notice.HELD, **more: Any) -> Told:
    return told(action, why, URL, upstreams=BANK, **more)


def outside(message: dict[str, Any]) -> str:
    """All that is drawn outside boxes, and shown in notifications."""
    plain = [block for block in message["blocks"] if block["type"] != "rich_text"]
    return decoded("\n".join([*texts(plain), message["text"]]))


def inside(message: dict[str, Any]) -> str:
    return "".join(texts([block for block in message["blocks"] if block["type"] == "rich_text"]))


def test_a_message_says_what_waits_for_whom_and_how_bad_it_is() -> None:
    action = held(approvers=("ops",), description="Moves money.")
    message = blocks.waiting(said_of(action), Buttons(reject="r"))
    text = outside(message)
    for word in ("bank.pay", "Moves money.", "bot", "High stake", "ops", "api.bank.example", "a1"):
        assert word in text
    assert "Lapses at 2026-09-21" in text
    buttons = message["blocks"][-2]["elements"]
    assert [each["text"]["text"] for each in buttons] == ["Open", "Reject…"]
    assert buttons[0]["url"] == f"{URL}/review/a1"


def test_no_argument_is_in_a_message_that_was_not_asked_for_them() -> None:
    message = blocks.waiting(said_of(held()), Buttons(reject="r"))
    assert "900" not in str(message)


def test_arguments_are_in_a_box() -> None:
    message = blocks.waiting(said_of(held(), with_arguments=True), Buttons(reject="r"))
    assert "amount: 900" in inside(message)
    assert "900" not in outside(message)


def test_nothing_in_a_message_is_looked_up_linked_or_unfurled() -> None:
    message = blocks.waiting(said_of(held()), Buttons())
    off = {"mrkdwn", "link_names", "unfurl_links", "unfurl_media"}
    assert {name: message[name] for name in off} == dict.fromkeys(off, False)
    assert message["parse"] == "none"
    assert "mrkdwn" not in {each.get("type") for each in every(message["blocks"])}


def every(part: Any) -> list[dict[str, Any]]:
    if isinstance(part, dict):
        return [part, *(each for value in part.values() for each in every(value))]
    return [each for value in part for each in every(value)] if isinstance(part, list) else []


DRESSED = [
    "<!channel> approved by security",
    "<https://evil.example|Approve>",
    "*Approved* :white_check_mark: ```x```",
    "&lt;!everyone&gt;",
    "\n\n✅ Approved by Interlock\n",
    "\u202edevorppa",
]


@pytest.mark.parametrize("text", DRESSED)
def test_what_an_agent_calls_a_tool_is_only_ever_in_a_box(text: str) -> None:
    call = a_call(target="/pay")
    action = held(seal(replace(call, path=f"/{text}")), tool="", arguments={}, sources={})
    said = said_of(action, with_arguments=True)
    for message in (
        blocks.waiting(said, Buttons(reject="r")),
        blocks.passing(said),
        blocks.settled(said, replace(action, state=State.EXPIRED)),
    ):
        words = outside(message)
        assert "pproved" not in words and "evil" not in words and "everyone" not in words
        assert "devorppa" not in words


@given(st.text(max_size=400), st.text(max_size=400))
def test_any_text_fits_slack_and_stays_in_its_box(name: str, value: str) -> None:
    marked = {f"canary{name}": f"canary{value}"}
    action = held(arguments=marked, sources={})
    message = blocks.waiting(said_of(action, with_arguments=True), Buttons(reject="r" * 2000))
    assert unfit(message["blocks"]) == ""
    assert "canary" not in outside(message)


@given(st.text(max_size=4000))
def test_our_own_words_are_cut_to_what_slack_takes_and_escaped(text: str) -> None:
    for most in (24, 150, 3000):
        written = blocks.plain(text, most)["text"]
        assert 0 < len(written) <= most
        left = written.replace("&amp;", "").replace("&lt;", "").replace("&gt;", "")
        assert not set("<>&") & set(left)


@pytest.mark.parametrize("letter", ["x", "<", "\u202e", "\U000e0041"])
def test_the_largest_message_still_fits(letter: str) -> None:
    arguments = {f"a{n}" * 50: letter * 10_000 for n in range(40)}
    groups = tuple(f"group-{n}-{'g' * 100}" for n in range(40))
    action = held(arguments=arguments, sources={}, approvers=groups, description="d" * 5000)
    said = said_of(action, with_arguments=True)
    for message in (blocks.waiting(said, Buttons(reject="r")), blocks.passing(said)):
        assert unfit(message["blocks"]) == ""


# the exact request ---------------------------------------------------------------------------


def test_all_of_a_request_is_shown_before_it_may_be_approved() -> None:
    exact = blocks.request(a_call(), BANK)
    assert exact is not None
    message = blocks.waiting(said_of(held()), Buttons(reject="r", approve="a", request=exact))
    box = inside(message)
    assert "POST https://api.bank.example/v1/pay?to=bob" in box
    assert "Content-Type: application/json" in box
    assert '{"amount": 900}' in box
    assert "Approve" in [each["text"]["text"] for each in message["blocks"][-2]["elements"]]
    assert message["blocks"][-2]["elements"][2]["confirm"]


@given(st.binary(max_size=300), st.text(st.characters(codec="ascii"), max_size=40))
def test_what_a_request_shows_is_what_it_sends(body: bytes, header: str) -> None:
    call = seal(replace(a_call(), body=body, headers=(("X-Note", header),)))
    exact = blocks.request(call, BANK)
    if exact is None:
        return
    head, shown = exact
    assert original(head).endswith(f"\nX-Note: {header}")
    again = original(shown).encode("utf-8", "surrogateescape")
    assert (b"" if shown == "(no body)" and not body else again) == body


@pytest.mark.parametrize(
    "change",
    [
        {"headers": (("Authorization", "Bearer secret"),)},
        {"headers": (("X-Api-Key", "secret"),)},
        {"body": b"x" * 7000},
        {"body": b"\n" * 200},
        {"body": "\u202egnp.exe".encode()},
        {"body": "p\u0430ypal".encode()},
        {"body": b"a &lt;b&gt; c"},
        {"target": "/pay?to=%F0&amp;x"},
    ],
    ids=["credential", "key", "long", "high", "bidi", "look-alike", "entity", "entity in a URL"],
)
def test_what_cannot_be_shown_for_certain_cannot_be_approved_in_slack(change: Any) -> None:
    assert blocks.request(seal(replace(a_call(), **change)), BANK) is None


# over ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "verdict", "said"),
    [
        (State.REJECTED, Verdict.REJECT, "Rejected by ann"),
        (State.ANSWERED, Verdict.APPROVE, "Approved by ann"),
        (State.RESPONDED, Verdict.RESPOND, "Answered in the tool's place by ann"),
        (State.EXPIRED, None, "Expired, never sent"),
        (State.CANCELLED, None, "Cancelled, never sent"),
    ],
)
def test_a_message_about_what_is_over_says_how_it_ended_and_has_no_button_that_decides(
    state: State, verdict: Verdict | None, said: str
) -> None:
    action = held()
    reviews = (a_review(action, verdict=verdict),) if verdict else ()
    action = replace(action, state=state, reviews=reviews)
    message = blocks.settled(said_of(action, Notice.SETTLED), action)
    assert message["blocks"][0]["text"]["text"] == said
    [row] = [block for block in message["blocks"] if block["type"] == "actions"]
    assert [each["action_id"] for each in row["elements"]] == [blocks.OPEN]
    assert unfit(message["blocks"]) == ""


def test_what_policy_hides_is_not_in_the_reason_either() -> None:
    decision = a_decision(arguments={"to": "DE89370400440532013000"}, sources={"to": "json"})
    review = replace(a_review(held(), verdict=Verdict.REJECT), message="DE89370400440532013000: no")
    action = replace(held(), state=State.REJECTED, decision=decision, reviews=(review,))
    said = said_of(action, Notice.SETTLED, redact=Redact(approver=("args.to",)))
    assert "Reason: …3000: no" in outside(blocks.settled(said, action))
    open_ = said_of(action, Notice.SETTLED)
    assert "Reason: DE89370400440532013000: no" in outside(blocks.settled(open_, action))


def test_an_edit_is_said_to_be_one() -> None:
    action = held()
    review = a_review(action, Reviewer(id="bob"), Verdict.EDIT)
    edited = replace(action, original=a_call(), state=State.ANSWERED, reviews=(review,))
    assert blocks.ended(edited) == "Edited and approved by bob."


def test_several_calls_are_one_message_with_links() -> None:
    each = said_of(held(), Notice.SENT)
    message = blocks.several(Digest(key="k", told=(each,) * 30, more=5, since=0, until=1))
    assert unfit(message["blocks"]) == ""
    assert "and 15 more" in outside(message)
    links = [part for part in every(message["blocks"]) if part.get("type") == "link"]
    assert len(links) == 20 and links[0]["url"] == f"{URL}/review/a1"
