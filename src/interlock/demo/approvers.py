"""The people of the tour, deciding through the approvals API with their own keys."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..cli.client import Access, People
from .stage import Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Ruling:
    """What one person decides. `change`: the arguments that an edit replaces."""

    by: str
    verdict: str = "approve"
    message: str = ""
    change: Mapping[str, Any] = field(default_factory=dict)


class Approvers:
    """Looks at what is held, and decides in a person's name."""

    def __init__(self, stage: Stage) -> None:
        self._stage = stage

    def held(self, person: str) -> dict[str, Any] | None:
        """Return the oldest call that waits, or None."""
        listed = asyncio.run(self._get(person, "/v1/approvals"))
        return min(listed["items"], key=lambda card: card["created"], default=None)

    def show(self, person: str, call: str) -> dict[str, Any]:
        """Return everything that *person* may see of a call."""
        return asyncio.run(self._get(person, f"/v1/approvals/{call}"))

    def decide(self, call: str, ruling: Ruling) -> dict[str, Any]:
        """Decide the call as it is now. Raises InterlockError where that is refused."""
        return asyncio.run(self._decide(call, ruling))

    async def _get(self, person: str, path: str) -> dict[str, Any]:
        async with self._people(person) as people:
            return await people.get(path)

    async def _decide(self, call: str, ruling: Ruling) -> dict[str, Any]:
        async with self._people(ruling.by) as people:
            item = await people.get(f"/v1/approvals/{call}")
            body: dict[str, Any] = {
                "type": ruling.verdict,
                "digest": item["card"]["digest"],
                "message": ruling.message,
            }
            if ruling.change:
                before = {each["name"]: each["value"] for each in item["arguments"]}
                body["edited_args"] = before | dict(ruling.change)
            path = f"/v1/approvals/{call}/decision"
            return await people.post(path, body, int(item["card"]["version"]))

    def _people(self, person: str) -> People:
        place = str(self._stage.key_file(person))
        key = self._stage.key(person)
        return People(Access(url=self._stage.people, key=key, place=place))
