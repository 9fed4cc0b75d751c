"""In what two policies differ in what is learned from: audits, and how long records are kept."""

from __future__ import annotations

from .diff_pair import Pair
from .diff_sheet import CHANGED, STRICTER


def compare_learning(pair: Pair) -> None:
    """Note how shares of audits and the time for which records are kept differ."""
    old, new = pair.old.policy, pair.new.policy
    shares = old.audit.share, new.audit.share
    pair.number("audit: share", *shares, STRICTER, "audit", "share")
    both = old.tools.keys() & new.tools.keys()
    for name in sorted(both & (old.audit.tools.keys() | new.audit.tools.keys())):
        of_tool = old.audit.of(name), new.audit.of(name)
        pair.number(f"audit: share of {name}", *of_tool, STRICTER, "audit", "tools")
    # Fewer secrets kept, and less to learn from: which of the two weighs more nobody can say.
    path = ("records", "keep")
    pair.time("records: keep", old.records.keep_ms, new.records.keep_ms, CHANGED, *path)
    path = ("records", "keep_unreviewed")
    kept = old.records.unreviewed_ms, new.records.unreviewed_ms
    pair.time("records: keep_unreviewed", *kept, CHANGED, *path)
