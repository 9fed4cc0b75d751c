"""Names and sentences, cut into the words that the vocabulary knows."""

from __future__ import annotations

import re

from .vocabulary import NOUNS_TOO, VERBS

_TOKEN = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_WORD = re.compile(r"[A-Za-z][A-Za-z'-]*")
_TAG = re.compile(r"<[^<>]{0,200}>")
_MARKUP = re.compile(r"[*_`#\[\]]+")
_JOINED = re.compile(r"(?:,|\band|\bor|\bthen|&|/)\s*(?:and |or |then )?([A-Za-z]+)")
_LEAD = 8
_FILLER = frozenset(
    """this that the a an tool endpoint operation method api call request function you can use used
    to for will it is allows lets immediately also and or bulk batch note warning deprecated please
    given your its""".split()
)


def tokens(name: str) -> list[str]:
    """Cut an identifier into lower-case words: `getHTTPLog_v2` is get, http, log, v, 2."""
    return [each.lower() for each in _TOKEN.findall(name)]


def plain(text: str) -> str:
    """Return prose without tags and markup, with single spaces."""
    return " ".join(_MARKUP.sub(" ", _TAG.sub(" ", text[:4000])).split())


def first_sentence(text: str) -> str:
    """Return the first sentence of plain prose, or its first 300 characters."""
    return re.split(r"(?<=[.!?])\s", text, maxsplit=1)[0][:300]


def stem(word: str) -> str:
    """Return the verb that *word* is a form of, where the vocabulary has it; else *word*."""
    low = word.lower()
    for cut, add in (("", ""), ("s", ""), ("es", ""), ("ies", "y")):
        base = low[: len(low) - len(cut)] + add if low.endswith(cut) else ""
        if base in VERBS:
            return base
    return low


def prose_verbs(text: str) -> list[str]:
    """Return the verbs of a sentence of documentation, in order, by their stems."""
    found = (stem(word) for word in _WORD.findall(text))
    return [word for word in found if word in VERBS]


def joined_verbs(text: str) -> list[str]:
    """Return the verbs that follow a comma, `and` or `or`: `lists, creates or closes tabs`."""
    return [found for word in _JOINED.findall(text) if (found := stem(word)) in VERBS]


def leading_verb(text: str) -> str:
    """Return the verb that a description opens with; "" where it opens with none that is known."""
    performs = False
    for word in _WORD.findall(text)[:_LEAD]:
        found = stem(word)
        if word.lower() in _FILLER or word.lower().endswith("ly") or found == "perform":
            performs = performs or found == "perform"  # "performs a web search" is a search
        elif found in VERBS:
            return found
        elif not performs:
            return ""
    return "perform" if performs else ""


def name_verbs(words: list[str]) -> list[str]:
    """Return the verbs among the *words* of a name: the first is what it does.

    Words that are nouns as often (`list`, `comment`) count where they stand first, after `or` and
    `and`, or where no other verb is there.
    """
    pairs = zip(["", *words], words, strict=False)
    joined = {word for before, word in pairs if before in ("or", "and")}
    sure = [w for w in words if w in VERBS and (w not in NOUNS_TOO or w in joined)]
    if words and words[0] in VERBS:
        return [words[0], *(word for word in sure if word != words[0])]
    if sure:
        return sure
    return [word for word in words if word in VERBS][:1]
