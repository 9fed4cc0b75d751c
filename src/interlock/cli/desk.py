"""`interlock assign`, `escalate`, `undo`, `away`, `people`, `me`: what reviewers share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from ..core.errors import InterlockError
from .asking import Api, api_options, looking, moment, path_of, span
from .client import People
from .console import inside, note, safe, say, say_json, since, table
from .deciding import must_be_asked
from .render_desk import undo as undo_sections
from .render_judged import when

Json = Mapping[str, Any]


@click.command()
@click.argument("call")
@click.argument("person")
@click.option("--message", "-m", default="", help="What you tell them.")
@api_options
def assign(api: Api, call: str, person: str, message: str) -> None:
    """Ask PERSON to decide CALL. Others who may decide it still may.

    PERSON is a name as `interlock people` prints it, `me`, or `nobody`: nobody is asked any more.

    \b
    Examples:
      interlock assign 5f0c21ab bob -m "You know this customer."
      interlock assign 5f0c21ab me
      interlock assign 5f0c21ab nobody
    """

    async def ask(people: People) -> dict[str, Any]:
        found = (await looking(call)(people))["card"]["id"]
        to = "" if person == "nobody" else person
        if person == "me":
            to = (await people.get("/v1/me"))["id"]
        return await people.post(f"{path_of(found)}/assign", {"to": to, "message": message})

    done = api.ask(ask)
    if api.as_json:
        say_json(done)
    elif done["assigned"] is None or not done["assigned"]["to"]:
        say(f"{safe(done['id'])}: nobody is asked any more; whoever may decide it still may.")
    else:
        say(f"{safe(done['id'])}: {safe(done['assigned']['to'])} is asked to decide it.")


@click.command()
@click.argument("call")
@click.option("--message", "-m", default="", help="Why; those who are asked read it.")
@api_options
def escalate(api: Api, call: str, message: str) -> None:
    """Let those decide CALL now whom policy names for later, and tell them.

    \b
    Example:
      interlock escalate 5f0c21ab -m "It cannot wait until tonight."
    """

    async def ask(people: People) -> tuple[dict[str, Any], dict[str, Any]]:
        found = (await looking(call)(people))["card"]["id"]
        done = await people.post(f"{path_of(found)}/escalate", {"message": message})
        return done, await people.get(path_of(found))

    done, item = api.ask(ask)
    if api.as_json:
        say_json(done)
        return
    steps = (item["decision"] or {}).get("escalation", ())
    who = ", ".join(safe(group) for step in steps if step["due"] for group in step["to"])
    say(f"{safe(done['id'])} may now also be decided by {who or 'those whom policy names'}.")


@click.command()
@click.argument("call")
@click.option("--yes", "-y", is_flag=True, help="Do not ask back.")
@api_options
def undo(api: Api, call: str, yes: bool) -> None:
    """Propose the call that undoes CALL, where policy says how. Policy judges it like any other.

    \b
    Example:
      interlock undo 5f0c21ab
    """
    path = path_of(call)
    item = api.ask(lambda people: people.get(path))
    offer = item["undo"]
    if offer is None or offer["why"]:
        why = safe(offer["why"]) if offer else "Policy says no way to undo it, or nothing was done."
        raise InterlockError(why, help=f"See `interlock show {call}`.")
    if not yes:
        must_be_asked()
        say("\n".join(line for section in undo_sections(item) for line in section))
        click.confirm(f"\nUndo {safe(item['card']['id'])}?", abort=True)
    done = api.ask(lambda people: people.post(f"{path}/undo", {}))
    if api.as_json:
        say_json(done)
    else:
        say(f"{safe(done['id'])} is {safe(done['state'])}. {inside(done['said'])}".rstrip())
        if done["state"] == "held":
            note(f"People decide about it: `interlock show {safe(done['id'])}`")


@click.command()
@click.argument("until", required=False)
@click.option("--to", "stand_in", default="", metavar="PERSON", help="Who has your groups then.")
@click.option("--back", is_flag=True, help="You are back: it ends now.")
@api_options
def away(api: Api, until: str | None, stand_in: str, back: bool) -> None:
    """Say that you are away UNTIL a time, and who stands in; or that you are back.

    UNTIL is a span from now (8h, 7d) or a date (2026-12-24, 2026-12-24T18:00; UTC where it says
    no offset), 92 days ahead at most.

    \b
    Examples:
      interlock away 7d --to bob
      interlock away 2026-12-24T18:00
      interlock away --back
    """
    if (until is None) is not back or (back and stand_in):
        raise click.UsageError("Say until when you are away, or --back, and not both.")
    if until is None:
        me = api.ask(lambda people: people.delete("/v1/me/away"))
    else:
        me = _gone(api, until, stand_in)
    api.say(me, "\n".join(_me(me)[-1:]))


def _gone(api: Api, until: str, stand_in: str) -> dict[str, Any]:
    lasts = span(until)
    fixed = None if lasts is not None else moment(until, "UNTIL")

    async def go(people: People) -> dict[str, Any]:
        end = fixed
        if end is None:
            end = int((await people.get("/v1/me"))["now"]) + (lasts or 0)
        return await people.put("/v1/me/away", {"until": end, "to": stand_in})

    return api.ask(go)


@click.command()
@api_options
def people(api: Api) -> None:
    """List who can be asked to decide: approvers who were here in the last 30 days or have a key.

    \b
    Example:
      interlock people
    """
    found = api.ask(lambda people: people.get("/v1/people"))
    if api.as_json:
        say_json(found)
        return
    if not found["items"]:
        note("There are no approvers. Make a key: `interlock keys create approver NAME`")
        return
    heads = ("PERSON", "GROUPS", "SEEN", "APPROVED IN THE LAST HOUR", "ASKED TO DECIDE", "AWAY")
    say(table(heads, [_person(each, found) for each in found["items"]]))


def _person(person: Json, found: Json) -> tuple[object, ...]:
    most = f" of {found['per_hour']}" if found["per_hour"] else ""
    seen = int(person["seen"])
    return (
        person["id"],
        ", ".join(person["groups"]),
        f"{since(int(found['now']) - seen)} ago" if seen else "not in 30 days",
        f"{person['approved']}{most}",
        person["assigned"],
        _absence(person["away"]),
    )


def _absence(away: Json | None) -> str:
    if away is None:
        return ""
    return f"until {when(away['until'])}" + (f", {away['to']} stands in" if away["to"] else "")


@click.command()
@api_options
def me(api: Api) -> None:
    """Say who you are here: your groups, for whom you stand in, how much you may still approve.

    \b
    Example:
      interlock me
    """
    found = api.ask(lambda people: people.get("/v1/me"))
    api.say(found, "\n".join(_me(found)))


def _me(me: Json) -> list[str]:
    groups = ", ".join(map(safe, me["groups"])) or "none"
    lines = [
        f"{safe(me['id'])} ({safe(me['kind'])})",
        f"  groups    {groups}",
    ]
    lines += [
        f"  for       {safe(each['person'])} until {when(each['until'])}:"
        f" {', '.join(map(safe, each['groups'])) or 'no groups'}"
        for each in me["standing_in"]
    ]
    most = f" of {me['per_hour']}" if me["per_hour"] else ""
    room = f"; there is room again at {when(me['again_at'])}" if me["again_at"] else ""
    lines.append(f"  approved  {me['approved']}{most} in the last hour{room}")
    gone = safe(_absence(me["away"]))
    return [*lines, f"  away      {gone}" if gone else "  here      not away"]
