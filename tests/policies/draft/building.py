"""Small APIs and servers, drafted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from interlock.policies.draft.drafting import Draft, draft_openapi, draft_tools
from interlock.policies.draft.operations import Guess
from interlock.policies.suite import Report, run_suite


def api(paths: dict[str, Any], **members: Any) -> bytes:
    return json.dumps({"openapi": "3.1.0", "paths": paths, **members}).encode()


def operation(name: str = "", summary: str = "", **members: Any) -> dict[str, Any]:
    return {"operationId": name, "summary": summary, **members}


def drafted(paths: dict[str, Any], **members: Any) -> Draft:
    return draft_openapi(api(paths, **members), "api.json", "api")


def guess(paths: dict[str, Any], key: str) -> Guess:
    """Draft an API and return what one of its operations was taken for."""
    for each in drafted(paths).drafted:
        if key in [one.key for one in each.operation.members or (each.operation,)]:
            return each.guess
    raise AssertionError(f"no operation {key}")


def tool(name: str, description: str = "", *arguments: str, **members: Any) -> dict[str, Any]:
    properties = {argument: {"type": "string"} for argument in arguments}
    schema = {"type": "object", "properties": properties, "required": list(arguments)}
    return {"name": name, "description": description, "inputSchema": schema, **members}


def tools(*listed: dict[str, Any]) -> Draft:
    return draft_tools(listed, "server", "server")


def guess_tool(*listed: dict[str, Any]) -> Guess:
    """Draft a server and return what its first tool was taken for."""
    return tools(*listed).drafted[0].guess


def run(found: Draft, directory: Path) -> list[Report]:
    """Write a draft and run the tests that came with it."""
    for name, text in found.files.items():
        (directory / name).write_text(text)
    return [run_suite(directory / name) for name in found.files if name.endswith("_test.yaml")]
