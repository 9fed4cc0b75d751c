"""What a reviewer signs: one hash over everything that will be sent, and the seal on a decision."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import replace

from .actions import Review, ToolCall

_VERSION = b"interlock-call-1"


def _framed(*parts: bytes) -> bytes:
    """Length-prefix every part, so that no two lists of parts share one encoding."""
    return b"".join(len(part).to_bytes(8, "big") + part for part in parts)


def digest(call: ToolCall) -> str:
    """Return the SHA-256 of *call* as 64 hex digits.

    Covers who asks, where it goes and every byte that is sent: agent, upstream, signing
    scope, method, target, forwarded headers, body. Context (confidence, reason ...) is a
    claim about the call, not part of it.
    """
    headers = [part.encode("utf-8", "surrogateescape") for pair in call.headers for part in pair]
    return hashlib.sha256(
        _framed(
            _VERSION,
            call.agent.id.encode(),
            call.upstream.encode(),
            call.service.encode(),
            call.region.encode(),
            call.method.encode(),
            call.target.encode(),
            len(call.headers).to_bytes(8, "big"),
            *headers,
            call.body,
        )
    ).hexdigest()


def seal(call: ToolCall) -> ToolCall:
    """Return *call* with its digest set."""
    return replace(call, digest=digest(call))


def clearance(review: Review, action_id: str, nonce: str, policy_sha256: str, key: bytes) -> str:
    """Return the MAC of a person's approval: HMAC-SHA256, hex.

    It binds action, its creation nonce, the digest seen, the policy that judged, the verdict
    and the reviewer. The key is not in the store, so that writing to the store forges nothing.
    """
    parts = (
        b"interlock-clearance-1",
        action_id.encode(),
        nonce.encode(),
        review.digest.encode(),
        policy_sha256.encode(),
        review.verdict.value.encode(),
        review.reviewer.id.encode(),
    )
    return hmac.new(key, _framed(*parts), hashlib.sha256).hexdigest()
