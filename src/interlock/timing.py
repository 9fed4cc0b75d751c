"""How long sends may take, and how much of an answer is kept."""

from __future__ import annotations

from dataclasses import dataclass

AUDITED = 65_536  #: bytes of an answer that are kept for an auditor of a call that was drawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """How long things may take, in ms."""

    lease_ms: int = (
        120_000  #: a send that is not reported within this is unknown; more than time-outs
    )
    resume_after_ms: int = 5_000  #: approved and not claimed for this long: its worker is gone
    keep_bytes: int = 8 * 1024 * 1024  #: of an answer that has to be replayed
