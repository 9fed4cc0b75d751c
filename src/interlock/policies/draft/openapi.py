"""OpenAPI 3.x and Swagger 2.0 documents, read into operations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from . import parameters
from .documents import References
from .operations import DraftError, Operation, Parameters
from .yaml_text import one_line

METHODS = ("get", "head", "options", "post", "put", "patch", "delete", "trace")
MAX_OPERATIONS = 5000
MAX_PATH = 400  # an entry takes 500, and parameters may be named at more length
_WORD = re.compile(r"[^A-Za-z0-9_-]+")
_BRACES = re.compile(r"\{([^{}]*)\}")
_REST = frozenset({"path", "filepath", "file_path", "filename", "ref", "name", "proxy"})


def read_openapi(document: Mapping[str, Any], file: str, upstream: str) -> list[Operation]:
    """Return the operations of *document*, in its order.

    Paths are below the path of its first server. Operations that no call can be told apart by
    come as one.

    Raises:
        DraftError: it is no OpenAPI document, or one that cannot be read within bounds.
    """
    version = document.get("openapi", document.get("swagger"))
    if not isinstance(version, str) or not re.match(r"(2\.0|3\.[0-9]+)", version):
        raise DraftError(f"{file}: no `openapi: 3.x` or `swagger: '2.0'` at the top")
    paths = document.get("paths")
    if not isinstance(paths, Mapping) or not paths:
        raise DraftError(f"{file}: no `paths`: nothing to draft")
    reader = _Reader(document, file, upstream)
    found = [
        operation
        for path, item in paths.items()
        if isinstance(path, str) and path.startswith("/")
        for operation in reader.operations(path, item)
    ]
    if not found:
        raise DraftError(f"{file}: its paths hold no operations")
    if len(found) > MAX_OPERATIONS:
        raise DraftError(
            f"{file}: {len(found)} operations; at most {MAX_OPERATIONS} are drafted. Draft from "
            "a part of it: the paths that agents need"
        )
    return _named(_merged(found), upstream)


def base_path(document: Mapping[str, Any]) -> str:
    """Return the path of the document's first server; "" where it has none."""
    if isinstance(document.get("basePath"), str):
        return str(document["basePath"]).rstrip("/")
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    if not isinstance(first, Mapping) or not isinstance(first.get("url"), str):
        return ""
    url = first["url"]
    variables = first.get("variables")
    for name, each in variables.items() if isinstance(variables, Mapping) else ():
        if isinstance(each, Mapping):
            url = url.replace(f"{{{name}}}", str(each.get("default", "")))
    try:
        path = urlsplit(url).path.rstrip("/")
    except ValueError:
        return ""
    return path if path.startswith("/") else ""


class _Reader:
    def __init__(self, document: Mapping[str, Any], file: str, upstream: str) -> None:
        self.document = document
        self.file = file
        self.upstream = upstream
        self.base = base_path(document)
        self.references = References(document, file)

    def operations(self, path: str, item: Any) -> Iterator[Operation]:
        entry = self.references.follow(item)
        if len(self.base + path) > MAX_PATH:
            raise DraftError(f"{self.file}: path {path[:60]!r}... is over {MAX_PATH} characters")
        shared = self._parameters(entry.get("parameters"))
        for method in METHODS:
            if isinstance(entry.get(method), Mapping):
                yield self._operation(path, method, entry[method], shared)

    def _operation(
        self, path: str, method: str, entry: Mapping[str, Any], shared: list[Mapping[str, Any]]
    ) -> Operation:
        own = self._parameters(entry.get("parameters"))
        given = {(each.get("in"), each.get("name")): each for each in (*shared, *own)}
        listed = list(given.values())
        body, consumes = self._body(entry, listed)
        found = parameters.of_http(self.references, listed, body, consumes, ())
        template, query = _template(self.base + path, listed, frozenset(found.properties))
        names = tuple(_BRACES.findall(template.replace("...", "")))
        tags = entry.get("tags")
        return Operation(
            key=f"{method.upper()} {path}",
            id="",
            upstream=self.upstream,
            name=_text(entry.get("operationId")),
            method=method.upper(),
            path=template,
            query=query,
            tags=tuple(map(str, tags)) if isinstance(tags, list) else (),
            summary=_text(entry.get("summary")),
            description=_text(entry.get("description")),
            parameters=replace(found, in_path=names),
        )

    def _parameters(self, listed: Any) -> list[Mapping[str, Any]]:
        if not isinstance(listed, list):
            return []
        return [self.references.follow(each) for each in listed[:200]]

    def _body(
        self, entry: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any] | None, list[str]]:
        """Return the schema of the body (None: no body) and its media types."""
        content = self.references.follow(entry.get("requestBody")).get("content")
        if isinstance(content, Mapping) and content:
            kinds = [str(each) for each in content]
            best = next((each for each in kinds if "json" in each or "form" in each), kinds[0])
            chosen = content[best]
            schema = chosen.get("schema") if isinstance(chosen, Mapping) else None
            return (schema if isinstance(schema, Mapping) else {}), kinds
        return self._swagger_body(entry, listed)

    def _swagger_body(
        self, entry: Mapping[str, Any], listed: Sequence[Mapping[str, Any]]
    ) -> tuple[Mapping[str, Any] | None, list[str]]:
        consumes = entry.get("consumes", self.document.get("consumes"))
        kinds = [str(each) for each in consumes] if isinstance(consumes, list) else []
        form = [each for each in listed if each.get("in") == "formData"]
        if form:
            fields = {str(each.get("name")): each for each in form}
            needed = [str(each.get("name")) for each in form if each.get("required") is True]
            return {"type": "object", "properties": fields, "required": needed}, kinds
        for each in listed:
            if each.get("in") == "body":
                schema = each.get("schema")
                return (schema if isinstance(schema, Mapping) else {}), kinds
        return None, []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _template(
    path: str, listed: Sequence[Mapping[str, Any]], taken: frozenset[str]
) -> tuple[str, dict[str, str]]:
    """Return the path as a template of the policy language, and the query that it fixes."""
    plain = path.partition("#")[0]
    plain, _, query = plain.partition("?")
    rest = {str(each.get("name")) for each in listed if _takes_slashes(each)}
    segments: list[str] = []
    names: set[str] = set()
    parts = plain.removeprefix("/").split("/")
    for index, part in enumerate(parts):
        found = _BRACES.search(part)
        if found is None:
            segments.append(_literal(part, names))
            continue
        name = _name(found[1], names | taken)
        names.add(name)
        is_rest = index == len(parts) - 1 and (found[1] in rest or found[1][:1] in ("+", "*"))
        segments.append(f"{{{name}...}}" if is_rest else f"{{{name}}}")
    pairs = parse_qsl(query, keep_blank_values=True)
    fixed = {key: value for key, value in pairs if parameters.is_name(key) and "*" not in value}
    return "/" + "/".join(segments), fixed


def _literal(part: str, names: set[str]) -> str:
    """Return a segment without parameters; one that no template may hold becomes a parameter."""
    text = unquote(part)
    if text in (".", "..") or any(each in "{}%?#*/" for each in text) or text != one_line(text):
        name = _name("segment", names)
        names.add(name)
        return f"{{{name}}}"
    return text


def _takes_slashes(parameter: Mapping[str, Any]) -> bool:
    if parameter.get("in") != "path":
        return False
    text = _text(parameter.get("description")).lower()
    return (
        parameter.get("x-multi-segment") is True
        or parameter.get("allowReserved") is True
        or ("path" in text and parameter.get("name") in _REST)
    )


def _name(text: str, taken: set[str] | frozenset[str]) -> str:
    """Return *text* as the name of a path parameter that is not yet taken."""
    name = _WORD.sub("_", text.strip("+*")).strip("_-") or "value"
    if not re.match(r"[A-Za-z_]", name):
        name = f"p_{name}"
    base = name
    if base in taken:
        base = name = f"path_{base}"
    for number in range(2, 1000):
        if name not in taken:
            break
        name = f"{base}_{number}"
    return name


def _shape(operation: Operation) -> tuple[str, str, tuple[tuple[str, str], ...]]:
    path = re.sub(r"\{[^{}]*\.\.\.\}", "{...}", operation.path)
    path = re.sub(r"\{[^{}.]*\}", "{}", path)
    return operation.method, path, tuple(sorted(operation.query.items()))


def _merged(found: Sequence[Operation]) -> list[list[Operation]]:
    """Group what one template stands for: `/a/{id}.json` and `/a/{id}:stop` are one to policy."""
    groups: dict[Any, list[Operation]] = {}
    for operation in found:
        groups.setdefault(_shape(operation), []).append(operation)
    return list(groups.values())


def _named(groups: Sequence[Sequence[Operation]], upstream: str) -> list[Operation]:
    """Give every group one operation, with an id of its own; it takes what any of them takes."""
    taken: set[str] = set()
    named = []
    for group in groups:
        first = group[0]
        plain = first.name or f"{first.method.lower()}.{first.path}"
        name = unique(f"{upstream}.{plain}", taken)
        named.append(joined(group, name))
    return named


def joined(group: Sequence[Operation], name: str) -> Operation:
    """Return one operation with the id *name* that takes what any of *group* takes."""
    first = group[0]
    members = tuple(group) if len(group) > 1 else ()
    widest = _widest([each.parameters for each in group])
    return replace(first, id=name, members=members, parameters=widest)


def _widest(group: Sequence[Parameters]) -> Parameters:
    first = group[0]
    if len(group) == 1:
        return first
    names = {name for each in group for name in (*each.properties, *each.params)}
    multi = {name for each in group for name in each.multi}
    return replace(
        first,
        schema=None,
        params=tuple(sorted(names - {*first.in_path})),
        multi=tuple(sorted(multi)),
    )


def unique(text: str, taken: set[str]) -> str:
    """Return *text* as an id of the policy language that is not in *taken*, and add it there."""
    plain = re.sub(r"[^A-Za-z0-9_.:-]+", "_", text).strip("_.:-")[:90] or "operation"
    name = plain
    for number in range(2, MAX_OPERATIONS + 2):
        if name not in taken:
            break
        name = f"{plain}-{number}"
    taken.add(name)
    return name
