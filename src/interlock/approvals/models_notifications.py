"""What the people's API says of notices: what waits to be told, and dead letters; see `models`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from .models import Model
from .models_desk import Csrf
from .operation import CSRF, IN_PATH, Operation


class TestRequest(Model):
    """Send a sample through a channel now."""

    __test__ = False  # no test, for pytest

    channel: str = Field(min_length=1, max_length=200, description="one of `channels`")


class NoticeView(Model):
    """Something that people have to be told of through one channel. Times in ms."""

    id: str
    channel: str
    notice: str = Field(description="held, sent, reminder, escalated, settled, or digest")
    action_id: str = Field(description="the call; empty for a digest")
    calls: int = Field(description="how many calls it tells of")
    created: int
    tries: int
    failed: str = Field(description="why the last try failed; empty where none did")
    due: int = Field(description="when it is tried (again); 0: not any more")
    died: int = Field(description="since when it is not tried any more; 0: it still is")


class NotificationList(Model):
    """Dead letters and what waits, the newest first, 200 of each at most."""

    dead: list[NoticeView]
    dead_total: int
    waiting: list[NoticeView]
    waiting_total: int
    channels: list[str] = Field(description="the channels that are configured, besides the log")
    csrf: Csrf
    now: int


class NoticeDone(Model):
    """What became of a notice."""

    id: str
    outcome: Literal["waiting", "dropped"]


class TestOutcome(Model):
    """Whether a sample was taken by the channel's receiver."""

    __test__ = False

    channel: str
    delivered: bool
    why: str = Field(description="why not; empty where it was")


OPERATIONS = (
    Operation(
        method="GET",
        path="/v1/notifications",
        name="listNotifications",
        summary="Notices that people were not told of: dead letters, and what waits",
        answers=NotificationList,
    ),
    Operation(
        method="POST",
        path="/v1/notifications/test",
        name="testChannel",
        summary="Send a sample through a channel now",
        takes=TestRequest,
        answers=TestOutcome,
        parameters=(CSRF,),
        refusals=(400, 401, 403, 404, 415, 421, 503),
    ),
    Operation(
        method="POST",
        path="/v1/notifications/{id}/retry",
        name="retryNotification",
        summary="Send a dead letter now, with all tries anew",
        answers=NoticeDone,
        parameters=(IN_PATH, CSRF),
        refusals=(401, 403, 404, 421, 503),
    ),
    Operation(
        method="DELETE",
        path="/v1/notifications/{id}",
        name="dropNotification",
        summary="Forget a notice: nobody is told",
        answers=NoticeDone,
        parameters=(IN_PATH, CSRF),
        refusals=(401, 403, 404, 421, 503),
    ),
)
