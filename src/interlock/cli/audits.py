"""`interlock audits list|show|judge` and `interlock outcome`: was it right, said afterwards."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from ..core.numbers import number_of
from .asking import Api, api_options, path_of
from .console import note, safe, say, say_json, table
from .render import item_text
from .render_judged import when

_TURNED = click.Choice(["right", "wrong"], case_sensitive=False)
_MESSAGE = click.option("--message", "-m", default="", help="What you found; kept in the record.")


@click.group()
def audits() -> None:
    """See and judge calls that went through by themselves and were drawn for a look afterwards.

    Approvers and admins judge, but not who owns the agent; auditors read. Nothing is sent, stopped
    or undone by it.

    \b
    Examples:
      interlock audits list
      interlock audits show act_5f0c21ab9d3e47f86a10b2c3
      interlock audits judge act_5f0c21ab9d3e47f86a10b2c3 wrong -m "Ten times too much."
    """


@audits.command("list")
@click.option("--limit", type=click.IntRange(1, 200), default=50, show_default=True)
@api_options
def list_(api: Api, limit: int) -> None:
    """List the calls that wait for an audit, oldest first.

    \b
    Example:
      interlock audits list
    """
    query = {"limit": str(limit)}
    listed = api.ask(lambda people: people.get("/v1/audits", query))
    if api.as_json:
        say_json(listed)
    elif listed["items"] or listed["changed"]:
        heads = ("ID", "WHEN", "AGENT", "TOOL", "CALL", "ANSWER", "YOURS")
        changed = [_changed(each) for each in listed["changed"]]
        rows = [*changed, *(_row(each) for each in listed["items"])]
        say(table(heads, rows))
        if listed["next"]:
            note(f"{len(rows)} of {listed['total']}; see --limit.")
        if changed:
            note("Look who can write to the store: somebody changed calls that wait there.")
        note("Look at one: `interlock audits show ID`")
    else:
        note("No call waits for an audit.")


@audits.command()
@click.argument("call")
@api_options
def show(api: Api, call: str) -> None:
    """Show one CALL that was drawn, with the tool's answer and what was said of it since.

    \b
    Example:
      interlock audits show act_5f0c21ab9d3e47f86a10b2c3
    """
    found = api.ask(lambda people: people.get(_audit(call)))
    if api.as_json:
        say_json(found)
        return
    say(item_text(found["item"]))
    say("\n".join(["", *_answered(found["item"]["answer"]), *_said(found)]))
    if found["why"]:
        note(safe(found["why"]))
    else:
        note(f"Judge it: `interlock audits judge {found['item']['card']['id']} right|wrong -m WHY`")


@audits.command()
@click.argument("call")
@click.argument("turned", metavar="RIGHT|WRONG", type=_TURNED)
@_MESSAGE
@click.option("--reason", metavar="CODE", default="", help="A preset reason.")
@click.option("--digest", metavar="DIGEST", default="", help="Only this call, as `show` told it.")
@api_options
def judge(api: Api, call: str, turned: str, message: str, reason: str, digest: str) -> None:
    """Say whether CALL was RIGHT or WRONG. The first verdict counts.

    \b
    Example:
      interlock audits judge act_5f0c21ab9d3e47f86a10b2c3 wrong -m "The amount is wrong."
    """
    path = _audit(call)
    if not digest:
        digest = api.ask(lambda people: people.get(path))["item"]["card"]["digest"]
    body = {"turned": turned, "digest": digest, "message": message, "reason_code": reason}
    said = api.ask(lambda people: people.post(path, body))
    rest = number_of(int(said["waiting"]), "still waits", "still wait")
    api.say(said, f"{safe(said['id'])} is judged {safe(said['turned'])}; {rest}.")


@click.command()
@click.argument("call")
@click.argument("turned", metavar="RIGHT|WRONG", type=_TURNED)
@_MESSAGE
@api_options
def outcome(api: Api, call: str, turned: str, message: str) -> None:
    """Say how a CALL that was sent turned out: RIGHT or WRONG. It goes into its record.

    Nothing is sent, stopped or undone by it.

    \b
    Example:
      interlock outcome act_5f0c21ab9d3e47f86a10b2c3 wrong -m "Bob was paid twice."
    """
    body, path = {"turned": turned, "message": message}, f"{path_of(call)}/outcome"
    said = api.ask(lambda people: people.post(path, body))
    api.say(said, f"Noted: {safe(said['id'])} turned out {safe(said['turned'])}.")


def _audit(call: str) -> str:
    return path_of(call).replace("/v1/approvals/", "/v1/audits/")


def _row(each: Mapping[str, Any]) -> tuple[object, ...]:
    card = each["card"]
    return (
        card["id"],
        when(card["created"]),
        card["agent"],
        card["tool"] or "(unknown)",
        f"{card['method']} {card['destination']}",
        each["status"] or "not known",
        "no" if each["why"] else "yes",
    )


def _changed(each: Mapping[str, Any]) -> tuple[object, ...]:
    return each["id"], "", "", "", "changed outside Interlock: cannot be judged", "", "no"


def _answered(answer: Mapping[str, Any] | None) -> Iterator[str]:
    if answer is None:
        yield "  The tool's answer is not known."
        return
    yield f"  answer     {answer['status']}, {answer['size']} bytes"
    if answer["hidden"]:
        yield "    hidden: policy hides something of the call"
    yield from (f"    {safe(line)}" for line in answer["visible"].splitlines())
    if answer["cut"]:
        yield "    … there is more"


def _said(found: Mapping[str, Any]) -> Iterator[str]:
    judged = found["judged"]
    if judged:
        who = "you" if judged["you"] else safe(judged["who"])
        yield f"  judged     {judged['turned']} by {who}: {safe(judged['message'])}"
    for each in found["reports"]:
        who = "you" if each["you"] else safe(each["by"])
        yield f"  reported   {each['turned']} by {who}: {safe(each['message'])}"
    if not judged and not found["reports"]:
        yield "  Nobody has said yet how it turned out."
