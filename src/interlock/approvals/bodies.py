"""Reading what people send, strictly, and writing what they get."""

from __future__ import annotations

import re
from typing import TypeVar

from aiohttp import web
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from ..core.content import read_json
from ..core.errors import MalformedCall
from ..core.redaction import visible_line
from .models import Model
from .problems import VersionNeeded, WrongMediaType

_ETAG = re.compile(r'"([0-9]{1,9})"', re.ASCII)
_WRONG = {
    "missing": "is missing",
    "extra_forbidden": "is unknown here",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "bool_type": "must be true or false",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "literal_error": "must be {expected}",
    "string_pattern_mismatch": "must be written as `{pattern}`",
    "string_too_short": "must have {min_length} or more characters",
    "string_too_long": "must have at most {max_length} characters",
    "greater_than_equal": "must be {ge} or more",
    "less_than_equal": "must be {le} or less",
}
M = TypeVar("M", bound=Model)


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
        wrong = "; ".join(map(_wrong, error.errors()))
        raise MalformedCall(f"The body does not fit: {wrong}.") from None


def _wrong(found: ErrorDetails) -> str:
    """Return what is wrong, and where, in our words."""
    where = ".".join(visible_line(str(part)) for part in found["loc"]) or "body"
    text = _WRONG.get(found["type"], "does not fit")
    return f"`{where}` {text.format_map(found.get('ctx', {}))}"


def version_seen(request: web.Request) -> int:
    """Return the version in If-Match: the one that the person looked at."""
    given = request.headers.getall("If-Match", [])
    if not given or given == ["*"]:
        raise VersionNeeded
    found = _ETAG.fullmatch(given[0].strip())
    if len(given) > 1 or found is None:
        raise MalformedCall('`If-Match` must be one version in quotes, such as "1".')
    return int(found[1])


def answer(model: Model, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        text=model.model_dump_json(ensure_ascii=True),
        content_type="application/json",
        headers=headers,
    )
