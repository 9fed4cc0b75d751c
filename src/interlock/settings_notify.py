"""What `interlock.yaml` may say under `notify`: one key for each file of `interlock.notify`.

A channel's settings are a class here, a field of `Notify`, and what `channel(settings)` of its
file takes. A test demands all three, a section of docs/channels.md and tests.
"""

from __future__ import annotations

import base64
import binascii
import importlib.util
import re
from collections.abc import Callable
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    PlainSerializer,
    PlainValidator,
    ValidationInfo,
    model_validator,
)

from .notify.apprise import understood
from .settings_types import (
    Duration,
    Group,
    Hidden,
    Name,
    Node,
    Person,
    Secret,
    WebUrl,
    checked,
    is_private,
    secret,
)

NoticeName = Literal["held", "sent", "reminder", "escalated", "asked", "settled"]
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
    if hidden.missing:
        return hidden
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


def bot_token(value: Hidden) -> Hidden:
    """Check that a token of Slack is a bot's: `xoxb-`, or `xoxe.xoxb-` where tokens rotate."""
    if not value.reveal().strip().startswith(("xoxb-", "xoxe.xoxb-")):
        raise ValueError(
            f"{value.place} has no bot token of Slack, which begins with xoxb-: copy the `Bot User"
            " OAuth Token` from the app's page OAuth & Permissions (xoxp- is a person's, xapp- an"
            " app's)"
        )
    return value


def apprise_url(value: Hidden) -> Hidden:
    """Check that Apprise understands a URL. What it says itself could hold the URL."""
    if importlib.util.find_spec("apprise") is None:
        return value  # that the package is missing is said of all of them
    if not understood(value.reveal()):
        raise ValueError(
            f"{value.place} has no URL that Apprise understands, such as"
            " mailtos://USER:PASSWORD@example.com: try it with `apprise -b test URL`; see"
            " https://appriseit.com/services/"
        )
    return value


def _slack_id(kind: str, letters: str, example: str) -> Callable[[str], str]:
    pattern = re.compile(rf"[{letters}][A-Z0-9]{{5,20}}", re.ASCII)

    def check(value: str) -> str:
        if not pattern.fullmatch(value):
            raise ValueError(f"write {kind} as Slack shows it, such as {example}")
        return value

    return check


slack_user = _slack_id("a user's id", "UW", "U0123ABCD")
slack_app = _slack_id("the app's id", "A", "A0123ABCD")
slack_team = _slack_id("the workspace's id", "T", "T0123ABCD")
_channel_id = _slack_id("the channel's id", "CGD", "C0123ABCD or #approvals")


def slack_channel(value: str) -> str:
    """Check a channel: an id, or `#name`."""
    if re.fullmatch(r"#[a-z0-9_-]{1,80}", value, re.ASCII):
        return value
    return _channel_id(value)


def slack_person(value: Any) -> Any:
    """Read a person by their id alone."""
    return {"id": value} if isinstance(value, str) else _frozen(value)


HookUrl = Annotated[Hidden, PlainValidator(hook_url), PlainSerializer(repr, str)]
SigningSecret = Annotated[Secret, AfterValidator(checked(signing))]
BotToken = Annotated[Secret, AfterValidator(checked(bot_token))]
AppriseUrl = Annotated[Secret, AfterValidator(checked(apprise_url))]


class NotifyLog(Node):
    """Write a line to the log for each call that waits. Has no settings."""


class ChannelSettings(Node):
    """What every channel has that goes through the outbox."""

    notices: tuple[NoticeName, ...] = Field(
        default=("held", "sent", "reminder", "escalated", "asked", "settled"),
        min_length=1,
        description="What people are told of: a call waits (`held`), was let through at level"
        " notify (`sent`), still waits (`reminder`), more people may decide (`escalated`), somebody"
        " is asked to decide it (`asked`), it waits no more (`settled`).",
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

    @model_validator(mode="after")
    def _private_is_said(self) -> Self:
        if not (self.allow_private or self.url.missing) and is_private(self.url.reveal()):
            raise ValueError(
                "`url` is at a private or loopback address: add `allow_private: true` if the"
                " receiver really is there"
            )
        return self


Webhooks = Annotated[dict[Name, WebhookSettings], BeforeValidator(by_name)]


class SlackPerson(Node):
    """Who a Slack user is here."""

    id: Person = Field(description="The person, as recorded with each decision.")
    groups: tuple[Group, ...] | None = Field(
        default=None,
        description="Groups, as policies name them under `approvers`. Absent: as `people.local`"
        " says of this id.",
    )


SlackPeople = dict[
    Annotated[str, AfterValidator(slack_user)],
    Annotated[SlackPerson, BeforeValidator(slack_person)],
]


class SlackSettings(ChannelSettings):
    """A message in a Slack channel for each held call, with buttons; see docs/channels.md."""

    token: BotToken = Field(description="The bot's token (`xoxb-...`), scope `chat:write`.")
    channel: Annotated[str, AfterValidator(slack_channel)] = Field(
        description="The channel's id (`C0123ABCD`), or `#name`. The bot must be a member."
    )
    signing_secret: Secret | None = Field(
        default=None,
        description="The app's signing secret. With `app`, `team` and `people` there are buttons;"
        " without there is only a link.",
    )
    app: Annotated[str, AfterValidator(slack_app)] = Field(
        default="", description="The app's id (`A0123ABCD`); no other app's buttons are heard."
    )
    team: Annotated[str, AfterValidator(slack_team)] = Field(
        default="", description="The workspace's id (`T0123ABCD`); no other one's are heard."
    )
    people: SlackPeople = Field(
        default={},
        description="Who may decide from Slack, by Slack user id: `{U0123ABCD: ann}`, where `ann`"
        " is in `people.local`; else `{U0123ABCD: {id: ann, groups: [ops]}}`.",
    )
    approve: bool = Field(
        default=False,
        description="Draw an Approve button where all of the exact request is in the message, and"
        " one approval is all that policy asks for. Needs `arguments: true`.",
    )
    api_url: WebUrl = Field(
        default="https://slack.com/api",
        description="Slack's Web API, where that differs: `https://slack-gov.com/api`.",
    )

    @property
    def decides(self) -> bool:
        """Whether people may decide from Slack."""
        return self.signing_secret is not None

    @model_validator(mode="after")
    def _all_or_nothing(self) -> Self:
        named = {
            "signing_secret": self.signing_secret is not None,
            "app": bool(self.app),
            "team": bool(self.team),
            "people": bool(self.people),
        }
        missing = [f"`{name}`" for name, given in named.items() if not given]
        if missing and len(missing) < len(named):
            raise ValueError(f"buttons need {', '.join(missing)} too; give all four or none")
        if self.approve and missing:
            raise ValueError(f"`approve: true` needs buttons: give {', '.join(missing)}")
        if self.approve and not self.arguments:
            raise ValueError("`approve: true` shows whole requests in Slack: add `arguments: true`")
        return self


class AppriseSettings(ChannelSettings):
    """E-mail, Teams and whatever else Apprise reaches; needs `pip install 'interlock[apprise]'`."""

    urls: tuple[AppriseUrl, ...] = Field(
        min_length=1,
        max_length=MOST_CHANNELS,
        description="Apprise URLs, each from a variable or file: they hold credentials.",
    )
    timeout: Duration = Field(
        default=30.0, gt=0, le=300, description="How long all of them may take together."
    )

    @model_validator(mode="after")
    def _installed(self) -> Self:
        if importlib.util.find_spec("apprise") is None:
            raise ValueError("this needs the package apprise: pip install 'interlock[apprise]'")
        return self


class Notify(Node):
    """How people hear of waiting calls."""

    log: NotifyLog | None = Field(default=NotifyLog(), description="To the log.")
    webhook: Webhooks = Field(
        default={}, max_length=MOST_CHANNELS, description="To URLs, by names of yours."
    )
    slack: SlackSettings | None = Field(default=None, description="To a channel of Slack.")
    apprise: AppriseSettings | None = Field(
        default=None, description="To e-mail, Teams and others, through Apprise."
    )
