"""What is weak about who decides, and about how they sign in."""

from __future__ import annotations

from collections.abc import Iterator

from .approvals.oidc_provider import Provider, ProviderFailed
from .approvals.relying_party import elsewhere, obstacle
from .core.decisions import Level
from .core.identity import KeyRecord, Kind
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
    """Ask the provider who it is; return what is wrong with its answer."""
    if config.people.oidc is None:
        return ()
    provider = Provider(registration(config.people.oidc, config.people_url), clock)
    try:
        await provider.metadata()
    except ProviderFailed as failed:
        return (
            Weakness(
                name="oidc-provider",
                what=f"Nobody can sign in at {config.people.oidc.issuer}. {failed.detail}",
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
    people = {person.id: set(person.groups) for person in config.people.local}
    for key in keys:
        if key.kind is Kind.APPROVER and not key.revoked:
            people.setdefault(key.subject, set()).update(key.groups)
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
        if len(able) < asked.quorum:
            of = f" of {' or '.join(sorted(groups))}" if groups else ""
            yield Weakness(
                name="quorum",
                what=f"{level.word} needs {asked.quorum} people{of}; there are {len(able)}.",
                cure="Add people under `people.local`, or make approvers' keys.",
            )


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
