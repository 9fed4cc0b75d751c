"""What the query of a request asks for, read strictly: each parameter once, and no other."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from aiohttp import web

from ..core.errors import MalformedCall

LONGEST = 200  #: characters of one filter
_NUMBER = re.compile(r"[0-9]{1,15}", re.ASCII)


def once(request: web.Request, names: Sequence[str]) -> dict[str, str]:
    """Return what is asked for, empty values among it.

    Raises:
        MalformedCall: a parameter is given twice, or is none of *names*.
    """
    asked = dict(request.query)
    if len(asked) != len(request.query) or asked.keys() - set(names):
        known = ", ".join(names)
        raise MalformedCall(f"Each query parameter may be given once, and only these: {known}.")
    return asked


def filters(request: web.Request, names: Sequence[str]) -> dict[str, str]:
    """Return what is asked for without what is empty: a form sends all its fields.

    Raises:
        MalformedCall: as `once`, or one is longer than LONGEST.
    """
    asked = {name: value for name, value in once(request, names).items() if value}
    long = next((name for name, value in asked.items() if len(value) > LONGEST), None)
    if long is not None:
        raise MalformedCall(f"`{long}` has more than {LONGEST} characters.")
    return asked


def whole_number(asked: Mapping[str, str], name: str, usual: int) -> int:
    """Return a number of *asked*, or *usual*. Raises MalformedCall where it is none."""
    text = asked.get(name, str(usual))
    if not _NUMBER.fullmatch(text):
        raise MalformedCall(f"`{name}` must be a whole number.")
    return int(text)


def page_size(asked: Mapping[str, str], usual: int, most: int, name: str = "limit") -> int:
    """Return how many are asked for, from 1 to *most*, or *usual*. Raises MalformedCall."""
    text = asked.get(name, str(usual))
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= most:
        raise MalformedCall(f"`{name}` must be a number from 1 to {most}.")
    return int(text)
