"""Reading what people send, strictly, and writing what they get."""

from __future__ import annotations

import re
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError

from ..core.content import read_json
from ..core.errors import MalformedCall
from . import models
from .problems import VersionNeeded, WrongMediaType

_ETAG = re.compile(r'"([0-9]{1,9})"', re.ASCII)
M = TypeVar("M", bound=models.Model)


async def read(request: web.Request, model: type[M]) -> M:
    """Return the body as *model*: strict JSON, no duplicate or unknown member, no other type."""
    if request.content_type != "application/json":
        raise WrongMediaType
    try:
        text = (await request.read()).decode("utf-8")
    except UnicodeDecodeError:
        raise MalformedCall("The body is not UTF-8.") from None
    try:
        return model.model_validate(read_json(text))
    except ValidationError as error:
        wrong = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'body'}: {each['msg']}" for each in error.errors()
        )
        raise MalformedCall(f"The body does not fit: {wrong}.") from None


def version_seen(request: web.Request) -> int:
    """Return the version in If-Match: the one that the person looked at."""
    given = request.headers.getall("If-Match", [])
    if not given or given == ["*"]:
        raise VersionNeeded
    found = _ETAG.fullmatch(given[0].strip())
    if len(given) > 1 or found is None:
        raise MalformedCall('`If-Match` must be one version in quotes, such as "1".')
    return int(found[1])


def answer(model: models.Model, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=model.model_dump_json(ensure_ascii=True),
        content_type="application/json",
        headers=headers,
    )
