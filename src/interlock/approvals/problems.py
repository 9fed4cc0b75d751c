"""Errors of the people's side as RFC 9457 problems. Pure: errors in, JSON-ready values out.

* PeopleError
  x NotSignedIn           401
  x CrossSite             403  another site's page asked, or the CSRF token is wrong
  x MethodNotAllowed      405
  x WrongMediaType        415
  x OneByOne              409  this call is not for approving together with others
  x GrantRefused          422  policy lets nobody grant this, or not so much
  x NotTheirs             422  who is asked to decide a call could not
  x CannotStandIn         422  who is to stand in is not here, or for too long
  x Misdirected           421  the Host is not ours: DNS rebinding
  x VersionNeeded         428  no If-Match
  x TooManyStreams        429  this person has too many live pages open, or everybody together
"""

from __future__ import annotations

from typing import Any

from ..core.errors import InterlockError, TooSoon

MEDIA_TYPE = "application/problem+json"
_TITLES = {
    400: "Malformed request",
    401: "Sign-in needed",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Already decided",
    410: "Expired",
    412: "Changed since you looked",
    413: "Too large",
    415: "Unsupported media type",
    421: "Unknown host",
    422: "Not acceptable as it is",
    428: "Version needed",
    429: "Too many",
    503: "Store unavailable",
}


class PeopleError(InterlockError):
    """The request cannot be taken."""

    status, kind = 400, "bad-request"


class NotSignedIn(PeopleError):
    """An approver's or admin's key, or a signed-in session, is needed."""

    status, kind = 401, "not-signed-in"


class CrossSite(PeopleError):
    """This request did not come from Interlock's own page; nothing was decided."""

    status, kind = 403, "cross-site"


class MethodNotAllowed(PeopleError):
    """This method is not allowed here. Looking never decides; decisions are POSTs."""

    status, kind = 405, "method-not-allowed"


class WrongMediaType(PeopleError):
    """Send `Content-Type: application/json`."""

    status, kind = 415, "unsupported-media-type"


class Misdirected(PeopleError):
    """This listener is not known by that Host. Add it to the people listener's `hosts`."""

    status, kind = 421, "misdirected"


class GrantRefused(PeopleError):
    """Policy lets nobody grant calls like this one."""

    status, kind = 422, "grant-refused"


class OneByOne(PeopleError):
    """This call is decided by itself: open it, look at it, and decide it there."""

    status, kind = 409, "one-by-one"


class NotTheirs(PeopleError):
    """This person could not decide the call."""

    status, kind = 422, "not-theirs"


class CannotStandIn(PeopleError):
    """Nobody can stand in like this."""

    status, kind = 422, "cannot-stand-in"


class VersionNeeded(PeopleError):
    """Send `If-Match: "<version>"` with the version that you looked at (its ETag)."""

    status, kind = 428, "version-needed"


class TooManyStreams(PeopleError):
    """Too many live pages are open."""

    status, kind = 429, "too-many-streams"


def problem(error: InterlockError, **more: Any) -> dict[str, Any]:
    """Return *error* as a problem object; *more* are extension members."""
    told: dict[str, Any] = {
        "type": f"urn:interlock:problem:{error.kind}",
        "title": _TITLES.get(error.status, "Something went wrong"),
        "status": error.status,
        "detail": error.detail,
    }
    if error.help:
        told["help"] = error.help
    if isinstance(error, TooSoon):
        told["seconds"] = error.seconds
    return told | more
