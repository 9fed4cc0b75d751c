"""What a channel is: one file of this package, named like its key under `notify` in YAML.

Each such file has `channel(settings)`, which returns one `Channel` for what configuration says.
"""

from __future__ import annotations

from typing import Protocol

from ..ports import Notice
from .telling import Digest, Told

ALL = frozenset(Notice)


class Undelivered(Exception):
    """People were not told. `why` is for operators and holds no secret.

    `retry`: whether it may work later; `after`: not before so many seconds, where the receiver
    said so.
    """

    def __init__(self, why: str, *, retry: bool, after: float | None = None) -> None:
        super().__init__(why)
        self.why = why
        self.retry = retry
        self.after = after


class Channel(Protocol):
    """A way to tell people. Sending twice is harmless, as far as the receiver tells by `key`."""

    @property
    def name(self) -> str:
        """Its YAML key, and behind a dot its own name where there are several: `webhook.ops`."""

    @property
    def wants(self) -> frozenset[Notice]:
        """Why people are told through it."""

    @property
    def arguments(self) -> bool:
        """Whether it is given the arguments of calls."""

    async def send(self, said: Told) -> None:
        """Tell people of one call. Raises Undelivered."""

    async def send_digest(self, digest: Digest) -> None:
        """Tell people of several calls in one message. Raises Undelivered."""

    async def close(self) -> None: ...
