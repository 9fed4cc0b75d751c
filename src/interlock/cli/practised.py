"""What people made of practice calls, for `tune`: as told, or asked of the running Interlock."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from ..core.errors import InterlockError
from ..core.risk import AT_THEIR_WORD, Caught
from .asking import Api

F = TypeVar("F", bound=Callable[..., Any])
_FORM = re.compile(r"([0-9]{1,6})/([0-9]{1,6})", re.ASCII)


class Practice(click.ParamType[Caught]):
    """`CAUGHT/MISSED`, two counts."""

    name = "practice"

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> Caught:
        if isinstance(value, Caught):
            return value
        found = _FORM.fullmatch(value)
        if found is None:
            self.fail("write how many people caught and how many they missed, such as 58/2")
        return Caught(caught=int(found[1]), missed=int(found[2]))


def practice_option(command: F) -> F:
    return click.option(
        "--practice",
        type=Practice(),
        metavar="CAUGHT/MISSED",
        help="What people made of practice calls (`interlock practice`). Where records come from"
        " the running Interlock, it is asked for this, too.",
    )(command)


def caught_of(given: Caught | None, api: Api | None) -> Caught:
    """Return what is *given*, else the sum over everybody of the running Interlock.

    Raises:
        InterlockError: it does not answer, or not so.
    """
    if given is not None or api is None:
        return given or AT_THEIR_WORD
    told = api.ask(lambda people: people.get("/v1/practice"))
    try:
        return _summed(told)
    except (TypeError, KeyError, ValueError):
        raise InterlockError(
            "What people made of practice calls cannot be read from the running Interlock.",
            help="Is it of this version? Else say it with --practice CAUGHT/MISSED.",
        ) from None


def _summed(told: Mapping[str, Any]) -> Caught:
    counts = [(each["caught"], each["missed"]) for each in told["items"]]
    if not all(type(each) is int and each >= 0 for pair in counts for each in pair):
        raise ValueError("no counts")
    return Caught(caught=sum(each for each, _ in counts), missed=sum(each for _, each in counts))
