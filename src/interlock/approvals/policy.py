"""The policy in force, as people see it: what decides, what is on trial, what is wrong."""

from __future__ import annotations

import asyncio

from aiohttp import web

from ..core.redaction import visible_line
from ..ports import TriedOut
from .access import PEOPLE, Route
from .bodies import answer
from .deps import DEPS, ApiDeps
from .models_policy import Covered, PolicyVersion, PolicyView, Preset, TestedView, Tried
from .reasons import REASONS


async def view(deps: ApiDeps) -> PolicyView:
    """Return what decides now, and what became of the files since."""
    files = await asyncio.to_thread(deps.policy_files)
    policy, state = deps.gate.policy, deps.gate.policy_state
    return PolicyView(
        name=visible_line(state.ref.name),
        version=state.ref.version,
        sha256=state.ref.sha256,
        mode="shadow" if policy.shadow else "enforce",
        loaded_at=state.loaded_at,
        files=[visible_line(name) for name in files],
        stale=bool(state.problems),
        failed_at=state.failed_at if state.problems else 0,
        problems=[visible_line(problem) for problem in state.problems],
        tools=len(policy.tools),
        rules=len(policy.rules),
        limits=len(policy.limits),
        exceptions=len(policy.exceptions),
        shadow=[
            Tried(rule=visible_line(rule), level=level, fired=fired, more=more)
            for (rule, level), (fired, more) in sorted(deps.shadowed().items())
        ],
        vanished=[visible_line(each) for each in state.vanished],
        reasons=[
            Preset(code=code, text=visible_line(text))
            for code, text in policy.attention.reasons or REASONS
        ],
        tested=_tested(state.tested),
        versions=await _versions(deps),
    )


def _tested(tested: TriedOut | None) -> TestedView | None:
    if tested is None:
        return None
    return TestedView(
        suites=tested.suites,
        passed=tested.passed,
        cells=tested.cells,
        parts=[_covered(kind, tested) for kind in dict.fromkeys(kind for kind, *_ in tested.parts)],
    )


def _covered(kind: str, tested: TriedOut) -> Covered:
    known = [(name, cases) for each, name, cases in tested.parts if each == kind]
    return Covered(
        kind=kind,
        touched=sum(cases > 0 for _, cases in known),
        total=len(known),
        never=[visible_line(name) for name, cases in known if not cases],
    )


async def _versions(deps: ApiDeps) -> list[PolicyVersion]:
    return [
        PolicyVersion(
            name=visible_line(each.ref.name),
            version=each.ref.version,
            sha256=visible_line(each.ref.sha256),
            since=each.at,
            by=visible_line(each.by),
            host=visible_line(each.host),
        )
        for each in (await deps.policies_seen.seen() if deps.policies_seen else ())
    ]


async def show_policy(request: web.Request) -> web.Response:
    return answer(await view(request.app[DEPS]))


ROUTES = (
    Route(
        method="GET",
        path="/v1/policy",
        handler=show_policy,
        kinds=PEOPLE,
    ),
)
