"""`interlock queue`, `show`, `approve`, `edit`, `reject`, `respond`: deciding in a terminal."""

from __future__ import annotations

import asyncio
import re
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from ..core.errors import InterlockError
from .client import Access, People, Refused, access
from .console import note, safe, say, say_json
from .edits import edited_in_editor, edited_with
from .options import config_option, json_option
from .render import changes, item_text, queue_table

T = TypeVar("T")
F = TypeVar("F", bound=Callable[..., Any])
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
SHORTEST = 8  #: characters of an id that may stand for all of it
_PAGES, _NAMED = 20, 10  #: pages looked through for it; ids listed where several begin so
USES = 10  #: of a grant, where nobody says how many
REFRESH = 2.0  #: seconds between looks with --watch


def people_options(command: F) -> F:
    command = config_option(json_option(command))
    command = click.option(
        "--key-file",
        type=click.Path(path_type=Path),
        help="A file with your approver's key. Else INTERLOCK_KEY, else the operator's key.",
    )(command)
    return click.option("--url", help="The people's side, such as http://127.0.0.1:8081.")(command)


def reveal_option(command: F) -> F:
    return click.option(
        "--reveal", is_flag=True, help="Also show what policy hides. Who did so is recorded."
    )(command)


def deciding_options(command: F) -> F:
    command = reveal_option(command)
    command = click.option("--yes", "-y", is_flag=True, help="Do not ask back.")(command)
    command = click.option("--reason", metavar="CODE", default="", help="A preset reason.")(command)
    command = click.option(
        "--digest",
        metavar="DIGEST",
        default="",
        help="Only decide the call with this digest (or its beginning), as `show` printed it.",
    )(command)
    return people_options(command)


@click.command()
@click.option("--state", default="held", show_default=True, help="Or `recent`, `answered`, ...")
@click.option("--agent", help="Only calls of this agent.")
@click.option("--tool", help="Only calls of this tool.")
@click.option("--level", help="Only calls at this level, such as approve_dual.")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@click.option("--watch", "-w", is_flag=True, help="Look again every 2 seconds, until Ctrl-C.")
@people_options
def queue(
    url: str | None,
    key_file: Path | None,
    file: Path,
    as_json: bool,
    state: str,
    limit: int,
    watch: bool,
    **filters: str | None,
) -> None:
    """List the calls that wait for a person: the highest stake first, then the oldest.

    \b
    Examples:
      interlock queue
      interlock queue --watch
      interlock queue --state recent --agent billing-bot
    """
    asked = {name: value for name, value in filters.items() if value is not None}
    asked |= {"state": state, "limit": str(limit)}
    at = access(url, key_file, file)
    try:
        asyncio.run(_watch(at, asked) if watch else _list(at, asked, as_json))
    except KeyboardInterrupt:
        return


async def _list(at: Access, asked: Mapping[str, str], as_json: bool) -> None:
    async with People(at) as people:
        listed = await people.get("/v1/approvals", asked)
    if as_json:
        say_json(listed)
    elif listed["items"]:
        say(queue_table(listed))
        if listed["next"]:
            note(f"{len(listed['items'])} of {listed['total']}; see --limit.")
        note("Look at one: `interlock show ID`")
    else:
        note("Nothing waits." if asked["state"] == "held" else "Nothing to show.")


async def _watch(at: Access, asked: Mapping[str, str]) -> None:
    """Show the table again whenever it changed; on a terminal in place of the last."""
    before = ""
    async with People(at) as people:
        while True:
            listed = await people.get("/v1/approvals", asked)
            now = queue_table(listed) if listed["items"] else "Nothing waits."
            if now != before:
                if sys.stdout.isatty():
                    click.clear()
                say(now)
                before = now
            await asyncio.sleep(REFRESH)


@click.command()
@click.argument("call")
@reveal_option
@people_options
def show(
    call: str, url: str | None, key_file: Path | None, file: Path, as_json: bool, reveal: bool
) -> None:
    """Show everything about one CALL: what will be sent, why it is held, what came before.

    CALL is an id as `interlock queue` prints it; of a call that waits, its first 8 characters or
    more will do.

    Invisible and deceptive characters are shown by their number, such as <U+202E>.

    \b
    Examples:
      interlock show 5f0c21ab
      interlock show 5f0c21ab --reveal
    """
    item = _asked(access(url, key_file, file), _looking(call, reveal))
    if as_json:
        say_json(item)
    else:
        say(item_text(item))


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="Why, where policy asks for a reason.")
@click.option("--grant", metavar="TIME", help="Do not ask again for this target: 30m, 8h, 7d.")
@click.option("--uses", type=click.IntRange(1), help="Of --grant. Else 10, or what policy allows.")
@deciding_options
def approve(call: str, message: str, grant: str | None, uses: int | None, **options: Any) -> None:
    """Approve one CALL: exactly what is shown is sent, once.

    CALL is its id, or the first 8 characters or more of it.

    With --grant, calls of this agent to this tool with the same target are not asked about again,
    as far as policy lets you grant that. It takes the place of an earlier grant for the same.

    \b
    Examples:
      interlock approve 5f0c21ab
      interlock approve 5f0c21ab --digest 5feceb66ffc8 --yes
      interlock approve 5f0c21ab --grant 7d --uses 20
    """
    _decide(call, "approve", message, grant=_granted(grant, uses), **options)


def _granted(lasts: str | None, uses: int | None) -> dict[str, Any] | None:
    if lasts is None:
        return None
    if not re.fullmatch("[1-9][0-9]{0,4}[smhd]", lasts):
        raise click.BadParameter("write a time such as 30m, 8h or 7d", param_hint="--grant")
    return {"scope": "target", "for": lasts} | ({} if uses is None else {"uses": uses})


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="Why; the agent is told.")
@deciding_options
def reject(call: str, message: str, **options: Any) -> None:
    """Reject one CALL: it is never sent, and the agent is told why.

    \b
    Example:
      interlock reject 5f0c21ab -m "Use the staging bucket."
    """
    _decide(call, "reject", message, **options)


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="The answer that the agent gets.")
@deciding_options
def respond(call: str, message: str, **options: Any) -> None:
    """Answer one CALL in the tool's place; nothing is sent.

    \b
    Example:
      interlock respond 5f0c21ab -m "The invoice is paid already."
    """
    _decide(call, "respond", message, **options)


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="Why.")
@click.option("--set", "assignments", multiple=True, metavar="NAME=VALUE", help="Repeatable.")
@deciding_options
def edit(call: str, message: str, assignments: tuple[str, ...], **options: Any) -> None:
    """Change the arguments of one CALL and approve the result.

    Opens $EDITOR with the arguments as JSON, or changes what --set names (the value is JSON where
    it is JSON, else text). Policy judges the edit again; you see it before it is sent, and the
    agent is told what was executed instead.

    \b
    Examples:
      interlock edit 5f0c21ab
      interlock edit 5f0c21ab --set amount=200 --set memo="partial"
    """
    _decide(call, "edit", message, assignments=assignments, **options)


def _decide(
    call: str,
    verdict: str,
    message: str,
    *,
    url: str | None,
    key_file: Path | None,
    file: Path,
    as_json: bool,
    digest: str,
    reason: str,
    yes: bool,
    reveal: bool,
    assignments: tuple[str, ...] = (),
    grant: dict[str, Any] | None = None,
) -> None:
    at = access(url, key_file, file)
    item = _asked(at, _looking(call, reveal))
    call = _whole(call, item, sure=bool(digest) or not yes)
    _check(item, verdict, digest)
    if not yes:
        _must_be_asked()
        say(item_text(item))
        say()
    body: dict[str, Any] = {"type": verdict, "digest": item["card"]["digest"]}
    if verdict == "edit":
        body |= _edited(at, item, assignments, quiet=as_json)
    body |= {"message": _message(item, verdict, message, yes), "reason_code": reason}
    if grant is not None:
        body["grant"] = {"uses": min(USES, (item["grant"] or {}).get("uses", USES))} | grant
    if not yes:
        click.confirm(f"{verdict.capitalize()} this call?", abort=True)
    version = int(item["card"]["version"])
    path = _path(call) + "/decision"
    outcome = _asked(at, lambda people: people.post(path, body, version))
    if as_json:
        say_json(outcome)
    else:
        say(_told(outcome))


def _whole(call: str, item: Mapping[str, Any], *, sure: bool) -> str:
    """Return the whole id; a part of it alone may mean another call by now."""
    found = str(item["card"]["id"])
    if found != call and not sure:
        raise click.UsageError("With --yes, give the whole id, or --digest as `show` printed it.")
    return found


def _check(item: Mapping[str, Any], verdict: str, digest: str) -> None:
    """Refuse what the API would refuse too, before the person writes anything."""
    if digest and len(digest) < 8:
        raise click.UsageError("--digest needs at least 8 characters.")
    if not str(item["card"]["digest"]).startswith(digest):
        raise InterlockError(
            "The call is not the one that you looked at: its digest differs.",
            help=f"Look again: `interlock show {item['card']['id']}`",
        )
    if verdict == "edit" and item["may"]["edit_after_reveal"]:
        raise InterlockError(
            f"Policy hides {', '.join(map(safe, item['redacted']))}, and an edit sends every"
            " argument.",
            help="Add --reveal. Who reveals what is recorded.",
        )
    if not item["may"][verdict]:
        raise InterlockError(item["may"]["why"] or f"You may not {verdict} this call.")


def _must_be_asked() -> None:
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked back here: add --yes (and --digest).")


def _message(item: Mapping[str, Any], verdict: str, message: str, yes: bool) -> str:
    """Return the message, asked for where policy needs one and somebody can be asked."""
    decision = item["decision"] or {}
    words = {verdict} | ({decision.get("level")} if verdict in ("approve", "edit") else set())
    needed = verdict == "respond" or words & set(decision.get("require_reason", ()))
    if message or not needed:
        return message
    if yes:
        raise click.UsageError(f"{verdict} needs a reason here: add -m TEXT.")
    return str(click.prompt("Your answer to the agent" if verdict == "respond" else "Reason"))


def _edited(
    at: Access, item: Mapping[str, Any], assignments: tuple[str, ...], *, quiet: bool
) -> dict[str, Any]:
    """Return the edited arguments and the digest of the call that they make."""
    edit = edited_with(item, assignments) if assignments else edited_in_editor(item)
    path = _path(str(item["card"]["id"])) + "/preview"
    preview = _asked(at, lambda people: people.post(path, {"edited_args": edit}))
    if not preview["acceptable"]:
        raise InterlockError(f"The edit cannot be sent. {preview['why']}")
    if not quiet:
        say("\n".join(changes(preview["changes"])))
        say(f"  level of the edited call: {safe(preview['decision']['level'])}")
    return {"edited_args": edit, "edited_digest": preview["digest"]}


def _told(outcome: Mapping[str, Any]) -> str:
    if outcome["state"] == "held":
        return f"Noted: {outcome['votes']} of {outcome['quorum']} approvals; the call still waits."
    before = safe(outcome["replaced_grant"])
    more = f"\nThe grant took the place of {before}, which has ended." if before else ""
    return f"{safe(outcome['id'])} is {safe(outcome['state'])}. {safe(outcome['said'])}{more}"


def _path(call: str) -> str:
    if not _ID.fullmatch(call):
        raise click.BadParameter("an id has only letters, digits, - and _", param_hint="CALL")
    return f"/v1/approvals/{call}"


def _looking(call: str, reveal: bool) -> Callable[[People], Awaitable[dict[str, Any]]]:
    path = _path(call)

    def look(people: People, path: str) -> Awaitable[dict[str, Any]]:
        return people.reveal(path) if reveal else people.get(path)

    async def looking(people: People) -> dict[str, Any]:
        try:
            return await look(people, path)
        except Refused as refused:
            if refused.status != 404 or len(call) < SHORTEST:
                raise
            return await look(people, _path(await _beginning(people, call, refused)))

    return looking


async def _beginning(people: People, call: str, unknown: Refused) -> str:
    """Return the id of the one call that waits and whose id begins with *call*."""
    found, query = [], {"limit": "200"}
    for _ in range(_PAGES):
        listed = await people.get("/v1/approvals", query)
        found += [card["id"] for card in listed["items"] if card["id"].startswith(call)]
        if listed["next"] is None:
            break
        query["cursor"] = listed["next"]
    else:
        raise InterlockError("Too many calls wait to look through.", help="Give the whole id.")
    if not found:
        raise unknown
    if len(found) > 1:
        ids = ", ".join(map(safe, found[:_NAMED])) + (", ..." if len(found) > _NAMED else "")
        raise InterlockError(
            f"{len(found)} calls that wait begin with {call}: {ids}.", help="Give more of the id."
        )
    return str(found[0])


def _asked(at: Access, ask: Callable[[People], Awaitable[T]]) -> T:
    async def asking() -> T:
        async with People(at) as people:
            return await ask(people)

    return asyncio.run(asking())
