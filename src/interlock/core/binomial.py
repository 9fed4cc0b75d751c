"""How sure a share is: the exact bounds of Clopper and Pearson (Biometrika 26, 1934)."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

_STEPS = 200  #: some ten do, more where the first halvings are needed
_CLOSE = 1e-12  #: relative; closer than anybody reads a share
_NEGLIGIBLE = 1e-17  #: of a sum: adding it changes nothing


def at_least(hits: int, tries: int, confidence: float = 0.95) -> float:
    """Return the share that *hits* of *tries* speak for at least, one-sided, exact.

    With *confidence* 0.975 it is the lower end of the usual two-sided interval of 95 %.

    Raises:
        ValueError: not 0 <= hits <= tries, or a confidence outside ]0, 1[.
    """
    if not 0 <= hits <= tries or not 0 < confidence < 1:
        raise ValueError(f"no share: {hits} of {tries}, confidence {confidence}")
    if hits == 0:
        return 0.0
    low, high, asked = 0.0, hits / tries, 1 - confidence
    share = high / 2
    for _ in range(_STEPS):
        found = tail(hits, tries, share)
        low, high = (share, high) if found < asked else (low, share)
        last, share = share, _newton(hits, tries, share, found, asked)
        if not low < share < high:
            share = (low + high) / 2
        if abs(share - last) <= _CLOSE * last:
            break
    return share


def _newton(hits: int, tries: int, share: float, found: float, asked: float) -> float:
    """Return where the logarithm of the tail, which is concave, would be as asked; -1: unclear."""
    slope = hits * _term(hits, tries, share) / share
    return share - found * log(found / asked) / slope if found > 0 and slope > 0 else -1.0


def at_most(hits: int, tries: int, confidence: float = 0.95) -> float:
    """Return the share that *hits* of *tries* speak for at most, one-sided, exact.

    Raises:
        ValueError: as `at_least`.
    """
    return 1 - at_least(tries - hits, tries, confidence) if tries else 1.0


def tail(hits: int, tries: int, share: float) -> float:
    """Return how probable *hits* or more of *tries* are, where each hits with *share*.

    Terms are summed away from the middle, where each is smaller than the one before, until they
    no longer count: a million tries need some thousands.
    """
    if hits <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    if hits > tries * share:
        return min(1.0, _falling(hits, tries, share))
    return max(0.0, 1 - _falling(tries - hits + 1, tries, 1 - share))


def _falling(hits: int, tries: int, share: float) -> float:
    """Return the sum of the terms from *hits* upwards; *hits* lies above the middle."""
    if hits > tries:
        return 0.0
    term = _term(hits, tries, share)
    odds, total = share / (1 - share), term
    for each in range(hits, tries):
        term *= odds * (tries - each) / (each + 1)
        total += term
        if term < total * _NEGLIGIBLE:
            break
    return total


def _term(hits: int, tries: int, share: float) -> float:
    """Return how probable exactly *hits* of *tries* are."""
    ways = lgamma(tries + 1) - lgamma(hits + 1) - lgamma(tries - hits + 1)
    return exp(ways + hits * log(share) + (tries - hits) * log1p(-share))
