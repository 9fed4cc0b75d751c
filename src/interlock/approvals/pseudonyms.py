"""Who somebody is in records: the pseudonym that stands there for a person."""

from __future__ import annotations

from collections.abc import Iterable

from .deps import ApiDeps


def pseudonym(deps: ApiDeps, person: str) -> str:
    """Return what records say for *person*; empty: nobody here can tell."""
    return deps.pseudonym(person) if deps.pseudonym is not None and person else ""


def by_pseudonym(deps: ApiDeps, people: Iterable[str]) -> dict[str, str]:
    """Return the people whose pseudonyms are known, by them."""
    named = ((pseudonym(deps, person), person) for person in people)
    return {who: person for who, person in named if who}
