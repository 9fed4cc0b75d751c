"""`interlock notifications list|retry|drop|test`: what people were not told of, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import click

from ..core.errors import InterlockError
from ..core.numbers import number_of
from .asking import Api, api_options
from .console import note, safe, say, say_json, table

_ID = re.compile(r"[0-9]{1,20}-[0-9]{1,20}")


@click.group()
def notifications() -> None:
    """See what people were not told of, send it again, try a channel out.

    \b
    Examples:
      interlock notifications list
      interlock notifications retry 1790000000000-7
      interlock notifications test webhook.ops
    """


@notifications.command("list")
@click.option("--waiting", is_flag=True, help="Also list what is still tried.")
@api_options
def list_(api: Api, waiting: bool) -> None:
    """List the notices that are not tried any more, newest first.

    \b
    Example:
      interlock notifications list --waiting
    """
    listed = api.ask(lambda people: people.get("/v1/notifications"))
    if api.as_json:
        say_json(listed)
        return
    shown = [*listed["dead"], *(listed["waiting"] if waiting else ())]
    if shown:
        heads = ("ID", "CHANNEL", "NOTICE", "CALL", "SINCE", "TRIES", "NEXT", "WHY")
        say(table(heads, [_row(each) for each in shown]))
    dead, rest = int(listed["dead_total"]), int(listed["waiting_total"])
    note(f"{dead} not tried any more, {rest} waiting.")
    if dead:
        note("Send one again: `interlock notifications retry ID`; forget it: `... drop ID`")


@notifications.command()
@click.argument("notice")
@api_options
def retry(api: Api, notice: str) -> None:
    """Send one NOTICE again, now.

    \b
    Example:
      interlock notifications retry 1790000000000-7
    """
    path = f"/v1/notifications/{_checked(notice)}/retry"
    done = api.ask(lambda people: people.post(path, {}))
    api.say(done, f"{safe(done['id'])} is sent again.")


@notifications.command()
@click.argument("notice")
@api_options
def drop(api: Api, notice: str) -> None:
    """Forget one NOTICE: nobody is told.

    \b
    Example:
      interlock notifications drop 1790000000000-7
    """
    path = f"/v1/notifications/{_checked(notice)}"
    done = api.ask(lambda people: people.delete(path))
    api.say(done, f"{safe(done['id'])} is forgotten.")


@notifications.command()
@click.argument("channel")
@api_options
def test(api: Api, channel: str) -> None:
    """Have the running Interlock send a sample through CHANNEL.

    \b
    Example:
      interlock notifications test webhook.ops
    """
    where, body = "/v1/notifications/test", {"channel": channel}
    said = api.ask(lambda people: people.post(where, body))
    if api.as_json:
        say_json(said)
    if not said["delivered"]:
        raise InterlockError(
            f"{safe(channel)} did not take the sample: {safe(said['why'])}.",
            help="See `notify` in interlock.yaml and docs/channels.md.",
        )
    if not api.as_json:
        say(f"{safe(channel)} took the sample.")


def _checked(notice: str) -> str:
    if not _ID.fullmatch(notice):
        raise click.BadParameter("an id looks like 1790000000000-7", param_hint="NOTICE")
    return notice


def _row(notice: Mapping[str, Any]) -> tuple[object, ...]:
    calls = int(notice["calls"])
    return (
        notice["id"],
        notice["channel"],
        notice["notice"],
        notice["action_id"] or number_of(calls, "call"),
        _moment(notice["created"]),
        notice["tries"],
        "never" if notice["died"] else _moment(notice["due"]),
        notice["failed"],
    )


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
