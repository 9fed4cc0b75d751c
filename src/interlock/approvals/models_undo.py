"""What the people's API says of a tool's answer, and of undoing what it did; see `models`."""

from __future__ import annotations

from pydantic import Field

from .models import Model


class UndoneBy(Model):
    """The call that undoes another one, as far as it came."""

    id: str
    tool: str
    by: str = Field(description="who asked for it")
    at: int = Field(description="when it came so far")
    done: bool = Field(description="it was sent and answered; else it waits, or is being sent")
    said: str


class ToolAnswer(Model):
    """What the tool answered, or the beginning of it."""

    status: int
    size: int = Field(description="bytes of the body that the tool sent")
    visible: str = Field(description="empty where it is hidden or was not kept")
    cut: bool = Field(description="there is more than `visible`")
    hidden: bool = Field(description="policy hides something of the call, so it is not shown")


class UndoArgument(Model):
    """An argument of the call that undoes: where it comes from, and its value where it is shown."""

    name: str
    source: str = Field(description="`args.NAME` of the call, or `answer.PATH` of its answer")
    visible: str = Field(description="empty where policy hides something of the call")


class UndoOffer(Model):
    """What undoing would call. Where `why` is empty, `POST .../undo` proposes it to policy."""

    tool: str
    arguments: list[UndoArgument]
    until: int
    why: str = Field(description="why it cannot be undone with a button, or not by this person")
    csrf: str = Field(description="the token that undoes this call from a session; else empty")
    undone: UndoneBy | None = Field(default=None, description="then there is nothing more to undo")


class Undone(Model):
    """Where the call that undoes another one stands; held, people decide about it first."""

    id: str
    state: str
    said: str
