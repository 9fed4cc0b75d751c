"""What `mcp.py` measured, as medians with their spread, and as a table."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmarks.load import Round

BASES = ("direct", "http-direct", "pipes-direct")
Row = dict[str, float | list[float]]
Result = dict[str, dict[str, Row]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One round, and the processor time of a call: of the target, and of what works for it."""

    round: Round
    cpu_ms: float
    others_ms: float


def summaries(found: Mapping[tuple[str, int], Mapping[str, Sequence[Measured]]]) -> Result:
    """Return the rows of each table, by `kind, N at once`."""
    result: Result = {}
    for (kind, at_once), rows in found.items():
        base = next((rows[name] for name in BASES if name in rows), None)
        result[f"{kind}, {at_once} at once"] = {
            name: _row(rounds, base, rows.get("fastmcp"), rows.get("pass-through"))
            for name, rounds in rows.items()
        }
        plain = found.get(("plain HTTP", at_once), {}).get("http-interlock")
        if plain is not None and "interlock" in rows:
            pairs = zip(rows["interlock"], plain, strict=True)
            ratios = [a.cpu_ms / max(b.cpu_ms, 1e-9) for a, b in pairs]
            result[f"{kind}, {at_once} at once"]["interlock"]["cpu_of_http"] = _spread(ratios)
    return result


def _row(
    rounds: Sequence[Measured],
    base: Sequence[Measured] | None,
    fastmcp: Sequence[Measured] | None,
    bare: Sequence[Measured] | None,
) -> Row:
    row: Row = {
        "calls_per_second": _middle([one.round.rate for one in rounds]),
        "p50_ms": _middle([one.round.p50_ms for one in rounds]),
        "p99_ms": _middle([one.round.p99_ms for one in rounds]),
        "cpu_ms": _middle([one.cpu_ms for one in rounds]),
        "others_ms": _middle([one.others_ms for one in rounds]),
    }
    pairs = {"of_direct": base, "of_bare": bare, "of_fastmcp": fastmcp}
    for name, other in pairs.items():
        if other is not None:
            row[name] = _spread(
                [a.round.rate / b.round.rate for a, b in zip(rounds, other, strict=True)]
            )
    if base is not None:
        row["added_p50_ms"] = _spread(
            [a.round.p50_ms - b.round.p50_ms for a, b in zip(rounds, base, strict=True)]
        )
    return row


def _middle(values: Sequence[float]) -> float:
    return round(statistics.median(values), 4)


def _spread(values: Sequence[float]) -> list[float]:
    """Return the median, the least and the most."""
    return [round(each, 3) for each in (statistics.median(values), min(values), max(values))]


def table(result: Result) -> str:
    """Return *result* for people."""
    lines: list[str] = []
    for title, rows in result.items():
        lines.append(
            f"\n{title:32}{'calls/s':>8}{'p50 ms':>8}{'p99 ms':>8}{'+p50 ms':>26}{'cpu ms':>8}"
            f"{'others':>8}{'x direct':>19}{'x bare':>21}{'x FastMCP':>24}"
        )
        for name, row in rows.items():
            lines.append(
                f"  {name:30}{row['calls_per_second']:>8.0f}{row['p50_ms']:>8.2f}"
                f"{row['p99_ms']:>8.2f}{_shown(row, 'added_p50_ms'):>26}{row['cpu_ms']:>8.3f}"
                f"{row['others_ms']:>8.3f}{_shown(row, 'of_direct'):>19}"
                f"{_shown(row, 'of_bare'):>21}{_shown(row, 'of_fastmcp'):>24}"
            )
            if "cpu_of_http" in row:
                lines[-1] += f"  {_shown(row, 'cpu_of_http')} x cpu of plain HTTP"
    return "\n".join(lines)


def _shown(row: Row, name: str) -> str:
    value = row.get(name)
    if not isinstance(value, list):
        return "-"
    return f"{value[0]:.2f} ({value[1]:.2f}-{value[2]:.2f})"
