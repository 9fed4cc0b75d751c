"""What is at stake in an operation, what it carries out and what it brings in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from ...core.decisions import Reversibility, Stake
from ..catalogue import DEFAULT_TABLES
from .actions import Said
from .effects import IRREVERSIBLE, READ_ONLY
from .operations import Operation
from .vocabulary import (
    AUTHORED,
    ENDLESS,
    GOVERNED,
    MEMBERS,
    MESSAGES,
    PERSONAL,
    PLACES,
    POWER,
    PRODUCTION,
    RECIPIENTS,
    SECRETS,
    Verb,
)
from .words import tokens

# Classes that drafted files declare beside those that every policy knows.
MONEY_TABLE: Mapping[str, str] = {"named": "medium", "moved": "high"}


def facets(
    operation: Operation, said: Said, reversibility: Reversibility, kinds: Iterable[Verb | None]
) -> dict[str, str]:
    """Return the facets of *operation*, by name; at least one."""
    words = _words(operation, said)
    found = {"data": _data(words)}
    if reversibility is READ_ONLY:
        return found
    kinds = set(kinds)
    reaches_out = bool(kinds & {Verb.SEND, Verb.MONEY}) or bool(said.objects & MESSAGES)
    found["blast"] = "external" if reaches_out else "organisation"
    if said.objects & {"public", "publish", "visibility"} or said.name == "publish":
        found["blast"] = "public"
    if said.objects & (POWER | SECRETS) or _are_members_of_power(operation, said):
        found["privilege"] = "admin"
    if Verb.MONEY in kinds:
        found["money"] = "moved"
    if Verb.LOSS in kinds and said.objects & ENDLESS and reversibility is IRREVERSIBLE:
        found["records"] = "1000"
    if words & PRODUCTION:
        found["environment"] = "production"
    return found


def _are_members_of_power(operation: Operation, said: Said) -> bool:
    """Whether members are changed who hold rights by it, as an admin word beside them says."""
    around = {*said.objects, *tokens(operation.path), *tokens(operation.summary)}
    return bool(said.objects & MEMBERS and around & GOVERNED)


def stake(found: Mapping[str, str]) -> Stake:
    """Return the highest stake of drafted facets."""
    return max(_stake(name, value) for name, value in found.items())


def _stake(name: str, value: str) -> Stake:
    if name == "money":
        return Stake[MONEY_TABLE[value].upper()]
    if name == "records":
        return Stake.HIGH
    table = DEFAULT_TABLES[name]
    return Stake[table[value].upper()] if isinstance(table, Mapping) else Stake.HIGH


def egress(
    operation: Operation, said: Said, reversibility: Reversibility, kinds: Iterable[Verb | None]
) -> bool:
    """Whether *operation* can carry data out: to people, to addresses, to places of its choice."""
    names = {name.lower() for name in operation.parameters.names}
    if operation.annotations.get("openWorldHint") is True or names & PLACES:
        return True
    if reversibility is READ_ONLY:
        return False
    carries = {Verb.SEND} & set(kinds) or names & RECIPIENTS
    return bool(carries or said.objects & (MESSAGES | {"webhook", "webhooks", "share", "public"}))


def taints(operation: Operation, said: Said, reversibility: Reversibility) -> tuple[str, ...]:
    """Return what *operation* brings into a session by reading."""
    if reversibility is not READ_ONLY:
        return ()
    words = _words(operation, said)
    names = {name.lower() for name in operation.parameters.names}
    found = []
    if words & AUTHORED or names & PLACES:
        found.append("untrusted_content")
    if _data(words) != "internal":
        found.append("sensitive_data")
    return tuple(found)


def target(operation: Operation) -> tuple[str, ...]:
    """Return the arguments that say what is acted on; () where none plainly does: then all."""
    parameters = operation.parameters
    known = parameters.names
    to = [name for name in known if name.lower() in RECIPIENTS and name.lower() in ("to", "cc")]
    if parameters.in_path:
        return (*parameters.in_path, *to)
    if to:
        return tuple(to)
    required = (parameters.schema or {}).get("required") or ()
    named = [name for name in required if _names_something(name) and name in known]
    return tuple(named[:4])


def _names_something(name: str) -> bool:
    words = tokens(name)
    return bool(words) and (
        words[-1] in ("id", "ids", "key", "gid", "sid", "name", "path", "url", "email", "number")
        or words[0] in ("channel", "owner", "repo", "project", "database", "table", "index")
    )


def _words(operation: Operation, said: Said) -> set[str]:
    last = [each for each in operation.path.split("/") if each and "{" not in each][-2:]
    summary = tokens(operation.summary)[:12] if operation.method else ()
    return {*said.objects, *(word for part in last for word in tokens(part)), *summary}


def _data(words: set[str] | frozenset[str]) -> str:
    if words & SECRETS and "public" not in words:
        return "restricted"
    return "confidential" if words & PERSONAL else "internal"
