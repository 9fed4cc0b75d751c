"""HTML of the page: templates, escaped always, and visible text with its tokens marked.

The only Markup made by hand is `painted`, from text that `redaction` has made visible.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from typing import Any, Protocol

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from ..core.lookalikes import twins
from ..core.numbers import number_of


class ShareLike(Protocol):
    """A share with its interval."""

    @property
    def of(self) -> int: ...

    @property
    def low(self) -> float: ...

    @property
    def high(self) -> float: ...


STATIC = {
    "app.css": "text/css",
    "pages.css": "text/css",
    "charts.css": "text/css",
    "places.js": "text/javascript",
    "common.js": "text/javascript",
    "live.js": "text/javascript",
    "queue.js": "text/javascript",
    "batch.js": "text/javascript",
    "item.js": "text/javascript",
    "call.js": "text/javascript",
    "whole.js": "text/javascript",
    "deciding.js": "text/javascript",
    "edit.js": "text/javascript",
    "look.js": "text/javascript",
    "verdict.js": "text/javascript",
    "handing.js": "text/javascript",
    "undoing.js": "text/javascript",
    "unfold.js": "text/javascript",
    "grants.js": "text/javascript",
    "tools.js": "text/javascript",
    "acting.js": "text/javascript",
    "agents.js": "text/javascript",
    "me.js": "text/javascript",
    "notifications.js": "text/javascript",
    "audit.js": "text/javascript",
    "webauthn.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
# kept the same in static/common.js: a line feed, a tab, other tokens in a row, spaces in a row
_TOKENS = re.compile(
    r"(?P<lf><U\+000A>\n?)|(?P<tab><U\+0009>)"
    r"|(?P<points>(?:<(?:U\+(?!000A>|0009>)[0-9A-F]{4,6}|0x[0-9A-F]{2})>)+)"
    r"|(?<=\S)(?P<spaces> {2,})"
)
_MINUTE, _HOUR, _DAY = 60, 3600, 86_400


def painted(text: str) -> Markup:
    """Return visible text as HTML: tokens in their own elements, everything else escaped."""
    parts, end = [], 0
    for found in _TOKENS.finditer(text):
        parts += [_plain(text[end : found.start()]), _mark(found)]
        end = found.end()
    parts.append(_plain(text[end:]))
    return Markup("".join(parts))  # noqa: S704, each part is escaped


def _plain(text: str) -> Markup:
    """Return text without tokens as HTML; letters that are not what they look like underlined."""
    parts, end = [], 0
    for at in twins(text):
        parts += [escape(text[end:at]), _TWIN.format(unicodedata.name(text[at], ""), text[at])]
        end = at + 1
    return Markup("").join([*parts, escape(text[end:])])


_TWIN = Markup('<span class="twin" title="{}">{}</span>')


_LF = Markup('<span class="pt nl" title="line feed">↵</span>')
_TAB = Markup('<span class="pt nl" title="tab">⇥</span>\t')


def _mark(found: re.Match[str]) -> Markup:
    token = found.group()
    match found.lastgroup:
        case "lf":
            return _LF + "\n" if token.endswith("\n") else _LF
        case "tab":
            return _TAB
        case "spaces":
            return Markup('<span class="sp" title="{} spaces">{}</span>').format(len(token), token)
        case _:
            return Markup('<span class="pt" title="{}">{}</span>').format(_named(token), token)


def _named(tokens: str) -> str:
    first = re.match(r"<U\+([0-9A-F]+)>", tokens)
    return unicodedata.name(chr(int(first[1], 16)), "control character") if first else "byte"


def coded(text: str) -> Markup:
    """Return our own words as HTML: what stands between backticks is code."""
    parts = text.split("`")
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def ago(ms: int) -> str:
    """Return a span of time in words: `4 min`."""
    seconds = max(ms, 0) // 1000
    for unit, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if seconds >= unit:
            return f"{seconds // unit} {word}"
    return f"{seconds} s"


def moment(ms: int) -> str:
    """Return a time (ms since the epoch) in words: `2026-03-01 09:30 UTC`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M UTC")


def percent(value: float | None) -> str:
    """Return a share in words: `7 %`, `0.4 %`, a dash where it is of nothing."""
    if value is None:
        return "–"
    shown = value * 100
    if shown in (0, 100) or 1 <= shown <= 99:
        return f"{shown:.0f} %"
    return "under 0.1 %" if shown < 0.1 else "over 99.9 %" if shown > 99.9 else f"{shown:.1f} %"


def between(share: ShareLike) -> str:
    """Return the interval of a share in words: `2 to 20 %`; empty where it is of nothing."""
    return f"{percent(share.low).removesuffix(' %')} to {percent(share.high)}" if share.of else ""


def lasting(ms: float) -> str:
    """Return a span of time in words, to a tenth: `0.4 s`, `12.5 min`, `3.5 h`."""
    for unit, word in ((_DAY, "d"), (_HOUR, "h"), (_MINUTE, "min")):
        if ms >= unit * 1000:
            return f"{ms / 1000 / unit:.1f}".removesuffix(".0") + f" {word}"
    return f"{ms / 1000:.1f}".removesuffix(".0") + " s"


def day(ms: int) -> str:
    """Return the UTC day of a time (ms since the epoch): `2026-03-01`."""
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d")


def size(count: int) -> str:
    """Return a number of bytes in words."""
    if count < 1024:
        return number_of(count, "byte")
    return f"{count / 1024:.1f} KiB" if count < 1024**2 else f"{count / 1024**2:.1f} MiB"


@cache
def static(name: str) -> bytes:
    """Return a file that the page loads; *name* is one of STATIC."""
    return (resources.files(__package__) / "static" / name).read_bytes()


@cache
def _linked(name: str) -> str:
    return f"/static/{name}?v={hashlib.sha256(static(name)).hexdigest()[:12]}"


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(__package__ or "", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        visible=painted, ago=ago, size=size, moment=moment, day=day, coded=coded
    )
    environment.filters.update(percent=percent, between=between, lasting=lasting)
    environment.globals.update(static=_linked)
    return environment


def render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(**values)
