"""What raises beside rules: doubt of the agent, what is new, what the session did, refusals."""

from __future__ import annotations

from .decisions import Level, Reversibility
from .facts import Facts, Session
from .judging import LEVELS, Judging
from .rules import PolicySet, SessionRisk

_REFUSED = (
    "A person refused a call like this one a short time ago. Do not send it again;"
    " ask the person, or do something else."
)


def heed_confidence(
    claimed: float | None, calibrated: float | None, policy: PolicySet, judging: Judging
) -> None:
    """Raise by one step where the agent's confidence is below what the stake asks for.

    *calibrated*: what past decisions make of the claim. It counts where policy says so and it is
    the lower of the two: an agent that doubts more than it has to stays under its own word.
    """
    signal = policy.confidence
    if signal is None or judging.level in (Level.ALLOW, Level.DENY):
        return
    value = _share(signal.missing if claimed is None else claimed)
    said = f"confidence {value}"
    if signal.use == "calibrated":
        if calibrated is None:
            said += " (not known how often it is right)"
        else:
            corrected = _share(calibrated)
            said += f" (past decisions say {corrected})"
            value = min(value, corrected)
    threshold = signal.raise_below[judging.stake]
    if value < threshold:
        said += f" is below {threshold} for {judging.stake.word} stake"
        _raise(judging, 1, "confidence", said)


def _share(value: float) -> float:
    """Return *value*; 0 for what is no number from 0 to 1, which is no claim at all."""
    # NaN fails both comparisons.
    return value if type(value) in (int, float) and 0 <= value <= 1 else 0.0


def heed_novelty(familiar: bool | None, policy: PolicySet, judging: Judging) -> None:
    """Raise the first call with its key; one of which nothing is known counts as the first."""
    signal = policy.novelty
    if signal is None or familiar is True:
        return
    if familiar is None:
        judging.indeterminate = True
    if _beyond(judging):
        return
    said = "not seen before" if familiar is False else "not known whether seen before"
    _raise(judging, signal.steps, "novelty", f"{', '.join(signal.key)}: {said}")


def heed_risk(session: Session | None, policy: PolicySet, judging: Judging) -> None:
    """Raise by what the session has done; a session of which nothing is known is the riskiest."""
    signal = policy.session_risk
    if signal is None or not signal.raise_at:
        return
    if session is None:
        judging.indeterminate = True
    steps = _steps(session, signal)
    if steps == 0 or _beyond(judging):
        return
    points = "unknown" if session is None else f"{session.points:.6g}"
    _raise(judging, steps, "session_risk", f"session risk {points} points")


def _steps(session: Session | None, signal: SessionRisk) -> int:
    # Written so that NaN reaches every threshold.
    return max(
        (
            steps
            for threshold, steps in signal.raise_at
            if session is None or not session.points < threshold
        ),
        default=0,
    )


def _beyond(judging: Judging) -> bool:
    """Whether there is nothing to raise: it is denied, or allowed and changes nothing."""
    if judging.level is Level.ALLOW:
        return judging.reversibility is Reversibility.READ_ONLY
    return judging.level is Level.DENY


def _raise(judging: Judging, steps: int, signal: str, said: str) -> None:
    before = judging.level
    judging.raise_by(steps)
    judging.signals.append(signal)
    judging.notes.append(f"{said}: {LEVELS[before]} -> {LEVELS[judging.level]}")


def heed_refusal(facts: Facts, policy: PolicySet, judging: Judging) -> None:
    """Raise what a person refused a while ago; nothing lowers it again."""
    memory = policy.repeat_denied
    if memory is None or not facts.refused:
        return
    judging.refused = True
    judging.signals.append("repeat_denied")
    judging.notes.append(f"refused before: at least {memory.then.word}")
    if memory.then is Level.DENY and judging.level is not Level.DENY:
        judging.reason, judging.message = "repeat_denied", _REFUSED
    judging.level = max(judging.level, memory.then)
