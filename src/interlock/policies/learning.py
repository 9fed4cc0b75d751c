"""What is learned from: which calls are drawn for audits, how long records are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..core.durations import milliseconds
from ..core.rules import Audit, Retention
from .limits import duration
from .problems import Source
from .selection import Path, Selection

EVERYTHING = "*"
_LEAST_SHARE = 1e-6  #: an audited call stands for 1/share others; more than that says nothing
_KEEP_MS = (3_600_000, 3660 * 86_400_000)


def audit(sources: Sequence[Source], selection: Selection) -> Audit:
    """Return the largest share that any file asks for, of all calls and by tool.

    Files in shadow mode count too: a look afterwards holds nothing.
    """
    everything = 0.0
    tools: dict[str, float] = {}
    for source in sources:
        everything = max(everything, _checked(source, ("audit", "share"), _base(source)))
        for pattern, names, share in _by_tool(source, selection):
            if pattern == EVERYTHING:  # unknown tools too, as in rules
                everything = max(everything, share)
            for name in names:
                tools[name] = max(share, tools.get(name, 0.0))
    larger = {name: share for name, share in sorted(tools.items()) if share > everything}
    return Audit(share=everything, tools=larger)


def _base(source: Source) -> float:
    return source.model.audit.share


def _by_tool(source: Source, selection: Selection) -> Iterator[tuple[str, frozenset[str], float]]:
    for pattern, share in source.model.audit.tools.items():
        path: Path = ("audit", "tools", pattern)
        names = selection.keyed(source, path, pattern)
        yield pattern, names, _checked(source, path, share)


def _checked(source: Source, path: Path, share: float) -> float:
    if 0 < share < _LEAST_SHARE:
        source.refuse(path, f"{share:g} is too small: write 0, or at least {_LEAST_SHARE:f}")
    return share


def check_shares(source: Source) -> None:
    """Refuse shares of tools that are never what decides: the largest that applies counts."""
    base = _base(source)
    for pattern, share in source.model.audit.tools.items():
        if share <= base:
            source.refuse(
                ("audit", "tools", pattern),
                f"{share:g} changes nothing: the largest share that applies counts, and `share` is"
                f" {base:g} for every tool",
            )


def retention(sources: Sequence[Source]) -> Retention:
    """Return how long records are kept: the shortest time that any file asks for, each.

    Files in shadow mode count too, as in what is redacted.
    """
    usual = Retention()
    keep = _shortest(sources, "keep", usual.keep_ms)
    return Retention(
        keep_ms=keep,
        unreviewed_ms=min(keep, _shortest(sources, "keep_unreviewed", usual.unreviewed_ms)),
    )


def _shortest(sources: Sequence[Source], name: str, usual: int) -> int:
    found = []
    for source in sources:
        written: str | None = getattr(source.model.records, name)
        if written is not None:
            found.append(duration(written, source, ("records", name), *_KEEP_MS))
    return min(found, default=usual)


def check_records(source: Source) -> None:
    """Refuse to keep longer what nobody looked at than what people decided: it is not kept."""
    written = source.model.records
    if written.keep is None or written.keep_unreviewed is None:
        return
    if milliseconds(written.keep_unreviewed) > milliseconds(written.keep):
        source.refuse(
            ("records", "keep_unreviewed"),
            f"nothing is kept longer than `keep`, {written.keep}: write no more than that",
        )
