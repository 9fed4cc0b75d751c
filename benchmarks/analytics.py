"""What analytics cost on many decided calls: python -m benchmarks.analytics [--records 1000000]

Makes records of agents that call tools for 30 days, loads them as the feed would, and measures:
records taken in a second, the file's size, the memory of this process, each question, and what
the hour's fit of confidence costs.
`--held`: the share that people decided. `--under MS`: fail where half of the answers take longer.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import resource
import shutil
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import quantiles
from time import perf_counter, process_time

from interlock.core.analytics import Selected
from interlock.core.records import Audited, DecidedCall, Said, Turned
from interlock.learning import Fitted, Fitting
from interlock.observe import analytics as counted
from interlock.observe.archive import FILE, FileArchive, Taken
from interlock.system import SystemClock

DAY = 86_400_000
NOON = 1_790_000_000_000
BATCH = 500  #: as `observe.following`
SEED = 7


def made(count: int, held: float) -> Iterator[DecidedCall]:
    """Yield *count* calls in the order in which they ended."""
    draw = random.Random(SEED)
    agents = [f"agent-{n:02}" for n in range(40)]
    tools = [f"billing.tool_{n:02}" for n in range(60)]
    rules = [f"rule-{n:02}" for n in range(30)]
    people = [f"r-{n:012x}" for n in range(25)]
    for n in range(count):
        ended = NOON + n * 30 * DAY // count
        tool, agent = draw.choice(tools), draw.choice(agents)
        reviewed = draw.random() < held
        verdict = draw.choices(("approve", "edit", "reject", "respond"), (80, 8, 10, 2))[0]
        looked = int(draw.expovariate(1 / 20_000))
        reason = draw.choice(("wrong_amount", "not_asked_for", "too_broad")) * (
            verdict != "approve"
        )
        said = tuple(
            Said(who=who, verdict=verdict, at=ended - 500, looked_ms=looked, reason_code=reason)
            for who in draw.sample(people, 1 + (draw.random() < 0.1))
        )
        drawn = not reviewed and draw.random() < 0.05
        audit = None
        if drawn:
            turned = Turned.WRONG if draw.random() < 0.02 else Turned.RIGHT
            audit = Audited(who=draw.choice(people), turned=turned, at=ended + DAY)
        args = {
            "customer": f"cus_{draw.getrandbits(40):010x}",
            "amount": draw.randrange(100_000),
            "currency": draw.choice(("EUR", "USD")),
            "note": f"invoice {draw.getrandbits(32)} of {agent}",
        }
        yield DecidedCall(
            id=f"{draw.getrandbits(128):032x}",
            version=5 if reviewed else 3,
            state="rejected" if reviewed and verdict == "reject" else "answered",
            created=ended - int(draw.expovariate(1 / 90_000)) - looked,
            ended=ended,
            agent=agent,
            owner="olga",
            upstream="billing",
            tool=tool,
            description="Changes what a customer is charged.",
            schema="ab" * 32,
            request={"tool": tool, "args": args, "agent": agent},
            final={"tool": tool, "args": args | {"amount": 1}} if verdict == "edit" else None,
            arguments=args,
            edited=("args.amount",) if reviewed and verdict == "edit" else (),
            size=draw.randrange(80, 4_000),
            session=f"s-{draw.getrandbits(24):06x}",
            reason="The user asked me to settle what is open on this account.",
            task="Please clean up my open invoices.",
            confidence=round(draw.random(), 2),
            calibrated=round(draw.random(), 3),
            level="approve" if reviewed else draw.choice(("allow", "notify")),
            stake="high" if reviewed else "low",
            reversibility="compensable",
            rules=tuple(draw.sample(rules, draw.randrange(3))) if reviewed else (),
            policy="billing@12",
            policy_sha256="0" * 64,
            facts={"spent": {"day": draw.randrange(10_000)}, "familiar": True},
            reviews=said if reviewed else (),
            status=200,
            share=0.05,
            drawn=drawn,
            audit=audit,
        )


async def loaded(archive: FileArchive, count: int, held: float) -> float:
    """Take *count* records in, as the feed is; return the seconds that taking in took."""
    spent, batch = 0.0, []
    for n, each in enumerate(made(count, held), 1):
        batch.append(each)
        if len(batch) == BATCH or n == count:
            taken = Taken(records=tuple(batch), upto=str(n), schemas={})
            start = perf_counter()
            await archive.take(taken)
            spent += perf_counter() - start
            batch.clear()
    return spent


async def measured(ask: Callable[[], Awaitable[object]], times: int) -> tuple[float, float]:
    """Return the median and the 95th percentile of the ms that *ask* takes."""
    await ask()
    taken = []
    for _ in range(times):
        start = perf_counter()
        await ask()
        taken.append((perf_counter() - start) * 1000)
    cuts = quantiles(taken, n=20, method="inclusive")
    return cuts[9], cuts[18]


class Nowhere:
    """learning.Calibrations that keeps nothing."""

    async def mark(self) -> bytes:
        return b""

    async def read(self) -> None:
        return None

    async def write(self, fitted: Fitted) -> None: ...


async def fitting(archive: FileArchive) -> None:
    """Fit confidence on all that *archive* has, as every hour; print what that costs."""
    start, worked = perf_counter(), process_time()
    made = await Fitting(archive, Nowhere(), SystemClock()).fit()
    spent, worked = perf_counter() - start, process_time() - worked
    print(f"fit of {made.labels:,} labels   {spent:.1f} s, {worked:.1f} s of processor")


def statements() -> dict[str, str]:
    """Return each statement of `analytics` by its name."""
    named = {name: each for name, each in vars(counted).items() if isinstance(each, str)}
    return {name: sql for name, sql in named.items() if "FROM {calls}" in sql}


async def reported(args: argparse.Namespace, folder: Path) -> float:
    """Measure everything, print a table; return the median of the whole."""
    archive = FileArchive(folder / FILE)
    spent = await loaded(archive, args.records, args.held)
    await archive.close()  # so that all is in the file, as after a restart
    size = (folder / FILE).stat().st_size
    archive = FileArchive(folder / FILE)
    await archive.open()
    print(f"{args.records:,} records, {args.held:.0%} of them held, 30 days")
    print(f"taken in           {args.records / spent:>10,.0f} records/s (batches of {BATCH})")
    print(f"file               {size / 1e6:>10,.0f} MB")
    week = Selected(since=NOON + 23 * DAY)
    middle = f"{NOON + 15 * DAY}-"
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "analytics of all": lambda: archive.analytics(Selected()),
        "analytics of a week": lambda: archive.analytics(week),
        "analytics of a tool": lambda: archive.analytics(Selected(tool="billing.tool_07")),
        "analytics of a person": lambda: archive.analytics(Selected(reviewer=f"r-{3:012x}")),
        "one record by id": lambda: archive.get("0" * 32),
        "page of 100, middle": lambda: archive.page(Selected(), middle, 100),
        "page of 1,000, middle": lambda: archive.page(Selected(), middle, 1_000),
        "what is kept": archive.kept,
        "100 newer records": lambda: archive.take(newer),
    }
    first = (await archive.page(Selected(), middle, 100)).records
    newer = Taken(records=first, upto="0", schemas={})
    for name, sql in sorted(statements().items()):
        text = counted.written(sql)
        asked[f"  {name.strip('_').lower()}"] = lambda text=text: archive._rows(text, [])  # type: ignore[misc]
    whole = 0.0
    for name, ask in asked.items():
        half, most = await measured(ask, args.times)
        whole = whole or half
        print(f"{name:<22} p50 {half:>7.1f} ms   p95 {most:>7.1f} ms")
    await fitting(archive)
    await archive.close()
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"memory of the process, at most: {used:,.0f} MB")
    return whole


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--held", type=float, default=0.1)
    parser.add_argument("--times", type=int, default=11)
    parser.add_argument("--under", type=float, default=0.0, help="ms; 0: no bound")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="interlock-analytics-"))
    try:
        whole = asyncio.run(reported(args, folder))
    finally:
        shutil.rmtree(folder)
    return 1 if args.under and whole > args.under else 0


if __name__ == "__main__":
    sys.exit(main())
