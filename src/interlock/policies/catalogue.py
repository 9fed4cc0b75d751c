"""Tool entries, compiled: what they match, what they take, how much they matter."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from ..core.actions import Body
from ..core.decisions import Reversibility, Stake, Undo
from ..core.patterns import Discriminator, GraphQL, HttpMatch, Kind, McpMatch, Pattern, Segment
from ..core.rules import Band, Facet, Tool, Validator
from .document import BandEntry, HttpEntry, ToolEntry
from .expression_types import Shape
from .expressions import asks
from .mcp_tools import mcp_match, mcp_pins
from .positions import suggestion
from .problems import Source
from .schemas import arguments_shape, casts, compile_schema, wrong_keywords

Path = tuple[str | int, ...]
Tables = Mapping[str, Mapping[str, str] | tuple[BandEntry, ...]]

# What the facets mean where a file does not say; `amount` needs a currency and is always written.
DEFAULT_TABLES: Tables = {
    "data": {"public": "low", "internal": "low", "confidential": "medium", "restricted": "high"},
    "blast": {
        "self": "low",
        "team": "low",
        "organisation": "medium",
        "external": "medium",
        "public": "high",
    },
    "environment": {"development": "low", "staging": "medium", "production": "high"},
    "privilege": {"user": "low", "operator": "medium", "admin": "high", "root": "critical"},
    "records": (
        BandEntry(upto=1, stake="low"),
        BandEntry(upto=100, stake="medium"),
        BandEntry(stake="high"),
    ),
}
_METHOD = re.compile(r"[A-Z][A-Z-]*\Z")
_PARAMETER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]*)(\.\.\.|\+)?\}\Z")
# `:id` (Express), `<int:id>` (Flask), `${id}`, `{id:int}`: as literals they would match nothing.
_FOREIGN = re.compile(
    r":(?P<a>[A-Za-z_][\w-]*)\??\Z|<(?:\w+:)?(?P<b>[A-Za-z_][\w-]*)>\Z"
    r"|\$\{(?P<c>[A-Za-z_][\w-]*)\}\Z|\{(?P<d>[A-Za-z_][\w-]*):[^{}]*\}\Z"
)
_GLOBS = {"*": "{name}", "**": "{name...}"}

_BODILESS = frozenset({"GET", "HEAD", "OPTIONS"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A compiled tool, where it was written, and what conditions may assume of its arguments."""

    tool: Tool
    source: Source
    path: Path
    shape: Shape
    asks: frozenset[str]  #: what its facets must know of the past


def compile_tools(source: Source) -> Iterator[Entry]:
    """Yield the tools of one file that are sound; the others leave problems in *source*."""
    tables: Tables = {**DEFAULT_TABLES, **source.model.stake}
    _check_tables(source)
    _check_editable(source)
    for index, entry in enumerate(source.model.tools):
        path: Path = ("tools", index)
        before = len(source.problems)
        compiled = _compile(entry, tables, source, path)
        if compiled is not None and len(source.problems) == before:
            yield compiled


def _compile(entry: ToolEntry, tables: Tables, source: Source, path: Path) -> Entry | None:
    match = _match(entry, source, path)
    if match is None:
        return None
    outside = _outside(entry, match)
    shape = _shape(entry, outside, source, path)
    pins = mcp_pins(entry, source, path)
    tool = Tool(
        id=entry.id,
        description=entry.description,
        match=match,
        args_schema=entry.args_schema,
        invalid=_validator(entry, frozenset(outside), source, path),
        casts=casts(entry.args_schema),
        constants=_constants(match),
        multi=frozenset(entry.http.multi) if entry.http else frozenset(),
        bodies=_bodies(entry.http, match),
        reversibility=Reversibility[entry.reversibility.upper()],
        undo=_undo(entry, source, path),
        facets=tuple(_facets(entry, tables, shape, source, path)),
        egress=entry.egress,
        editable=_editable(entry, shape, source),
        orphans=entry.orphans,
        target=_target(entry, shape, source, path),
        taints=frozenset(entry.taints),
        trusted=entry.annotations is not None and entry.annotations.trust == "full",
        pins=pins,
        shadow=source.shadow,
    )
    return Entry(tool=tool, source=source, path=path, shape=shape, asks=_asks(tool))


def _asks(tool: Tool) -> frozenset[str]:
    return frozenset().union(*(asks(each.shown) for each in tool.facets if each.value))


def plain(names: tuple[str, ...]) -> tuple[str, ...]:
    """Return argument names, written as `args.NAME` or `NAME`, without the prefix."""
    return tuple(name.removeprefix("args.") for name in names)


def _match(entry: ToolEntry, source: Source, path: Path) -> HttpMatch | McpMatch | None:
    if (entry.http is None) == (entry.mcp is None):
        source.refuse(path, f"tool {entry.id!r} needs one of `http` and `mcp`, and not both")
        return None
    if entry.http is not None:
        return _http(entry.http, entry.args_schema, source, (*path, "http"))
    return None if entry.mcp is None else mcp_match(entry.mcp, source, (*path, "mcp"))


def _target(entry: ToolEntry, shape: Shape, source: Source, path: Path) -> tuple[str, ...] | None:
    if entry.target is None:
        return None
    names = plain(entry.target)
    for index, name in enumerate(names):
        if why := missing(name, shape):
            source.refuse((*path, "target", index), f"{entry.id} has no argument {why}")
    return tuple(dict.fromkeys(names))


def _editable(entry: ToolEntry, shape: Shape, source: Source) -> tuple[str, ...] | None:
    allowed = source.model.edit.allow
    if allowed is None:
        return None
    names = plain(allowed.get(entry.id, ()))
    for index, name in enumerate(names):
        if why := missing(name, shape):
            path = ("edit", "allow", entry.id, index)
            source.refuse(path, f"{entry.id} has no argument {why}")
    return names


def missing(name: str, shape: Shape) -> str:
    """Return *name*, with a suggestion, where a tool certainly has no such argument; else ""."""
    if shape.fields is None or name in shape.fields:
        return ""
    if any(accepts(name) for accepts in shape.patterns):
        return ""
    hint = suggestion(name, shape.fields) or f"; known: {', '.join(sorted(shape.fields)[:12])}"
    return f"{name!r}{hint}"


def _bodies(http: HttpEntry | None, match: HttpMatch | McpMatch) -> frozenset[Body]:
    """Without a word about bodies, tools that are only read take none: it could say anything."""
    if http is None or isinstance(match, McpMatch):
        return frozenset({Body.JSON})
    if http.body is not None:
        return frozenset(Body(word) for word in http.body)
    return frozenset() if match.methods <= _BODILESS else frozenset({Body.JSON, Body.FORM})


def _http(
    http: HttpEntry, schema: Mapping[str, object] | None, source: Source, path: Path
) -> HttpMatch:
    for name in http.method:
        if not _METHOD.match(name):
            source.refuse((*path, "method"), f"{name!r} is not a method: write it as GET")
    query = _discriminators(http.query)
    written = (schema or {}).get("properties")
    properties = frozenset(written if isinstance(written, Mapping) else ())
    params = [Pattern(name) for name in http.params]
    if graphql := http.graphql:
        wanted: GraphQL | None = GraphQL(
            name=Pattern(graphql.name), type=graphql.type, fields=frozenset(graphql.fields_)
        )
    else:
        wanted = None
    segments = _template(http, source, (*path, "path"))
    return HttpMatch(
        upstream=http.upstream,
        methods=frozenset(http.method),
        segments=segments,
        template="/" + "/".join(map(_written, segments)),
        absent_headers=tuple(Pattern(name.lower()) for name in http.without_header),
        service=http.service,
        headers=_discriminators({name.lower(): value for name, value in http.header.items()}),
        query=query,
        form=_discriminators(http.form),
        json=_discriminators(http.json_),
        graphql=wanted,
        declared=properties
        | {each.name for each in query}
        | {each.text for each in params if each.exact}
        | set(http.multi),
        declared_globs=tuple(each for each in params if not each.exact),
    )


def _discriminators(written: Mapping[str, tuple[str, ...]]) -> tuple[Discriminator, ...]:
    return tuple(
        Discriminator(name, tuple(map(Pattern, values))) for name, values in written.items()
    )


def _constants(match: HttpMatch | McpMatch) -> frozenset[tuple[str, str]]:
    """Return the fields that can only have one value here: they say which tool, not how."""
    if isinstance(match, McpMatch):
        return frozenset()
    kinds = (("query", match.query), ("form", match.form), ("json", match.json))
    return frozenset(
        (kind, each.name)
        for kind, discriminators in kinds
        for each in discriminators
        if each.constant is not None
    )


def _template(http: HttpEntry, source: Source, path: Path) -> tuple[Segment, ...]:
    text = http.path.removeprefix("/")
    segments: list[Segment] = []
    for part in text.split("/") if text else []:
        segment = _segment(part)
        if segment is None:
            source.refuse(path, _no_segment(part))
            continue
        if segments and segments[-1].kind is Kind.TAIL:
            source.refuse(path, f"{{{segments[-1].text}...}} takes the rest: put it last")
        if segment.kind is not Kind.LITERAL and segment.text in {
            each.text for each in segments if each.kind is not Kind.LITERAL
        }:
            source.refuse(path, f"{{{segment.text}}} occurs twice")
        segments.append(segment)
    return tuple(segments)


def _written(segment: Segment) -> str:
    if segment.kind is Kind.LITERAL:
        return segment.text
    return f"{{{segment.text}...}}" if segment.kind is Kind.TAIL else f"{{{segment.text}}}"


def _no_segment(part: str) -> str:
    """Return why *part* is no segment of a path; other products write parameters otherwise."""
    if part in _GLOBS:
        return f"{part!r} is no segment: write {_GLOBS[part]}, with a name of your own"
    if found := _FOREIGN.match(part):
        return f"{part!r} is no segment: write {{{found[found.lastindex or 0]}}}"
    return (
        f"{part!r} is neither a literal nor {{name}} nor {{name...}}; "
        "paths are written decoded, without '.', '..', '%', '?' or '#'"
    )


def _segment(part: str) -> Segment | None:
    found = _PARAMETER.match(part)
    if found:
        return Segment(Kind.TAIL if found[2] else Kind.PARAMETER, found[1])
    if _FOREIGN.match(part):
        return None
    if part in (".", "..") or any(character in "{}%?#*" for character in part):
        return None
    return Segment(Kind.LITERAL, part)


def _outside(entry: ToolEntry, match: HttpMatch | McpMatch) -> tuple[str, ...]:
    """Return the arguments that a schema need not name: of the path, or declared as parameters."""
    if entry.http is None or isinstance(match, McpMatch):
        return ()
    path = (each.text for each in match.segments if each.kind is not Kind.LITERAL)
    return (*path, *entry.http.params, *_varying(entry.http))


def _shape(entry: ToolEntry, outside: tuple[str, ...], source: Source, path: Path) -> Shape:
    try:
        return arguments_shape(entry.args_schema, outside)
    except ValueError as error:
        source.refuse((*path, "args_schema"), str(error))
        return Shape(kind="object")


def _varying(http: HttpEntry) -> Iterator[str]:
    for discriminators in (http.query, http.form, http.json_):
        for name, values in discriminators.items():
            if len(values) > 1 or "*" in values[0]:
                yield name


def _validator(
    entry: ToolEntry, outside: frozenset[str], source: Source, path: Path
) -> Validator | None:
    if entry.args_schema is None:
        return None
    here = (*path, "args_schema")
    for inside, message in wrong_keywords(entry.args_schema):
        source.refuse((*here, *inside), message, at_key=True)
    try:
        return compile_schema(entry.args_schema, outside)
    except ValueError as error:
        source.refuse(here, f"not a JSON Schema that we take: {error}")
        return None


def _undo(entry: ToolEntry, source: Source, path: Path) -> Undo | None:
    undo = entry.undo
    if undo is None or not (undo.tool or undo.reason):
        if entry.reversibility in ("reversible", "compensable"):
            source.refuse(
                (*path, "reversibility"),
                f"{entry.reversibility} needs an `undo`: {{tool: ..., within: 24h}}, "
                "or {reason: ...} where no call undoes it",
            )
        return None
    return Undo(
        tool=undo.tool,
        within=undo.within,
        reason=undo.reason,
        arguments=tuple(undo.arguments.items()),
    )


def _facets(
    entry: ToolEntry, tables: Tables, shape: Shape, source: Source, path: Path
) -> Iterator[Facet]:
    for name, given in entry.facets.items():
        here = (*path, "facets", name)
        table = tables.get(name)
        if table is None:
            hint = suggestion(name, tables) or f"; known: {', '.join(sorted(tables))}"
            source.refuse(here, f"unknown facet {name!r}{hint}", at_key=True)
        elif isinstance(table, tuple):
            value = source.value(here, str(given), shape)
            if value is not None:
                yield Facet(name=name, shown=str(given), value=value, bands=_bands(table))
        elif str(given) not in table:
            hint = suggestion(str(given), table) or f"; known: {', '.join(table)}"
            source.refuse(here, f"unknown class {str(given)!r} of {name}{hint}")
        else:
            yield Facet(name=name, shown=str(given), stake=Stake[table[str(given)].upper()])


def _bands(table: tuple[BandEntry, ...]) -> tuple[Band, ...]:
    return tuple(Band(upto=each.upto, stake=Stake[each.stake.upper()]) for each in table)


def _check_tables(source: Source) -> None:
    for name, table in source.model.stake.items():
        path: Path = ("stake", name)
        if not table:
            source.refuse(path, f"{name} has no entries")
        elif isinstance(table, tuple):
            _check_bands(table, source, path)


def _check_bands(table: tuple[BandEntry, ...], source: Source, path: Path) -> None:
    for index, band in enumerate(table):
        here = (*path, index)
        if band.upto is None:
            if index < len(table) - 1:
                source.refuse(here, "this band has no upper bound, so the next is never reached")
        elif index == len(table) - 1:
            source.refuse(here, "the last band takes all above: leave `upto` out")
        if index == 0:
            continue
        before = table[index - 1]
        if band.upto is not None and before.upto is not None and band.upto <= before.upto:
            source.refuse(here, f"upto {band.upto:g} is not above {before.upto:g}: never reached")
        if Stake[band.stake.upper()] < Stake[before.stake.upper()]:
            source.refuse(here, f"the stake falls from {before.stake} to {band.stake}")


def _check_editable(source: Source) -> None:
    known = {entry.id for entry in source.model.tools}
    for name in source.model.edit.allow or {}:
        if name not in known:
            source.refuse(
                ("edit", "allow", name),
                f"no tool {name!r} in this file{suggestion(name, known)}",
                at_key=True,
            )
