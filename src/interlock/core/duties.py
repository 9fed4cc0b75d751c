"""What policy asks of whoever reviews a call: a reason, a look that is long enough, a signature."""

from __future__ import annotations

from .actions import Action, Review, Verdict
from .decisions import Decision, Level
from .entitled import groups_needed
from .errors import Forbidden, ReasonNeeded, StepUpNeeded, TooSoon
from .events import Reviewed

_CLEARS = (Verdict.APPROVE, Verdict.EDIT)


def check_entitled(action: Action, event: Reviewed) -> None:
    """Raise Forbidden for whom policy does not let decide, as it was and as it is.

    To reject, it is enough to be one of those whom policy named when the call was held: nobody
    who could stop it loses that.
    """
    review, now = event.review, event.decision
    present = None if review.verdict is Verdict.REJECT else now
    for groups in groups_needed(action, present, event.at):
        if not review.reviewer.groups & frozenset(groups):
            names = ", ".join(groups)
            raise Forbidden(f"Only members of {names} may decide this; you are in none of them.")


def check_duties(held: Decision, event: Reviewed) -> None:
    """Hold a review to what policy asked of it when the call was held, and asks now.

    Raises:
        ReasonNeeded: a reason is missing.
        TooSoon: whoever clears it has not had it in sight for long enough.
        StepUpNeeded: whoever clears it has not signed this very decision.
    """
    review, now = event.review, event.decision
    asked = _needs_reason(held, review) or _needs_reason(now, review)
    if asked and not review.message.strip():
        raise ReasonNeeded(f"A reason is required to {review.verdict.value} this call.")
    if review.verdict not in _CLEARS:
        return
    left = max(held.dwell_ms, now.dwell_ms) - review.looked_ms
    if left > 0:
        seconds = -(-left // 1000)
        raise TooSoon(
            f"Policy asks for a longer look before this is approved: {seconds} s more,"
            " with the call in sight. It can be rejected at any time.",
            seconds=seconds,
        )
    if (held.step_up or now.step_up) and not review.step_up:
        raise StepUpNeeded(
            "Policy asks that you sign this very decision with your security key or passkey."
            " Approve it on its page, which asks for the signature; if you have no key yet, add one"
            " there under your name. It can be rejected without."
        )


def _needs_reason(decision: Decision, review: Review) -> bool:
    return review.verdict.value in needing_reason(decision)


def needing_reason(decision: Decision) -> frozenset[str]:
    """Return the verdicts that need a reason under *decision*; an edit is its editor's approval."""
    needed = (decision.require_reason | {Verdict.RESPOND.value}) - {"approve_dual"}
    dual = decision.level is Level.APPROVE_DUAL and "approve_dual" in decision.require_reason
    if dual or Verdict.APPROVE.value in needed:
        needed |= {each.value for each in _CLEARS}
    return needed
