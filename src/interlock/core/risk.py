"""How much harm goes through unreviewed at most, said with a stated confidence.

The loss of a call under a threshold: it was not right and nobody would have reviewed it. Losses
are seen fully among calls that were reviewed, and in a random share of the others (audits). One
stratum for each: of *calls* independent calls the losses seen in a stratum are binomial with
`share` times its rate, so Clopper and Pearson's upper end over `share` bounds that rate; their sum
bounds the risk, each at its part of the doubt that is allowed (Bonferroni). Valid at every size.

Beside it, conformal risk control (Angelopoulos, Bates, Fisch, Lei, Schuster, ICLR 2024), with
inverse-propensity weights: it bounds the mean over installations, not the risk of each.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction

from .binomial import at_least, at_most

CONFIDENCE = 0.95
MOST_STRATA = 3  #: of sampled calls; those of similar shares are taken together


@dataclass(frozen=True, slots=True, kw_only=True)
class Stratum:
    """*losses* were seen, each of which had the probability *share* to be seen."""

    losses: int
    share: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Caught:
    """What reviewers made of practice calls, all together, in proportion to what they decide."""

    caught: int
    missed: int

    @property
    def practised(self) -> bool:
        return self.caught + self.missed > 0

    def at_least(self, confidence: float) -> float:
        """Return the share that is caught at least; 0 where nobody practised."""
        return at_least(self.caught, self.caught + self.missed, confidence)

    def share_at_most(self, found: int, tries: int, confidence: float) -> float:
        """Return what share of *tries* is wrong at most, where people *found* so many.

        Where they practised, the exact bound is divided by the share that they catch at least, each
        at half of the doubt (Bonferroni).
        """
        if not self.practised:
            return at_most(found, tries, confidence)
        doubt = (1 - confidence) / 2
        catch = self.at_least(1 - doubt)
        return min(1.0, at_most(found, tries, 1 - doubt) / catch) if catch else 1.0


AT_THEIR_WORD = Caught(caught=0, missed=0)  #: no practice: reviewers' labels are believed


def bound(
    reviewed: Stratum,
    sampled: Sequence[Stratum],
    calls: int,
    confidence: float = CONFIDENCE,
    caught: Caught = AT_THEIR_WORD,
) -> float:
    """Return what share of calls is a loss at most.

    *reviewed*: losses that people found; where they practised, so many more as they may have
    missed. *sampled*: losses that audits found, at most MOST_STRATA (see `merged`). *calls*: all.
    """
    doubt = (1 - confidence) / (1 + len(sampled) + caught.practised)
    total = at_most(reviewed.losses, calls, 1 - doubt) / reviewed.share
    if caught.practised:
        found = caught.at_least(1 - doubt)
        total = total / found if found > 0 else 1.0
    for each in sampled:
        total += at_most(each.losses, calls, 1 - doubt) / each.share
    return min(1.0, total)


def estimate(strata: Iterable[Stratum], calls: int) -> float:
    """Return the share of losses, weighted by how likely each was seen (Horvitz-Thompson)."""
    return sum(each.losses / each.share for each in strata) / calls if calls else 0.0


def conformal(strata: Sequence[Stratum], calls: int) -> float:
    """Return (sum of weighted losses + B) / (calls + 1), B the largest weight of one loss.

    A threshold at which it is at most the target keeps the target in the mean.
    """
    largest = max((1 / each.share for each in strata), default=1.0)
    return (sum(each.losses / each.share for each in strata) + largest) / (calls + 1)


def least_held(wrong: float, target: float) -> float:
    """Return the share of calls that must be held at least where *wrong* of them are wrong.

    (wrong - target) / (1 - target), whoever chooses which; 0 where none need be.
    """
    return max(0.0, (wrong - target) / (1 - target)) if target < 1 else 0.0


def loosest(thresholds: Iterable[float], keeps: Sequence[bool]) -> float | None:
    """Return the last threshold before the first that does not keep the target; None: none does.

    Fixed-sequence testing from the strictest on (Learn then Test: Angelopoulos, Bates, Candes,
    Jordan, Lei, 2021): each is tested at the full confidence, which then holds for the chosen one.
    The thresholds must not depend on the records.
    """
    chosen = None
    for threshold, kept in zip(thresholds, keeps, strict=True):
        if not kept:
            break
        chosen = threshold
    return chosen


def merged(shares: Iterable[float], most: int = MOST_STRATA) -> dict[float, float]:
    """Return for each share the one that it is counted with: the lowest of its neighbours.

    Counting with a lower share only makes a bound larger. Those next to one another by ratio are
    taken together first.
    """
    groups = [[each] for each in sorted(set(shares))]
    while len(groups) > most:
        # Fractions, so that equal ratios are equal whatever is divided.
        ratios = [
            Fraction(high[-1]) / Fraction(low[0])
            for low, high in zip(groups, groups[1:], strict=False)
        ]
        at = ratios.index(min(ratios))
        groups[at : at + 2] = [groups[at] + groups[at + 1]]
    return {each: group[0] for group in groups for each in group}
