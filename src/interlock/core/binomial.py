"""How sure a share is: the exact bounds of Clopper and Pearson (Biometrika 26, 1934)."""

from __future__ import annotations

from math import exp, lgamma, log, log1p

_HALVINGS = 60  #: finer than a float tells apart


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
    low, high = 0.0, hits / tries
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        if tail(hits, tries, middle) < 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def tail(hits: int, tries: int, share: float) -> float:
    """Return how probable *hits* or more of *tries* are, where each hits with *share*."""
    if hits <= 0 or share >= 1:
        return 1.0
    if share <= 0:
        return 0.0
    ways = lgamma(tries + 1)
    terms = (
        ways
        - lgamma(each + 1)
        - lgamma(tries - each + 1)
        + each * log(share)
        + (tries - each) * log1p(-share)
        for each in range(hits, tries + 1)
    )
    return min(1.0, sum(map(exp, terms)))
