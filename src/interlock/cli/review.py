"""`interlock queue`, `show`, `approve`, `edit`, `reject`, `respond`: deciding in a terminal."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from . import terminal
from .asking import Api, api_options, looking, reveal_option
from .client import Access, People
from .console import note, say, say_json, say_long
from .deciding import Deciding, decide
from .queue_view import watch
from .render import item_text, queue_table
from .together import checked, decide_together

T = TypeVar("T")
REFRESH = 2.0  #: seconds between looks with --watch, where lines are printed
_USUAL, _LIVE = 50, 200  #: calls in a list, and in a live one


def deciding_options(command: Callable[..., T]) -> Callable[..., T]:
    command = reveal_option(command)
    command = click.option("--yes", "-y", is_flag=True, help="Do not ask back.")(command)
    command = click.option("--reason", metavar="CODE", default="", help="A preset reason.")(command)
    command = click.option(
        "--digest",
        metavar="DIGEST",
        default="",
        help="Only decide the call with this digest (or its beginning), as `show` printed it.",
    )(command)
    return api_options(command)


@click.command()
@click.option(
    "--state",
    default="held",
    show_default=True,
    help="Or `approved` (waits to be sent), `recent`, `answered`, ...",
)
@click.option("--agent", help="Only calls of this agent.")
@click.option("--tool", help="Only calls of this tool.")
@click.option("--level", help="Only calls at this level, such as approve_dual.")
@click.option("--text", help="Only calls in which this occurs, as the list shows them.")
@click.option("--mine", is_flag=True, help="Only what you may decide and nobody else is asked to.")
@click.option("--limit", type=click.IntRange(1, 200), help="Else 50, with --watch 200.")
@click.option("--watch", "-w", "live", is_flag=True, help="Stay, and follow; keys decide.")
@api_options
def queue(
    api: Api, state: str, mine: bool, limit: int | None, live: bool, **filters: str | None
) -> None:
    """List the calls that wait for a person: the highest stake first, then the oldest.

    With --watch on a terminal, the list follows what happens: j and k move, Enter shows, a
    approves, e edits, r rejects, x selects, A and R decide what is selected, ? lists all keys.
    Elsewhere the table is printed again whenever it changes.

    \b
    Examples:
      interlock queue
      interlock queue --watch --mine
      interlock queue --state recent --agent billing-bot
    """
    query = {name: value for name, value in filters.items() if value}
    query |= {"state": state, "limit": str(limit or (_LIVE if live else _USUAL))}
    query |= {"mine": "yes"} if mine else {}
    try:
        if not live or api.as_json:
            _list(api, query)
        elif terminal.usable():
            watch(api.access, query, plain=click.get_current_context().color is False)
        else:
            asyncio.run(_print_changes(api.access, query))
    except KeyboardInterrupt:
        return


def _list(api: Api, query: Mapping[str, str]) -> None:
    listed = api.ask(lambda people: people.get("/v1/approvals", query))
    if api.as_json:
        say_json(listed)
    elif listed["items"]:
        say(queue_table(listed))
        if listed["next"]:
            note(f"{len(listed['items'])} of {listed['total']}; see --limit.")
        note("Look at one: `interlock show ID`")
    else:
        note("Nothing waits." if query["state"] == "held" else "Nothing to show.")


async def _print_changes(at: Access, query: Mapping[str, str]) -> None:
    """Print the table again whenever a call came, went or changed."""
    before: object = None
    async with People(at) as people:
        while True:
            listed = await people.get("/v1/approvals", query)
            now = [(card["id"], card["version"]) for card in listed["items"]]
            if now != before:
                say(queue_table(listed) if listed["items"] else "Nothing waits.")
                before = now
            await asyncio.sleep(REFRESH)


@click.command()
@click.argument("call")
@click.option("--verdict", is_flag=True, help="Also show what policy thinks, where that is folded.")
@reveal_option
@api_options
def show(api: Api, call: str, reveal: bool, verdict: bool) -> None:
    """Show everything about one CALL: what will be sent, why it is held, what came before.

    CALL is an id as `interlock queue` prints it; of a call that waits, its first 8 characters or
    more will do.

    Invisible and deceptive characters are shown by their number, such as <U+202E>. On a terminal,
    what is longer than the screen goes through $PAGER. Where policy folds its verdict until you
    have judged for yourself, so does this, unless you add --verdict.

    \b
    Examples:
      interlock show 5f0c21ab
      interlock show 5f0c21ab --reveal
    """
    item = api.ask(looking(call, reveal))
    if api.as_json:
        say_json(item)
    else:
        say_long(item_text(item, folded=not verdict), colour=click.get_current_context().color)


@click.command()
@click.argument("calls", nargs=-1, required=True, metavar="CALL...")
@click.option("--message", "-m", default="", help="Why, where policy asks for a reason.")
@click.option("--grant", metavar="TIME", help="Do not ask again for this target: 30m, 8h, 7d.")
@click.option("--uses", type=click.IntRange(1), help="Of --grant. Else 10, or what policy allows.")
@deciding_options
def approve(
    calls: tuple[str, ...], message: str, grant: str | None, uses: int | None, **options: Any
) -> int:
    """Approve one CALL, or several: exactly what is shown is sent, once.

    CALL is its id, or the first 8 characters or more of it. Several are listed once more, and each
    is decided by itself, as far as policy lets them be approved together.

    With --grant, calls of this agent to this tool with the same target are not asked about again,
    as far as policy lets you grant that. It takes the place of an earlier grant for the same.

    \b
    Examples:
      interlock approve 5f0c21ab
      interlock approve 5f0c21ab 77aa01be 90cd33f2
      interlock approve 5f0c21ab --digest 5feceb66ffc8 --yes
      interlock approve 5f0c21ab --grant 7d --uses 20
    """
    return _decide(calls, "approve", message, grant=_granted(grant, uses), **options)


def _granted(lasts: str | None, uses: int | None) -> dict[str, Any] | None:
    if lasts is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,4}[smhd]", lasts):
        raise click.BadParameter("write a time such as 30m, 8h or 7d", param_hint="--grant")
    return {"scope": "target", "for": lasts} | ({} if uses is None else {"uses": uses})


@click.command()
@click.argument("calls", nargs=-1, required=True, metavar="CALL...")
@click.option("--message", "-m", default="", help="Why; the agent is told.")
@deciding_options
def reject(calls: tuple[str, ...], message: str, **options: Any) -> int:
    """Reject one CALL, or several: they are never sent, and the agent is told why.

    Without -m you choose from the reasons that policy names, or write your own; --reason CODE
    takes one of them by its code.

    \b
    Examples:
      interlock reject 5f0c21ab -m "Use the staging bucket."
      interlock reject 5f0c21ab 77aa01be --reason wrong_target
    """
    return _decide(calls, "reject", message, **options)


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="The answer that the agent gets.")
@deciding_options
def respond(call: str, message: str, **options: Any) -> int:
    """Answer one CALL in the tool's place; nothing is sent.

    \b
    Example:
      interlock respond 5f0c21ab -m "The invoice is paid already."
    """
    return _decide((call,), "respond", message, **options)


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="Why.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@deciding_options
def edit(call: str, message: str, assignments: tuple[str, ...], **options: Any) -> int:
    """Change the arguments of one CALL and approve the result.

    Opens $EDITOR with the arguments as JSON, or changes what --set names (the value is JSON where
    it is JSON, else text). Policy judges the edit again; you see it before it is sent, and the
    agent is told what was executed instead. What cannot be sent is opened again, with the reason
    in a comment.

    \b
    Examples:
      interlock edit 5f0c21ab
      interlock edit 5f0c21ab --set amount=200 --set memo="partial"
    """
    return _decide((call,), "edit", message, assignments=assignments, **options)


def _decide(calls: tuple[str, ...], verdict: str, message: str, *, api: Api, **how: Any) -> int:
    deciding = Deciding(verdict=verdict, message=message, as_json=api.as_json, **how)
    if len(calls) == 1:
        decide(api.access, calls[0], deciding)
        return 0
    if deciding.digest or deciding.grant or deciding.reveal:
        raise click.UsageError("--digest, --grant and --reveal go with one call.")
    checked(calls)
    cards = api.ask(lambda people: _cards(people, calls))
    found = [str(card["id"]) for card in cards]
    if deciding.yes and found != list(calls):
        raise click.UsageError("With --yes, give whole ids.")
    checked(found)
    return 0 if decide_together(api.access, cards, deciding) else 1


async def _cards(people: People, calls: tuple[str, ...]) -> list[dict[str, Any]]:
    return [(await looking(call)(people))["card"] for call in calls]
