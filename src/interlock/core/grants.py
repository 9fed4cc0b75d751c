"""A person's "do not ask again": when it lowers a call, and when one may be given."""

from __future__ import annotations

from datetime import datetime

from .actions import ToolCall
from .facts import Facts, Grant
from .judging import LEVELS, Judging
from .rules import Tool


def grantable(tool: Tool | None, judging: Judging) -> bool:
    """Say whether a grant would lower calls like this one."""
    return (
        tool is not None
        and tool.grants is not None
        and judging.level > tool.grants.at_most
        and not judging.settled
    )


def apply_grant(
    facts: Facts, call: ToolCall, tool: Tool, key: str, at: datetime, judging: Judging
) -> None:
    """Lower to what policy lets a grant do, where nothing fired and nothing is in doubt.

    *key*: of the call's target; a grant for any other does not count. That it is genuine is
    checked by whoever fetched it.
    """
    grant = facts.grant
    if grant is None or tool.grants is None or not grantable(tool, judging):
        return
    if not _covers(grant, call, tool, key, at):
        judging.notes.append(f"grant {grant.id}: not for this call, or ended")
        return
    if judging.level > grant.level or judging.stake > grant.stake:
        judging.notes.append(f"grant {grant.id}: given for a call of less weight")
        return
    judging.grant = grant.id
    judging.level = tool.grants.at_most
    judging.notes.append(f"grant {grant.id} of {grant.by}: at most {LEVELS[judging.level]}")


def _covers(grant: Grant, call: ToolCall, tool: Tool, key: str, at: datetime) -> bool:
    return (
        bool(key)
        and grant.key == key
        and grant.agent == call.agent.id
        and grant.tool == tool.id
        and grant.used < grant.uses
        and grant.expires > at.timestamp() * 1000
    )
