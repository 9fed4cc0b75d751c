"""The settings of the tools: HTTP upstreams, MCP servers, and how their callers are answered."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from .settings_types import (
    Duration,
    EndpointUrl,
    Name,
    Node,
    Secret,
    Size,
    WebUrl,
    header_name,
    is_private,
)

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
