"""`interlock tools list|show|accept`: what MCP servers say of their tools, and what is new."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import click

from ..core.errors import InterlockError, NotFound
from .asking import Api, api_options
from .client import People
from .console import note, safe, say, say_json, table

_COLOURS = {"-": "red", "+": "green"}
_MOST = 200


@click.group()
def tools() -> None:
    """See and accept what MCP servers say of their tools.

    A tool that is new, or of which its server says something else than before, is unknown to
    policy until a person accepts it.

    \b
    Examples:
      interlock tools list
      interlock tools show files read_file
      interlock tools accept files read_file
    """


@tools.command("list")
@click.option("--all", "every", is_flag=True, help="Also what is accepted.")
@click.option("--server", help="Only tools of this server.")
@api_options
def list_(api: Api, every: bool, server: str | None) -> None:
    """List the tools that wait to be accepted.

    \b
    Examples:
      interlock tools list
      interlock tools list --all --server files
    """
    query = {"limit": str(_MOST)} | ({} if every else {"state": "waiting"})
    query |= {} if server is None else {"server": server}
    listed = api.ask(lambda people: people.get("/v1/definitions", query))
    if api.as_json:
        say_json(listed)
    elif listed["items"]:
        heads = ("SERVER", "TOOL", "STATE", "SINCE", "ACCEPTED BY")
        say(table(heads, [_row(each) for each in listed["items"]]))
        if listed["total"] > len(listed["items"]):
            note(f"{listed['total'] - len(listed['items'])} more: narrow it with --server.")
        note("See what is new: `interlock tools show SERVER TOOL`")
    else:
        note("No tool waits to be accepted.")


@tools.command()
@click.argument("server")
@click.argument("tool")
@api_options
def show(api: Api, server: str, tool: str) -> None:
    """Show all that SERVER says of TOOL, and what is new in it.

    \b
    Example:
      interlock tools show files read_file
    """
    found = api.ask(lambda people: _one(people, server, tool))
    api.say(found, "\n".join(_told(found)))


@tools.command()
@click.argument("server")
@click.argument("tool")
@click.option("--hash", "digest", metavar="HASH", default="", help="Only this, as `show` printed.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask back; needs --hash.")
@api_options
def accept(api: Api, server: str, tool: str, digest: str, yes: bool) -> None:
    """Show what SERVER says of TOOL, and accept it.

    \b
    Examples:
      interlock tools accept files read_file
      interlock tools accept files read_file --hash sha256:5f0c... --yes
    """
    if yes and not digest:
        raise click.UsageError("--yes needs --hash: the definition that you have read.")

    async def accepting(people: People) -> dict[str, Any]:
        found = await _one(people, server, tool)
        if digest and found["hash"] != digest:
            raise InterlockError(
                "The server lists another definition by now.",
                help="Look at that one: `interlock tools show SERVER TOOL`.",
            )
        if found["waits"] and not found["flaw"] and not yes:
            click.echo("\n".join(_told(found)), err=api.as_json)
            click.confirm("Accept this definition?", abort=True, err=api.as_json)
        return await people.post(found["path"], {"hash": found["hash"]})

    after = api.ask(accepting)
    said = [safe(after[name]) for name in ("tool", "server", "accepted_by")]
    api.say(after, "{} of {} is accepted by {}.".format(*said))


async def _one(people: People, server: str, tool: str) -> dict[str, Any]:
    listed = await people.get("/v1/definitions", {"server": server, "tool": tool})
    if not listed["items"]:
        raise NotFound(
            f"{server} has listed no tool {tool}.", help="See all: `interlock tools list --all`."
        )
    found: dict[str, Any] = listed["items"][0]
    return found


def _told(found: Mapping[str, Any]) -> Iterator[str]:
    """Yield all of a definition, line by line, with what is new in it."""
    yield click.style(
        f"{safe(found['tool'])} of {safe(found['server'])}: {_state(found)}", bold=True
    )
    yield f"hash {safe(found['hash'])}"
    if found["flaw"]:
        yield click.style(f"{safe(found['flaw'])} It cannot be accepted.", fg="red")
    for warning in found["warnings"]:
        yield click.style(
            f"Look twice: {safe(warning['where'])}: {safe(warning['text'])}", fg="magenta"
        )
    for member in found["members"] or ():
        yield ""
        more = "" if member["changed"] or not found["waits"] else " (not changed)"
        yield click.style(f"{safe(member['name'])}{more}", bold=True)
        for line in member["diff"]:
            text = f"{line['sign']} {safe(''.join(line['parts']))}"
            yield click.style(text, fg=_COLOURS.get(line["sign"]))


def _state(found: Mapping[str, Any]) -> str:
    if not found["waits"]:
        return "accepted"
    return "changed" if found["accepted_hash"] else "new"


def _row(found: Mapping[str, Any]) -> tuple[object, ...]:
    since = datetime.fromtimestamp(int(found["since"]) / 1000, UTC)
    return (
        found["server"],
        found["tool"],
        _state(found),
        since.strftime("%Y-%m-%d %H:%M UTC"),
        found["accepted_by"] or "-",
    )
