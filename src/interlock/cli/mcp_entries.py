"""The servers in a client's settings: what each entry says, and how it is changed in its text.

The original command stays in the entry, after `--`, byte for byte. So an entry can be put back
without any other record, also where the client has written its file anew meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PureWindowsPath

from .mcp_clients import ANY
from .mcp_nodes import Edit, Kind, Layout, Member, Node, Path, line_of, unreadable

URL_KEYS = ("url", "serverUrl", "httpUrl")  #: `serverUrl`: Windsurf; `httpUrl`: Gemini CLI


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One server. `command` or `url` is there, or `problem` says why nothing can be done."""

    where: Path  #: keys that lead to it
    line: int
    node: Node
    command: Member | None = None
    args: Member | None = None
    url: Member | None = None
    problem: str = ""

    @property
    def name(self) -> str:
        """Its name in the client."""
        return self.where[-1]

    @property
    def words(self) -> tuple[str, ...]:
        """What is started: the program and its arguments. Empty for a server behind a URL."""
        if self.command is None:
            return ()
        items = self.args.node.items if self.args else ()
        return (self.command.node.scalar, *(item.scalar for item in items))

    @property
    def address(self) -> str:
        """The URL, or nothing."""
        return str(self.url.node.scalar) if self.url else ""


@dataclass(frozen=True, slots=True)
class Guarded:
    """An entry that Interlock starts. `cut` is the place of `--` in `words`; 0: there is none."""

    server: str
    cut: int


def entries_in(
    tree: Node, places: Sequence[tuple[str, ...]], text: str, file: str
) -> tuple[Entry, ...]:
    """Return the servers at *places* of *tree*, in the order of the file.

    Raises:
        InvalidDocument: one of the places holds something else, or a key on the way is repeated.
    """
    if tree.kind is not Kind.OBJECT:
        raise unreadable(file, text, tree.start, f"must be an object, is a {tree.kind}")
    found = [
        _entry(text, (*where, name), member)
        for place in places
        for where, servers in _below(tree, (), place, (text, file))
        for name, member in servers.members.items()
    ]
    return tuple(sorted(found, key=lambda entry: entry.node.start))


def _below(
    node: Node, where: Path, place: tuple[str, ...], source: tuple[str, str]
) -> Iterator[tuple[Path, Node]]:
    text, file = source
    for key, at in node.repeated:
        if not place or place[0] in (ANY, key):
            raise unreadable(
                file, text, at, f"{key!r} is there twice, and only one counts: remove the other"
            )
    if not place:
        yield where, node
        return
    keys = (
        list(node.members) if place[0] == ANY else [key for key in place[:1] if key in node.members]
    )
    for key in keys:
        inner = node.members[key].node
        if inner.kind is Kind.OBJECT:
            yield from _below(inner, (*where, key), place[1:], source)
        elif len(place) == 1:
            at = inner.start
            raise unreadable(
                file, text, at, f"`{key}` must map servers' names to entries, is a {inner.kind}"
            )


def _entry(text: str, where: Path, member: Member) -> Entry:
    node = member.node
    line = line_of(text, member.start)
    if node.kind is not Kind.OBJECT:
        return Entry(where=where, line=line, node=node, problem=f"it is a {node.kind}, no object")
    holder, key = node, "command"
    command = node.members.get("command")
    if command is not None and command.node.kind is Kind.OBJECT:  # Zed before 2025-07
        holder, key = command.node, "path"
        command = holder.members.get(key)
    args = holder.members.get("args")
    urls = [node.members[name] for name in URL_KEYS if name in node.members]
    problem = _problem(node, holder, command, args, urls)
    if problem:
        return Entry(where=where, line=line, node=node, problem=problem)
    url = urls[0] if urls else None
    return Entry(where=where, line=line, node=node, command=command, args=args, url=url)


def _problem(
    node: Node, holder: Node, command: Member | None, args: Member | None, urls: list[Member]
) -> str:
    for repeated, _ in (*node.repeated, *holder.repeated):
        return f"{repeated!r} is there twice, and only one counts: remove the other"
    if command is None and not urls:
        return "it has neither `command` nor `url`: the client or an extension of it starts it"
    if len(urls) + (command is not None) > 1:
        return "it has several of `command` and `url`: leave the one that the client uses"
    told = command or urls[0]
    if told.node.kind is not Kind.STRING or not told.node.scalar.strip():
        return "its `command` or `url` is no text"
    if args is not None and not _texts(args.node):
        return "its `args` are no list of texts"
    return ""


def _texts(node: Node) -> bool:
    return node.kind is Kind.ARRAY and all(item.kind is Kind.STRING for item in node.items)


def guarded(words: Sequence[str]) -> Guarded | None:
    """Return how Interlock starts these *words*, if it does: by name, by path or as a module."""
    cut = words.index("--") if "--" in words else len(words)
    head = words[:cut]
    for at, (first, second) in enumerate(zip(head, head[1:], strict=False)):
        if _stem(first) == "interlock" and second == "mcp":
            options = head[at + 2 :]
            named = [
                value
                for option, value in zip(options, options[1:], strict=False)
                if option == "--server"
            ]
            return Guarded(named[0] if named else "", cut if cut + 1 < len(words) else 0)
    return None


def _stem(word: str) -> str:
    return PureWindowsPath(word).stem.lower()  # it knows both kinds of slash


def literal(value: str) -> str:
    """Return *value* in double quotes, as JSON and TOML both read it."""
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def wrapped(entry: Entry, head: Sequence[str], text: str) -> tuple[Edit, ...]:
    """Return the edits that make *entry* start *head* (program, options, `--`) before its own."""
    assert entry.command is not None  # noqa: S101 (only called for servers with a command)
    own = entry.command.node
    words = [*map(literal, head[1:]), text[own.start : own.end]]
    program = Edit(own.start, own.end, literal(head[0]))
    if entry.args is None:
        return _with_args(entry.command, program, "[" + ", ".join(words) + "]", text)
    array = entry.args.node
    if not array.items:
        return program, Edit(array.start + 1, array.start + 1, ", ".join(words))
    first = array.items[0].start
    return program, Edit(first, first, _listed(words, array, text))


def _listed(words: Sequence[str], array: Node, text: str) -> str:
    """Return *words* as they go before the first item, one a line where the items are so."""
    lead = text[array.start + 1 : array.items[0].start]
    gap = lead if "\n" in lead and not lead.strip() else " "
    return "".join(f"{word},{gap}" for word in words)


def _with_args(command: Member, program: Edit, array: str, text: str) -> tuple[Edit, ...]:
    indent = _indent(command, text)
    if command.layout is Layout.JSON:
        gap = _newline(text) + indent if _starts_line(command, text) else " "
        return (Edit(program.start, program.end, f'{program.text},{gap}"args": {array}'),)
    prefix = command.prefix
    if command.layout is Layout.INLINE:
        return (Edit(program.start, program.end, f"{program.text}, {prefix}args = {array}"),)
    # Before the command, so that a comment behind the command stays there.
    line = f"{prefix}args = {array}{_newline(text)}{indent}"
    return Edit(command.start, command.start, line), program


def _starts_line(member: Member, text: str) -> bool:
    line = text.rfind("\n", 0, member.start) + 1
    return line > 0 and not text[line : member.start].strip()


def _indent(member: Member, text: str) -> str:
    line = text.rfind("\n", 0, member.start) + 1
    before = text[line : member.start]
    return before if not before.strip() else ""


def _newline(text: str) -> str:
    end = text.find("\n")
    return "\r\n" if end > 0 and text[end - 1] == "\r" else "\n"


def unwrapped(entry: Entry, cut: int, text: str, *, had_args: bool) -> tuple[Edit, ...]:
    """Return the edits that put back what *entry* started before; `cut`: the place of `--`."""
    assert entry.command is not None and entry.args is not None  # noqa: S101 (it has a `--`)
    items, program = entry.args.node.items, entry.command.node
    own, rest = items[cut], items[cut + 1 :]  # words has the program before the items
    edits = [Edit(program.start, program.end, text[own.start : own.end])]
    if rest:
        edits.append(Edit(items[0].start, rest[0].start, ""))
    elif had_args:
        edits.append(Edit(items[0].start, _past_comma(own.end, text), ""))
    else:
        edits.append(_removed(entry.args, entry.command, text))
    return tuple(edits)


def _past_comma(end: int, text: str) -> int:
    rest = text[end:].lstrip()
    return len(text) - len(rest) + 1 if rest.startswith(",") else end


def _removed(args: Member, command: Member, text: str) -> Edit:
    end = args.node.end
    if args.layout is not Layout.STATEMENT:
        before = text[: args.start].rstrip()
        follows = text[command.node.end : args.start].strip() == ","
        if before.endswith(",") and (follows or _past_comma(end, text) == end):
            return Edit(command.node.end if follows else len(before) - 1, end, "")
        end = _past_comma(end, text)
    blank = len(text[end:]) - len(text[end:].lstrip(" \t"))
    newline = next((mark for mark in ("\r\n", "\n") if text.startswith(mark, end + blank)), "")
    if newline:
        end += blank + len(newline)
        end += len(text[end:]) - len(text[end:].lstrip(" \t"))
    return Edit(args.start, end, "")


def rewrapped(entry: Entry, cut: int, head: Sequence[str], text: str) -> tuple[Edit, ...]:
    """Return the edits that start *entry* by another *head*; its own command is not touched."""
    assert entry.command is not None and entry.args is not None  # noqa: S101 (it has a `--`)
    items, program = entry.args.node.items, entry.command.node
    return (
        Edit(program.start, program.end, literal(head[0])),
        Edit(
            items[0].start,
            items[cut].start,
            _listed([*map(literal, head[1:])], entry.args.node, text),
        ),
    )


def rerouted(entry: Entry, raw: str) -> tuple[Edit, ...]:
    """Return the edit that makes the URL of *entry* *raw*, which is a literal of the format."""
    assert entry.url is not None  # noqa: S101 (only called for servers with a URL)
    return (Edit(entry.url.node.start, entry.url.node.end, raw),)
