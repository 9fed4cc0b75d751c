"""Where people go once they are signed in: the page that they came for, and never another site."""

from __future__ import annotations

import re

from aiohttp import web

from .deps import ApiDeps
from .identity import LINK_MS

HOME = "/review"
_PATH = re.compile(r"/[A-Za-z0-9_.~/-]{0,300}(\?[A-Za-z0-9_.~=&%+-]{0,300})?", re.ASCII)


def own_path(text: str) -> str:
    """Return *text* where it is a page of ours, else the queue: nobody is led elsewhere."""
    if not _PATH.fullmatch(text) or "//" in text or ".." in text:
        return HOME
    first = text[1:].partition("?")[0].partition("/")[0]
    return HOME if first in ("", "oidc", "sign-in", "sign-out", "static", "v1") else text


def remember(request: web.Request, response: web.Response, deps: ApiDeps) -> None:
    """Have the browser keep which page it came for, while its person fetches a link."""
    to = own_path(request.path_qs)
    if request.method == "GET" and to != HOME:
        response.set_cookie(
            _cookie(deps),
            to,
            max_age=LINK_MS // 1000,
            path="/",
            httponly=True,
            secure=deps.secure,
            samesite="Strict",
        )


def came_for(request: web.Request, response: web.Response, deps: ApiDeps) -> str:
    """Return the page that the browser came for, and have it forget that."""
    kept = request.cookies.get(_cookie(deps), "")
    if kept:
        response.del_cookie(
            _cookie(deps), path="/", httponly=True, secure=deps.secure, samesite="Strict"
        )
    return own_path(kept)


def _cookie(deps: ApiDeps) -> str:
    return f"{deps.cookie}-to"
