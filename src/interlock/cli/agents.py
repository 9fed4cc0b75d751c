"""`interlock agents list|stop|resume`: the switch that stops an agent, or all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import click

from ..core.numbers import number_of
from .asking import Api, api_options
from .console import inside, note, safe, say, say_json, since, table

_ID = re.compile(r"[A-Za-z0-9@._+-]{1,128}", re.ASCII)
EVERYBODY = "-"  #: as the API names all agents together


@click.group()
def agents() -> None:
    """See agents, stop one or all of them, let them go on.

    \b
    Examples:
      interlock agents list
      interlock agents stop billing-bot -m "It pays everything twice."
      interlock agents resume billing-bot
    """


@agents.command("list")
@api_options
def list_(api: Api) -> None:
    """List agents that have a key, a held or a recent call, or are stopped.

    \b
    Example:
      interlock agents list
    """
    listed = api.ask(lambda people: people.get("/v1/agents"))
    if api.as_json:
        say_json(listed)
        return
    everybody = listed["everybody"]
    if everybody:
        say(click.style(f"All agents are stopped {_by(everybody)}", fg="red", bold=True))
    if listed["items"]:
        heads = ("AGENT", "OWNER", "KEYS", "HELD", "SEEN", "STOPPED")
        say(table(heads, [_row(each, int(listed["now"])) for each in listed["items"]]))
    else:
        note("No agent is known yet. Make a key: `interlock keys create agent NAME`")
    if listed["unlisted"]:
        more = number_of(int(listed["unlisted"]), "more name is", "more names are")
        note(f"{more} stopped; `agents resume NAME` resumes each.")


def _by(stopped: Mapping[str, Any]) -> str:
    return f"by {safe(stopped['by'])}: {inside(stopped['reason'])}"


def _row(agent: Mapping[str, Any], now: int) -> tuple[object, ...]:
    seen = int(agent["seen"])
    return (
        agent["id"],
        agent["owner"],
        len(agent["keys"]),
        agent["held"],
        f"{since(now - seen)} ago" if seen else "",
        _by(agent["stopped"]) if agent["stopped"] else "",
    )


@agents.command()
@click.argument("agent", required=False)
@click.option("--all", "every", is_flag=True, help="Stop all agents.")
@click.option("--message", "-m", required=True, metavar="REASON", help="Why; its owner reads it.")
@click.option("--unknown", is_flag=True, help="Stop it although no agent of this name is known.")
@api_options
def stop(api: Api, agent: str | None, every: bool, message: str, unknown: bool) -> None:
    """Stop AGENT: once this has answered, nothing of it is sent any more.

    A name that no agent is known by, such as a misspelt one, is refused without --unknown.

    \b
    Examples:
      interlock agents stop billing-bot -m "It pays everything twice."
      interlock agents stop new-bot --unknown -m "It must not begin before Monday."
      interlock agents stop --all -m "We look into an incident."
    """
    path = f"/v1/agents/{_which(agent, every)}/suspend"
    body = {"reason": message, "unknown": unknown}
    done = api.ask(lambda people: people.post(path, body))
    api.say(done, f"{_whom(done)} stopped: nothing is sent until somebody resumes it.")


@agents.command()
@click.argument("agent", required=False)
@click.option("--all", "every", is_flag=True, help="Those that were stopped all together.")
@api_options
def resume(api: Api, agent: str | None, every: bool) -> None:
    """Let AGENT go on. Whoever may decide calls does so, or an admin, but never its owner.

    Where nobody knows who owns it, only an admin does.

    \b
    Examples:
      interlock agents resume billing-bot
      interlock agents resume --all
    """
    path = f"/v1/agents/{_which(agent, every)}/resume"
    done = api.ask(lambda people: people.post(path, {}))
    api.say(done, f"{_whom(done)} not stopped any more.")


def _which(agent: str | None, every: bool) -> str:
    if (agent is None) is not every:
        raise click.UsageError("Name one agent, or say --all.")
    if agent is None:
        return EVERYBODY
    if agent == EVERYBODY or not _ID.fullmatch(agent):
        raise click.BadParameter("a name has only letters, digits and @._+-", param_hint="AGENT")
    return agent


def _whom(done: Mapping[str, Any]) -> str:
    return "All agents are" if done["id"] == EVERYBODY else f"{safe(done['id'])} is"
