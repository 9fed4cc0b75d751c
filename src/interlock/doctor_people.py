"""What is weak about who decides, and about how they sign in."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from .approvals.oidc_provider import ClientRefused, Provider, ProviderFailed
from .approvals.relying_party import elsewhere, obstacle
from .core.decisions import Level
from .core.identity import KeyRecord, Kind
from .core.numbers import number_of
from .core.redaction import visible_line
from .core.rules import PolicySet
from .ports import Clock
from .settings import Config
from .signing_in import registration
from .weakness import Weakness


def sign_in(config: Config) -> Iterator[Weakness]:
    """Say what is weak about sign-in at a provider, as far as the file tells."""
    oidc = config.people.oidc
    if oidc is None:
        return
    roles = oidc.roles
    if not (roles.approver or roles.admin or roles.auditor):
        yield Weakness(
            name="oidc-no-roles",
            what=f"Nobody comes in by {oidc.issuer}: no group is mapped to a role.",
            cure="Say under `people.oidc.roles` which groups are approvers, admins and auditors.",
        )
    both = sorted(set(roles.approver) & set(roles.admin))
    if both:
        yield Weakness(
            name="oidc-two-roles",
            what=f"Who is in {', '.join(both)} may be approver and admin, one session after the"
            " other.",
            cure="Use a group for each under `people.oidc.roles`, if that is not what you want.",
        )


async def provider_weakness(config: Config, clock: Clock) -> tuple[Weakness, ...]:
    """Ask the provider who it is and whether it knows Interlock; return what is wrong."""
    oidc = config.people.oidc
    if oidc is None:
        return ()
    provider = Provider(registration(oidc, config.people_url), clock)
    try:
        await provider.accepts_client()
    except ClientRefused:
        of = f" and {oidc.client_secret.place}" if oidc.client_secret else ""
        return (
            Weakness(
                name="oidc-client",
                path="people.oidc.client_secret" if of else "people.oidc.client_id",
                what=f"Nobody can sign in at {oidc.issuer}: it does not accept Interlock as its"
                f" client {visible_line(oidc.client_id)}.",
                cure=f"Compare `people.oidc.client_id`{of} with what the provider says of the"
                " client.",
            ),
        )
    except ProviderFailed as failed:
        return (
            Weakness(
                name="oidc-provider",
                path="people.oidc.issuer",
                what=f"Nobody can sign in at {oidc.issuer}. {failed.detail}",
                cure="Check `people.oidc.issuer`, its certificate, and that this machine reaches"
                " it.",
            ),
        )
    finally:
        await provider.close()
    return ()


def identities(
    config: Config, policy: PolicySet, keys: tuple[KeyRecord, ...]
) -> Iterator[Weakness]:
    """Say where policy asks for more people than there are."""
    if config.people.oidc is not None and config.people.oidc.roles.approver:
        return  # who they are is the provider's to know
    people = _people(config, keys)
    if not people:
        yield Weakness(
            name="nobody",
            what="Nobody can decide: there are no local people and no approvers' keys.",
            cure="Add `people: {local: [{id: YOU}]}`, or run `interlock keys create approver YOU`.",
        )
        return
    levels = (
        (Level.APPROVE, policy.levels.approve),
        (Level.APPROVE_DUAL, policy.levels.approve_dual),
    )
    reachable = {level for row in policy.matrix for level in row}
    reachable |= {rule.at_least for rule in policy.rules}
    for level, asked in levels:
        if level not in reachable:
            continue
        groups = set(asked.approvers)
        able = [name for name, has in people.items() if not groups or groups & has]
        # of a group that nobody is in, `strangers` says more
        if len(able) < asked.quorum and (able or not groups):
            of = f" of {' or '.join(sorted(groups))}" if groups else ""
            needed = number_of(asked.quorum, "person", "people")
            yield Weakness(
                name="quorum",
                what=f"{level.word} needs {needed}{of}; there are {len(able)}.",
                cure="Add people under `people.local`, or make approvers' keys.",
            )


def _people(config: Config, keys: tuple[KeyRecord, ...]) -> dict[str, set[str]]:
    """Return the groups of everybody who is said to decide here."""
    people = {person.id: set(person.groups) for person in config.people.local}
    for key in keys:
        if key.kind is Kind.APPROVER and not key.revoked:
            people.setdefault(key.subject, set()).update(key.groups)
    return people


def strangers(config: Config, policy: PolicySet, keys: tuple[KeyRecord, ...]) -> Iterator[Weakness]:
    """Say which groups of the policy nobody is known to be in, and which one may be meant."""
    known = _known_groups(config, keys)
    oidc = config.people.oidc
    for group, uses in _named_groups(policy).items():
        if group in known:
            continue
        near = difflib.get_close_matches(group, sorted(known), 1)
        nearest = f" (nearest: {near[0]})" if near else ""
        if oidc is not None and oidc.roles.approver:  # it may say more groups than it lets in
            what = (
                f"No local person, key or OIDC role has the group {group}{nearest}, so it has to be"
                f" one that {oidc.issuer} says of people."
            )
        else:
            what = (
                f"No local person, key or OIDC role has the group {group}{nearest};"
                f" {_left_alone(uses, known)}."
            )
        yield Weakness(
            name="unknown-group",
            what=what,
            cure=f"Mend the name under `{uses[0][0]}` in the policy, or put somebody in it, under"
            " `people.local` or with `interlock keys create approver NAME --group"
            f" {group}`.",
        )


def _known_groups(config: Config, keys: tuple[KeyRecord, ...]) -> frozenset[str]:
    """Return every group that configuration or a key of an approver says somebody is in."""
    known = {group for groups in _people(config, keys).values() for group in groups}
    slack = config.notify.slack
    for person in slack.people.values() if slack else ():
        known |= set(person.groups or ())
    if config.people.oidc is not None:
        known |= set(config.people.oidc.roles.approver)
    return frozenset(known)


def _named_groups(policy: PolicySet) -> dict[str, list[tuple[str, tuple[str, ...]]]]:
    """Return the groups that policy names: where, and the groups that stand beside them."""
    found: dict[str, list[tuple[str, tuple[str, ...]]]] = {}
    levels = (("approve", policy.levels.approve), ("approve_dual", policy.levels.approve_dual))
    for name, asked in levels:
        places = [(f"levels.{name}.approvers", asked.approvers)]
        places += [(f"levels.{name}.escalate", each.to) for each in asked.escalate]
        for place, groups in places:
            for group in groups:
                found.setdefault(group, []).append((place, groups))
    for group in policy.levels.notify:
        found.setdefault(group, []).append(("levels.notify", policy.levels.notify))
    return found


def _left_alone(uses: list[tuple[str, tuple[str, ...]]], known: frozenset[str]) -> str:
    """Say what it means that nobody is in a group, from the worst use of it."""
    approvers = [groups for place, groups in uses if place.endswith(".approvers")]
    if any(not known.intersection(groups) for groups in approvers):
        return "calls held for it can only expire"
    if approvers:
        return "nobody decides for it"
    if any(place.endswith(".escalate") for place, _ in uses):
        return "escalating to it brings nobody"
    return "nobody is told for it"


def signatures(config: Config, policy: PolicySet) -> Iterator[Weakness]:
    """Say where policy asks for signatures that browsers make nowhere near people's page."""
    url, levels = config.people_url, policy.levels
    if not (levels.approve.step_up or levels.approve_dual.step_up):
        return
    if why := obstacle(url):
        yield Weakness(
            name="no-signatures",
            what=f"Policy asks for signatures (`step_up`), so nobody can approve. {why}",
            cure="Set `people.url: https://...` with a domain name.",
        )
    elif where := elsewhere(url):
        yield Weakness(
            name="no-signatures-here",
            what=f"Policy asks for signatures (`step_up`), and browsers make none at {url}.",
            cure=f"Set `people.url: {where}`; links to sign in then lead there.",
        )
