"""What policy may come to say of a tool, whatever its arguments and the past. Pure.

Never wrongly sure: `may_be_refused` is an upper bound over all arguments and pasts,
`surely_denied` a lower one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ...core import claims
from ...core.actions import Agent, McpTool, ToolCall
from ...core.decisions import Level, Reversibility, Stake
from ...core.definitions import definition_hash
from ...core.matching import Found
from ...core.messages import TOOLS_CALL
from ...core.patterns import McpMatch
from ...core.rules import Facet, Limit, PolicySet, Rule, Tool
from .reading import hints

_NOBODY = Agent(id="")
_NO_TOOL = "\0"  #: a name that no entry but `*` takes


def may_be_refused(
    policy: PolicySet, server: str, tool: Mapping[str, Any], *, accepted: bool = True
) -> bool:
    """Say whether some call of *tool*, an entry of `tools/list`, may be held or denied.

    *accepted*: whether a person accepted this definition, or the first listing did.
    """
    return _worst(policy, _call(server, tool, accepted)) >= Level.APPROVE


def anything_held(policy: PolicySet, server: str) -> bool:
    """Say whether some call of some tool of *server* may be held or denied, listed or not."""
    if policy.shadow:
        return False
    matches = [tool.match for tool in policy.tools.values() if isinstance(tool.match, McpMatch)]
    patterns = [each.text for m in matches if m.server == server for each in m.tool.patterns]
    unknown = [] if "*" in patterns else [_NO_TOOL]
    return any(may_be_refused(policy, server, {"name": name}) for name in [*patterns, *unknown])


def surely_denied(
    policy: PolicySet, server: str, tool: Mapping[str, Any], *, accepted: bool = True
) -> bool:
    """Say whether every call of *tool* is denied, whatever its arguments."""
    if policy.shadow:
        return False
    call = _call(server, tool, accepted)
    entry = _entry(policy, call)
    if entry is None:
        return policy.unknown_tool.level is Level.DENY or _always(policy.unknown_rules)
    known = claims.accepted(call, entry)
    if not known and policy.unknown_tool.level is Level.DENY:
        return True
    if _always(entry.rules):
        return True
    return not (known and entry.shadow) and _best(policy, call, entry) is Level.DENY


def _best(policy: PolicySet, call: ToolCall, entry: Tool) -> Level:
    """Return the least level of any call of *entry*, signals aside."""
    sure = [rule for rule in entry.rules if rule.when is None and not rule.shadow]
    stake = max((*map(_least, entry.facets), *(rule.stake for rule in sure)), default=Stake.LOW)
    raised = (claims.reversibility(call, entry), *(rule.reversibility for rule in sure))
    return policy.matrix[max(raised)][stake]


def _call(server: str, tool: Mapping[str, Any], accepted: bool) -> ToolCall:
    name = tool.get("name")
    return ToolCall(
        agent=_NOBODY,
        upstream=server,
        method=TOOLS_CALL,
        target="/",
        mcp=McpTool(
            name=name if isinstance(name, str) else "",
            definition=definition_hash(tool),
            annotations=hints(tool),
            accepted=accepted,
        ),
    )


def _entry(policy: PolicySet, call: ToolCall) -> Tool | None:
    """Return the entry that names the tool, accepted or not; None: there is none."""
    found = policy.catalogue.find(call)
    return policy.tools[found.tool] if isinstance(found, Found) else None


def _worst(policy: PolicySet, call: ToolCall) -> Level:
    if policy.shadow:
        return Level.NOTIFY
    entry = _entry(policy, call)
    if entry is None:
        floor = _floor(policy.unknown_rules, policy.unknown_limits)
        level = _raised(_unknown(policy, floor), _steps_of_risk(policy))
    elif not claims.accepted(call, entry):
        level = _unknown(policy, _worst_known(policy, call, entry))
    elif entry.shadow:
        return _floor(entry.rules, entry.limits)
    elif entry.invalid is not None:  # arguments that do not fit are denied
        return Level.DENY
    else:
        level = _worst_known(policy, call, entry)
    return _remembered(policy, level)


def _unknown(policy: PolicySet, level: Level) -> Level:
    return max(level, policy.unknown_tool.level, Level.NOTIFY)


def _worst_known(policy: PolicySet, call: ToolCall, entry: Tool) -> Level:
    rules = [rule for rule in entry.rules if not rule.shadow]
    stake = max((*map(_most, entry.facets), *(rule.stake for rule in rules)), default=Stake.LOW)
    raised = (claims.reversibility(call, entry), *(rule.reversibility for rule in rules))
    reversibility = max(raised)
    level = max(policy.matrix[reversibility][stake], _floor(entry.rules, entry.limits))
    if level is Level.ALLOW and reversibility is Reversibility.READ_ONLY:
        return level  # nothing raises what is allowed and changes nothing
    return _raised(level, _steps(policy, stake) + _steps_of_risk(policy))


def _floor(rules: Iterable[Rule], limits: Iterable[Limit]) -> Level:
    floors = [Level.ALLOW]
    floors += [rule.at_least for rule in rules if not rule.shadow]
    floors += [Level.DENY for rule in rules if rule.deny is not None and not rule.shadow]
    floors += [limit.then for limit in limits if not limit.shadow]
    return max(floors)


def _raised(level: Level, steps: int) -> Level:
    return level if level is Level.DENY else Level(min(level + steps, Level.APPROVE_DUAL))


def _steps(policy: PolicySet, stake: Stake) -> int:
    """Return by how many steps doubt and novelty may raise, up to this stake."""
    doubt = policy.confidence is not None and any(
        below > 0 for below in policy.confidence.raise_below[: stake + 1]
    )
    return int(doubt) + (policy.novelty.steps if policy.novelty else 0)


def _steps_of_risk(policy: PolicySet) -> int:
    risk = policy.session_risk
    return max((steps for _, steps in risk.raise_at), default=0) if risk else 0


def _remembered(policy: PolicySet, level: Level) -> Level:
    """A refusal of a target is remembered, whatever the tool is allowed by now."""
    return max(level, policy.repeat_denied.then) if policy.repeat_denied else level


def _always(rules: Iterable[Rule]) -> bool:
    return any(rule.when is None and rule.deny is not None and not rule.shadow for rule in rules)


def _most(facet: Facet) -> Stake:
    return max(band.stake for band in facet.bands) if facet.bands else facet.stake


def _least(facet: Facet) -> Stake:
    return min(band.stake for band in facet.bands) if facet.bands else facet.stake
