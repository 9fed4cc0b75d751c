"""What the past says about a call: what policy asks for, what the store answers, what it keeps.

`prepare` names the `Needs` of a call, the store answers them with `Facts` in one round trip,
`decide` reads them and leaves `Effects` for the store to apply with the transition. Keys are
hashes: no text of an agent becomes part of a key of the store.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

MILLION = 1_000_000
"""Weights are integers in millionths, so that sums are exact and the store needs no decimals."""


class Counting(enum.Enum):
    """What a counter counts, and when a call's share of it is given back."""

    SPENT = "spent"  #: from the decision; once sent for one window; freed where nothing was sent
    OPEN = "open"  #: while the call is held
    HOLDS = "holds"  #: each hold, for one window, whatever became of it


@dataclass(frozen=True, slots=True, kw_only=True)
class Counter:
    """One counter of the store; `window_ms` is 0 for OPEN."""

    key: str
    counting: Counting
    window_ms: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Reservation:
    """A call's share of a counter, in millionths, taken when the call is decided.

    `room`: the total, this share included, up to which the decision holds; the store refuses the
    write (Put.FACTS) where it would be more, because others were faster. None: in any case.
    """

    counter: Counter
    weight: int
    room: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What the agent's session has done so far, this call not counted."""

    untrusted_content: bool = False
    sensitive_data: bool = False
    points: float = 0.0  #: of risk, decayed to now
    writes: int = 0  #: calls sent that were not read_only
    calls: int = 0  #: calls sent


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """A person's "do not ask again" for one agent, one tool and one exact target."""

    id: str
    key: str  #: what it stands for: hash of agent, tool, target, and how it is called
    agent: str
    tool: str
    target: Mapping[str, object]  #: the arguments by name that a call must have, exactly
    by: str  #: who granted it
    action_id: str  #: the call on which it was granted
    level: int  #: of that call; it lowers none that asks for more oversight
    stake: int  #: of that call; it lowers none that weighs more
    created: int  #: ms, by the store's clock
    expires: int  #: ms
    uses: int  #: how often it may be used in all
    used: int = 0  #: how often it was; not covered by `mac`
    reason: str = ""
    method: str = ""  #: of an HTTP call
    path: str = ""  #: the tool's path template; of an MCP call the name of the tool
    mac: str = ""  #: over everything but `used`; with a key that is not in the store


@dataclass(frozen=True, slots=True, kw_only=True)
class Needs:
    """What policy declares that it must know of the past to judge one call."""

    counters: tuple[Counter, ...] = ()
    familiar: str = ""  #: key of agent + tool + target (or as policy says); empty: not asked
    session: str = ""  #: key of the session's state
    half_life_ms: int = 0  #: of the session's points
    task: bool = False  #: whether the user's own request, stored for the session, is asked for
    target: str = ""  #: key of remembered refusals: agent + tool + target
    grant: str = ""  #: key of grants: also all else by which two calls of a tool differ in effect
    own: str = ""  #: the action whose own shares do not count, where a held call is judged again

    def __bool__(self) -> bool:
        return bool(self.counters or self.familiar or self.session or self.target or self.grant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """The store's answer to `Needs`. What is missing is not known, and counts against the call."""

    used: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    #: counter key -> millionths in use, without this call
    familiar: bool | None = None  #: None: not known
    session: Session | None = None
    task: str | None = None  #: the request stored for the session; None: none is stored
    refused: bool = False  #: a person refused this target a while ago and said to remember it
    grant: Grant | None = None  #: genuine (its MAC was checked), not ended, not used up
    #: how likely past decisions say such a call with its claimed confidence is right, from 0 to 1;
    #: not the store's answer: None where the agent claims none, or too little is known
    calibrated: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Effects:
    """What the store keeps of a decided call, for the judgement of later ones.

    Reservations are taken with the decision. The session's state changes when the call is sent,
    its target is familiar once it may have taken effect, and a refusal is remembered when a
    person rejects it.
    """

    reservations: tuple[Reservation, ...] = ()
    familiar: str = ""
    familiar_ms: int = 0
    session: str = ""
    session_ms: int = 0  #: how long the session's state is kept after its latest call
    taints: frozenset[str] = frozenset()  #: untrusted_content, sensitive_data
    points: int = 0
    half_life_ms: int = 0
    write: bool = False
    target: str = ""
    repeat_ms: int = 0  #: how long a rejection of this target is remembered
    grant: str = ""  #: id of the grant that lowered this decision; one use of it is taken

    def __bool__(self) -> bool:
        return self != NO_EFFECTS


NO_FACTS = Facts()
NO_EFFECTS = Effects()


def asked_of(facts: Facts) -> bool:
    """Whether the store was asked for anything: else *facts* share the mapping of NO_FACTS."""
    return facts.used is not NO_FACTS.used


def blank(needs: Needs) -> Facts:
    """Return what a store answers that has seen nothing yet: budgets are free, all is new."""
    return Facts(
        used=MappingProxyType({counter.key: 0 for counter in needs.counters}),
        familiar=False if needs.familiar else None,
        session=Session() if needs.session else None,
    )
