"""What was sent on each stream, so that a client that comes back gets what it missed."""

from __future__ import annotations

from mcp.server.streamable_http import EventCallback, EventMessage, EventStore
from mcp_types import JSONRPCMessage


class Events(EventStore):
    """Keeps every event of every stream in memory; an event's id is its place in the list."""

    def __init__(self) -> None:
        self._events: list[tuple[str, JSONRPCMessage | None]] = []

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Keeps *message* (None: the empty event that primes a stream) and names it."""
        self._events.append((stream_id, message))
        return str(len(self._events) - 1)

    async def replay_events_after(
        self, last_event_id: str, send_callback: EventCallback
    ) -> str | None:
        """Sends what its stream got after *last_event_id*; None for an event never stored."""
        if not last_event_id.isdecimal() or int(last_event_id) >= len(self._events):
            return None
        last = int(last_event_id)
        stream_id = self._events[last][0]
        for place, (stream, message) in enumerate(self._events[last + 1 :], start=last + 1):
            if stream == stream_id and message is not None:
                await send_callback(EventMessage(message, str(place)))
        return stream_id
