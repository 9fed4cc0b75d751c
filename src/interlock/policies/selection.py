"""The tools that a rule, an exception, a limit or a grant names, and what their arguments are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..core.patterns import Pattern
from .catalogue import Entry, missing
from .expression_syntax import ConditionError, Name, Select, parse, walk
from .expression_types import ANY, Shape, merged
from .positions import suggestion
from .problems import Source

Path = tuple[str | int, ...]


class Selection:
    """Finds tools by their names or by patterns of them, over all files."""

    def __init__(self, sources: Sequence[Source], entries: Mapping[str, Entry]) -> None:
        self.sources = sources
        self.entries = entries
        self.written = frozenset(tool.id for each in sources for tool in each.model.tools)
        self.broken = not self.written <= entries.keys()
        self._found: dict[str, frozenset[str]] = {}
        self._shapes: dict[frozenset[str], Shape] = {}

    def named(self, source: Source, path: Path, patterns: Sequence[str]) -> frozenset[str]:
        """Return the tools that *patterns* name; one that names none is a problem."""
        selected: set[str] = set()
        for index, text in enumerate(patterns):
            found = self._matching(text)
            if not found and text != "*":
                source.refuse(
                    (*path, "tools", index),
                    f"{text!r} names no tool{suggestion(text, self.written)}",
                )
            selected |= found
        return frozenset(selected & self.entries.keys())

    def keyed(self, source: Source, path: Path, text: str) -> frozenset[str]:
        """Return the tools that the pattern *text* names, where it is the key at *path*."""
        found = self._matching(text)
        if not found and text != "*":
            hint = suggestion(text, self.written)
            source.refuse(path, f"{text!r} names no tool{hint}", at_key=True)
        return found & self.entries.keys()

    def _matching(self, text: str) -> frozenset[str]:
        if text not in self._found:
            pattern = Pattern(text)
            names = {text} if pattern.exact else filter(pattern.matches, self.written)
            self._found[text] = self.written.intersection(names)
        return self._found[text]

    def shape(self, names: frozenset[str]) -> Shape:
        """Return what a condition may assume of the arguments of these tools."""
        if self.broken:
            return ANY  # a broken tool's arguments are unknown: do not report names in vain
        if names not in self._shapes:
            self._shapes[names] = merged(self.entries[name].shape for name in sorted(names))
        return self._shapes[names]

    def lacking(self, arguments: Iterable[str], names: frozenset[str]) -> str:
        """Return which tool certainly has not all of *arguments*, in words; or an empty string."""
        for argument in arguments if not self.broken else ():
            for name in sorted(names):
                if why := missing(argument, self.entries[name].shape):
                    return f"{name} has no argument {why}"
        return ""

    def unknown(self, argument: str, names: frozenset[str]) -> str:
        """Return *argument*, with a suggestion, where certainly none of the tools has it; or ""."""
        shapes = [self.entries[name].shape for name in sorted(names)]
        if self.broken or not shapes or not all(missing(argument, shape) for shape in shapes):
            return ""
        return missing(argument, merged(shapes))


def arguments_of(source: str, root: str = "args") -> frozenset[str]:
    """Return the names of the arguments that an expression reads; *root*: `args`, or `x.args`."""
    try:
        nodes = list(walk(parse(source)))
    except ConditionError:
        return frozenset()
    return frozenset(
        node.field for node in nodes if isinstance(node, Select) and _is(node.target, root)
    )


def _is(node: object, root: str) -> bool:
    if isinstance(node, Select):
        return isinstance(node.target, Name) and root == f"{node.target.name}.{node.field}"
    return isinstance(node, Name) and root == node.name
