"""A call as people see it: what will be sent, its arguments, what differs; see `models`."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from .models import Model


class Body(Model):
    """A request body, in full unless `whole` is false."""

    size: int
    media_type: str
    kind: str
    sha256: str
    whole: bool
    text: str | None = Field(description="where it is UTF-8")
    base64: str | None = Field(description="where it is not")
    visible: str
    pretty: str | None = Field(
        description="JSON, indented; null where that is much longer. The bytes are in `visible`"
    )


class Call(Model):
    """The exact call as it will be sent; credentials in headers are masked."""

    method: str
    url: str
    upstream: str
    base: str
    target: str
    service: str
    region: str
    headers: list[tuple[str, str]]
    masked: list[str] = Field(description="names of the headers whose values are masked")
    hidden: list[str] = Field(description="parts not shown until revealed: `target`, `body`")
    body: Body


class Argument(Model):
    """One argument of the tool: its value, its JSON to start an edit from, and what is read."""

    name: str
    source: str
    value: Any
    json_text: str
    visible: str
    editable: bool
    redacted: bool = Field(description="hidden until revealed: `value` is null, `json_text` empty")
    revealed: bool = Field(description="policy hides it; it is shown here by `reveal`")


class Difference(Model):
    """One argument, or part of the request, before and after an edit; None: absent."""

    where: str
    before: str | None
    after: str | None
    same_above: int = Field(default=0, description="lines left out of both: they are the same")
    same_below: int = Field(default=0, description="lines left out of both: they are the same")
