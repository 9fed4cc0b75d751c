"""Plays the acts: the agent calls, people decide, and the tool itself is asked what happened."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import click

from ..cli.console import note, painted, safe, say
from ..core.errors import InterlockError
from .approvers import Approvers
from .stage import COLLEAGUE, YOU, Stage
from .story import Act

PENDING = "ApprovalPending"
LOOK_SECONDS = 0.1  #: between looks at what is held
AUTO_SECONDS = 60.0  #: that one act may take when nobody has to be waited for


class Unexpected(InterlockError):
    """An act did not end as it should."""


@dataclass
class Attempt:
    """One call of the agent's, in a thread: it blocks while its call is held."""

    call: Callable[[], Any]
    refusal: type[Exception]
    answer: Any = None
    error: str = ""
    failure: Exception | None = None
    joined: int = 0  #: how often boto3 gave up waiting and the agent asked again
    done: threading.Event = field(default_factory=threading.Event)

    def start(self) -> Attempt:
        threading.Thread(target=self._run, name="agent", daemon=True).start()
        return self

    def _run(self) -> None:
        try:
            self._until_settled()
        except Exception as failure:  # shown to the person who runs this
            self.failure = failure
        finally:
            self.done.set()

    def _until_settled(self) -> None:
        """Ask as agents do: while people decide, the same call again joins the first."""
        while True:
            try:
                self.answer = self.call()
                return
            except self.refusal as error:
                told = error.response["Error"]  # type: ignore[attr-defined]
                if told["Code"] != PENDING:
                    self.error = f"{told['Code']}: {told['Message']}"
                    return
                self.joined += 1


class Tour:
    """Plays acts one after the other. `auto`: the rulings of the story decide."""

    def __init__(self, stage: Stage, approvers: Approvers, refusal: type[Exception]) -> None:
        self._stage = stage
        self._approvers = approvers
        self._refusal = refusal
        self._introduced = False

    def play(self, acts: Sequence[Act], *, auto: bool) -> None:
        """Play *acts*. Raises Unexpected at the first that does not end as it should."""
        for number, act in enumerate(acts, 1):
            say()
            say(click.style(f"{number}. {act.title}", bold=True))
            say(f"   {click.style(act.code, fg='blue')}")
            _prose(act.why)
            attempt = Attempt(act.call, self._refusal).start()
            if act.rulings:
                self._decided(act, attempt, auto=auto)
            self._finish(act, attempt, auto=auto)

    # while it waits ------------------------------------------------------------------------

    def _decided(self, act: Act, attempt: Attempt, *, auto: bool) -> None:
        held = self._until_held(attempt)
        item = self._approvers.show(YOU, held["id"])
        level, decision = held["level"], item["decision"]
        rules = ", ".join(rule["id"] for rule in decision["rules"]) or "the matrix alone"
        _line("held", painted(level), f"{held['stake']} stake, {held['reversibility']}; {rules}")
        _check(act.untouched(), "a held call must not have happened yet")
        _line("check", click.style("AWS has not heard of it", fg="green"))
        if auto:
            self._rule(act, held["id"])
        else:
            self._ask(act, held["id"], attempt)

    def _until_held(self, attempt: Attempt) -> dict[str, Any]:
        end = time.monotonic() + AUTO_SECONDS
        while time.monotonic() < end:
            held = self._approvers.held(YOU)
            if held is not None:
                return held
            if attempt.done.wait(LOOK_SECONDS):
                break
        ended = safe(attempt.error or attempt.failure or attempt.answer)
        raise Unexpected(f"The call should have been held, but it ended: {ended}")

    def _rule(self, act: Act, call: str) -> None:
        for ruling in act.rulings:
            outcome = self._approvers.decide(call, ruling)
            said = f": {ruling.message}" if ruling.message else ""
            _line(ruling.by, click.style(ruling.verdict, fg="cyan") + safe(said))
            if outcome["state"] == "held":
                _check(act.untouched(), "one of two approvals must not be enough")
                said = "one approval is not enough; it still waits"
                _line("check", click.style(said, fg="green"))

    def _ask(self, act: Act, call: str, attempt: Attempt) -> None:
        if not self._introduced:
            self._introduced = True
            say("   The agent waits for you. Sign in once (each link works once, for 15 minutes):")
            for person, link in self._stage.links.items():
                say(f"     {person:10} {click.style(link, underline=True)}")
        say(f"   {click.style('Your turn.', fg='yellow', bold=True)} {act.hint}")
        say(f"     page      {self._stage.people}/review/{call}")
        say(f"     terminal  interlock show {call} -c {self._stage.config}")
        for person in (YOU, COLLEAGUE)[: len(act.rulings)]:
            key = f"--key-file {self._stage.key_file(person)}"
            say(f"     {person:9} interlock approve {call} -c {self._stage.config} {key}")
        note("   Waiting for your decision (Ctrl-C ends the tour) ...")
        while not attempt.done.wait(0.5):
            pass

    # when it ended -------------------------------------------------------------------------

    def _finish(self, act: Act, attempt: Attempt, *, auto: bool) -> None:
        if not attempt.done.wait(AUTO_SECONDS):
            raise Unexpected(f"The agent's call did not return within {AUTO_SECONDS:.0f} s.")
        if attempt.failure is not None:
            raise Unexpected(f"The agent's call failed: {safe(attempt.failure)}")
        if attempt.error:
            _line("agent", click.style("refused", fg="red"))
            _prose(safe(attempt.error), indent="             ")
        else:
            _line("agent", click.style(safe(act.told(attempt.answer)), fg="green"))
        if attempt.joined:
            _line("", f"(boto3 had given up {attempt.joined} times; each new try joined the call)")
        self._witness(act, attempt, strict=auto or not act.rulings)

    def _witness(self, act: Act, attempt: Attempt, *, strict: bool) -> None:
        """Ask the tool itself what became of the call."""
        what, happened = act.effect or ("", lambda: True)
        true = happened()
        if strict:
            wanted = "be refused" if act.refused else "succeed"
            _check(bool(attempt.error) is act.refused, f"the agent's call should {wanted}")
            _check(true, f"in AWS it should be so: {what}")
        if what:
            mark = click.style(what, fg="green") if true else f"not so: {what}"
            _line("check", f"asked AWS itself: {mark}")


def _check(holds: bool, what: str) -> None:
    if not holds:
        raise Unexpected(f"Not as it should be: {what}.")


def _line(who: str, *what: str) -> None:
    say(f"   {who:9} {'  '.join(what)}")


def _prose(text: str, indent: str = "   ") -> None:
    say(textwrap.fill(text, 100, initial_indent=indent, subsequent_indent=indent))
