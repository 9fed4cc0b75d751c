"""What an operation is said to do: the verbs of its name, path and description."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .operations import Operation
from .vocabulary import NOUNS_TOO, VERBS, Verb
from .words import (
    first_sentence,
    joined_verbs,
    leading_verb,
    name_verbs,
    plain,
    prose_verbs,
    tokens,
)

READING = ("GET", "HEAD", "OPTIONS")
_PARAMETER = re.compile(r"\{[^{}]*\}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """Verbs by where they stand; "" where there is none that is known.

    `named` are all those of the name, the first of which is what it does. `sentence` are those of
    the first sentence, `joined` those of a tool that are listed there and surely write. `first` is
    the first word of the name, and `unknown` the same where it seems a verb that is not known.
    `objects` are the words of what it acts on.
    """

    first: str
    unknown: str
    named: tuple[str, ...]
    opens: str
    path: str
    sentence: tuple[str, ...]
    joined: tuple[str, ...]
    objects: frozenset[str]
    text: str

    @property
    def name(self) -> str:
        return self.named[0] if self.named else ""

    @property
    def readings(self) -> list[str]:
        """Return where it is said to read: one text for each place."""
        return [where for where, verb in self._places() if VERBS[verb] is Verb.READ]

    @property
    def writes(self) -> list[tuple[str, str]]:
        """Return the verbs that do more than to read, each with where it is said."""
        places: dict[str, list[str]] = {}
        for where, verb in self._places():
            if VERBS[verb] > Verb.LOOK:
                places.setdefault(verb, []).append(where)
        return [(", ".join(where), verb) for verb, where in places.items()]

    def _places(self) -> list[tuple[str, str]]:
        found = [*(("name", each) for each in self.named), ("description", self.opens)]
        found += [("path", self.path), *(("description", each) for each in self.joined)]
        return [(where, verb) for where, verb in found if verb]


def said(operation: Operation) -> Said:
    """Return what *operation* is said to do."""
    words = _name(operation)
    text = plain(operation.text)
    summary = plain(operation.summary) or first_sentence(text)
    opens = _opens(summary) or leading_verb(first_sentence(plain(operation.description)))
    last = [each for each in operation.path.split("/") if each and "{" not in each][-1:]
    objects = {*words, *(each for part in last for each in tokens(part))}
    named = tuple(name_verbs(words))
    return Said(
        first=words[0] if words else "",
        unknown=_unknown(operation, words, named),
        named=named,
        opens=opens,
        path=_path_verb(operation),
        sentence=tuple(prose_verbs(first_sentence(text))),
        joined=() if operation.method else tuple(sure_writes(joined_verbs(first_sentence(text)))),
        objects=frozenset(objects),
        text=text[:1200],
    )


def sure_writes(verbs: Iterable[str]) -> list[str]:
    """Return the verbs of a sentence that do more than read and are hardly ever nouns."""
    return [verb for verb in verbs if VERBS[verb] > Verb.LOOK and verb not in NOUNS_TOO]


def is_noun(operation: Operation, said: Said) -> bool:
    """Whether the one verb of a name may as well be a noun: the place of `maps_place_details`."""
    words = tokens(operation.name)
    return len(said.named) == 1 and said.name in NOUNS_TOO and words[0] != said.name


def _unknown(operation: Operation, words: list[str], named: tuple[str, ...]) -> str:
    """Return the first word of a name where no other of it is a verb: the lend of `lendBook`."""
    if not operation.method or not words or words[0] in VERBS or sure_writes(named):
        return ""
    before, _, last = operation.path.rpartition("/")
    nouns = [*tokens(_PARAMETER.sub("", before)), *tokens(" ".join(operation.tags))]
    if not before.endswith("}") or last.endswith("s"):
        nouns += tokens(last)
    is_noun = _bare(words[0]) in {*map(_bare, nouns), *tokens(operation.upstream)}
    return "" if is_noun else words[0]


def _bare(noun: str) -> str:
    return noun.removesuffix("s").removesuffix("ie").removesuffix("y")


def _opens(summary: str) -> str:
    if summary and " " not in summary.strip():
        return (name_verbs(tokens(summary)) or [""])[0]
    return leading_verb(first_sentence(summary))


def _name(operation: Operation) -> list[str]:
    """Return the words of the name, without the product's or the method's."""
    if not operation.method:
        return tokens(operation.name)
    last = re.split(r"[/.]", operation.name)[-1]
    words = tokens(last)
    if words[:1] != [operation.method.lower()]:
        return words
    in_path = {each.removesuffix("s") for each in tokens(operation.path)} | {"id", "by", "self"}
    if all(each.removesuffix("s") in in_path for each in words[1:]):
        return []  # a name made from method and path says nothing of its own
    return words[1:] if operation.method != "GET" else words


def _path_verb(operation: Operation) -> str:
    """Return the verb that ends the path: `/x/{id}/cancel`, `/conversations.archive`."""
    segments = operation.path.rstrip("/").split("/")
    if operation.method in READING:
        segments = [each for each in segments if "{" not in each]
    last = segments[-1] if segments else ""
    if not last or "{" in last:
        return ""
    dotted = last.rpartition(".")[2] if "." in last else last
    words = tokens(dotted)
    if not words or words[0] not in VERBS:
        return ""
    after_parameter = len(segments) > 1 and _PARAMETER.search(segments[-2]) is not None
    is_action = after_parameter and operation.method not in READING
    return words[0] if is_action or "." in last or words[0] not in NOUNS_TOO else ""
