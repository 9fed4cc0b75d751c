"""What `interlock.yaml` may say: one frozen tree. Durations are seconds, sizes are bytes.

`config.load_config` reads it; `docs/configuration.md` is generated from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError, model_validator
from pydantic_core import InitErrorDetails, PydanticCustomError

from .settings_notify import Notify
from .settings_people import Oidc, SessionSettings
from .settings_tools import Mcp, ServerSettings, UpstreamSettings
from .settings_types import (
    Address,
    Duration,
    FilePath,
    Group,
    Listen,
    Name,
    Node,
    Person,
    Secret,
    Size,
    StoreUrl,
    WebUrl,
    checked,
    embedded_or_mapping,
    long_enough,
)


class Anonymous(Node):
    """Who an agent is that sends no key. Only taken where the agents' listener is loopback."""

    id: Name = Field(default="local", description="The id that calls without a key get.")
    owner: Person | Literal[""] = Field(
        default="", description="The person answerable for them, who may never approve their calls."
    )


class Agents(Node):
    """The agents' side: the listener that tools are called through."""

    listen: Listen = Field(
        default=Address("127.0.0.1", 8080), description="Where agents call: HOST:PORT."
    )
    hosts: tuple[str, ...] = Field(
        default=(),
        description="Further names under which agents reach this listener (`Host`), such as "
        "`interlock.internal`. Others are refused while it listens on loopback only.",
    )
    anonymous: Anonymous | None = Field(
        default=None,
        description="Lets agents in without a key, under this identity. Absent: all need one.",
    )
    hold: Duration = Field(
        default=4.0,
        ge=0,
        le=600,
        description="How long a held call's connection is kept open before the agent is told that "
        "it waits (`Prefer: wait=N` overrides). httpx gives up after 5 s.",
    )
    max_body: Size = Field(
        default=1 << 20, gt=0, le=64 << 20, description="Largest body that an agent may send."
    )
    held_per_agent: int = Field(
        default=1000, gt=0, description="Calls of one agent that may wait at once; then 429."
    )
    held_in_all: int = Field(
        default=100_000, gt=0, description="Calls that may wait at once, of all agents; then 429."
    )
    kept_per_agent: Size = Field(
        default=256 << 20,
        gt=0,
        le=1 << 40,
        description="What one agent can make the store keep a day; then 429 for new keyed calls,"
        " sessions and counters. About 3 KiB a call with an Idempotency-Key.",
    )
    sessions_per_agent: int = Field(
        default=1000,
        gt=0,
        description="Sessions of one agent whose stated request is kept at a time; then 429.",
    )

    @model_validator(mode="after")
    def _anonymous_stays_home(self) -> Self:
        if self.anonymous is not None and not self.listen.loopback:
            raise ValueError(
                f"`anonymous` is only taken on a loopback listener, not on {self.listen}: "
                f"remove it, and make keys with `interlock keys create`"
            )
        return self


class LocalPerson(Node):
    """Somebody who may sign in by a one-time link that `interlock serve` prints."""

    id: Person = Field(description="Who it is, as recorded with each decision.")
    groups: tuple[Group, ...] = Field(
        default=(), description="Groups, as policies name them under `approvers`."
    )


class People(Node):
    """The people's side: page, API, metrics and health."""

    listen: Listen = Field(
        default=Address("127.0.0.1", 8081), description="Where people and scrapers come: HOST:PORT."
    )
    url: WebUrl = Field(
        default="",
        description="How people reach it, where that differs: `https://interlock.example.com`. "
        "Links in notifications and sign-in cookies follow it.",
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="Further names under which people reach it (`Host`)."
    )
    local: tuple[LocalPerson, ...] = Field(
        default=(), description="People who may sign in by a one-time link on the console."
    )
    sessions: SessionSettings = Field(
        default=SessionSettings(), description="How long a browser stays signed in."
    )
    metrics: Literal["anybody", "key"] = Field(
        default="anybody",
        description="Who may read `/metrics`: `anybody` who reaches this listener, or who sends a "
        "key of a metrics reader, an auditor or an admin.",
    )
    oidc: Oidc | None = Field(
        default=None, description="Sign-in at an OpenID Connect provider. Absent: there is none."
    )

    @model_validator(mode="after")
    def _comes_back(self) -> Self:
        url = self.url or f"http://{self.listen}"
        near = Address(urlsplit(url).hostname or "", 0).loopback
        if self.oidc is not None and not near and not url.startswith("https://"):
            raise ValueError(
                "with `oidc` the provider sends people back to `url`: set it to the https:// "
                "address under which they reach this listener"
            )
        return self


class Embedded(Node):
    """The store that Interlock starts by itself: a Valkey server under the data directory."""

    fsync: Literal["everysec", "always"] = Field(
        default="always",
        description="`always`: what was answered is on disk. `everysec` is faster and may lose the "
        "last two seconds when the store or the machine crashes.",
    )
    max_memory: Size = Field(
        default=1 << 30,
        ge=0,
        description="Bound of its memory; 0: none. When full, calls are refused.",
    )


class StoreSettings(Node):
    """Where held calls, records and keys are kept."""

    url: StoreUrl | None = Field(
        default=None,
        description="A Redis or Valkey server of yours: `redis://`, `rediss://` or `unix://`. "
        "With a password: `{from_env: NAME}` or `{from_file: path}`. Absent: the embedded store.",
    )
    prefix: Name = Field(
        default="interlock", description="What every key in the store begins with."
    )
    embedded: Embedded = Field(default=Embedded(), description="Settings of the embedded store.")


class Retention(Node):
    """How long finished calls are kept. Held calls are never dropped."""

    unreviewed: Duration = Field(
        default=3_600.0,
        gt=0,
        description="Calls that needed no person; a day with an `Idempotency-Key`.",
    )
    reviewed: Duration = Field(default=2_592_000.0, gt=0, description="Calls that were held.")
    joins: Duration = Field(
        default=600.0, ge=0, description="How long a finished call answers identical retries."
    )


class Log(Node):
    """What Interlock says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    format: Literal["text", "json"] = Field(default="text", description="For people or machines.")


def _stranger(user: str, person: str) -> InitErrorDetails:
    said = PydanticCustomError(
        "value_error",
        "{person} is not in `people.local`: give their groups as {id: {person}, groups: [...]}",
        {"person": person},
    )
    return InitErrorDetails(type=said, loc=("notify", "slack", "people", user), input=person)


class Config(Node):
    """All of `interlock.yaml`."""

    agents: Agents = Field(default=Agents(), description="The agents' side.")
    people: People = Field(default=People(), description="The people's side.")
    data: FilePath = Field(
        default=Path("interlock-data"),
        validate_default=True,
        description="Directory of the embedded store and the keys that Interlock makes; private.",
    )
    secret: Annotated[Secret, AfterValidator(checked(long_enough))] | None = Field(
        default=None,
        description="At least 32 characters, from which the keys of records are derived. Absent: "
        "made once, in the data directory. Replicas on one store need the same.",
    )
    store: Annotated[StoreSettings, BeforeValidator(embedded_or_mapping)] = Field(
        default=StoreSettings(), description="`embedded`, or where your server is."
    )
    retention: Retention = Field(
        default=Retention(), description="How long finished calls are kept."
    )
    policies: tuple[FilePath, ...] = Field(
        default=(),
        description="Policy files; together they are one policy. Read again when they change, and "
        "taken once the suites beside them pass.",
    )
    upstreams: dict[Name, UpstreamSettings] = Field(
        default={}, description="The tools, by the name that agents use in `/t/NAME/`."
    )
    servers: dict[Name, ServerSettings] = Field(
        default={}, description="MCP servers, by the name that agents use in `/mcp/NAME`."
    )
    mcp: Mcp = Field(default=Mcp(), description="How MCP clients are answered.")
    notify: Notify = Field(default=Notify(), description="How people hear of waiting calls.")
    log: Log = Field(default=Log(), description="Interlock's own log.")

    @model_validator(mode="after")
    def _one_name_each(self) -> Self:
        twice = sorted(self.upstreams.keys() & self.servers.keys())
        if twice:
            raise ValueError(f"`{twice[0]}` is an upstream and a server: give one another name")
        return self

    @model_validator(mode="after")
    def _slack_knows_groups(self) -> Self:
        local = {each.id for each in self.people.local}
        people = self.notify.slack.people if self.notify.slack else {}
        unknown = {
            user: each
            for user, each in people.items()
            if each.groups is None and each.id not in local
        }
        if unknown:  # each at its own line: a ValueError would be about all of the file
            raise ValidationError.from_exception_data(
                "Config", [_stranger(user, each.id) for user, each in unknown.items()]
            )
        return self

    @property
    def people_url(self) -> str:
        """Where people reach the page, without a slash at the end."""
        return self.people.url or f"http://{self.people.listen}"
