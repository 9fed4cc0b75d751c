"""From verbs to reversibility: what each kind of verb does, and what takes it back."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.decisions import Reversibility
from .actions import READING, Said, is_noun, sure_writes
from .operations import Operation, Undo
from .reading import agrees, is_phrasal, posts_a_read
from .siblings import Siblings
from .vocabulary import (
    JOBS,
    LIVE,
    MAY_BE_ANYTHING,
    MAY_OFFER,
    MESSAGES,
    MONEY,
    SECRETS,
    SOFT,
    TALK,
    VERBS,
    Verb,
)
from .words import tokens

READ_ONLY, REVERSIBLE, COMPENSABLE, IRREVERSIBLE = Reversibility

_EARLIER = "Call it again with the earlier values; read them before it runs."


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """How far an operation can be taken back, by what, and the reasons."""

    reversibility: Reversibility
    undo: Undo | None = None
    why: str = ""
    confirm: str = ""
    kind: Verb | None = None


def effects(operation: Operation, said: Said, siblings: Siblings) -> list[Effect]:
    """Return an effect for each thing that *operation* is said to do; the gravest counts."""
    if operation.method in READING:
        return _of_reading(operation, said, siblings)
    if not operation.method:
        return _of_tool(operation, said, siblings)
    found = [_of_verb(operation, verb, where, said, siblings) for where, verb in said.writes]
    if operation.method == "DELETE":
        return [*found, _loss(operation, "delete", "method DELETE", said, siblings)]
    if operation.method in ("PUT", "PATCH"):
        return [*_of_update(operation, said, found), *_unsaid(operation, said)]
    reads = posts_a_read(operation, said)
    if reads:
        return [_reads(reads)]
    unsaid = _unsaid(operation, said)
    if found or unsaid:
        nouns = said.unknown and unsaid  # the book of `lendBook` is no verb
        return [*(() if nouns else found), *unsaid]
    if not said.readings and siblings.opposite(operation, "create") is not None:
        return [_of_verb(operation, "create", "a DELETE beside it", said, siblings)]
    return [_unknown(f"method {operation.method} and no verb that says what it does")]


def _unsaid(operation: Operation, said: Said) -> list[Effect]:
    """Return a doubt where the verb of a write is none that is known, or means several things."""
    if is_phrasal(operation, said):
        return [_unknown("a verb that means several things")]
    if said.unknown and all(each == ("name", said.name) for each in said.writes):
        return [_unknown(f"verb {said.unknown} is not known")]
    verb = next((v for v in (said.first, said.path) if v in MAY_BE_ANYTHING or _is_read(v)), "")
    if not verb or any(where != "description" for where, _ in said.writes):
        return []
    return [_unknown(f"a {operation.method} named {verb} may do anything")]


def _is_read(verb: str) -> bool:
    return VERBS.get(verb) is Verb.READ


def _reads(why: str, confirm: str = "") -> Effect:
    return Effect(reversibility=READ_ONLY, why=why, confirm=confirm, kind=Verb.READ)


def _unknown(why: str) -> Effect:
    return Effect(reversibility=IRREVERSIBLE, why=why, confirm="what does it do?")


def _of_reading(operation: Operation, said: Said, siblings: Siblings) -> list[Effect]:
    said_to_read = any(VERBS.get(each) is Verb.READ for each in (said.name, said.opens))
    if said_to_read or not said.writes:
        also = f", and so {' and '.join(said.readings)}" if said.readings else ""
        return [_reads(f"method {operation.method}{also}")]
    found = [_of_verb(operation, verb, where, said, siblings) for where, verb in said.writes]
    doubt = Effect(
        reversibility=COMPENSABLE,
        undo=Undo(reason=_EARLIER),
        why=f"method {operation.method}",
        confirm=f"does this {operation.method} change something?",
    )
    return [*found, doubt]


def _of_update(operation: Operation, said: Said, found: list[Effect]) -> list[Effect]:
    kinds = {each.kind for each in found}
    if operation.method == "PUT" and found and kinds == {Verb.ADD}:
        return found  # PUT into a set: what was there before is not overwritten
    base = _update(f"method {operation.method}", said)
    return [*(each for each in found if each.kind is not Verb.CREATE), base]


def _of_tool(operation: Operation, said: Said, siblings: Siblings) -> list[Effect]:
    main = VERBS.get(said.name)
    found = [_of_verb(operation, verb, where, said, siblings) for where, verb in said.writes]
    opens = VERBS.get(said.opens)
    is_prefix = said.first in tokens(operation.upstream)  # the git of `git_commit`
    if found and is_noun(operation, said) and opens is None and not is_prefix:
        return [_unknown(f"verb {said.first} is not known")]
    if found and not (opens is Verb.READ and is_noun(operation, said)):
        return found
    if is_phrasal(operation, said):
        return [_unknown(f"verb {said.first} means several things")]
    if main is Verb.READ and (said.name not in MAY_OFFER or agrees(said)):
        return [_reads(f"verb {said.name} (name)")]
    is_harmless = opens is Verb.READ or (main is Verb.LOOK and opens is Verb.LOOK)
    two_verbs = main is Verb.LOOK and said.opens != said.name
    if is_harmless and (two_verbs or agrees(said)) and not sure_writes(said.sentence):
        return [_reads(f"verb {said.opens} (description)", "does it only read?")]
    return [_unknown("no verb in the name that says what it does")]


def _of_verb(operation: Operation, verb: str, where: str, said: Said, siblings: Siblings) -> Effect:
    why = f"verb {verb} ({where})"
    kind = VERBS[verb]
    if kind is Verb.ADD:
        return _add(operation, verb, why, said, siblings)
    if kind is Verb.CREATE:
        return _create(operation, verb, why, said, siblings)
    if kind is Verb.UPDATE:
        return _update(why, said)
    if kind is Verb.LOSS:
        return _loss(operation, verb, why, said, siblings)
    other = siblings.compensating(operation, verb) if kind is Verb.MONEY else None
    other = other or siblings.disruptive(operation, verb)
    if other is not None and kind is not Verb.SEND:
        return _taken_back(COMPENSABLE, other, why, kind)
    return Effect(reversibility=IRREVERSIBLE, why=why, kind=kind)


def _taken_back(reversibility: Reversibility, other: Operation, why: str, kind: Verb) -> Effect:
    undo = Undo(tool=other.id)
    return Effect(
        reversibility=reversibility, undo=undo, why=f"{why}, undone by {other.id}", kind=kind
    )


def _add(operation: Operation, verb: str, why: str, said: Said, siblings: Siblings) -> Effect:
    other = siblings.opposite(operation, verb)
    if other is not None:
        grave = verb == "add" and said.objects & (MESSAGES | MONEY | TALK)
        level = COMPENSABLE if grave else REVERSIBLE
        return _taken_back(level, other, why, Verb.ADD)
    other = siblings.disruptive(operation, verb)
    if other is not None:
        return _taken_back(COMPENSABLE, other, why, Verb.ADD)
    return Effect(
        reversibility=IRREVERSIBLE,
        why=f"{why}, and no operation here takes it back",
        confirm="how is it taken back?",
        kind=Verb.ADD,
    )


def _create(operation: Operation, verb: str, why: str, said: Said, siblings: Siblings) -> Effect:
    grave = sorted(said.objects & (MONEY | MESSAGES | JOBS))
    if grave:
        other = siblings.compensating(operation, verb)
        why = f"{why} of: {', '.join(grave)}"
        if other is not None:
            return _taken_back(COMPENSABLE, other, why, Verb.MONEY)
        kind = Verb.SEND if said.objects & MESSAGES else Verb.MONEY
        kind = kind if said.objects & (MESSAGES | MONEY) else Verb.RUN
        return Effect(reversibility=IRREVERSIBLE, why=why, kind=kind)
    other = siblings.opposite(operation, verb)
    if other is None:
        return Effect(
            reversibility=IRREVERSIBLE,
            why=f"{why}, and no operation here deletes it",
            confirm="how is it taken back?",
            kind=Verb.CREATE,
        )
    told = sorted(said.objects & (TALK | LIVE))
    if told:
        why = f"{why} of: {', '.join(told)} (it acts, or people are told)"
        return _taken_back(COMPENSABLE, other, why, Verb.CREATE)
    return _taken_back(REVERSIBLE, other, why, Verb.CREATE)


def _update(why: str, said: Said) -> Effect:
    secrets = sorted(said.objects & SECRETS)
    if secrets:
        why = f"{why} of: {', '.join(secrets)} (earlier values cannot be read)"
        return Effect(reversibility=IRREVERSIBLE, why=why, kind=Verb.UPDATE)
    undo = Undo(reason=_EARLIER)
    return Effect(reversibility=COMPENSABLE, undo=undo, why=why, kind=Verb.UPDATE)


def _loss(operation: Operation, verb: str, why: str, said: Said, siblings: Siblings) -> Effect:
    other = siblings.restoring(operation, verb) or siblings.disruptive(operation, verb)
    if other is not None:
        return _taken_back(COMPENSABLE, other, why, Verb.LOSS)
    soft = SOFT.search(said.text)
    if soft:
        return Effect(
            reversibility=COMPENSABLE,
            undo=Undo(reason="It is kept for a while; see the tool's documentation."),
            why=f"{why}, but '{soft[0]}'",
            confirm="who can restore it, and until when?",
            kind=Verb.LOSS,
        )
    return Effect(reversibility=IRREVERSIBLE, why=why, kind=Verb.LOSS)
