"""What policy asks of whoever reviews a call: a reason, a look that is long enough, a signature."""

from __future__ import annotations

from .actions import Review, Verdict
from .decisions import Decision, Level
from .errors import InvalidEdit, StepUpNeeded, TooSoon
from .events import Reviewed

_CLEARS = (Verdict.APPROVE, Verdict.EDIT)


def check_duties(held: Decision, event: Reviewed) -> None:
    """Hold a review to what policy asked of it when the call was held, and asks now.

    Raises:
        InvalidEdit: a reason is missing.
        TooSoon: whoever clears it has not had it in sight for long enough.
        StepUpNeeded: whoever clears it has not signed this very decision.
    """
    review, now = event.review, event.decision
    if _needs_reason(held, review) and not review.message.strip():
        raise InvalidEdit(f"A reason is required to {review.verdict.value} this call.")
    if review.verdict not in _CLEARS:
        return
    left = max(held.dwell_ms, now.dwell_ms) - review.looked_ms
    if left > 0:
        raise TooSoon(
            f"Policy asks for a longer look before this is approved: {-(-left // 1000)} s more,"
            " with the call in sight. It can be rejected at any time."
        )
    if (held.step_up or now.step_up) and not review.step_up:
        raise StepUpNeeded(
            "Policy asks that you sign this very decision with your security key or passkey."
            " Approve it on its page, which asks for the signature; if you have no key yet, add one"
            " there under your name. It can be rejected without."
        )


def _needs_reason(decision: Decision, review: Review) -> bool:
    if review.verdict.value in decision.require_reason or review.verdict is Verdict.RESPOND:
        return True
    dual = decision.level is Level.APPROVE_DUAL and "approve_dual" in decision.require_reason
    return dual and review.verdict is Verdict.APPROVE
