"""Writes docs/mcp-clients.md from what test_mcp_clients.py has measured.

MCP_CLIENTS_MEASURED=measured.jsonl pytest tests/acceptance/test_mcp_clients.py
python -m tests.acceptance.mcp_table measured.jsonl > docs/mcp-clients.md
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.acceptance.mcp_clients.environments import LOCKS, PACKAGES, ROOT
from tests.acceptance.mcp_conversations import PAIRS, ROUNDS, TASKS

Measured = Mapping[tuple[str, str, str], dict[str, Any]]
"""(client, transport, case) -> what was measured."""

CLIENTS = {
    "mcp-1": ("mcp-clients-1", "mcp", "Python `mcp`, `ClientSession`"),
    "langchain": ("mcp-clients-1", "langchain-mcp-adapters", "langchain-mcp-adapters"),
    "mcp-2": ("mcp-clients-2", "mcp", "Python `mcp`, `Client`"),
    "mcp-2-legacy": ("mcp-clients-2", "mcp", "the same, `legacy`"),
    "fastmcp": ("mcp-clients-2", "fastmcp", "FastMCP"),
    "openai-agents": ("mcp-clients-2", "openai-agents", "openai-agents"),
    "pydantic-ai": ("mcp-clients-2", "pydantic-ai-slim", "pydantic-ai"),
    "ts-1": ("typescript", "@modelcontextprotocol/sdk", "TypeScript SDK"),
    "ts-2": ("typescript", "@modelcontextprotocol/client", "TypeScript client, `auto`"),
    "ts-2-legacy": ("typescript", "@modelcontextprotocol/client", "the same, as it comes"),
}
DECIDED = {
    "allowed": "policy allows it",
    "approved": "a person approves it",
    "edited": "a person changes it",
    "rejected": "a person rejects it",
    "denied": "policy denies it",
    "expired": "nobody decides in time",
}
TRANSPORTS = {"http": "HTTP", "stdio": "pipes", "sse": "HTTP+SSE"}
ENDS = {"approve": "approved", "reject": "rejected"}
NOTES = "abcdefgh"
PAGE = ROOT / "docs" / "mcp-clients.md"


def plain(case: Mapping[str, Any], which: int = -1) -> str:
    """Return what the model was told, with the parts that differ each time named instead."""
    call = case["calls"][which]
    told = call["told"] or f"raised: {call['error']}"
    told = told.replace(case["text"], "hello")
    return re.sub(r"\b[0-9a-f]{32}\b", "REFERENCE", told)


def usual(measured: Measured, name: str, which: int = -1) -> str:
    """Return what most models were told."""
    said = (plain(measured[(*pair, name)], which) for pair in PAIRS)
    return Counter(said).most_common(1)[0][0]


def version(client: str) -> str:
    lock, package, _ = CLIENTS[client]
    if lock == "typescript":
        packages = json.loads((PACKAGES / "package-lock.json").read_text())["packages"]
        return str(packages[f"node_modules/{package}"]["version"])
    found = re.search(rf"^{package}==(\S+)", (LOCKS / f"{lock}.lock").read_text(), re.MULTILINE)
    assert found is not None
    return found[1]


def row(*cells: object) -> str:
    return f"| {' | '.join(str(cell) for cell in cells)} |"


def table(head: Iterable[str], rows: Iterable[str]) -> str:
    titles = list(head)
    return "\n".join([row(*titles), row(*["---"] * len(titles)), *rows])


def decided(measured: Measured) -> str:
    notes: dict[str, str] = {}

    def cell(pair: tuple[str, str], name: str) -> str:
        case = measured[(*pair, name)]
        said, errs = plain(case), case["calls"][-1]["is_error"]
        if said == usual(measured, name) and not errs:
            return "=" if case["ran"] else "=, not run"
        return f"({notes.setdefault(said, NOTES[len(notes)])})"

    rows = [
        row(
            CLIENTS[client][2],
            version(client),
            TRANSPORTS[over],
            measured[client, over, "allowed"]["protocol"],
            *(cell((client, over), name) for name in DECIDED),
        )
        for client, over in PAIRS
    ]
    told = table(["client", "version", "over", "MCP", *DECIDED.values()], rows)
    below = "\n\n".join(f"({sign})\n\n```\n{said}\n```" for said, sign in notes.items())
    return f"{told}\n\n{below}"


def late(measured: Measured) -> str:
    def cells(client: str, over: str) -> Iterable[object]:
        again = measured[client, over, "sent again"]
        waited = measured[client, over, "waited for"]
        given = measured[client, over, "too late"]
        assert plain(again, 0) == usual(measured, "sent again", 0)
        answers = [plain(case) == "posted: hello" for case in (again, waited, given)]
        assert all(answers), "a model that came back did not get the answer"
        yield f"{again['calls'][0]['seconds']:.1f} s"
        yield from ("the answer", "the answer")
        first = given["calls"][0]
        yield f"`{first['told'] or first['error']}`"
        yield "taken back" if given["asked"] > 1 else "waits on"
        yield given["asked"]
        yield len(given["ran"])

    head = ["client", "over", "told after", "the call again", "`interlock_wait`"]
    more = ["its own words, where its time-out comes first", "the call then", "people asked", "ran"]
    rows = [row(CLIENTS[c][2], TRANSPORTS[over], *cells(c, over)) for c, over in PAIRS]
    return table([*head, *more], rows)


def others(measured: Measured) -> str:
    def rows() -> Iterable[str]:
        for client in ROUNDS:
            case = measured[client, "rounds", "in rounds"]
            yield row(CLIENTS[client][2], "rounds; approved in the second", *outcome(case))
        for client in TASKS:
            for verdict in ENDS:
                case = measured[client, "tasks", f"a task, {verdict}"]
                yield row(
                    CLIENTS[client][2], f"a task, polled; then {ENDS[verdict]}", *outcome(case)
                )

    def outcome(case: Mapping[str, Any]) -> tuple[str, int, int]:
        return f"`{plain(case)}`", case["asked"], len(case["ran"])

    return table(["client", "answered with", "told in the end", "people asked", "ran"], rows())


def texts(measured: Measured) -> str:
    told = {title: usual(measured, name) for name, title in DECIDED.items()}
    told["it still waits when its client would give up"] = usual(measured, "sent again", 0)
    return "\n\n".join(
        f"{title[0].upper()}{title[1:]}:\n\n```\n{told[title]}\n```" for title in told
    )


def rewritten(page: str, measured: Measured, day: str) -> str:
    """Return the page with what lies between its marks measured anew."""
    parts = {
        "date": day,
        "texts": texts(measured),
        "decided": decided(measured),
        "late": late(measured),
        "others": others(measured),
    }

    def part(found: re.Match[str]) -> str:
        begins, name, end = found.group(1, 2, 3)
        space = "" if name == "date" else "\n\n"
        return f"{begins}{space}{parts[name]}{space}{end}"

    return re.sub(r"(<!-- measured: (\w+) -->).*?(<!-- end -->)", part, page, flags=re.DOTALL)


if __name__ == "__main__":
    source = Path(sys.argv[1])
    cases = [json.loads(line) for line in source.read_text().splitlines()]
    known = {(case["client"], case["over"], case["name"]): case for case in cases}
    day = datetime.fromtimestamp(source.stat().st_mtime, UTC).date().isoformat()
    PAGE.write_text(rewritten(PAGE.read_text(), known, day))
