"""Whether an operation that may do anything only reads: strong, agreeing evidence, or not."""

from __future__ import annotations

import re

from .actions import Said, sure_writes
from .operations import Operation
from .vocabulary import ALSO_ACTS, DATA, LISTING, PAGING, PHRASAL, SEARCHES, VERBS, Verb
from .words import first_sentence, joined_verbs, leading_verb, plain, prose_verbs, tokens

_PARAMETER = re.compile(r"\{[^{}]*\}\Z")
_PLURAL = re.compile(r"\b\w{2,}[^\Wsiu]s\b")
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def posts_a_read(operation: Operation, said: Said) -> str:
    """Return why an operation by POST reads; "" where that is not plain.

    A verb that only searches has to be in its name or path, and the description has to open with
    one that reads. Any other verb that reads (`list`, `get`) needs words or parameters, too, that
    only lists have; what is done to one thing (`/x/{id}/find`) needs the parameters.
    """
    if (
        "return" in (said.name, said.path)
        or not said.readings
        or said.writes
        or does_more(operation, said)
    ):
        return ""
    verbs = {said.name, said.path}
    asks = sorted({name.lower() for name in operation.parameters.names} & PAGING)
    searches = bool(verbs & SEARCHES)
    if not (agrees(said) or (asks and searches and not said.text)):
        return ""
    because = f"{operation.method} that reads, by {' and '.join(said.readings)}"
    if asks and _reads_by(verbs):
        return f"{because}, with {', '.join(asks)}"
    if is_done_to_one(operation) or len(said.readings) < 2:
        return ""
    return because if searches or (_reads_by(verbs) and _says_what_comes(operation)) else ""


def agrees(said: Said) -> bool:
    """Whether the description opens with a verb that reads, and can mean nothing else."""
    if VERBS.get(said.opens, Verb.RUN) > Verb.LOOK:
        return False
    rest = first_sentence(said.text).partition(" ")[2]
    if said.opens in ("list", "show", "display") and _PLURAL.search(rest):
        return True
    return said.opens not in ALSO_ACTS or DATA.search(rest) is not None


def does_more(operation: Operation, said: Said) -> bool:
    """Whether anything in the description of what seems to read does more than that."""
    if is_phrasal(operation, said):
        return True
    text = plain(operation.description)
    opening = [first_sentence(said.text), first_sentence(text)]
    verbs = [each for one in opening for each in (*sure_writes(prose_verbs(one)), *_joined(one))]
    verbs += sure_writes(filter(None, map(leading_verb, _SENTENCE.split(said.text))))
    return any(VERBS[each] > Verb.LOOK for each in verbs)


def is_phrasal(operation: Operation, said: Said) -> bool:
    """Whether `check`, `log` or the like is half of a verb that acts: check in, log out."""
    words = " ".join(tokens(operation.name))
    last = " ".join(tokens(operation.path.rpartition("/")[2]))
    texts = (words, last, first_sentence(said.text).rstrip(".!").lower())
    return any(PHRASAL.search(each) for each in texts)


def is_done_to_one(operation: Operation) -> bool:
    """Whether the path ends with what is done to one thing: `/loans/{id}/return`."""
    before, _, last = operation.path.rstrip("/").rpartition("/")
    return "{" not in last and _PARAMETER.search(before) is not None


def _joined(text: str) -> list[str]:
    return [each for each in joined_verbs(text) if VERBS[each] > Verb.LOOK]


def _reads_by(verbs: set[str]) -> bool:
    return any(VERBS.get(each) is Verb.READ for each in verbs)


def _says_what_comes(operation: Operation) -> bool:
    texts = (plain(operation.summary), plain(operation.description))
    return any(LISTING.search(first_sentence(each)) for each in texts)
