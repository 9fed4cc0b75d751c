"""What the matcher needs to know of a call, read at most once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .actions import Body, ToolCall
from .graphql import Operation, read_operation
from .patterns import Pattern


class Reading:
    """What the matcher needs to know of a call, read at most once."""

    __slots__ = ("body", "call", "headers", "operation", "query", "segments")

    def __init__(self, call: ToolCall) -> None:
        self.call = call
        path = call.path.removeprefix("/")
        self.segments = path.split("/") if path else []
        self.query: dict[str, str | None] = {}
        for name, value in call.query:
            self.query[name] = None if name in self.query else value
        self.headers: dict[str, str | None] | None = None
        self.body = call.content.value if isinstance(call.content.value, Mapping) else None
        self.operation: Operation | None | bool = False

    def header(self, name: str) -> str | None:
        return self._all_headers().get(name)

    def has_header(self, name: str) -> bool:
        return name in self._all_headers()

    def has_any_header(self, pattern: Pattern) -> bool:
        return any(pattern.matches(name) for name in self._all_headers())

    def _all_headers(self) -> dict[str, str | None]:
        if self.headers is None:
            self.headers = {}
            for name, value in self.call.headers:
                key = name.lower()
                # A repeated header has no one value, so that it matches no discriminator.
                self.headers[key] = None if key in self.headers else value.strip()
        return self.headers

    def field(self, kind: Body, name: str) -> Any:
        if self.call.content.kind is not kind or self.body is None:
            return None
        if kind is Body.FORM:
            return self.body.get(name)
        value: Any = self.body
        for part in name.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value

    def graphql(self) -> Operation | None:
        if self.operation is False:
            is_json = self.call.content.kind is Body.JSON
            self.operation = read_operation(self.body) if is_json and self.body else None
        return self.operation if isinstance(self.operation, Operation) else None

    def value(self, probe: tuple[str, str]) -> Any:
        kind, name = probe
        if kind == "form":
            return self.field(Body.FORM, name)
        if kind == "json":
            return self.field(Body.JSON, name)
        if kind == "query":
            return self.query.get(name)
        return self.header(name) if kind == "header" else self.call.service
