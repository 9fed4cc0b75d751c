"""What is worth telling once Interlock is up: `app` fills it in, `cli.serve` prints it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from .core.decisions import PolicyRef
from .doctor import Weakness
from .ports import Durability


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A running Interlock. URLs have no slash at the end; `links` are one-time sign-in URLs."""

    agents: str
    people: str
    store: str  #: where, for people: never with a password
    durability: Durability
    policy: PolicyRef
    upstreams: tuple[str, ...] = ()
    servers: tuple[str, ...] = ()  #: of MCP, over HTTP
    links: Mapping[str, str] = field(default_factory=dict, repr=False)
    weaknesses: tuple[Weakness, ...] = ()
    operator_keys: Mapping[str, Path] = field(default_factory=dict)
    reload: Callable[[], None] = lambda: None  #: has the policy files read again, soon
