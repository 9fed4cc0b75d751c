"""How fast decided calls are exported, and in how much memory.

python benchmarks/exporting.py [--records 1000000] [--formats kto] [--of-file sft] [--json FILE]

A process of its own serves the people's API over an archive that makes records up as they are
asked for; `interlock export` reads them there, page by page, as from a running installation, and
then once more from the file of records that the first export wrote. Peak memory and processor time
are what the operating system says of each process (`getrusage`). The load of the machine before is
told too.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import multiprocessing
import os
import platform
import random
import resource
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from aiohttp import web

from interlock.approvals import feedback
from interlock.approvals.access import add_routes
from interlock.approvals.deps import ApiDeps
from interlock.core.analytics import Selected
from interlock.core.identity import Kind, Principal
from interlock.core.records import DecidedCall, Said
from interlock.learning_ports import RecordsPage

START = 1_790_000_000_000  #: ms
HASH = "ab" * 32
SCHEMA = {
    "type": "object",
    "required": ["amount", "recipient"],
    "properties": {
        "amount": {"type": "number", "description": "in euro"},
        "recipient": {"type": "string", "description": "name or IBAN"},
        "memo": {"type": "string"},
        "speed": {"enum": ["standard", "instant"]},
    },
}
VERDICTS = ("approve",) * 7 + ("edit", "edit", "reject")
TOOLS = tuple(f"{area}.{verb}" for area in "bank mail git crm hr".split() for verb in "abcd")


def made(number: int) -> DecidedCall:
    """Return the record of this *number*: always the same; one in 20 is like an earlier one."""
    like = number - 17 if number % 20 == 19 else number
    draw = random.Random(like)
    verdict = draw.choice(VERDICTS)
    arguments = {
        "amount": draw.randrange(100_000) / 100,
        "recipient": f"Recipient {draw.randrange(50_000)} GmbH",
        "memo": f"Invoice {like} of {draw.choice(('May', 'June', 'July'))}, as agreed by phone",
        "speed": draw.choice(("standard", "instant")),
    }
    final = {**arguments, "amount": 90.5}
    tool = draw.choice(TOOLS)
    request = {"upstream": "bank", "method": "POST", "path": f"/v1/{tool}", "json": arguments}
    who = f"r-{draw.randrange(12):012x}"
    return DecidedCall(
        id=f"act_{number:020d}",
        version=4,
        state="rejected" if verdict == "reject" else "answered",
        created=START + number * 7,
        ended=START + number * 7 + 5,
        agent=f"agent-{draw.randrange(8)}",
        owner="olga",
        upstream="bank",
        tool=tool,
        description="Moves money out of an account.",
        schema=HASH,
        request=request,
        final={**request, "json": final} if verdict == "edit" else None,
        arguments=arguments,
        final_arguments=final if verdict == "edit" else {},
        edited=("args.amount",) if verdict == "edit" else (),
        size=180,
        session=f"s-{like // 9}",
        reason="The invoice is due, and was checked against the order.",
        task=f"Pay what is due of invoice {like} today.",
        confidence=draw.randrange(100) / 100,
        level="approve",
        stake="high",
        reversibility="compensable",
        rules=("new-recipient",),
        policy="payments@7",
        policy_sha256="5f" * 32,
        reviews=(Said(who=who, verdict=verdict, at=START + number * 7 + 5, looked_ms=9_000),),
        status=0 if verdict == "reject" else 200,
    )


class Generated:
    """An archive of records that are made as they are asked for."""

    def __init__(self, records: int) -> None:
        self._records = records

    async def page(self, selected: Selected, after: str | None, limit: int) -> RecordsPage:
        first = 0 if after is None else int(after.partition("-")[0])
        last = min(first + limit, self._records)
        following = f"{last}-x" if last < self._records else None
        return RecordsPage(records=tuple(map(made, range(first, last))), next=following)

    async def schemas(self, hashes: Sequence[str]) -> Mapping[str, Mapping[str, Any]]:
        return {HASH: SCHEMA}


class OneKey:
    """Every key is an auditor's."""

    async def verify(self, key: str) -> Principal:
        return Principal(kind=Kind.AUDITOR, id="auditor", groups=frozenset())


def serve(records: int, told: Connection) -> None:
    """Serve the API until the other end of *told* says so; tell the port, then the peak memory."""
    unused: Any = None
    archive: Any = Generated(records)
    keys: Any = OneKey()
    deps = ApiDeps(
        gate=unused,
        store=unused,
        keys=keys,
        sessions=unused,
        links=unused,
        desk=unused,
        url="http://127.0.0.1:8081",
        archive=archive,
    )
    asyncio.run(_serving(deps, told))


async def _serving(deps: ApiDeps, told: Connection) -> None:
    app = web.Application()
    add_routes(app, deps, feedback.ROUTES)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    told.send(runner.addresses[0][1])
    await asyncio.to_thread(told.recv)
    told.send(peak())
    await runner.cleanup()


def peak() -> float:
    """Return this process's peak memory in MiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def exported(*arguments: str) -> dict[str, Any]:
    """Run `interlock export` in a process of its own; return seconds, peak MiB and its counts."""
    command = [sys.executable, "-m", "interlock", "export", "--json", *arguments]
    out = tempfile.TemporaryFile()
    begun = time.perf_counter()
    child = os.posix_spawn(
        command[0],
        command,
        {**os.environ, "INTERLOCK_KEY": "ilk_auditor_benchmark"},
        file_actions=[(os.POSIX_SPAWN_DUP2, out.fileno(), 1)],
    )
    _, status, usage = os.wait4(child, 0)
    seconds = time.perf_counter() - begun
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    out.seek(0)
    told = json.loads(out.read())
    size = sum(Path(each["file"]).stat().st_size for each in told["files"])
    counts = told["counts"]
    return {
        "seconds": round(seconds, 1),
        "records_per_second": round(counts["read"] / seconds),
        "records_per_cpu_second": round(counts["read"] / (usage.ru_utime + usage.ru_stime)),
        "peak_mib": round(usage.ru_maxrss / 1024),
        "read": counts["read"],
        "lines": counts["lines"],
        "left_out": counts["left_out"],
        "mib": round(size / 2**20),
    }


def measured(records: int, formats: Sequence[str], of_file: Sequence[str]) -> dict[str, Any]:
    """Export *records* in *formats* from the API and from a file, in *of_file* from that alone."""
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(records, theirs))
    server.start()
    url = f"http://127.0.0.1:{ours.recv()}"
    rows: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="exporting-") as folder:
        kept = f"{folder}/records"
        for name in dict.fromkeys(("records", *formats)):
            out = kept if name == "records" else f"{folder}/api-{name}"
            rows[f"{name}, API"] = exported("--format", name, "--out", out, "--url", url)
            show(f"{name}, API", rows[f"{name}, API"])
        ours.send("end")
        served = ours.recv()
        server.join()
        file = f"{kept}/data-train.jsonl"
        for name in dict.fromkeys((*formats, *of_file)):
            row = exported("--format", name, "--out", f"{folder}/f-{name}", "--records", file)
            rows[f"{name}, file"] = row
            show(f"{name}, file", row)
    print(f"the serving process: {served:.0f} MiB at most")
    return {"rows": rows, "server_peak_mib": round(served)}


def show(name: str, row: Mapping[str, Any]) -> None:
    print(
        f"{name:20} {row['read']:>9,} records  {row['records_per_second']:>7,}/s"
        f"  {row['records_per_cpu_second']:>7,}/s of processor time"
        f"  {row['peak_mib']:>4} MiB at most  {row['lines']:>9,} lines, {row['mib']:,} MiB",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--formats", nargs="*", default=["kto", "dpo-openai"])
    parser.add_argument("--of-file", nargs="*", default=[], help="formats read from a file alone")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    load = [round(each, 1) for each in os.getloadavg()]
    print(f"load of the machine before, over 1, 5 and 15 minutes: {load}", flush=True)
    found = measured(asked.records, asked.formats, asked.of_file)
    if asked.json:
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "load": load}
        told = {"machine": machine, "records": asked.records, **found}
        asked.json.write_text(json.dumps(told, indent=2) + "\n")


if __name__ == "__main__":
    main()
