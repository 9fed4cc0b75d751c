"""Everything the core may ask of the world, imperative. The counterpart of `events`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias


@dataclass(frozen=True, slots=True)
class Notify:
    """Tell people about this action."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Compete for the send; the store lets one worker win."""


@dataclass(frozen=True, slots=True)
class Forward:
    """Send the call, once, as the owner of the claim."""


@dataclass(frozen=True, slots=True)
class Reply:
    """Answer whoever waits for this action."""


Command: TypeAlias = Notify | Claim | Forward | Reply
"""Closed on purpose: a driver that forgets one fails the type check."""
