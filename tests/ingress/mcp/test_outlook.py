"""What may become of a tool: never wrongly sure, whatever policy, arguments and past."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.decisions import Level
from interlock.core.definitions import definition_hash
from interlock.core.rules import Facet, Limit, Novelty, PolicySet, Rule, Tool, UnknownTool
from interlock.ingress.mcp.outlook import anything_held, may_be_refused, surely_denied
from tests.core.building import PAY, mcp, mcp_call, policy
from tests.core.test_lattice import PASTS, SETTINGS, TOOLS, USED, judged

READ = Tool(id="read", match=mcp("files", "read"), reversibility=PAY.reversibility.READ_ONLY)
LISTED = {"name": "read"}
HINTS = st.dictionaries(
    st.sampled_from(["readOnlyHint", "destructiveHint", "openWorldHint"]), st.booleans()
)
POLICIES = st.builds(
    lambda tool, settings, unknown, shadow: policy(
        replace(tool, match=mcp("files", "read")), unknown_tool=unknown, shadow=shadow, **settings
    ),
    TOOLS,
    SETTINGS,
    st.sampled_from(
        [UnknownTool(), UnknownTool(level=Level.NOTIFY), UnknownTool(level=Level.DENY)]
    ),
    st.sampled_from([False, False, True]),
)
ARGUMENTS = st.dictionaries(
    st.sampled_from(["amount", "to"]), st.integers(-10, 20_000) | st.sampled_from(["bob", None])
)


@given(
    POLICIES,
    st.sampled_from(["read", "other"]),
    ARGUMENTS,
    st.none() | st.floats(0, 1),
    HINTS,
    st.booleans(),
    PASTS,
    USED,
)
def test_what_is_foreseen_is_what_comes(
    compiled: PolicySet,
    name: str,
    arguments: dict[str, Any],
    confidence: float | None,
    annotations: dict[str, bool],
    accepted: bool,
    past: dict[str, Any],
    used: int,
) -> None:
    listed = {"name": name, "annotations": annotations}
    asked = mcp_call("files", name, definition_hash(listed), **arguments)
    assert asked.mcp is not None
    tool = replace(asked.mcp, annotations=annotations, accepted=accepted)
    asked = replace(asked, mcp=tool, context=replace(asked.context, confidence=confidence))

    level = judged(asked, compiled, past, used).level

    if level >= Level.APPROVE:
        assert may_be_refused(compiled, "files", listed, accepted=accepted)
        assert anything_held(compiled, "files") or not accepted
    if surely_denied(compiled, "files", listed, accepted=accepted):
        assert level is Level.DENY


def a_rule(**more: Any) -> Rule:
    return Rule(id="r", when=lambda seen: False, **more)


LIMIT = Limit(id="l", key=("agent.id",), window_ms=1, maximum=1, then=Level.APPROVE)


@pytest.mark.parametrize(
    ("tool", "settings", "refused"),
    [
        (READ, {}, False),
        (replace(READ, rules=(a_rule(at_least=Level.NOTIFY),)), {}, False),
        (replace(READ, rules=(a_rule(at_least=Level.APPROVE),)), {}, True),
        (replace(READ, rules=(a_rule(at_least=Level.APPROVE, shadow=True),)), {}, False),
        (replace(READ, rules=(a_rule(deny="No."),)), {}, True),
        (replace(READ, limits=(LIMIT,)), {}, True),
        (replace(READ, limits=(replace(LIMIT, shadow=True),)), {}, False),
        (replace(READ, facets=(Facet(name="d", shown="d"),)), {}, True),
        (replace(READ, invalid=lambda arguments: ""), {}, True),
        (READ, {"novelty": Novelty(steps=2)}, False),
        (replace(READ, reversibility=PAY.reversibility), {"novelty": Novelty()}, True),
        (replace(READ, reversibility=PAY.reversibility), {"shadow": True}, False),
    ],
)
def test_only_what_can_raise_a_tool_makes_it_refusable(
    tool: Tool, settings: dict[str, Any], refused: bool
) -> None:
    compiled = policy(tool, **settings)

    assert may_be_refused(compiled, "files", LISTED) is refused


def test_nothing_is_held_where_everything_is_allowed() -> None:
    everything = replace(READ, match=mcp("files", "*"))

    assert not anything_held(policy(everything), "files")
    assert anything_held(policy(everything), "elsewhere")
    assert anything_held(policy(READ), "files"), "tools that no entry names"
    assert not anything_held(policy(READ, shadow=True), "files")


def test_a_rule_without_a_condition_denies_surely() -> None:
    denied = Rule(id="r", deny="No.")
    maybe = replace(denied, when=lambda seen: True)

    assert surely_denied(policy(replace(READ, rules=(denied,))), "files", LISTED)
    assert not surely_denied(policy(replace(READ, rules=(maybe,))), "files", LISTED)
    assert not surely_denied(policy(replace(READ, rules=(denied,)), shadow=True), "files", LISTED)
