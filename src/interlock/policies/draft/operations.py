"""What a draft is made from and of: operations as their makers describe them, and guesses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...core.decisions import Reversibility, Stake


class DraftError(ValueError):
    """A document or a server from which nothing can be drafted; the text says why and the cure."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """The arguments of an operation, as the policy language takes them.

    `schema` is JSON Schema; `params` and `multi` as in an entry's `http`. `bodies` is the entry's
    `body`; None where the default fits. `texts` are the parameters' descriptions.
    """

    schema: Mapping[str, Any] | None = None
    params: tuple[str, ...] = ()
    multi: tuple[str, ...] = ()
    bodies: tuple[str, ...] | None = None
    in_path: tuple[str, ...] = ()
    in_query: tuple[str, ...] = ()
    texts: Mapping[str, str] = field(default_factory=dict)

    @property
    def properties(self) -> Mapping[str, Any]:
        found = (self.schema or {}).get("properties") or {}
        return found if isinstance(found, Mapping) else {}

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((*self.in_path, *self.properties, *self.params)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One operation of an HTTP API, or one tool of an MCP server (then `method` is empty).

    `key` is how its maker names it: `DELETE /users/{id}`, or the tool's name. `path` is the
    template as the policy language writes it, `query` what of the query is part of the operation.
    """

    key: str
    id: str
    upstream: str
    name: str
    method: str = ""
    path: str = ""
    query: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    summary: str = ""
    description: str = ""
    parameters: Parameters = Parameters()
    annotations: Mapping[str, bool] = field(default_factory=dict)
    definition: str = ""
    members: tuple[Operation, ...] = ()  #: those that no call can be told apart by, this included

    @property
    def text(self) -> str:
        return f"{self.summary}. {self.description}" if self.summary else self.description


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """How an effect is taken back: by another operation, or as `reason` says."""

    tool: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Guess:
    """What an operation was taken for, why, and what of it a person has to `confirm`."""

    reversibility: Reversibility
    facets: Mapping[str, str]
    stake: Stake
    undo: Undo | None = None
    egress: bool = False
    taints: tuple[str, ...] = ()
    target: tuple[str, ...] = ()
    why: tuple[str, ...] = ()
    confirm: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Drafted:
    """An operation with its guess."""

    operation: Operation
    guess: Guess
