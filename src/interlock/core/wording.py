"""What people are told of an action in a few words, on every page and through every channel."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

from .actions import Action, State
from .decisions import Decision, Reversibility
from .masking import HIDDEN, NO_MASKS, Masks, masked, without_secrets
from .redaction import visible_line

_GIST, _GIST_TEXT = 5, 60  #: arguments on a card, characters of each
_TARGET_TEXT = 40  #: characters of each value that is acted on
_READ = 2000  #: characters of each that are looked through
_ENDED = {
    State.APPROVED: "approved, being sent",
    State.FORWARDING: "approved, being sent",
    State.ANSWERED: "sent, the tool answered",
    State.UNKNOWN: "sent, outcome unknown",
    State.RESOLVED: "settled by hand",
    State.REJECTED: "rejected",
    State.RESPONDED: "answered in the tool's place",
    State.EXPIRED: "expired, never sent",
    State.CANCELLED: "cancelled, never sent",
    State.DENIED: "denied by policy",
}


def consequence(decision: Decision) -> str:
    """Return in one line whether the action can be undone, from policy alone."""
    undo = decision.undo
    if not decision.tool:
        taken = f"{decision.reversibility.word.replace('_', ' ')} and {decision.stake.word}"
        return f"Policy does not know this call; it is taken for {taken}."
    how = ""
    if undo and undo.tool:
        how = f" with {undo.tool}" + (f" within {undo.within}" if undo.within else "")
    said: dict[Reversibility, str] = {
        Reversibility.READ_ONLY: "Reads only.",
        Reversibility.REVERSIBLE: f"Can be undone{how}.",
        Reversibility.COMPENSABLE: f"Can be made good{how}, at a cost.",
        Reversibility.IRREVERSIBLE: "Cannot be undone.",
    }
    short = said[decision.reversibility]
    if not undo or undo.tool or not undo.reason or not short.startswith("Can "):
        return short
    # the author's words stay a sentence of their own
    why = undo.reason.rstrip(".")
    return f"{short} {why}." if why[:1].isupper() else f"{short[:-1]}: {why}."


def hidden(action: Action, redact: Iterable[str]) -> tuple[str, ...]:
    """Return the arguments that policy hides: as it was when the call came, and as it is now.

    *redact*: the paths of `redact.approver` of the policy in force; of a path into an argument,
    the whole argument is hidden.
    """
    decision = action.decision
    if decision is None:
        return ()
    now = (path.split(".")[1] for path in redact if path.startswith("args."))
    found = dict.fromkeys((*decision.redacted, *(each for each in now if each)))
    return tuple(name for name in found if name in decision.arguments)


def masks(action: Action, redact: Iterable[str]) -> Masks:
    """Return what is `hidden` of *action* until somebody reveals it."""
    decision = action.decision
    if decision is None:
        return NO_MASKS
    return Masks(decision.arguments, decision.sources, hidden(action, redact))


def gist(decision: Decision | None, masks: Masks) -> str:
    """Return the first arguments in one line, cut short: enough to tell cards apart."""
    if decision is None:
        return ""
    shown = in_short(decision, masks, most=_GIST, length=_GIST_TEXT)
    return ", ".join(f"{name}: {text}" for name, text in shown)


def aimed_at(decision: Decision | None, masks: Masks) -> str:
    """Return in short what is acted on, by the arguments that policy names for it."""
    if decision is None or not decision.target:
        return ""
    named = replace(decision, arguments=decision.target)
    shown = in_short(named, masks, most=2, length=_TARGET_TEXT)
    return ", ".join(f"{name}: {text}" for name, text in shown)


def told_whole(decision: Decision | None) -> bool:
    """Say whether the `gist` cuts nothing: it has every argument, and each in full."""
    arguments = decision.arguments if decision else {}
    return len(arguments) <= _GIST and all(
        len(name) <= _GIST_TEXT and len(_beginning(value)) <= _GIST_TEXT
        for name, value in arguments.items()
    )


def in_short(
    decision: Decision,
    masks: Masks,
    *,
    most: int,
    length: int,
    detectors: Iterable[str] = (),
) -> tuple[tuple[str, str], ...]:
    """Return the first *most* arguments and their values in one line each, *length* characters.

    Visible, without what *masks* hide and the secrets that *detectors* find; `…`: there is more.
    """
    shown = []
    for name, value in islice(decision.arguments.items(), most):
        text = _beginning(value)
        if name in masks:
            text = masked(value)
        elif masks:  # what is hidden may go on behind the cut
            text = masks.text(text) if len(text) < _READ else HIDDEN
        shown.append((_cut(name, _GIST_TEXT), _cut(without_secrets(text, detectors), length)))
    return tuple(shown)


def _cut(text: str, length: int) -> str:
    return visible_line(text[:length]) + ("…" if len(text) > length else "")


def _beginning(value: Any) -> str:
    """Return the start of a value as text, without writing out the rest."""
    if isinstance(value, str):
        return value[:_READ]
    written = islice(json.JSONEncoder(ensure_ascii=False).iterencode(value), _READ)
    return "".join(piece[:_READ] for piece in written)[:_READ]


def outcome(action: Action) -> str:
    """Return who decided and what became of it: `bob: rejected`; empty while it is held.

    Of a practice call not who: how they did is told to them.
    """
    if action.state is State.HELD:
        return ""
    if action.decoy_of:
        return "a practice call; nothing was sent"
    ended: str = _ENDED.get(action.state, action.state.value)
    if action.state is State.APPROVED and _needs_its_caller(action):
        ended = "approved, sent as soon as its caller is back"
    if action.state is State.EXPIRED and _was_approved(action):
        ended = "approved, never sent"
    if not action.reviews:
        return ended
    people = list(dict.fromkeys(visible_line(review.reviewer.id) for review in action.reviews))
    edited = "edited, " if action.edited else ""
    return f"{' and '.join(people)}: {edited}{ended}"


def _was_approved(action: Action) -> bool:
    decision = action.decision
    return decision is not None and len(action.votes) >= max(decision.quorum, 1)


def _needs_its_caller(action: Action) -> bool:
    decision = action.decision
    return decision is not None and decision.orphans == "refuse" and not action.fence
