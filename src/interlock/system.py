"""This machine's clock and randomness, as the gate sees them."""

from __future__ import annotations

import secrets
import time

_SYSTEM = secrets.SystemRandom()


class SystemClock:
    """ports.Clock."""

    def now_ms(self) -> int:
        return time.time_ns() // 1_000_000


class RandomIds:
    """ports.Ids: 128 random bits each, in lower-case hex. Never made of anything an agent said."""

    def action_id(self) -> str:
        return secrets.token_hex(16)

    def nonce(self) -> str:
        return secrets.token_hex(16)

    def draw(self) -> float:
        return _SYSTEM.random()
