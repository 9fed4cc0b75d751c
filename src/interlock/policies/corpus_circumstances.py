"""The circumstances of a call that policies look at: the hour, the past, the agent's claims."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..core.facts import MILLION
from ..core.rules import PolicySet, Tool
from .corpus import NOON
from .corpus_constants import compared
from .corpus_pairs import Factors
from .explain_conditions import Written

_DAY = NOON[:10]


def circumstances(
    versions: Sequence[Tool],
    policies: Sequence[PolicySet],
    written: Sequence[Mapping[str, Written]],
) -> Factors:
    """Return what may differ beside the arguments, with the values that some policy looks at."""
    found: dict[str, Sequence[Any]] = {
        "task": [False],
        "at": [*_hours(written), *_ends(policies)],
        "agent.confidence": [None, *sorted(_thresholds(policies))],
        **{f"agent.{name}": _texts(written, f"agent.{name}") for name in ("id", "owner")},
        "session.untrusted_content": [True],
        "session.sensitive_data": [True],
        "session.points": sorted(_points(policies)),
        **{f"session.{name}": _counts(written, name) for name in ("writes", "calls")},
        "facts.familiar": [False],
        "facts.refused": [True],
        "facts.grant": [True],
        "facts.open_in_session": _caps(policies, "open_per_session"),
        "facts.holds_in_hour": _caps(policies, "per_agent_per_hour"),
        "facts.calibrated": sorted(_corrected(policies)),
        **_used(versions),
    }
    return {name: values for name, values in found.items() if values}


def _hours(written: Sequence[Mapping[str, Written]]) -> list[str]:
    """Return every hour that a condition names and those beside it; without any, two of the day."""
    named = {each for each in compared(written, "call.hour") if type(each) in (int, float)}
    near = {int(each) + step for each in named for step in (-1, 0, 1)} or {3, 22}
    return [f"{_DAY}T{hour:02}:00:00Z" for hour in sorted(near) if 0 <= hour <= 23]


def _ends(policies: Sequence[PolicySet]) -> list[str]:
    days = {each.expires for policy in policies for each in policy.exceptions}
    return [f"{day}T12:00:00Z" for day in sorted(days)]


def _texts(written: Sequence[Mapping[str, Written]], field: str) -> list[str]:
    return sorted({each for each in compared(written, field) if isinstance(each, str)})


def _counts(written: Sequence[Mapping[str, Written]], name: str) -> list[int]:
    named = {each for each in compared(written, f"session.{name}") if type(each) is int}
    return sorted({max(0, each + step) for each in named or {0} for step in (0, 1)})


def _caps(policies: Sequence[PolicySet], name: str) -> list[int]:
    bounds = {most for policy in policies if (most := getattr(policy.caps, name)) is not None}
    return sorted({max(0, bound + step) for bound in bounds for step in (-1, 0)})


def _used(versions: Sequence[Tool]) -> dict[str, list[float]]:
    """Return how much of each limit is used: just below what either policy allows, at it, above."""
    found: dict[str, set[float]] = {}
    for limit in _limits(versions):
        most = limit.maximum / MILLION
        near = {max(0.0, most + step) for step in (-1, -0.01, 0, 1)}
        found.setdefault(f"used.{limit.id}", set()).update(near)
    return {name: sorted(values) for name, values in found.items()}


def _limits(versions: Sequence[Tool]) -> Iterator[Any]:
    for tool in versions:
        yield from tool.limits


def _thresholds(policies: Sequence[PolicySet]) -> set[float]:
    signals = [policy.confidence for policy in policies if policy.confidence]
    bounds = {bound for signal in signals for bound in signal.raise_below}
    return {max(0.0, round(bound - 0.01, 9)) for bound in bounds} | bounds | {0.0, 0.5}


def _corrected(policies: Sequence[PolicySet]) -> set[float]:
    heeds = any(each.confidence and each.confidence.use == "calibrated" for each in policies)
    return _thresholds(policies) if heeds else set()


def _points(policies: Sequence[PolicySet]) -> set[float]:
    risks = [policy.session_risk for policy in policies if policy.session_risk]
    bounds = {at for risk in risks for at, _ in risk.raise_at}
    return bounds | {max(0.0, bound - 0.01) for bound in bounds}
