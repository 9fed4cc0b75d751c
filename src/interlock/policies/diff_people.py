"""In what two policies differ where people decide: who, how many, when, and what they see."""

from __future__ import annotations

from ..core.rules import LevelSpec
from .diff_pair import Pair
from .diff_sheet import CHANGED, LOOSER, STRICTER


def compare_people(pair: Pair) -> None:
    """Note how levels, reasons, caps, refusals, redaction and the use of attention differ."""
    old, new = pair.old.policy, pair.new.policy
    _level(pair, "approve", old.levels.approve, new.levels.approve)
    _level(pair, "approve_dual", old.levels.approve_dual, new.levels.approve_dual)
    told = frozenset(old.levels.notify), frozenset(new.levels.notify)
    _groups(pair, "levels.notify: to", *told, STRICTER, "levels", "notify", "to")
    reasons = old.levels.require_reason, new.levels.require_reason
    path = ("approvals", "require_reason")
    pair.members("require_reason:", *reasons, STRICTER, *path)
    for name in ("open_per_session", "per_agent_per_hour"):
        caps = getattr(old.caps, name), getattr(new.caps, name)
        pair.most(f"caps: {name}", *caps, "approvals", "caps", name)
    _refusals(pair)
    _redaction(pair)
    _digest(pair)
    _attention(pair)


def _level(pair: Pair, name: str, old: LevelSpec, new: LevelSpec) -> None:
    who, path = f"levels.{name}", ("levels", name)
    pair.number(f"{who}: quorum", old.quorum, new.quorum, STRICTER, *path, "quorum")
    groups = frozenset(old.approvers), frozenset(new.approvers)
    _groups(pair, f"{who}: approvers", *groups, LOOSER, *path, "approvers")
    held = old.hold_ms, new.hold_ms
    pair.time(f"{who}: expire_after", *held, CHANGED, *path, "expire_after")
    if old.remind_ms and new.remind_ms:
        times = old.remind_ms, new.remind_ms
        pair.time(f"{who}: remind_after", *times, CHANGED, *path, "remind_after")
    else:
        reminded = bool(old.remind_ms), bool(new.remind_ms)
        pair.flag(f"{who}: reminds", *reminded, STRICTER, *path, "remind_after")
    steps = [
        tuple(f"{','.join(step.to)} after {step.after_ms // 1000}s" for step in each.escalate)
        for each in (old, new)
    ]
    if steps[0] != steps[1]:
        shown = [", ".join(each) or "nobody" for each in steps]
        kind = LOOSER if not steps[0] else STRICTER if not steps[1] else CHANGED
        what = f"{who}: escalate {shown[0]} -> {shown[1]}"
        pair.add(kind, what, *path, "escalate")
    pair.time(f"{who}: dwell", old.dwell_ms, new.dwell_ms, STRICTER, *path, "dwell")
    pair.flag(f"{who}: step_up", old.step_up, new.step_up, STRICTER, *path, "step_up")
    pair.flag(f"{who}: folds", old.folded, new.folded, STRICTER, *path, "fold")


def _groups(
    pair: Pair, what: str, old: frozenset[str], new: frozenset[str], more: str, *path: str
) -> None:
    """Compare groups of people, where none named is everybody."""
    if old and new:
        pair.members(what, old, new, more, *path)
    elif old or new:
        shown = [", ".join(sorted(each)) or "everybody" for each in (old, new)]
        everybody = more if not new else (STRICTER if more == LOOSER else LOOSER)
        pair.add(everybody, f"{what} {shown[0]} -> {shown[1]}", *path)


def _refusals(pair: Pair) -> None:
    old, new = pair.old.policy.repeat_denied, pair.new.policy.repeat_denied
    path = ("approvals", "repeat_denied")
    if old is not None and new is not None:
        within = old.within_ms, new.within_ms
        pair.time("repeat_denied: same_call_within", *within, STRICTER, *path, "same_call_within")
        pair.word("repeat_denied: then", old.then, new.then, *path, "then")
    elif old is not None or new is not None:
        kind, said = (STRICTER, "added") if old is None else (LOOSER, "dropped")
        pair.add(kind, f"repeat_denied {said}", *path)


def _redaction(pair: Pair) -> None:
    old, new = pair.old.policy.redact, pair.new.policy.redact
    for name in ("approver", "logs", "detectors"):
        hidden = frozenset(getattr(old, name)), frozenset(getattr(new, name))
        pair.members(f"redact.{name}:", *hidden, STRICTER, "redact", name)


def _digest(pair: Pair) -> None:
    """Whoever is told later looks later."""
    old, new = pair.old.policy.levels.digest_ms, pair.new.policy.levels.digest_ms
    path = ("levels", "notify", "digest")
    if old and new:
        pair.time("levels.notify: digest", old, new, LOOSER, *path)
    else:
        pair.flag("levels.notify: told of together", bool(old), bool(new), LOOSER, *path)


def _attention(pair: Pair) -> None:
    old, new = pair.old.policy.attention, pair.new.policy.attention
    if old.batch != new.batch:
        stakes = [-1 if each.batch is None else int(each.batch) for each in (old, new)]
        shown = ["none" if each.batch is None else each.batch.word for each in (old, new)]
        kind = LOOSER if stakes[1] > stakes[0] else STRICTER
        what = f"approvals: batch up to {shown[0]} -> {shown[1]}"
        pair.add(kind, what, "approvals", "batch", "up_to")
    most = old.per_hour or None, new.per_hour or None
    pair.most("approvals: per_hour", *most, "approvals", "per_hour")
    path = ("approvals", "decoys", "share")
    pair.number("approvals: decoys", old.decoys, new.decoys, STRICTER, *path)
    if old.rotate != new.rotate:
        said = "now" if new.rotate else "no longer"
        pair.add(CHANGED, f"approvals: rotate {said}", "approvals", "rotate")
    pair.equal("approvals: reasons", old.reasons, new.reasons, "approvals", "reasons")
