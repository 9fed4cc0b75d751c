"""A queue of many held calls as people see it: how long the page takes, and what it keeps.

Holds the calls through `interlock serve` on 127.0.0.1 (each answered 202 at once), then asks the
people's listener for the page, the API's first page, every page by cursor, a filter and one item.
Bounded by the number of calls; stops by itself.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import aiohttp

from benchmarks.servers import children, folder, interlock, nginx, resident

MOST = 20_000
AT_ONCE = 32  #: calls under way while the queue is filled
TIMES = 20  #: how often each question is asked


async def fill(url: str, calls: int) -> None:
    """Hold *calls* calls; none of them waits for its answer."""
    numbers = iter(range(calls))
    headers = {"Prefer": "respond-async", "Interlock-Reason": "to tidy up"}
    async with aiohttp.ClientSession(headers=headers) as session:

        async def some() -> None:
            for number in numbers:
                body = {"note": f"number {number}", "why": "x" * 200}
                async with session.post(f"{url}/t/tool/drop/{number}", json=body) as answer:
                    if answer.status != 202:
                        raise RuntimeError(f"{answer.status}: {await answer.text()}")

        await asyncio.gather(*(some() for _ in range(AT_ONCE)))


async def asked(session: aiohttp.ClientSession, url: str, times: int = TIMES) -> list[float]:
    """Return how many ms each of *times* answers took, whole body included."""
    spent = []
    for _ in range(times):
        began = time.perf_counter()
        async with session.get(url) as answer:
            await answer.read()
            answer.raise_for_status()
        spent.append((time.perf_counter() - began) * 1000)
    return spent


async def paged(session: aiohttp.ClientSession, url: str) -> tuple[list[float], list[str]]:
    """Walk through all of the queue, 200 at a time; return ms of each page, and the ids."""
    spent, ids, cursor = [], [], ""
    while True:
        more = f"&cursor={cursor}" if cursor else ""
        began = time.perf_counter()
        async with session.get(f"{url}/v1/approvals?limit=200{more}") as answer:
            page = await answer.json()
        spent.append((time.perf_counter() - began) * 1000)
        ids += [card["id"] for card in page["items"]]
        if page["next"] is None:
            return spent, ids
        cursor = page["next"]


def told(spent: list[float]) -> str:
    return f"{statistics.median(spent):.1f} / {max(spent):.1f}"


async def measure(pid: int, agents: int, people: int, key: str, calls: int) -> dict[str, str]:
    """Fill the queue and return what reading it takes, as `median / worst` in ms."""
    url = f"http://127.0.0.1:{people}"
    async with aiohttp.ClientSession(headers={"Authorization": f"Bearer {key}"}) as session:
        empty = await asked(session, f"{url}/review")
        before = resident(pid)
        await fill(f"http://127.0.0.1:{agents}", calls)
        filled = resident(pid)
        result = {
            "calls held": str(calls),
            "page, empty queue": told(empty),
            "page": told(await asked(session, f"{url}/review")),
            "first page of the API": told(await asked(session, f"{url}/v1/approvals")),
            "... with room for every agent": told(
                await asked(session, f"{url}/v1/approvals?share=10")
            ),
            "a filter that finds nothing": told(
                await asked(session, f"{url}/v1/approvals?tool=nothing")
            ),
        }
        spent, ids = await paged(session, url)
        if len(set(ids)) != calls:
            raise RuntimeError(f"{calls} calls are held, and the pages list {len(set(ids))}")
        result["each page of 200"] = told(spent)
        result["one item"] = told(await asked(session, f"{url}/v1/approvals/{ids[-1]}"))
        after, store = resident(pid), sum(map(resident, children(pid)))
    mib = 2**20
    result["memory of the process, MiB"] = (
        f"{before / mib:.0f} empty, {filled / mib:.0f} filled, {after / mib:.0f} after all reads"
    )
    result["memory of the store, MiB"] = f"{store / mib:.0f}"
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000, help=f"held (at most {MOST})")
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    given = parser.parse_args()
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(folder())
        tool, _ = stack.enter_context(nginx(where))
        running, agents, people = stack.enter_context(interlock(where, tool))
        key = (where / "data" / "operator.key").read_text().strip()
        calls = min(given.calls, MOST)
        result = asyncio.run(measure(running.pid, agents, people, key, calls))
    for name, value in result.items():
        print(f"{name:32}{value}")
    if given.json:
        given.json.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
