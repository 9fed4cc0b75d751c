"""What people share about reviewing: who looks, who is asked, who stands in, who is stopped.

Times in ms since the epoch, by the store's clock.
"""

from __future__ import annotations

from dataclasses import dataclass

EVERYBODY = "-"  #: in the place of an agent's id: all agents; no agent is called so


@dataclass(frozen=True, slots=True, kw_only=True)
class Looking:
    """Somebody who has a call open now."""

    person: str
    since: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What is known of one person's look at a call. `looked_ms`: in sight so far, all visits."""

    first: int  #: when this person opened it first
    looked_ms: int
    others: tuple[Looking, ...] = ()
    noted: int = 0  #: when it was noted last; 0: they have closed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Assignment:
    """Who is asked to decide a call. Others who may decide it still may."""

    to: str
    by: str  #: a person, or `rotation`
    at: int
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """A person is away; `to` stands in with their groups, or nobody does where it is empty.

    `mac` binds all of it with a key that is not in the store: who can only write to the store
    makes nobody stand in for anybody. `generation` goes up whenever they go away or come back:
    an absence of an earlier one is over.
    """

    person: str
    groups: tuple[str, ...]
    to: str
    until: int
    since: int
    generation: int = 0
    mac: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspension:
    """Nothing of this agent is sent, until somebody resumes it."""

    agent: str  #: or EVERYBODY
    by: str
    reason: str
    at: int
    owners: tuple[str, ...] = ()  #: who was known to own it, or one of all, when it was stopped
    unknown: bool = False  #: nobody had heard of an agent of this name


@dataclass(frozen=True, slots=True, kw_only=True)
class Colleague:
    """A person who was seen here: has signed in, or has a key. `approved`: in the last hour."""

    id: str
    groups: tuple[str, ...]
    seen: int
    approved: int = 0
    assigned: int = 0  #: held calls that are assigned to them
    away: Absence | None = None
