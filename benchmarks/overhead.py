"""What Interlock adds to an allowed call, beside a bare aiohttp proxy and nginx, in one run.

Everything runs on 127.0.0.1. Rounds alternate between the targets, so that a slow moment of the
machine hits all of them. The run is bounded and stops by itself.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.load import Round, drive, generator
from benchmarks.servers import bare_proxy, folder, interlock, nginx

LOADS = {"one at a time": 1, "full": 32}  #: connections that are open at once


def measure(
    targets: Mapping[str, str], *, rounds: int, seconds: float
) -> dict[str, dict[str, list[Round]]]:
    """Return what was measured: load -> target -> rounds."""
    found: dict[str, dict[str, list[Round]]] = {}
    for url in targets.values():
        drive(url, connections=8, seconds=1)  # connections and caches are warm
    for load, connections in LOADS.items():
        found[load] = {name: [] for name in targets}
        for number in range(rounds):
            order = list(targets)
            for name in order[number % len(order) :] + order[: number % len(order)]:
                one = drive(targets[name], connections=connections, seconds=seconds)
                found[load][name].append(one)
    return found


def summary(rounds: Sequence[Round]) -> dict[str, float]:
    """Return the medians over *rounds*."""
    return {
        "calls_per_second": round(statistics.median(r.rate for r in rounds), 1),
        "p50_ms": round(statistics.median(r.p50_ms for r in rounds), 3),
        "p99_ms": round(statistics.median(r.p99_ms for r in rounds), 3),
        "slowest_round": round(min(r.rate for r in rounds), 1),
        "fastest_round": round(max(r.rate for r in rounds), 1),
    }


def compared(found: dict[str, dict[str, list[Round]]]) -> dict[str, dict[str, dict[str, float]]]:
    """Return the medians, with what each target adds to the bare proxy."""
    result: dict[str, dict[str, dict[str, float]]] = {}
    for load, by_target in found.items():
        result[load] = {name: summary(rounds) for name, rounds in by_target.items()}
        bare = dict(result[load]["bare aiohttp"])
        for row in result[load].values():
            row["of_bare"] = round(row["calls_per_second"] / bare["calls_per_second"], 3)
            row["added_p50_ms"] = round(row["p50_ms"] - bare["p50_ms"], 3)
            row["added_p99_ms"] = round(row["p99_ms"] - bare["p99_ms"], 3)
    return result


def table(result: dict[str, dict[str, dict[str, float]]]) -> str:
    """Return *result* for people."""
    lines = []
    for load, by_target in result.items():
        lines.append(f"\n{load} ({LOADS[load]} connections)")
        lines.append(
            f"{'':14}{'calls/s':>10}{'of bare':>9}{'p50 ms':>9}{'p99 ms':>9}"
            f"{'+p50 ms':>9}{'+p99 ms':>9}"
        )
        for name, row in by_target.items():
            lines.append(
                f"{name:14}{row['calls_per_second']:>10.0f}{row['of_bare']:>9.2f}"
                f"{row['p50_ms']:>9.2f}{row['p99_ms']:>9.2f}"
                f"{row['added_p50_ms']:>9.2f}{row['added_p99_ms']:>9.2f}"
            )
    return "\n".join(lines)


def machine() -> dict[str, str | int | None]:
    """Return what the numbers were measured on."""
    return {
        "cores": os.cpu_count(),
        "machine": platform.machine(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "load_generator": generator(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="per target and load (at most 20)")
    parser.add_argument("--seconds", type=float, default=4, help="per round (at most 60)")
    parser.add_argument("--json", type=Path, help="write the result to this file too")
    parser.add_argument("--without-interlock", action="store_true", help="only what it is held to")
    asked = parser.parse_args()
    with contextlib.ExitStack() as stack:
        where = stack.enter_context(folder())
        tool, proxy = stack.enter_context(nginx(where))
        targets = {
            "tool alone": f"http://127.0.0.1:{tool}/",
            "nginx": f"http://127.0.0.1:{proxy}/",
            "bare aiohttp": f"http://127.0.0.1:{stack.enter_context(bare_proxy(tool))}/",
        }
        if not asked.without_interlock:
            _, agents, _ = stack.enter_context(interlock(where, tool))
            targets["interlock"] = f"http://127.0.0.1:{agents}/t/tool/"
        found = measure(targets, rounds=min(asked.rounds, 20), seconds=asked.seconds)
    result = compared(found)
    print(table(result))
    if asked.json:
        asked.json.write_text(json.dumps({"machine": machine(), "result": result}, indent=2) + "\n")


if __name__ == "__main__":
    main()
