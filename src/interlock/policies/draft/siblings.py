"""Which operation of the same API takes another one back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from .operations import Operation
from .vocabulary import COMPENSATES, DISRUPTIVE, OPPOSITES, RESTORES
from .words import tokens

_SMALL = frozenset("by id a an the of for in to from on with".split())
_PARAMETER = re.compile(r"\{[^{}]*\}")
_WRITES = ("POST", "PUT", "PATCH")


class Siblings:
    """The operations of one API, found by what they do and to what."""

    __slots__ = ("_by_name", "_by_path")

    def __init__(self, operations: Iterable[Operation]) -> None:
        self._by_name: dict[tuple[str, ...], Operation] = {}
        self._by_path: dict[tuple[str, str], Operation] = {}
        for operation in operations:
            for each in operation.members or (operation,):
                self._by_name.setdefault(_key(tokens(each.name)), operation)
                if each.path:
                    self._by_path.setdefault((each.method, _plain(each.path)), operation)

    def opposite(self, operation: Operation, verb: str) -> Operation | None:
        """Return what takes *verb* of *operation* back without a trace."""
        found = self._other(operation, verb, OPPOSITES.get(verb, ()))
        if found is None and operation.method in _WRITES:
            found = self._deletes(operation, verb)
        return found

    def disruptive(self, operation: Operation, verb: str) -> Operation | None:
        """Return what turns *verb* round, though not what happened meanwhile."""
        return self._other(operation, verb, DISRUPTIVE.get(verb, ()))

    def restoring(self, operation: Operation, verb: str) -> Operation | None:
        """Return what brings back what *operation* deletes."""
        found = self._other(operation, verb, RESTORES)
        path = _plain(operation.path)
        for word in RESTORES if operation.path else ():
            for method in _WRITES:
                found = found or self._by_path.get((method, f"{path}/{word}"))
        if found is None and operation.method == "DELETE":
            found = self._by_path.get(("PUT", path))
            if found is not None and not _adds(found):
                return None
        return found

    def compensating(self, operation: Operation, verb: str) -> Operation | None:
        """Return what makes up for *operation*: a refund for a charge."""
        words = COMPENSATES.get(verb, ())
        found = self._other(operation, verb, words)
        path = _plain(operation.path).removesuffix("/{}")
        for word in words if operation.path else ():
            for end in (f"/{{}}/{word}", f"/{{}}/{word}s", f"/{word}"):
                found = found or self._by_path.get(("POST", path + end))
        return found

    def _deletes(self, operation: Operation, verb: str) -> Operation | None:
        path = _plain(operation.path)
        if operation.method == "PUT" or verb not in ("create", "insert", "new", "upload", "import"):
            same = self._by_path.get(("DELETE", path))
            if same is not None or operation.method == "PUT":
                return same
        for word in ("/create", "/new", "/insert"):
            path = path.removesuffix(word)
        return self._by_path.get(("DELETE", f"{path}/{{}}"))

    def _other(self, operation: Operation, verb: str, others: Sequence[str]) -> Operation | None:
        words = tokens(operation.name)
        if verb not in words:
            return self._at_the_end(operation, verb, others)
        index = words.index(verb)
        for other in others:
            named = _key([*words[:index], other, *words[index + 1 :]])
            found = self._by_name.get(named)
            if found is not None and found.id != operation.id:
                return found
        return self._at_the_end(operation, verb, others)

    def _at_the_end(
        self, operation: Operation, verb: str, others: Sequence[str]
    ) -> Operation | None:
        """Find `/x/{id}/unlock` for `/x/{id}/lock`."""
        head, _, last = _plain(operation.path).rpartition("/")
        if not operation.path or tokens(last)[:1] != [verb]:
            return None
        for other in others:
            for method in (operation.method, *_WRITES):
                found = self._by_path.get((method, f"{head}/{other}{last[len(verb) :]}"))
                if found is not None:
                    return found
        return None


def _adds(operation: Operation) -> bool:
    text = f"{operation.summary or operation.name}".lower()
    return any(word in text for word in ("add ", "add_", "enable", "assign", "star", "follow"))


def _key(words: Sequence[str]) -> tuple[str, ...]:
    return tuple(word.removesuffix("s") for word in words if word not in _SMALL)


def _plain(path: str) -> str:
    return _PARAMETER.sub("{}", path)
