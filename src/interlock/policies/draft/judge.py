"""From what an operation says of itself to a guess, with reasons; doubt ends on the safe side."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.decisions import Reversibility
from .actions import said
from .effects import COMPENSABLE, IRREVERSIBLE, READ_ONLY, Effect, effects
from .facets import egress, facets, stake, taints, target
from .operations import Drafted, Guess, Operation, Undo
from .raises import raises
from .siblings import Siblings

_BY_HAND = Undo(reason="No call of this catalogue takes it back; a person has to set it right.")


def judge_all(operations: Sequence[Operation]) -> list[Drafted]:
    """Return a guess for each of *operations*, in their order."""
    siblings = Siblings(operations)
    return [Drafted(operation=each, guess=judge(each, siblings)) for each in operations]


def judge(operation: Operation, siblings: Siblings) -> Guess:
    """Return what *operation* is taken for; of several that are one to policy, the gravest."""
    if not operation.members:
        return _judge(operation, siblings)
    guesses = [_judge(each, siblings) for each in operation.members]
    worst = max(guesses, key=lambda each: (each.reversibility, each.stake))
    keys = ", ".join(each.key for each in operation.members)
    return Guess(
        reversibility=worst.reversibility,
        facets=max(guesses, key=lambda each: each.stake).facets,
        stake=max(each.stake for each in guesses),
        undo=worst.undo,
        egress=any(each.egress for each in guesses),
        taints=tuple(sorted({taint for each in guesses for taint in each.taints})),
        target=tuple(dict.fromkeys(operation.parameters.in_path)),
        why=(f"one entry for {keys}: no template tells them apart", *worst.why),
        confirm=(*worst.confirm, "do these belong together?"),
    )


def _judge(operation: Operation, siblings: Siblings) -> Guess:
    words = said(operation)
    found = effects(operation, words, siblings)
    worst = max(found, key=_gravity)
    for each in raises(operation, words, worst.reversibility):
        found.append(each)
        worst = max(worst, each, key=_gravity)
    kinds = {each.kind for each in found}
    level = worst.reversibility
    at_stake = facets(operation, words, level, kinds)
    return Guess(
        reversibility=level,
        facets=at_stake,
        stake=stake(at_stake),
        undo=_undo(worst, level),
        egress=egress(operation, words, level, kinds),
        taints=taints(operation, words, level),
        target=target(operation),
        why=tuple(dict.fromkeys(each.why for each in found if each.why)),
        confirm=tuple(dict.fromkeys(each.confirm for each in found if each.confirm)),
    )


def _gravity(effect: Effect) -> tuple[Reversibility, bool]:
    return effect.reversibility, effect.undo is None


def _undo(worst: Effect, level: Reversibility) -> Undo | None:
    if level is READ_ONLY or level is IRREVERSIBLE:
        return None
    return worst.undo or (_BY_HAND if level is COMPENSABLE else None)
