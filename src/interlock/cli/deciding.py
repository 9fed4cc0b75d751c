"""Deciding one call in a terminal: show it, ask, and decide exactly what was shown."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import click

from ..approvals.reasons import REASONS
from ..core.errors import InterlockError
from .asking import asked, looking, path_of
from .client import Access, Refused
from .console import note, safe, say, say_json
from .edits import edited_in_editor, edited_with
from .render import item_text
from .render_desk import changes, practice
from .render_judged import is_folded, verdict_text

USES = 10  #: of a grant, where nobody says how many
_CLEARS = ("approve", "edit")
_VIEWS = {"r": "looks right", "w": "looks wrong", "t": "cannot tell"}
_LEFT = re.compile(r"\b([0-9]{1,6}) s more\b", re.ASCII)
Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Deciding:
    """What the person wants, as far as they have said so already."""

    verdict: str
    message: str = ""
    reason: str = ""  #: the code of a preset
    digest: str = ""  #: of the call that they looked at, or its beginning
    yes: bool = False  #: nobody is asked back
    reveal: bool = False
    as_json: bool = False
    assignments: tuple[str, ...] = ()
    grant: Mapping[str, Any] | None = None


def decide(at: Access, call: str, how: Deciding) -> None:
    """Have *call* shown, asked about, decided, and say what became of it.

    Raises:
        click.Abort: the person would rather not.
        click.UsageError: nobody can be asked, or something is missing.
        InterlockError: it may not be decided so, or was not.
    """
    item = asked(at, looking(call, how.reveal))
    call = _whole(call, item, sure=bool(how.digest) or not how.yes)
    _check(at, item, how)
    if not how.yes:
        must_be_asked()
        _show(item)
    body: dict[str, Any] = {"type": how.verdict, "digest": item["card"]["digest"]}
    if how.verdict == "edit":
        body |= _edited(at, item, how)
    message, code = reason_for(at, how, needed=_needs_words(item, how.verdict))
    body |= {"message": message, "reason_code": code}
    if how.grant is not None:
        body["grant"] = {"uses": min(USES, (item["grant"] or {}).get("uses", USES))} | dict(
            how.grant
        )
    if not how.yes:
        _ask_once_more(item, how.verdict, body)
    outcome = _sent(at, item, body)
    if how.as_json:
        say_json(outcome)
    else:
        say(told(outcome))


def _whole(call: str, item: Item, *, sure: bool) -> str:
    """Return the whole id; a part of it alone may mean another call by now."""
    found = str(item["card"]["id"])
    if found != call and not sure:
        raise click.UsageError("With --yes, give the whole id, or --digest as `show` printed it.")
    return found


def _check(at: Access, item: Item, how: Deciding) -> None:
    """Refuse what the API would refuse too, before the person writes anything."""
    call, verdict = str(item["card"]["id"]), how.verdict
    if how.digest and len(how.digest) < 8:
        raise click.UsageError("--digest needs at least 8 characters.")
    if not str(item["card"]["digest"]).startswith(how.digest):
        raise InterlockError(
            "The call is not the one that you looked at: its digest differs.",
            help=f"Look again: `interlock show {call}`",
        )
    if verdict == "edit" and item["may"]["edit_after_reveal"]:
        raise InterlockError(
            f"Policy hides {', '.join(map(safe, item['redacted']))}, and an edit sends every"
            " argument.",
            help="Add --reveal. Who reveals what is recorded.",
        )
    if not item["may"][verdict]:
        raise InterlockError(item["may"]["why"] or f"You may not {verdict} this call.")
    if verdict in _CLEARS and (item["decision"] or {}).get("step_up"):
        raise InterlockError(
            "Policy asks for your security key or passkey to approve this, which a terminal does"
            " not have.",
            help=f"Decide it on the page: {at.page(call)}",
        )


def must_be_asked() -> None:
    """Raise click.UsageError where nobody is there to answer."""
    if not sys.stdin.isatty():
        raise click.UsageError("Nobody can be asked back here: add --yes (and --digest).")


def _show(item: Item) -> None:
    """Show the call; where policy folds its verdict, have the person judge before they see it."""
    say(item_text(item, folded=True))
    say()
    if not is_folded(item):
        return
    choices = click.Choice(list(_VIEWS))
    words = ", ".join(f"{key}: {text}" for key, text in _VIEWS.items())
    view = click.prompt(f"Your own view first ({words})", type=choices, show_choices=False)
    say(f"You said: {_VIEWS[view]}.\n{verdict_text(item)}\n")


def _needs_words(item: Item, verdict: str) -> bool:
    decision = item["decision"] or {}
    words = {verdict} | ({decision.get("level")} if verdict in _CLEARS else set())
    return verdict == "respond" or bool(words & set(decision.get("require_reason", ())))


def reason_for(at: Access, how: Deciding, *, needed: bool) -> tuple[str, str]:
    """Return the message and the code of the preset; asked for where they are needed.

    Raises:
        click.UsageError: a reason is needed, and nobody can be asked.
    """
    if how.message or (not needed and not how.reason):
        return how.message, how.reason
    known = presets(at) if how.verdict == "reject" else {}
    if how.reason in known:
        return known[how.reason], how.reason
    if how.reason and how.verdict == "reject":
        codes = ", ".join(map(safe, known))
        raise click.UsageError(f"--reason {how.reason}: none of {codes}; or add -m TEXT.")
    if how.yes:
        raise click.UsageError(f"{how.verdict} needs a reason here: add -m TEXT.")
    if not known:
        prompt = "Your answer to the agent" if how.verdict == "respond" else "Reason"
        return str(click.prompt(prompt)), how.reason
    return _chosen(list(known.items()))


def _chosen(known: list[tuple[str, str]]) -> tuple[str, str]:
    for number, (_, text) in enumerate(known, 1):
        say(f"  {number}  {safe(text)}")
    said = str(click.prompt("Reason: a number, or your own words"))
    if said.isascii() and said.isdigit() and 1 <= int(said) <= len(known):
        code, text = known[int(said) - 1]
        return text, code
    return said, ""


def presets(at: Access) -> dict[str, str]:
    """Return why calls are rejected, code to text: as policy says, else the usual ones."""
    try:
        policy = asked(at, lambda people: people.get("/v1/policy"))
    except Refused:
        policy = {}
    named = {str(each["code"]): str(each["text"]) for each in policy.get("reasons") or ()}
    return named or dict(REASONS)


def _edited(at: Access, item: Item, how: Deciding) -> dict[str, Any]:
    """Return the edited arguments and the digest of the call that they make."""
    path = path_of(str(item["card"]["id"])) + "/preview"
    preview: dict[str, Any] = {}

    def why_not(edit: dict[str, Any]) -> str:
        try:
            found = asked(at, lambda people: people.post(path, {"edited_args": edit}))
        except Refused as refused:
            if refused.status not in (400, 422):
                raise
            return refused.detail
        preview.clear()
        preview.update(found)
        return "" if found["acceptable"] else f"The edit cannot be sent. {found['why']}"

    if how.assignments:
        edit = edited_with(item, how.assignments)
        wrong = why_not(edit)
        if wrong:
            raise InterlockError(wrong)
    else:
        edit = edited_in_editor(item, why_not, lambda wrong: not how.yes and _again(wrong))
    if not how.as_json:
        say("\n".join(changes(preview["changes"])))
        say(f"  level of the edited call: {safe(preview['decision']['level'])}")
        for each in preview["warnings"]:
            say(f"  look twice: {safe(each['where'])}: {safe(each['text'])}")
    return {"edited_args": edit, "edited_digest": preview["digest"]}


def _again(wrong: str) -> bool:
    say(safe(wrong))
    return click.confirm("Edit it again?", default=True)


def _ask_once_more(item: Item, verdict: str, body: Mapping[str, Any]) -> None:
    """Ask about the exact bytes: where they go, and their digest."""
    call, digest = item["call"], body.get("edited_digest") or body["digest"]
    if verdict in _CLEARS:
        say(f"  {safe(call['method'])} {safe(call['url'])}")
        say(f"  digest {safe(digest)}")
    click.confirm(f"{verdict.capitalize()} this call?", abort=True)


def _sent(at: Access, item: Item, body: Mapping[str, Any]) -> dict[str, Any]:
    """Send the decision; where policy asks for a longer look, wait for it and send it again."""
    path = path_of(str(item["card"]["id"])) + "/decision"
    version = int(item["card"]["version"])
    while True:
        try:
            return asked(at, lambda people: people.post(path, body, version))
        except Refused as refused:
            if not str(refused.members.get("type", "")).endswith(":too-soon"):
                raise
            found = _LEFT.search(refused.detail)
            dwell = -(-int((item["decision"] or {}).get("dwell_ms", 0)) // 1000)
            _wait(max(1, int(found[1]) if found else dwell))


def _wait(seconds: int) -> None:
    """Let the time pass that policy wants the call to be in sight; Ctrl-C ends it."""
    counts = sys.stderr.isatty()
    if not counts:
        note(f"Policy asks for a longer look: {seconds} s more.")
    for left in range(seconds, 0, -1):
        if counts:
            click.echo(
                f"\r  Policy asks for a longer look: {left} s more (Ctrl-C ends) ",
                err=True,
                nl=False,
            )
        time.sleep(1)
    if counts:
        click.echo(err=True)


def told(outcome: Mapping[str, Any]) -> str:
    """Return what became of a decision, in words."""
    if outcome["state"] == "held":
        return f"Noted: {outcome['votes']} of {outcome['quorum']} approvals; the call still waits."
    before = safe(outcome["replaced_grant"])
    more = f"\nThe grant took the place of {before}, which has ended." if before else ""
    practised = outcome.get("practice")
    if practised:
        more += "\n" + "\n".join(practice(practised))
    return f"{safe(outcome['id'])} is {safe(outcome['state'])}. {safe(outcome['said'])}{more}"
