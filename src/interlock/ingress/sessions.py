"""`PUT /v1/sessions/{id}`: what the user asked for, told once for a session. Pure."""

from __future__ import annotations

import re
from urllib.parse import unquote

from ..core.content import parse_content
from ..core.errors import CallTooLarge, MalformedCall

LONGEST_TASK = 16_384  #: bytes of UTF-8; the store keeps no more
LARGEST_BODY = 128 * 1024  #: bytes
SESSION_PATH = re.compile(r"/v1/sessions/([^/?#]+)\Z")
_SESSION = re.compile(r"[\x21-\x7e]{1,200}\Z", re.ASCII)
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_SHAPE = 'Send JSON such as {"task": "Pay the rent to Bob"}.'


def session_named(segment: str) -> str:
    """Return the session that a segment of the path names, percent-encoded where it must be.

    Raises:
        MalformedCall: it is none that a call could name in `Interlock-Session`.
    """
    name = "" if _BAD_PERCENT.search(segment) else unquote(segment, errors="replace")
    if not _SESSION.match(name):
        raise MalformedCall(
            "A session is named by 1 to 200 visible ASCII characters, percent-encoded in the path."
        )
    return name


def parse_task(media_type: str, body: bytes) -> str:
    """Return the user's request that *body* states.

    Raises:
        MalformedCall: it is not `{"task": "..."}`.
        CallTooLarge: the request is longer than LONGEST_TASK bytes.
    """
    document = parse_content(media_type, body).value
    if not isinstance(document, dict) or set(document) != {"task"}:
        raise MalformedCall(f"The body must be an object with `task` alone. {_SHAPE}")
    task = document["task"]
    if not isinstance(task, str):
        raise MalformedCall(f"`task` must be text. {_SHAPE}")
    size = len(task.encode("utf-8", "surrogatepass"))
    if size > LONGEST_TASK:
        raise CallTooLarge(
            f"`task` has {size} bytes in UTF-8; at most {LONGEST_TASK} are kept. Send the user's"
            " request alone, without documents."
        )
    return task
