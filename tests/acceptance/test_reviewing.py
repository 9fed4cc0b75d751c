"""People decide in real browsers on what a running Interlock holds, before a real tool."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests.acceptance.world import Gate, Tool, gate, short_folder, with_tool
from tests.approvals.browser import ARGUMENTS, BREACHES, EXECUTABLE, PHONE, WIDER

pytestmark = pytest.mark.slow

POLICY = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: reviewing, version: 1}
matrix: standard
stake:
  blast: {self: low, everybody: critical}
tools:
  - id: notes.publish
    description: Publishes a note.
    http: {upstream: tool, method: POST, path: /publish}
    args_schema: {type: object, required: [text], properties: {text: {type: string}}}
    reversibility: reversible
    undo: {tool: notes.retract, within: 1h, arguments: {text: args.text}}
    facets: {blast: self}
  - id: notes.announce
    description: Tells everybody.
    http: {upstream: tool, method: POST, path: /announce}
    args_schema: {type: object, required: [text], properties: {text: {type: string}}}
    reversibility: reversible
    undo: {tool: notes.retract, within: 1h, arguments: {text: args.text}}
    facets: {blast: self}
  - id: notes.retract
    description: Takes a note back.
    http: {upstream: tool, method: POST, path: /retract}
    args_schema: {type: object, required: [text], properties: {text: {type: string}}}
    reversibility: reversible
    undo: {reason: It can be published again.}
    facets: {blast: self}
rules:
  - {id: publishing, tools: [notes.publish], at_least: approve}
  - {id: announcing, tools: [notes.announce], at_least: approve_dual}
approvals: {batch: {up_to: low}}
levels:
  approve: {approvers: [ops], quorum: 1, expire_after: 10m,
            escalate: [{after: 5m, to: [leads]}]}
  approve_dual: {approvers: [ops], quorum: 2, expire_after: 10m,
                 escalate: [{after: 5m, to: [leads]}]}
"""
PEOPLE = [
    {"id": "ann", "groups": ["ops"]},
    {"id": "bob", "groups": ["ops"]},
    {"id": "cy", "groups": ["leads"]},
]
LEVELS = {"approve": "publish", "approve_dual": "announce"}  #: the path of a tool at this level
LATER = {"Prefer": "respond-async"}


@dataclass
class Desk:
    """Ann and Bob at their browsers, and Cy."""

    gate: Gate
    tool: Tool
    browser: Browser
    complaints: list[str] = field(default_factory=list)
    pages: dict[str, Page] = field(default_factory=dict)

    def of(self, who: str) -> Page:
        """Return the page of somebody, who followed the link that was printed for them."""
        if who not in self.pages:
            context = self.browser.new_context()
            context.add_init_script(BREACHES)
            page = context.new_page()
            page.on("pageerror", lambda error: self.complaints.append(str(error)))
            page.on("console", lambda said: self._hear(said.text))
            link = self.gate.words.wait(rf"Sign in {who}\s+(\S+)")[1]
            page.goto(link)
            page.get_by_role("button", name=f"Sign in as {who}").click()
            page.wait_for_url("**/review")
            self.pages[who] = page
        return self.pages[who]

    def _hear(self, text: str) -> None:
        if "Content Security Policy" in text or "TrustedHTML" in text:
            self.complaints.append(text)

    def asks(self, level: str, text: str) -> Future[httpx.Response]:
        """Have an agent call a tool of this level, and wait for the answer."""
        url = f"{self.gate.tool}/{LEVELS[level]}"
        kept = {"Prefer": "wait=55"}  # people in browsers on a busy machine outlast the usual 4 s
        said = {"text": text}
        return self.gate.later(lambda: httpx.post(url, json=said, headers=kept, timeout=60))

    def opens(self, who: str, card: Mapping[str, Any]) -> Page:
        """Open the call; of one whose verdict is folded, say first that it looks right."""
        page = self.of(who)
        page.goto(f"{self.gate.people}/review/{card['id']}")
        page.wait_for_selector("[data-ready]")
        looks_right(page)
        return page


@pytest.fixture(scope="module")
def running() -> Iterator[Desk]:
    tool = Tool()
    config = with_tool(tool)
    config["people"] = {"listen": "127.0.0.1:0", "local": PEOPLE}
    with (
        short_folder() as folder,
        gate(folder, config, POLICY) as serving,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=EXECUTABLE, args=ARGUMENTS)
        expect.set_options(timeout=15_000)  # a busy machine takes longer than 5 s
        yield Desk(serving, tool, browser)
        expect.set_options(timeout=5_000)
        browser.close()
    tool.stop()


@pytest.fixture
def desk(running: Desk) -> Iterator[Desk]:
    """The desk with nothing recorded; it must bring no error and no breach of the policy."""
    running.tool.forget()
    yield running
    with running.gate.person("bob") as bob:
        left = bob.get("/v1/approvals").json()["items"]
    for card in left:  # so that the next test starts with none
        running.gate.decide_card(card, "reject", "bob", "Over.")
    assert (running.complaints, left) == ([], [])


# verbs --------------------------------------------------------------------------------------


def looks_right(page: Page) -> None:
    judge = page.locator("#fold:visible [data-judge=right]")
    if judge.count():
        judge.click()


def approve(page: Page) -> None:
    expect(page.locator("button#approve:enabled")).to_have_count(1)  # from then on keys count
    page.keyboard.press("a")
    page.locator("#approve-message").fill("Read it.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#after")).to_be_visible()


def edit(page: Page, text: str = "edited") -> None:
    page.keyboard.press("e")
    page.get_by_label("text", exact=True).fill(text)
    page.get_by_role("button", name="Preview the edit").click()
    page.locator("#edit-message").fill("Kinder words.")
    page.get_by_role("button", name="Approve this edit").click()
    expect(page.locator("#after-text")).not_to_be_empty(timeout=15_000)


def reject(page: Page) -> None:
    page.keyboard.press("r")
    page.locator("#reject-message").fill("Not today.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#after")).to_be_visible()


def respond(page: Page) -> None:
    page.get_by_role("button", name="Respond").click()
    page.get_by_label("Answer in the tool's place").fill("Done by hand.")
    page.get_by_role("button", name="Answer: send nothing").click()
    expect(page.locator("#after")).to_be_visible()


VERBS: dict[str, tuple[Callable[[Page], None], int, str]] = {
    "approve": (approve, 200, "approve"),
    "edit": (edit, 200, "edited"),
    "reject": (reject, 403, ""),
    "respond": (respond, 200, ""),
}
"""What is done; the status that the agent reads; the text that the tool gets, or nothing."""


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("level", LEVELS)
def test_each_verb_does_on_each_level_what_it_says(desk: Desk, level: str, verb: str) -> None:
    act, status, text = VERBS[verb]
    answer = desk.asks(level, verb)  # the same call again would get the same answer
    (card,) = desk.gate.held()
    assert card["level"] == level
    act(desk.opens("ann", card))
    if text and level == "approve_dual":
        assert desk.tool.hits == 0
        approve(desk.opens("bob", card))
    said = answer.result(30)
    assert said.status_code == status
    assert [call.json["text"] for call in desk.tool.calls] == ([text] if text else [])
    assert ("Done by hand." in said.text) is (verb == "respond")
    assert ("Not today." in said.text) is (verb == "reject")


@pytest.mark.parametrize("level", LEVELS)
def test_who_may_decide_later_decides_once_asked(desk: Desk, level: str) -> None:
    answer = desk.asks(level, "soon")
    (card,) = desk.gate.held()
    assert desk.gate.decide_card(card, "approve", "cy").status_code == 403
    page = desk.opens("ann", card)
    page.get_by_role("button", name="Ask leads now").click()
    page.get_by_label("Why now").fill("It is late.")
    page.get_by_role("button", name="Ask them now").click()
    expect(page.locator("#desk-said")).to_contain_text("may decide it")
    (card,) = desk.gate.held()
    if level == "approve_dual":
        approve(page)
        (card,) = desk.gate.held()
    assert desk.gate.decide_card(card, "approve", "cy", "Go on.").status_code == 200
    assert answer.result(30).status_code == 200
    assert desk.tool.hits == 1


@pytest.mark.parametrize("level", LEVELS)
def test_a_colleague_is_asked_and_finds_it(desk: Desk, level: str) -> None:
    answer = desk.asks(level, "whose")
    (card,) = desk.gate.held()
    desk.of("bob").goto(f"{desk.gate.people}/review")
    page = desk.opens("ann", card)
    page.get_by_role("button", name="Ask somebody").click()
    dialog = page.get_by_role("dialog", name="Ask somebody to decide")
    dialog.get_by_text("bob", exact=True).click()
    dialog.get_by_role("button", name="Ask", exact=True).click()
    expect(page.locator("#assigned")).to_contain_text("Asked: bob, by you")
    bob = desk.of("bob")
    bob.goto(f"{desk.gate.people}/review?mine=yes")
    expect(bob.locator(f"[data-id='{card['id']}'] .asked")).to_have_text("asked: you")
    reject(desk.opens("bob", card))
    assert answer.result(30).status_code == 403


@pytest.mark.parametrize("level", LEVELS)
def test_what_was_sent_is_undone(desk: Desk, level: str) -> None:
    answer = desk.asks(level, "oops")
    (card,) = desk.gate.held()
    approve(desk.opens("ann", card))
    if level == "approve_dual":
        approve(desk.opens("bob", card))
    assert answer.result(30).status_code == 200
    page = desk.of("ann")  # it has loaded itself again, up to the answer
    expect(page.locator("#after-text")).to_contain_text("sent, the tool answered")
    page.get_by_role("button", name="Undo it").click()
    page.get_by_role("button", name="Yes, ask for notes.retract").click()
    expect(page.locator("#undone")).to_contain_text("Undone by ann")
    assert [(call.target, call.json["text"]) for call in desk.tool.calls] == [
        (f"/{LEVELS[level]}", "oops"),
        ("/retract", "oops"),
    ]


def test_a_batch_takes_only_what_needs_one_person(desk: Desk) -> None:
    answers = [desk.asks("approve", f"note {number}") for number in range(3)]
    grave = desk.asks("approve_dual", "grave")
    cards = desk.gate.held(4)
    page = desk.of("ann")
    page.goto(f"{desk.gate.people}/review")
    page.wait_for_selector("[data-ready]")
    (dual,) = (card["id"] for card in cards if card["level"] == "approve_dual")
    for card in cards:
        page.locator(f"[data-id='{card['id']}'] [data-pick]").check()
    expect(page.get_by_role("button", name="Approve 4 listed")).to_be_disabled()
    page.locator(f"[data-id='{dual}'] [data-pick]").uncheck()
    page.get_by_role("button", name="Approve 3 listed").click()
    page.get_by_role("button", name="Approve 3: send as listed").click()
    expect(page.get_by_role("heading", name="3 of 3 approved")).to_be_visible()
    assert [each.result(30).status_code for each in answers] == [200, 200, 200]
    assert sorted(call.json["text"] for call in desk.tool.calls) == ["note 0", "note 1", "note 2"]
    reject(desk.opens("bob", next(card for card in cards if card["id"] == dual)))
    assert grave.result(30).status_code == 403


# at the same time ---------------------------------------------------------------------------


@pytest.mark.parametrize("first", ["approve", "reject"])
def test_two_people_race_and_one_of_them_decides(desk: Desk, first: str) -> None:
    answer = desk.asks("approve", f"race to {first}")
    (card,) = desk.gate.held()
    ann, bob = desk.opens("ann", card), desk.opens("bob", card)
    ann.keyboard.press("a" if first == "approve" else "r")
    ann.locator(f"#{first}-message").fill("Mine.")
    bob.keyboard.press("a")
    for page in (ann, bob):  # neither waits for what becomes of it
        page.keyboard.press("Control+Enter")
    for page in (ann, bob):
        expect(page.locator("#after")).to_be_visible()
    sent = answer.result(30).status_code == 200
    assert desk.tool.hits == (1 if sent else 0)
    told = {page.locator("#after-text").inner_text() for page in (ann, bob)}
    assert len({("rejected" in text) for text in told}) == 1, told


def test_an_edit_voids_the_votes_before_it(desk: Desk) -> None:
    answer = desk.asks("approve_dual", "first words")
    (card,) = desk.gate.held()
    ann = desk.opens("ann", card)
    approve(ann)
    edit(desk.opens("bob", card), "second words")
    assert desk.tool.hits == 0
    expect(ann.get_by_text("void since an edit")).to_be_visible()
    expect(ann.locator("#arguments")).to_contain_text("second words")
    looks_right(ann)
    approve(ann)
    assert answer.result(30).status_code == 200
    assert [call.json["text"] for call in desk.tool.calls] == ["second words"]


def test_nobody_is_both_of_two_people(desk: Desk) -> None:
    answer = desk.asks("approve_dual", "twice")
    (card,) = desk.gate.held()
    approve(desk.opens("ann", card))
    page = desk.opens("ann", card)
    expect(page.locator("button#approve:enabled")).to_have_count(0)
    (card,) = desk.gate.held()
    assert desk.gate.decide_card(card, "approve", "ann", "Again.").status_code in (403, 409)
    assert desk.tool.hits == 0
    reject(desk.opens("bob", card))
    assert answer.result(30).status_code == 403


def test_what_is_half_written_stays_while_others_decide(desk: Desk) -> None:
    answer = desk.asks("approve_dual", "long\n" * 40)
    (card,) = desk.gate.held()
    ann = desk.opens("ann", card)
    ann.keyboard.press("e")
    written = ann.get_by_label("text", exact=True)
    written.fill("half written")
    ann.evaluate("scrollTo(0, 120)")
    at = ann.evaluate("scrollY")
    approve(desk.opens("bob", card))
    expect(ann.locator("#banner")).to_contain_text("bob approved: 1 of 2")
    assert written.input_value() == "half written"
    expect(written).to_be_focused()
    assert abs(ann.evaluate("scrollY") - at) < 120
    reject(desk.opens("ann", card))
    assert answer.result(30).status_code == 403


def test_nothing_of_an_agent_that_is_stopped_meanwhile_is_approved(desk: Desk) -> None:
    answer = desk.asks("approve", "runaway")
    (card,) = desk.gate.held()
    page = desk.opens("ann", card)
    with desk.gate.person("bob") as bob:
        assert (
            bob.post("/v1/agents/local/suspend", json={"reason": "It runs wild."}).status_code
            == 200
        )
        assert desk.gate.decide_card(card, "approve", "bob").status_code in (403, 409)
        page = desk.opens("ann", card)
        expect(page.locator("#approve")).to_be_disabled()
        page.keyboard.press("a")
        expect(page.locator("#panel-approve")).to_be_hidden()
        assert desk.tool.hits == 0
        assert bob.post("/v1/agents/local/resume").status_code == 200
    approve(desk.opens("ann", card))
    assert answer.result(30).status_code == 200


# how people sit -----------------------------------------------------------------------------


def test_a_call_is_found_and_decided_without_a_mouse(desk: Desk) -> None:
    answer = desk.asks("approve", "keys only")
    desk.gate.held()
    page = desk.of("ann")
    page.goto(f"{desk.gate.people}/review")
    page.wait_for_selector("[data-ready]")
    for key in ("j", "Enter"):
        page.keyboard.press(key)
    page.wait_for_url("**/review/*")
    page.wait_for_selector("[data-ready]")
    page.keyboard.press("r")
    page.keyboard.press("Space")  # the first of the usual reasons
    page.keyboard.press("Tab")
    page.keyboard.type("No.")
    page.keyboard.press("Control+Enter")
    expect(page.locator("#after")).to_be_visible()
    assert answer.result(30).status_code == 403
    assert "No." in answer.result().text


def test_a_phone_shows_all_that_a_decision_needs(desk: Desk) -> None:
    answer = desk.asks("approve_dual", "wide " * 100)
    (card,) = desk.gate.held()
    page = desk.opens("ann", card)
    usual = page.viewport_size
    page.set_viewport_size(PHONE)  # type: ignore[arg-type]
    assert page.evaluate(WIDER) == 0
    page.locator("#actions").get_by_role("button", name="Reject").click()
    page.locator("#reject-message").fill("Too long.")
    page.get_by_role("button", name="Reject: never send it").click()
    expect(page.locator("#after")).to_be_visible()
    assert page.evaluate(WIDER) == 0
    page.set_viewport_size(usual)  # type: ignore[arg-type]
    assert answer.result(30).status_code == 403


# what ends meanwhile ------------------------------------------------------------------------


def test_a_session_that_ends_meanwhile_decides_nothing(desk: Desk) -> None:
    answer = desk.asks("approve", "signed out")
    (card,) = desk.gate.held()
    with desk.gate.person() as ann:
        ann.post(
            f"/v1/approvals/{card['id']}/escalate", json={}, headers={"If-Match": '"1"'}
        ).raise_for_status()
    page = desk.opens("cy", card)
    other = page.context.new_page()
    other.goto(f"{desk.gate.people}/review")
    other.get_by_role("button", name="Sign out").click()
    page.keyboard.press("a")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("You are signed out.").first).to_be_visible()
    assert desk.tool.hits == 0
    (card,) = desk.gate.held()
    assert desk.gate.decide_card(card, "reject", message="Gone.").status_code == 200
    assert answer.result(30).status_code == 403


def test_policy_and_time_that_change_meanwhile_count(desk: Desk, running: Desk) -> None:
    """It runs last: the policy stays changed."""
    answer = desk.asks("approve", "stricter")
    (card,) = desk.gate.held()
    page = desk.opens("ann", card)
    stricter = POLICY.replace("version: 1}", "version: 2}")
    stricter = stricter.replace("at_least: approve}", "at_least: approve_dual}")
    stricter = stricter.replace("expire_after: 10m", "expire_after: 3s").replace(
        "escalate: [{after: 5m, to: [leads]}]", "remind_after: 1s"
    )
    reloaded(desk.gate, stricter)
    approve(page)
    assert desk.tool.hits == 0
    (card,) = desk.gate.held()
    assert (card["level"], card["votes"]) == ("approve_dual", 1)
    approve(desk.opens("bob", card))
    assert answer.result(30).status_code == 200
    assert desk.tool.hits == 1
    # and now one that lapses while somebody looks at it
    answer = desk.asks("approve", "too late")
    (card,) = desk.gate.held()
    page = desk.opens("ann", card)
    expect(page.locator("#banner")).to_be_visible(timeout=15_000)
    expect(page.locator("#approve")).to_be_hidden()
    assert answer.result(30).status_code >= 400
    assert desk.tool.hits == 1


def reloaded(running: Gate, policy: str) -> None:
    path: Path = running.folder / "policy.yaml"
    path.write_text(policy)
    running.process.send_signal(signal.SIGHUP)
    for _ in range(1000):
        with running.person() as ann:
            if ann.get("/v1/policy").json()["version"] == 2:
                return
    raise AssertionError(running.said())
