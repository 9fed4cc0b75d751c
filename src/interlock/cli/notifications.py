"""`interlock notifications list|retry|drop|test`: what people were not told of, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from ..core.errors import InterlockError
from .asking import asked, people_options
from .client import access
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
@people_options
def list_(url: str | None, key_file: Path | None, file: Path, as_json: bool, waiting: bool) -> None:
    """List the notices that are not tried any more, newest first.

    \b
    Example:
      interlock notifications list --waiting
    """
    listed = asked(access(url, key_file, file), lambda people: people.get("/v1/notifications"))
    if as_json:
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
@people_options
def retry(notice: str, url: str | None, key_file: Path | None, file: Path, as_json: bool) -> None:
    """Send one NOTICE again, now.

    \b
    Example:
      interlock notifications retry 1790000000000-7
    """
    path = f"/v1/notifications/{_checked(notice)}/retry"
    done = asked(access(url, key_file, file), lambda people: people.post(path, {}))
    if as_json:
        say_json(done)
    else:
        say(f"{safe(done['id'])} is sent again.")


@notifications.command()
@click.argument("notice")
@people_options
def drop(notice: str, url: str | None, key_file: Path | None, file: Path, as_json: bool) -> None:
    """Forget one NOTICE: nobody is told.

    \b
    Example:
      interlock notifications drop 1790000000000-7
    """
    path = f"/v1/notifications/{_checked(notice)}"
    done = asked(access(url, key_file, file), lambda people: people.delete(path))
    if as_json:
        say_json(done)
    else:
        say(f"{safe(done['id'])} is forgotten.")


@notifications.command()
@click.argument("channel")
@people_options
def test(channel: str, url: str | None, key_file: Path | None, file: Path, as_json: bool) -> None:
    """Have the running Interlock send a sample through CHANNEL.

    \b
    Example:
      interlock notifications test webhook.ops
    """
    where, body = "/v1/notifications/test", {"channel": channel}
    said = asked(access(url, key_file, file), lambda people: people.post(where, body))
    if as_json:
        say_json(said)
    if not said["delivered"]:
        raise InterlockError(
            f"{safe(channel)} did not take the sample: {safe(said['why'])}.",
            help="See `notify` in interlock.yaml and docs/channels.md.",
        )
    if not as_json:
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
        notice["action_id"] or f"{calls} calls",
        _moment(notice["created"]),
        notice["tries"],
        "never" if notice["died"] else _moment(notice["due"]),
        notice["failed"],
    )


def _moment(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
