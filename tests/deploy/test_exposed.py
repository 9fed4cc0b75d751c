"""What alerts and dashboard ask for is what a running Interlock tells, by metric and by label."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from interlock.config import load_config
from interlock.core.calibration import Models, Platt
from interlock.keyfiles import derived_keys
from interlock.learning import Fitted
from interlock.parts import open_store
from interlock.store.calibration import RedisCalibration
from interlock.system import SystemClock
from tests.acceptance.test_notifications import SECRET, Receiver, configured
from tests.acceptance.world import LOOKS, POLICY, Gate, Tool, gate, short_folder, write
from tests.deploy.promql import Series, expressions, missing, series_of

pytestmark = [pytest.mark.slow]
MORE = """
  - {id: looked-at, tools: [notes.add], mode: shadow, at_least: approve}
limits:
  - {id: few, tools: [notes.read], key: [agent.id], window: 1h, count: 1, then: approve}
audit: {share: 1.0}
approvals:
  grants: [{tools: [notes.share], at_most: notify, longest: 1h, uses: 9}]
"""
LAST = (  # what takes a moment
    'outcome="delivered"',
    "interlock_calibration_fits_total",
    "interlock_records_newest_timestamp_seconds ",
)
LATER = {"Prefer": "respond-async", "Interlock-Confidence": "0.9"}
SHARED = """
  - id: notes.share
    http: {upstream: tool, method: POST, path: /share}
    args_schema: {type: object, properties: {text: {type: string}}}
    reversibility: reversible
    undo: {reason: It can be withdrawn.}
    facets: {blast: everybody}
"""
TOLD = POLICY.replace("levels:", MORE.lstrip("\n") + "levels:").replace(
    "rules:\n", SHARED.lstrip("\n") + "rules:\n"
)


def held(running: Gate, text: str, path: str = "/publish") -> dict[str, Any]:
    """Have one call held; return its card."""
    asked = httpx.post(f"{running.tool}{path}", json={"text": text}, headers=LATER)
    assert asked.status_code == 202, asked.text
    return running.held()[0]


def look(running: Gate, card: dict[str, Any]) -> None:
    """Have ann look at the call for a moment."""
    with running.person() as ann:
        for visible in (0, 200):
            answer = ann.post(f"/v1/approvals/{card['id']}/look", json={"visible_ms": visible})
            assert answer.status_code < 300, answer.text


def people_decide(running: Gate) -> None:
    """Approve, edit, reject and answer a call each; let another one run out."""
    card = held(running, "approved", "/share")
    look(running, card)
    grant = {"scope": "arguments", "uses": 9, "for": "10m"}
    approved = running.decide("approve", grant=grant)
    assert approved.status_code == 200, approved.text
    running.becomes(card["id"], "answered")
    granted = httpx.post(f"{running.tool}/share", json={"text": "approved"}, headers=LATER)
    assert granted.status_code == 200, granted.text
    held(running, "rejected")
    assert running.decide("reject", message="No.", reason_code="policy").status_code == 200
    held(running, "answered")
    assert running.decide("respond", message="Ask Ann.").status_code == 200
    card = held(running, "edited")
    assert running.decide("edit", edited_args={"text": "shorter"}).status_code == 200
    asked = httpx.post(f"{running.tool}/brief", json={}, headers=LATER)
    assert asked.status_code == 202
    expired = asked.json()["id"] if "id" in asked.json() else ""
    for _ in range(LOOKS):
        if 'interlock_expirations_total{level="approve_dual"} 1.0' in told(running):
            return
    raise AssertionError(f"{expired} did not run out")


async def known(folder: Path, config: dict[str, Any]) -> None:
    """Keep models, as if very many calls had been decided here."""
    read = load_config(write(folder, config, TOLD), {})
    every = Models(by={("", ""): Platt(of=99, slope=1.0, offset=0.0)})
    at = SystemClock().now_ms()
    async with AsyncExitStack() as stack:
        store, _ = await open_store(read, stack)
        kept = RedisCalibration(
            store.client, key=derived_keys(read).calibration, prefix=read.store.prefix
        )
        await kept.write(Fitted(models=every, at=at, labels=10**6, newest=at))


def told(running: Gate) -> str:
    return httpx.get(f"{running.people}/metrics").text


@pytest.fixture(scope="module")
def series() -> Iterator[Series]:
    """What an Interlock tells that has done everything once."""
    tool, receiver = Tool(), Receiver()
    with short_folder() as folder:
        (folder / "hook.secret").write_text(SECRET)
        config = configured(tool, receiver)
        asyncio.run(known(folder, config))
        with gate(folder, config, TOLD) as running:
            for text in ("one", "two"):
                added = httpx.post(f"{running.tool}/notes", json={"text": text}, headers=LATER)
                assert added.status_code == 200, added.text
            for _ in range(2):
                httpx.get(f"{running.tool}/notes/1", headers=LATER)
            running.decide("reject", message="Too many.")
            people_decide(running)
            assert receiver.arrived.wait(30), running.said()
            found = told(running)
            for _ in range(LOOKS):
                if all(each in found for each in LAST):
                    break
                found = told(running)
            yield series_of(found)
    tool.stop()
    receiver.stop()


@pytest.mark.parametrize(("where", "expression"), expressions().items(), ids=lambda each: each[:60])
def test_every_metric_and_label_that_is_asked_for_is_told(
    where: str, expression: str, series: Series
) -> None:
    assert missing(expression, series) == [], where


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [
        ("interlock_holds_opened > 0", "there is no interlock_holds_opened"),
        ("sum by (person) (interlock_reviews_total)", "nothing has the label person"),
        (
            'interlock_practice_total{outcome="overlooked"}',
            'no interlock_practice_total has outcome="overlooked"',
        ),
        (
            'increase(interlock_audits_judged_total{turned=~"right|bad"}[1h])',
            'no interlock_audits_judged_total has turned="bad"',
        ),
        ("interlock_holds_open > on (queue) interlock_unknown_open", "nothing has the label queue"),
    ],
)
def test_what_nobody_tells_would_be_noticed(expression: str, wrong: str, series: Series) -> None:
    assert missing(expression, series) == [wrong]


def test_reasons_are_told_by_the_codes_that_there_are(series: Series) -> None:
    told = {(row["verdict"], row["reason"]) for row in series["interlock_review_reasons_total"]}
    assert told == {("reject", "policy"), ("reject", "none"), ("edit", "none")}


def test_no_series_names_a_person_or_an_agent(series: Series) -> None:
    values = {value for rows in series.values() for row in rows for value in row.values()}
    assert not values & {"ann", "bob", "local"}
    assert not [value for value in values if value.startswith("r-")]


def value(series_text: str, name: str) -> float:
    lines = [line for line in series_text.splitlines() if line.startswith(f"{name} ")]
    assert len(lines) == 1, name
    return float(lines[0].rpartition(" ")[2])


def test_promise_41_gauges_are_what_the_store_holds_after_a_kill_9() -> None:
    tool = Tool()
    with short_folder() as folder:
        config = configured(tool, Receiver()) | {"notify": {"log": None}}
        with gate(folder, config, TOLD) as running:
            held(running, "held")
            added = httpx.post(f"{running.tool}/notes", json={"text": "drawn"}, headers=LATER)
            assert added.status_code == 200
            with running.person() as ann:
                assert any(ann.get("/v1/audits").json()["total"] == 1 for _ in range(LOOKS))
            running.kill()
        with gate(folder, config, TOLD) as again:
            waits(again, "interlock_holds_open", 1)
            waits(again, "interlock_audits_waiting", 10)  # in tens, as agents may read it
            waits(again, "interlock_records_kept", 1)
            waits(again, "interlock_records_behind", 0)
            waits(again, "interlock_archive_up", 1)
            waits(again, "interlock_records_lag_seconds", 0)
            waits(again, "interlock_records_shortened_total", 0)
            waits(again, "interlock_audits_dropped_total", 0)
            assert value(told(again), "interlock_archive_size_bytes") > 0
            assert value(told(again), "interlock_archive_disk_free_bytes") > 0
            with again.person() as ann:
                for agent, gauge in (("-", "all_agents_stopped"), ("local", "agents_stopped")):
                    waits(again, f"interlock_{gauge}", 0)
                    stopping = {"reason": "It pays twice."}
                    said = ann.post(f"/v1/agents/{agent}/suspend", json=stopping)
                    assert said.status_code == 200, said.text
                    waits(again, f"interlock_{gauge}", 1)
    tool.stop()


def waits(running: Gate, name: str, wanted: float) -> None:
    """Wait until a gauge says what it should."""
    for _ in range(LOOKS):
        text = told(running)
        if f"{name} {wanted:.1f}" in text.splitlines():
            return
    raise AssertionError(f"{name} is {value(text, name)}, not {wanted}: {running.said()}")
