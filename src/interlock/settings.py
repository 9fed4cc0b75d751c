"""What `interlock.yaml` may say: one frozen tree. Durations are seconds, sizes are bytes.

`config.load_config` reads it; `docs/configuration.md` is generated from it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from .settings_notify import Notify
from .settings_people import Oidc, SessionSettings
from .settings_types import (
    Address,
    Duration,
    EndpointUrl,
    FilePath,
    Listen,
    Node,
    Secret,
    Size,
    StoreUrl,
    WebUrl,
    embedded_or_mapping,
    header_name,
    is_private,
    known_person,
    long_enough,
    plain_name,
    reviewed_name,
)

Name = Annotated[str, AfterValidator(plain_name)]
Person = Annotated[str, AfterValidator(known_person)]
Group = Annotated[str, AfterValidator(reviewed_name)]
HeaderName = Annotated[str, AfterValidator(header_name)]
Preset = Literal[
    "default",
    "openai-agents",
    "pydantic-ai",
    "langchain",
    "fastmcp",
    "typescript",
    "claude-code",
    "claude-desktop",
    "cursor",
    "vscode",
]
Status = Annotated[int, Field(ge=200, le=599)]
RefusalStatus = Annotated[int, Field(ge=400, le=599)]


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


class HeaderCredential(Node):
    """A header of any name that carries the credential."""

    name: HeaderName = Field(description="The header that carries it, such as `X-Api-Key`.")
    value: Secret = Field(description="Its value.")


class BasicCredential(Node):
    """User and password, as RFC 7617 says."""

    user: str = Field(description="User name.")
    password: Secret = Field(description="Password.")


class AwsCredential(Node):
    """Keys to sign requests for AWS with; the caller's signature says which service and region."""

    access_key_id: Secret = Field(description="AWS access key id.")
    secret_access_key: Secret = Field(description="AWS secret access key.")
    session_token: Secret | None = Field(default=None, description="AWS session token, if any.")
    services: tuple[Name, ...] = Field(
        min_length=1,
        description="Services that may be signed for, such as `[s3, ec2]`; others are not sent.",
    )


class ServerCredentials(Node):
    """What Interlock shows the server; exactly one kind. Agents need none of it."""

    header: HeaderCredential | None = Field(default=None, description="One header.")
    bearer: Secret | None = Field(default=None, description="`Authorization: Bearer ...`.")
    basic: BasicCredential | None = Field(default=None, description="`Authorization: Basic ...`.")

    @model_validator(mode="after")
    def _one(self) -> Self:
        kinds = [name for name in type(self).model_fields if getattr(self, name) is not None]
        if len(kinds) != 1:
            given = " and ".join(kinds) or "none"
            raise ValueError(f"give exactly one kind of credential, not {given}")
        return self


class Credentials(ServerCredentials):
    """What Interlock shows the upstream; exactly one kind. Agents need none of it."""

    aws_sigv4: AwsCredential | None = Field(
        default=None, description="Each request is signed anew with AWS Signature 4."
    )


class Refused(Node):
    """How a refusal looks to the agent."""

    status: RefusalStatus = Field(default=403, description="HTTP status.")
    format: Literal["problem", "aws"] = Field(
        default="problem",
        description="`problem`: RFC 9457; `aws`: the error format of the AWS service called.",
    )


class Pending(Node):
    """How a call that waits longer than `hold` looks to the agent."""

    status: Status = Field(
        default=202, description="HTTP status. 503 makes SDKs that retry join the held call."
    )


class UpstreamSettings(Node):
    """A tool behind Interlock; agents reach it at `/t/NAME/...`."""

    url: WebUrl = Field(min_length=1, description="Its base URL.")
    forward_headers: tuple[HeaderName, ...] = Field(
        default=(), description="Headers of the agent that pass, besides the usual ones."
    )
    credentials: Credentials | None = Field(
        default=None, description="What Interlock adds to each request to be let in."
    )
    allow_private: bool = Field(
        default=False, description="Whether it may be at a private or loopback address."
    )
    connect_timeout: Duration = Field(
        default=5.0, gt=0, le=60, description="Nothing was sent when this passes."
    )
    timeout: Duration = Field(
        default=60.0,
        gt=0,
        le=3600,
        description="Longest silence while it answers; then the outcome is unknown.",
    )
    max_answer: Size = Field(
        default=8 << 20, gt=0, le=256 << 20, description="How much of an answer is kept for replay."
    )
    refused: Refused = Field(default=Refused(), description="How a refusal looks.")
    pending: Pending = Field(default=Pending(), description="How a waiting call looks.")
    hold: Duration | None = Field(
        default=None, ge=0, le=600, description="As `agents.hold`, for this upstream."
    )
    joins: Literal["fingerprint", "idempotency-key"] = Field(
        default="fingerprint",
        description="What makes a repeated call join the first: equal content from the same agent "
        "and session, or only an equal `Idempotency-Key`.",
    )
    tell_edits: bool = Field(
        default=True,
        description="Whether JSON answers of edited calls gain an `_interlock` member that says "
        "what was executed instead.",
    )
    service_from: Literal["aws_sigv4"] | None = Field(
        default=None,
        description="`aws_sigv4`: read service and region from the caller's AWS signature, for "
        "policies that match on `service`. Implied by `credentials.aws_sigv4`.",
    )

    @property
    def reads_service(self) -> str:
        """`aws_sigv4` where service and region are read from the caller's signature, or empty."""
        signs = self.credentials is not None and self.credentials.aws_sigv4 is not None
        return "aws_sigv4" if signs else self.service_from or ""

    @model_validator(mode="after")
    def _private_is_said(self) -> Self:
        if not self.allow_private and is_private(self.url):
            raise ValueError(
                f"{self.url} is a private or loopback address: add `allow_private: true` if the "
                f"tool really is there"
            )
        return self


class McpClient(Node):
    """How an agent's MCP client is answered while a call waits for people."""

    preset: Preset = Field(
        default="default",
        description="What the client can take; see docs/mcp.md. The other settings go before it.",
    )
    hold: Duration | None = Field(
        default=None,
        ge=0,
        le=600,
        description="How long a held call's connection is kept open before the model is told that"
        " it waits.",
    )
    rounds: bool | None = Field(
        default=None,
        description="Answer clients of 2026-07-28 in rounds, each with a fresh time-out: up to"
        " 8 of 20 s. openai-agents fails on it.",
    )
    errors: bool | None = Field(
        default=None,
        description="Mark refusals with `isError`. pydantic-ai ends its run at the second one.",
    )
    tasks: bool = Field(
        default=True, description="Give a task to clients that declare the tasks extension."
    )
    task_after: Duration = Field(
        default=0.0,
        ge=0,
        le=600,
        description="Such a client also gets a task for a call whose tool takes longer; 0: never.",
    )
    tools: bool = Field(
        default=True, description="List `interlock_wait` and `interlock_cancel` among the tools."
    )


class Mcp(Node):
    """How MCP clients are answered while a call waits for people."""

    default: McpClient = Field(default=McpClient(), description="All agents but those below.")
    agents: dict[Name, McpClient] = Field(default={}, description="By the agent's id.")

    def of(self, agent_id: str) -> McpClient:
        """Return how the client of an agent is answered."""
        return self.agents.get(agent_id, self.default)


class ServerSettings(Node):
    """An MCP server behind Interlock; agents reach it at `/mcp/NAME`, or over pipes."""

    url: EndpointUrl | None = Field(
        default=None,
        description="Its endpoint, as its documentation says. Absent: `interlock mcp --server NAME"
        " -- COMMAND` starts it, and speaks with it over pipes.",
    )
    transport: Literal["streamable-http", "sse"] = Field(
        default="streamable-http",
        description="`sse` for servers of 2024-11-05 (HTTP+SSE); `url` is then that of the stream.",
    )
    forward_headers: tuple[HeaderName, ...] = Field(
        default=(), description="Headers of the client that pass, besides those of MCP."
    )
    credentials: ServerCredentials | None = Field(
        default=None, description="What Interlock adds to each request to be let in."
    )
    allow_private: bool = Field(
        default=False, description="Whether it may be at a private or loopback address."
    )
    connect_timeout: Duration = Field(
        default=5.0, gt=0, le=60, description="Nothing was sent when this passes."
    )
    timeout: Duration = Field(
        default=300.0,
        gt=0,
        le=3600,
        description="Longest silence while a tool answers; then the outcome is unknown.",
    )
    max_answer: Size = Field(
        default=8 << 20, gt=0, le=256 << 20, description="How much of an answer is kept for replay."
    )
    gates: tuple[Literal["resources/read", "prompts/get", "tasks/update"], ...] = Field(
        default=(),
        description="What is judged besides `tools/call`; policy names it as it names tools.",
    )
    sampling: Literal["pass", "refuse"] = Field(
        default="pass", description="Whether the server may ask the client's own model."
    )
    hide_denied: bool = Field(
        default=False, description="Leave tools that policy always denies out of the list."
    )
    definitions: Literal["first-use", "ask"] = Field(
        default="first-use",
        description="`first-use`: what the server says of its tools when it is first listed counts"
        " as accepted. `ask`: every tool waits for a person's acceptance. Changes always do.",
    )
    tell_edits: bool = Field(
        default=True, description="Whether answers of edited calls say what was executed instead."
    )

    @model_validator(mode="after")
    def _reachable(self) -> Self:
        if self.url is not None and not self.allow_private and is_private(self.url):
            raise ValueError(
                f"{self.url} is a private or loopback address: add `allow_private: true` if the "
                f"server really is there"
            )
        if self.url is None and (self.credentials is not None or self.transport == "sse"):
            raise ValueError("a server without `url` is started as a command: give `url`")
        return self


class Log(Node):
    """What Interlock says about itself, on standard error."""

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is logged."
    )
    format: Literal["text", "json"] = Field(default="text", description="For people or machines.")


class Config(Node):
    """All of `interlock.yaml`."""

    agents: Agents = Field(default=Agents(), description="The agents' side.")
    people: People = Field(default=People(), description="The people's side.")
    data: FilePath = Field(
        default=Path("interlock-data"),
        validate_default=True,
        description="Directory of the embedded store and the keys that Interlock makes; private.",
    )
    secret: Annotated[Secret, AfterValidator(long_enough)] | None = Field(
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
        people = self.notify.slack.people.values() if self.notify.slack else ()
        unknown = sorted({each.id for each in people if each.groups is None} - local)
        if unknown:
            raise ValueError(
                f"`notify.slack.people`: {unknown[0]} is not in `people.local`: give their groups"
                f" as {{id: {unknown[0]}, groups: [...]}}"
            )
        return self

    @property
    def people_url(self) -> str:
        """Where people reach the page, without a slash at the end."""
        return self.people.url or f"http://{self.people.listen}"
