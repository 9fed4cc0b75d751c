"""What `interlock.yaml` may say under `notify`: one key for each file of `interlock.notify`.

A channel's settings are a class here, a field of `Notify`, and what `channel(settings)` of its
file takes. A test demands all three, a section of docs/channels.md and tests.
"""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
)

from .settings_types import Duration, Hidden, Node, Secret, plain_name, secret

Name = Annotated[str, AfterValidator(plain_name)]
NoticeName = Literal["held", "sent", "reminder", "escalated", "settled"]
MOST_CHANNELS = 20  #: of one kind


def by_name(value: Any) -> Any:
    """Check that each channel of a kind stands below a name of its own."""
    if isinstance(value, dict) and not all(isinstance(each, dict) for each in value.values()):
        raise ValueError("put the settings below a name of your own: `{ops: {url: ...}}`")
    return _frozen(value)


def _frozen(value: Any) -> Any:
    """Return *value* with tuples for lists: what a function returns is not read as JSON."""
    if isinstance(value, dict):
        return {name: _frozen(each) for name, each in value.items()}
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def hook_url(value: Any, info: ValidationInfo) -> Hidden:
    """Read an http(s) URL that may be a secret by itself: as it is, or from where it is kept."""
    hidden = Hidden(value, "here") if isinstance(value, str) else secret(value, info)
    try:
        parts = urlsplit(hidden.reveal())
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("write a URL that begins with http:// or https://")
    if parts.username or parts.password is not None or parts.fragment:
        raise ValueError("this URL may have no user, password or `#`")
    return hidden


def signing(value: Hidden) -> Hidden:
    """Check a secret of Standard Webhooks: `whsec_` and 24 to 64 bytes in base64."""
    try:
        key = base64.b64decode(value.reveal().removeprefix("whsec_"), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(
            f"{value.place} is no secret of Standard Webhooks: 24 to 64 bytes in base64 behind"
            " `whsec_`, such as `echo whsec_$(openssl rand -base64 32)` prints"
        )
    return value


HookUrl = Annotated[Hidden, PlainValidator(hook_url), PlainSerializer(repr, str)]
SigningSecret = Annotated[Secret, AfterValidator(signing)]


class NotifyLog(Node):
    """Write a line to the log for each call that waits. Has no settings."""


class ChannelSettings(Node):
    """What every channel has that goes through the outbox."""

    notices: tuple[NoticeName, ...] = Field(
        default=("held", "sent", "reminder", "escalated", "settled"),
        min_length=1,
        description="What people are told of: a call waits (`held`), was let through at level"
        " notify (`sent`), still waits (`reminder`), more people may decide (`escalated`), it waits"
        " no more (`settled`).",
    )
    arguments: bool = Field(
        default=False,
        description="Also tell the arguments of calls, visible, cut short, without what policy"
        " hides or its detectors find. Whoever reads the channel then reads them.",
    )
    digest: Duration | None = Field(
        default=None,
        ge=0,
        le=7 * 86_400,
        description="Tell of `sent` together, so often. Absent: as `levels.notify.digest` of the"
        " policy says; 0s: one by one.",
    )


class WebhookSettings(ChannelSettings):
    """Post each notice to a URL of yours, signed; see docs/channels.md. NAME is yours."""

    url: HookUrl = Field(description="Where it is posted to; from a variable or file if secret.")
    secrets: tuple[SigningSecret, ...] = Field(
        min_length=1,
        max_length=5,
        description="What it is signed with (`whsec_...`). Several while one takes over from"
        " another: one signature of each.",
    )
    allow_private: bool = Field(
        default=False, description="Whether it may be at a private or loopback address."
    )
    timeout: Duration = Field(
        default=15.0, gt=0, le=60, description="How long the receiver may take to answer."
    )


Webhooks = Annotated[dict[Name, WebhookSettings], BeforeValidator(by_name)]


class Notify(Node):
    """How people hear of waiting calls."""

    log: NotifyLog | None = Field(default=NotifyLog(), description="To the log.")
    webhook: Webhooks = Field(
        default={}, max_length=MOST_CHANNELS, description="To URLs, by names of yours."
    )
