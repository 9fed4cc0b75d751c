"""What people decide at a running Interlock is told alike by everything that tells of it.

An agent's calls go through each end that a call can have; then the archive, every export, a
replay, the figures and the metrics have to agree, and none may know of the practice call.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from interlock.exports import formats
from interlock.keyfiles import write_private
from tests.acceptance.test_practice import planted
from tests.acceptance.world import LOOKS, Gate, Tool, gate, short_folder, with_tool
from tests.cli.conftest import Command, folder, interlock

__all__ = ("folder", "interlock")
pytestmark = pytest.mark.slow

RULE = "  - {id: money-moves, tools: [bank.transfer], at_least: approve}\n"
POLICY = f"""
apiVersion: interlock/v1
kind: Policy
metadata: {{name: learning, version: 1}}
matrix: standard
stake:
  blast: {{self: low, everybody: critical}}
tools:
  - id: bank.balance
    description: Tells what is in an account.
    http: {{upstream: tool, method: GET, path: "/accounts/{{account}}"}}
    reversibility: read_only
    facets: {{blast: self}}
  - id: bank.transfer
    description: Moves money out of an account.
    http: {{upstream: tool, method: POST, path: "/accounts/{{account}}/transfers"}}
    args_schema:
      type: object
      required: [amount, recipient]
      properties: {{amount: {{type: number}}, recipient: {{type: string}}}}
    reversibility: reversible
    undo: {{reason: The bank takes it back within the hour.}}
    facets: {{blast: self}}
  - id: bank.gift
    description: Nobody is quick enough for this one.
    http: {{upstream: tool, method: POST, path: /gifts}}
    reversibility: reversible
    undo: {{reason: They give it back.}}
    facets: {{blast: self}}
rules:
{RULE}  - {{id: gifts, tools: [bank.gift], at_least: approve_dual}}
levels:
  approve: {{quorum: 1, expire_after: 10m}}
  approve_dual: {{quorum: 2, expire_after: 1s}}
approvals: {{decoys: {{share: 0.0001}}}}
"""
TASK, REASON = "Pay what is due today.", "The invoice is due."
ENDS = {  #: what the agent did, and how it ended: state and verdict
    "balance": ("answered", ""),
    "rejected": ("rejected", "reject"),
    "approved": ("answered", "approve"),
    "edited": ("answered", "edit"),
    "answered": ("responded", "respond"),
    "wrong": ("answered", "approve"),
    "expired": ("expired", ""),
}
AMOUNTS = {"rejected": 5000, "approved": 100, "edited": 9000, "answered": 1, "wrong": 250}


@dataclass
class Story:
    """What happened, and where it is told."""

    gate: Gate
    key: str  #: of an auditor
    ids: dict[str, str] = field(default_factory=dict)  #: of each call, by what became of it
    decoy: str = ""

    def transfer(self, name: str) -> None:
        """Have the agent ask for a transfer, which is held."""
        headers = {"Prefer": "respond-async", "Interlock-Task": TASK, "Interlock-Reason": REASON}
        sent = {"amount": AMOUNTS[name], "recipient": "Bob"}
        url = f"{self.gate.tool}/accounts/7/transfers"
        asked = httpx.post(url, json=sent, headers={**headers, "Interlock-Confidence": "0.8"})
        assert asked.status_code == 202, asked.text
        self.ids[name] = asked.headers["Interlock-Call-Id"]

    def audited(self, path: str, **query: str) -> httpx.Response:
        """Ask the people's API with the key of an auditor."""
        headers = {"Authorization": f"Bearer {self.key}"}
        found = httpx.get(self.gate.people + path, params=query, headers=headers, timeout=30)
        return found.raise_for_status()

    def records(self) -> dict[str, Any]:
        """Return the records by what became of the calls, once the last report is in them."""
        names = {call: name for name, call in self.ids.items()}
        for _ in range(LOOKS):
            text = self.audited("/v1/feedback/export").text
            found = [json.loads(line) for line in text.splitlines()]
            if len(found) >= len(ENDS) and any(each.get("reports") for each in found):
                return {names.get(each["id"], each["id"]): each for each in found}
        raise AssertionError(f"only {found}: {self.gate.said()}")


def lived(gate: Gate, key: str) -> Story:
    """Have everything happen once."""
    story = Story(gate, key)
    headers = {"Interlock-Task": TASK}
    balance = httpx.get(f"{gate.tool}/accounts/7", headers=headers)
    assert balance.status_code == 200
    story.ids["balance"] = balance.headers["Interlock-Call-Id"]

    story.transfer("rejected")
    assert gate.decide("reject", message="Whom?", reason_code="wrong_target").status_code == 200
    story.transfer("approved")
    (real,) = gate.held()
    practice = asyncio.run(planted(gate))
    assert practice is not None
    story.decoy = practice.id
    (shown,) = (card for card in gate.held(2) if card["id"] == practice.id)
    assert gate.decide_card(shown, "reject", message="Again?").status_code == 200
    assert gate.decide_card(real, "approve").status_code == 200
    gate.becomes(real["id"], "answered")

    story.transfer("edited")
    edit = {"recipient": "Bob", "amount": 900, "account": "7"}
    assert gate.decide("edit", "bob", edited_args=edit, reason_code="amount").status_code == 200
    story.transfer("answered")
    assert gate.decide("respond", message="Paid it by hand.").status_code == 200
    story.transfer("wrong")
    assert gate.decide("approve").status_code == 200
    gate.becomes(story.ids["wrong"], "answered")
    told = {"turned": "wrong", "message": "It was paid before."}
    outcome = f"{gate.agents}/v1/calls/{story.ids['wrong']}/outcome"
    assert httpx.post(outcome, json=told).status_code in (200, 202, 204)

    gift = {"Prefer": "respond-async"}
    given = httpx.post(f"{gate.tool}/gifts", json={"to": "Bob"}, headers=gift)
    story.ids["expired"] = given.headers["Interlock-Call-Id"]
    gate.becomes(story.ids["expired"], "expired")
    return story


@pytest.fixture
def running() -> Iterator[Gate]:
    tool = Tool()
    with short_folder() as place, gate(place, with_tool(tool), POLICY) as served:
        yield served
    tool.stop()


def test_everything_that_tells_of_decided_calls_tells_the_same_story(
    running: Gate, folder: Path, interlock: Command
) -> None:
    config = ("--config", str(running.folder / "interlock.yaml"))
    made = interlock("keys", "create", "auditor", "iris", *config, "--json")
    key = str(json.loads(made.out)["key"])
    write_private(folder / "iris.key", key)
    story = lived(running, key)

    records = story.records()
    ended = {name: (each["state"], _verdict(each)) for name, each in records.items()}
    assert ended == ENDS
    _figures_agree(story)
    _metrics_agree(story)
    (folder / "policy.yaml").write_text(POLICY)
    written = _exported(story, folder, interlock)
    _training_sets_agree(written, records)
    _what_judges_agrees(written, story, interlock, folder / "policy.yaml")
    assert not any(story.decoy in text for text in written.values())


def _verdict(record: dict[str, Any]) -> str:
    said = {each["verdict"] for each in record.get("reviews", ())}
    assert len(said) < 2
    return said.pop() if said else ""


def _figures_agree(story: Story) -> None:
    figures = story.audited("/v1/analytics").json()
    total = figures["total"]
    counted = {name: total[name] for name in ("calls", "held", "approved", "edited", "wrong")}
    assert counted == {"calls": 7, "held": 6, "approved": 2, "edited": 1, "wrong": 1}
    refused = {name: total[name] for name in ("rejected", "responded", "expired", "denied")}
    assert refused == {"rejected": 1, "responded": 1, "expired": 1, "denied": 0}
    by_tool = {each["name"]: each["calls"] for each in figures["tools"]}
    assert by_tool == {"bank.transfer": 5, "bank.balance": 1, "bank.gift": 1}
    assert figures["fields"] == [{"name": "bank.transfer: args.amount", "count": 1}]
    assert figures["kept"]["records"] == figures["records"] == 7


def _metrics_agree(story: Story) -> None:
    text = httpx.get(f"{story.gate.people}/metrics").text
    counted: dict[str, Counter[str]] = {}
    by = {
        "interlock_calls_total": "tool",
        "interlock_call_outcomes_total": "outcome",
        "interlock_reviews_total": "verdict",
        "interlock_holds_settled_total": "verdict",
        "interlock_expirations_total": "level",
        "interlock_practice_total": "outcome",
        "interlock_records_kept": "",
    }
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            if sample.name in by:
                label = sample.labels.get(by[sample.name], "")
                counted.setdefault(sample.name, Counter())[label] += int(sample.value)
    said = {name: dict(+counts) for name, counts in counted.items()}
    verdicts = {"approve": 2, "edit": 1, "reject": 1, "respond": 1}
    assert said == {
        "interlock_calls_total": {"bank.transfer": 5, "bank.balance": 1, "bank.gift": 1},
        "interlock_call_outcomes_total": {
            "answered": 4,
            "rejected": 1,
            "responded": 1,
            "expired": 1,
            "cancelled": 1,  # the practice call, which another process planted
        },
        "interlock_reviews_total": verdicts,
        "interlock_holds_settled_total": verdicts | {"expired": 1},
        "interlock_expirations_total": {"approve_dual": 1},
        "interlock_practice_total": {"caught": 1},
        "interlock_records_kept": {"": 7},
    }


def _exported(story: Story, folder: Path, interlock: Command) -> dict[str, str]:
    """Export in every format; return what was written, by format."""
    written = {}
    for name in formats():
        where = ("--url", story.gate.people, "--key-file", str(folder / "iris.key"), "--json")
        more = ("--policy", "policy.yaml") if name == "policy-tests" else ()
        told = interlock("export", "--format", name, "--out", name, *where, *more)
        assert told.code == 0, told.err
        read = json.loads(told.out)
        assert read["counts"]["read"] == len(ENDS)
        [file] = read["files"]
        written[name] = Path(file["file"]).read_text()
        if Path(file["file"]).suffix == ".jsonl":  # the API answers the same
            assert story.audited("/v1/feedback/export", format=name).text == written[name]
    return written


def _training_sets_agree(written: dict[str, str], records: dict[str, Any]) -> None:
    lines = {
        name: [json.loads(line) for line in text.splitlines()]
        for name, text in written.items()
        if name not in ("label-studio", "policy-tests")
    }
    by_id = {each["id"]: each for each in records.values()}
    assert {each["id"]: each for each in lines["records"]} == by_id
    proposed = {"account": "7", "amount": 9000, "recipient": "Bob"}
    final = proposed | {"amount": 900}
    edited = records["edited"]
    assert (edited["arguments"], edited["final_arguments"]) == (proposed, final)
    assert edited["edited"] == ["args.amount"]

    [pair] = lines["dpo-trl"]
    chosen, rejected = (_called(pair[side]) for side in ("chosen", "rejected"))
    assert (chosen, rejected) == (final, proposed)
    assert list(chosen) == list(rejected)
    assert pair["prompt"] == [{"role": "user", "content": TASK}]
    [tool] = json.loads(pair["tools"])
    assert tool["function"]["parameters"]["required"] == ["amount", "recipient", "account"]
    [pair] = lines["dpo-openai"]
    sides = (pair[side][0] for side in ("preferred_output", "non_preferred_output"))
    texts = [said["tool_calls"][0]["function"]["arguments"] for said in sides]
    assert [json.loads(text) for text in texts] == [final, proposed]

    kto = [(_called(line["completion"])["amount"], line["label"]) for line in lines["kto"]]
    assert kto == [(5000, False), (100, True), (900, True), (9000, False), (250, False)]
    assert [_called(line["messages"])["amount"] for line in lines["sft"]] == [100, 900]
    tasks = json.loads(written["label-studio"])
    labelled = {task["data"]["id"]: _chosen(task["annotations"]) for task in tasks}
    judged = {each["id"]: [_verdict(each)] for each in records.values() if _verdict(each)}
    assert labelled == judged


def _called(messages: list[Any]) -> Any:
    [call] = messages[-1]["tool_calls"]
    return call["function"]["arguments"]


def _chosen(annotations: list[Any]) -> list[str]:
    return [each["result"][0]["value"]["choices"][0] for each in annotations]


def _what_judges_agrees(
    written: dict[str, str], story: Story, interlock: Command, policy: Path
) -> None:
    kept = "records/data-train.jsonl"
    told = interlock("replay", "--policy", str(policy), "--records", kept, "--json")
    assert told.code == 0, told.err
    sums = json.loads(told.out)
    assert sums["counts"] == {"looser": 0, "stricter": 0, "reason": 0, "same": len(ENDS)}
    assert len(written["corpus"].splitlines()) == len(ENDS)

    suite = "policy-tests/recorded-001_test.yaml"
    refused = ("rejected", "edited", "answered")
    assert written["policy-tests"].count("\n- ") == len(refused)
    assert all(story.ids[name] in written["policy-tests"] for name in refused)
    assert _exit_code(interlock, "policy", "test", suite) == 0
    policy.write_text(POLICY.replace(RULE, ""))
    assert _exit_code(interlock, "policy", "test", suite) == 1
    told = interlock("replay", "--policy", str(policy), "--records", kept, "--json")
    assert json.loads(told.out)["counts"]["looser"] == len(AMOUNTS)


def _exit_code(interlock: Command, *arguments: str) -> int:
    """Run a command that ends by itself."""
    with pytest.raises(SystemExit) as ended:
        interlock(*arguments)
    assert isinstance(ended.value.code, int)
    return ended.value.code
