"""Many calls held at once on one process: memory and processor time per call, and their release.

Opens one connection per call to `interlock serve` on 127.0.0.1, lets all of them wait for a
person, looks at what that costs, then approves every one through the people's API and counts
the answers. Bounded by the number of calls; stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import resource
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from benchmarks.servers import (
    children,
    folder,
    interlock,
    nginx,
    processor_seconds,
    resident,
)

MOST = 20_000
AT_ONCE = 16  #: decisions under way
WATCHED = 5.0  #: seconds of waiting during which processor time is measured
PATIENCE = 600  #: seconds that a caller waits


async def hold(port: int, number: int) -> int:
    """Make one call that needs a person, wait for its answer, return the status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    body = f'{{"note": "number {number}"}}'
    writer.write(
        (
            f"POST /t/tool/drop/{number} HTTP/1.1\r\nHost: 127.0.0.1\r\nPrefer: wait={PATIENCE}\r\n"
            f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
    )
    status = int((await reader.readline()).split(b" ")[1])
    writer.close()
    return status


async def held(session: aiohttp.ClientSession, url: str) -> list[dict[str, Any]]:
    """Return every held call's card."""
    cards: list[dict[str, Any]] = []
    query = {"limit": "200"}
    while True:
        async with session.get(f"{url}/v1/approvals", params=query) as answer:
            page = await answer.json()
        cards += page["items"]
        if page["next"] is None:
            return cards
        query["cursor"] = page["next"]


async def total(session: aiohttp.ClientSession, url: str) -> int:
    async with session.get(f"{url}/v1/approvals", params={"limit": "1"}) as answer:
        answer.raise_for_status()
        count: int = (await answer.json())["total"]
        return count


async def release(session: aiohttp.ClientSession, url: str, cards: list[dict[str, Any]]) -> None:
    """Approve every call, a few at a time."""
    waiting = list(cards)

    async def approve() -> None:
        while waiting:
            card = waiting.pop()
            async with session.post(
                f"{url}/v1/approvals/{card['id']}/decision",
                json={"type": "approve", "digest": card["digest"]},
                headers={"If-Match": f'"{card["version"]}"'},
            ) as answer:
                if answer.status != 200:
                    raise RuntimeError(f"{answer.status}: {await answer.text()}")

    await asyncio.gather(*(approve() for _ in range(AT_ONCE)))


async def measure(
    pid: int, agents: int, people: int, key: str, calls: int
) -> dict[str, float | int]:
    """Hold *calls* calls at once, release them, and return what that took."""
    processes = [pid, *children(pid)]
    before = [resident(each) for each in processes]
    url = f"http://127.0.0.1:{people}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        began = time.perf_counter()
        callers = []
        for number in range(calls):
            callers.append(asyncio.ensure_future(hold(agents, number)))
            if number % 200 == 199:
                await asyncio.sleep(0)  # the listen queue of a server is short
        while await total(session, url) < calls:
            if any(caller.done() for caller in callers):
                raise RuntimeError("a call that should be held was answered")
            await asyncio.sleep(0.1)
        taken_in = time.perf_counter() - began
        after = [resident(each) for each in processes]
        spent = [processor_seconds(each) for each in processes]
        await asyncio.sleep(WATCHED)
        idle = [processor_seconds(e) - s for e, s in zip(processes, spent, strict=True)]
        cards = await held(session, url)
        if len(cards) != calls:
            raise RuntimeError(f"{calls} calls are held, and the queue lists {len(cards)}")
        began = time.perf_counter()
        await release(session, url, cards)
        decided = time.perf_counter() - began
        statuses = await asyncio.gather(*callers)
        released = time.perf_counter() - began
    return {
        "calls": calls,
        "answered_200": statuses.count(200),
        "taken_in_seconds": round(taken_in, 2),
        "bytes_per_call": round((after[0] - before[0]) / calls),
        "store_bytes_per_call": round((sum(after[1:]) - sum(before[1:])) / calls),
        "cpu_percent_while_waiting": round(idle[0] / WATCHED * 100, 1),
        "store_cpu_percent_while_waiting": round(sum(idle[1:]) / WATCHED * 100, 1),
        "decided_seconds": round(decided, 2),
        "released_seconds": round(released, 2),
        "last_answer_after_last_decision_seconds": round(released - decided, 3),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=5000, help=f"held at once (at most {MOST})")
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    asked = parser.parse_args()
    calls = min(asked.calls, MOST)
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(folder())
        tool, _ = stack.enter_context(nginx(where))
        running, agents, people = stack.enter_context(interlock(where, tool))
        key = (where / "data" / "operator.key").read_text().strip()
        result = asyncio.run(measure(running.pid, agents, people, key, calls))
    for name, value in result.items():
        print(f"{name:42}{value:>12}")
    if asked.json:
        asked.json.write_text(json.dumps(result, indent=2) + "\n")
    if result["answered_200"] != calls:
        sys.exit("not every call was answered by the tool")


if __name__ == "__main__":
    main()
