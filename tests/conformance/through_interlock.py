"""A whole `interlock serve` before a server, as a proxy command of `tests.conformance.run`.

    python -m tests.conformance.through_interlock [--policy allow|gated] [--task-after 250ms] URL

`allow`: one policy that lets every tool pass. `gated`: the same, and a dozen entries that hold,
deny and count tools which the suite never calls. It prints the URL to use instead of URL, and runs
until it is stopped; everything that it keeps is in a directory of its own, which it removes.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import tempfile
from pathlib import Path

from interlock.app import opened
from interlock.config import load_config

ALLOW = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: suite, version: 1, owner: ann@example.com, description: The suite passes.}
matrix: standard
tools:
  - id: fixture.all
    description: Any of its tools.
    mcp: {server: fixture, tool: "*"}
    reversibility: read_only
    facets: {data: public}
"""
GATED = (
    ALLOW
    + """
  - id: fixture.pay
    description: Moves money.
    mcp: {server: fixture, tool: "pay_*"}
    args_schema: {type: object, required: [amount], properties: {amount: {type: number}}}
    reversibility: compensable
    undo: {reason: It can be paid back.}
    facets: {data: internal}
  - id: fixture.drop
    description: Deletes for good.
    mcp: {server: fixture, tool: [drop_table, delete_everything]}
    reversibility: irreversible
    facets: {data: confidential}
  - id: other.mail
    description: Of another server.
    mcp: {server: other, tool: "*"}
    reversibility: compensable
    undo: {reason: It can be followed up.}
    facets: {data: confidential}
rules:
  - id: no-drop
    description: Nothing is dropped.
    tools: [fixture.drop]
    deny: Tables are never dropped.
  - id: large
    description: Large payments need two people.
    tools: [fixture.pay]
    when: args.amount > 100.0
    at_least: approve_dual
"""
)
POLICIES = {"allow": ALLOW, "gated": GATED}
CONFIG = """
agents: {{listen: "127.0.0.1:0", anonymous: {{id: suite}}}}
people: {{listen: "127.0.0.1:0"}}
policies: [policy.yaml]
servers: {{fixture: {{url: "{url}", allow_private: true}}}}
mcp: {{default: {{task_after: {after}}}}}
log: {{level: error}}
"""


async def serve(folder: Path, url: str, policy: str, after: str) -> None:
    (folder / "policy.yaml").write_text(POLICIES[policy])
    (folder / "interlock.yaml").write_text(CONFIG.format(url=url, after=after))
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    async with opened(load_config(folder / "interlock.yaml", {})) as running:
        print(f"{running.agents}/mcp/fixture", flush=True)
        await stopped.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--policy", choices=POLICIES, default="allow")
    parser.add_argument("--task-after", default="0s", help="a task for calls that take longer")
    parser.add_argument("url")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="interlock-suite-") as folder:
        asyncio.run(serve(Path(folder), options.url, options.policy, options.task_after))


if __name__ == "__main__":
    main()
