"""From the bytes of one HTTP request to a `ToolCall`, or to a refusal. Pure.

The rungs below are checked in order and the first that fails answers. Nothing is repaired:
a request that this gate and a tool could read differently is a `MalformedCall`. Sources: RFC
9110 and 9112, RFC 7240 (Prefer), CVE-2026-110279 (a client's header overriding the gateway's
credential), AWS Signature Version 4.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ..core.actions import Agent, Content, Context, ToolCall
from ..core.content import parse_content, parse_target
from ..core.digest import seal
from ..core.errors import CallTooLarge, MalformedCall

Headers = tuple[tuple[str, str], ...]
Fields = Mapping[str, list[str]]

AWS_SIGV4 = "aws_sigv4"
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
DEFAULT_FORWARD = frozenset(
    "accept accept-language content-type content-encoding user-agent if-match if-none-match "
    "if-modified-since range traceparent tracestate".split()
)
"""Header names that pass unless an upstream lists others."""

_OVERRIDES = frozenset({"x-http-method-override", "x-method-override", "x-http-method"})
_HOP_BY_HOP = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization proxy-connection te trailer "
    "transfer-encoding upgrade http2-settings".split()
)
_NEVER = _HOP_BY_HOP | frozenset("host content-length expect forwarded x-real-ip via".split())
_NEVER_PREFIXES = ("interlock-", "x-forwarded-")
_LITERALLY = frozenset({"authorization", "cookie"})
_AWS_OWN = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})
_SINGLE = frozenset(
    "host content-length content-type content-encoding transfer-encoding authorization "
    "idempotency-key".split()
)
_LISTS = frozenset(
    "accept accept-charset accept-encoding accept-language cache-control if-match if-none-match "
    "prefer tracestate baggage".split()
)

_NAME = re.compile(r"[!#$%&'*+\-.^`|~0-9A-Za-z_]+", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_CONFIDENCE = re.compile(r"(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?", re.ASCII)
_SESSION = re.compile(r"[\x21-\x7e]{1,200}", re.ASCII)
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", re.ASCII)
_SCOPE = re.compile(
    r"\bCredential=([^/\s,]{1,256})/[0-9]{8}/([a-z0-9-]{1,64})/([a-z0-9-]{1,64})/aws4_request\b",
    re.ASCII,
)
_KEY = "ilk_"


@dataclass(frozen=True, slots=True, kw_only=True)
class RawRequest:
    """One request as received. `target` is what follows `/t/{upstream}`, undecoded.

    Header names and values are text decoded from UTF-8 with `surrogateescape`, in order and
    with repeats.
    """

    method: str
    target: str
    version: tuple[int, int] = (1, 1)
    headers: Headers = ()
    body: bytes = b""
    fields: Fields = field(init=False, repr=False, compare=False)  #: values by lower-case name

    def __post_init__(self) -> None:
        fields: dict[str, list[str]] = {}
        for name, value in self.headers:
            fields.setdefault(name.lower(), []).append(value)
        object.__setattr__(self, "fields", fields)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What one upstream takes from its callers.

    `forward` holds lower-case header names; a trailing `*` is a glob. `reserved` names the
    headers that its credential writes, which callers therefore cannot. `service` is "" or
    "aws_sigv4": read service and region from the caller's AWS signature.
    """

    forward: frozenset[str] = DEFAULT_FORWARD
    reserved: frozenset[str] = frozenset()
    service: str = ""
    max_body: int = 10 * 2**20  #: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Prefer:
    """How long the caller lets us hold its connection (RFC 7240). `wait` in seconds."""

    wait: int | None = None
    respond_async: bool = False


def parse_call(request: RawRequest, settings: Settings, *, agent: Agent, upstream: str) -> ToolCall:
    """Return the sealed call that *request* asks for.

    Raises:
        MalformedCall: the request is malformed, or could be read in two ways.
        CallTooLarge: the body is larger than `settings.max_body`.
    """
    for rung in (_1_version, _2_method, _3_headers, _4_singletons, _5_connection, _6_override):
        rung(request)
    if len(request.body) > settings.max_body:
        raise CallTooLarge(f"The body is larger than {settings.max_body} bytes.")
    target = request.target if request.target.startswith("/") else _rooted(request.target)
    path, query = parse_target(target)
    region, service = _signing_scope(request.fields, query, settings)
    headers = _forwarded(request.headers, settings)
    return seal(
        ToolCall(
            agent=agent,
            upstream=upstream,
            method=request.method,
            target=target,
            headers=headers,
            body=request.body,
            service=service,
            region=region,
            path=path,
            query=query,
            content=_content(request),
            context=stated(request.fields),
        )
    )


def _1_version(request: RawRequest) -> None:
    if request.version not in {(1, 0), (1, 1)}:
        raise MalformedCall("Only HTTP/1.1 and HTTP/1.0 are taken here.")
    if request.version == (1, 0) and "transfer-encoding" in request.fields:
        raise MalformedCall("HTTP/1.0 has no Transfer-Encoding; send a Content-Length.")


def _2_method(request: RawRequest) -> None:
    if request.method not in METHODS:
        raise MalformedCall(f"The method must be one of {', '.join(sorted(METHODS))}.")


def _3_headers(request: RawRequest) -> None:
    for name, value in request.headers:
        if not _NAME.fullmatch(name):
            raise MalformedCall("A header has a name that is not a token (RFC 9110 5.1).")
        if "_" in name:
            raise MalformedCall(
                f"The header `{name}` has an underscore, which servers confuse with `-`; rename it."
            )
        if _CONTROL.search(value):
            raise MalformedCall(f"The header `{name}` holds a control character.")


def _4_singletons(request: RawRequest) -> None:
    if len(request.fields) == len(request.headers):
        return
    for name, values in request.fields.items():
        if len(values) > 1 and (name in _SINGLE or name.startswith("interlock-")):
            raise MalformedCall(f"The header `{name}` is there more than once; send it once.")


def _5_connection(request: RawRequest) -> None:
    if "upgrade" in request.fields:
        raise MalformedCall("Upgrades are not taken here; leave out the `Upgrade` header.")
    codings = [each.strip().lower() for each in request.fields.get("transfer-encoding", ())]
    if codings not in ([], ["chunked"]):
        raise MalformedCall("`Transfer-Encoding` may be `chunked` only.")
    tokens = ",".join(request.fields.get("connection", ())).split(",")
    if not {token.strip().lower() for token in tokens} <= {"", "close", "keep-alive"}:
        raise MalformedCall("`Connection` may hold `close` or `keep-alive` only.")


def _6_override(request: RawRequest) -> None:
    for name in _OVERRIDES & request.fields.keys():
        raise MalformedCall(f"`{name}` would override the method; send that method itself.")


def _rooted(target: str) -> str:
    """Give an empty path its root (RFC 3986 6.2.3): boto3 sends `/t/aws` for `/`."""
    return "/" + target if target == "" or target.startswith("?") else target


def _value(fields: Fields, name: str) -> str:
    """Return the only value of *name*; "" where it is not there."""
    values = fields.get(name, ())
    if len(values) > 1:
        raise MalformedCall(f"The header `{name}` is there more than once; send it once.")
    return values[0].strip() if values else ""


def passes(name: str, settings: Settings) -> bool:
    """Say whether a caller's header of this name may reach the upstream at all."""
    lower = name.lower()
    if lower in _NEVER or lower in settings.reserved or lower.startswith(_NEVER_PREFIXES):
        return False
    if settings.service == AWS_SIGV4 and lower in _AWS_OWN:
        return False
    if lower in settings.forward:
        return True
    return lower not in _LITERALLY and any(
        entry.endswith("*") and lower.startswith(entry[:-1]) for entry in settings.forward
    )


def _forwarded(headers: Headers, settings: Settings) -> Headers:
    chosen = tuple(h for h in headers if passes(h[0], settings) and not _is_ours(*h, settings))
    seen: set[str] = set()
    for name, value in chosen:
        lower = name.lower()
        if lower in seen and lower not in _LISTS:
            raise MalformedCall(f"The header `{name}` is there more than once; send it once.")
        seen.add(lower)
        _text(name, value)
    return chosen


def _is_ours(name: str, value: str, settings: Settings) -> bool:
    """Say whether a listed header carries what is Interlock's own: a key, or a signature part."""
    if name.lower() == "authorization":
        return any(_keys_in(value))
    if name.lower() != "x-amz-content-sha256" or settings.service != AWS_SIGV4:
        return False
    if value.startswith("STREAMING-") and value != UNSIGNED_TRAILER:
        raise MalformedCall(
            "Bodies signed chunk by chunk cannot be signed again. Send the body in one piece: "
            "in boto3, Config(request_checksum_calculation='when_required')."
        )
    return value != UNSIGNED_TRAILER  # the hash of a whole body is made again when it is signed


def _text(name: str, value: str) -> str:
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise MalformedCall(f"The header `{name}` is not UTF-8.") from None
    return value


def _content(request: RawRequest) -> Content:
    return parse_content(
        _value(request.fields, "content-type"),
        request.body,
        encoding=_value(request.fields, "content-encoding"),
    )


def stated(fields: Fields) -> Context:
    """Return what the `Interlock-*` headers say of a call. Raises MalformedCall."""
    session = _claim(fields, "Interlock-Session", 200)
    if session and not _SESSION.fullmatch(session):
        raise MalformedCall("`Interlock-Session` must be 1 to 200 visible ASCII characters.")
    traces = fields.get("traceparent", ())
    trace = traces[0].strip() if len(traces) == 1 else ""
    return Context(
        confidence=_confidence(_claim(fields, "Interlock-Confidence", 40)),
        session=session,
        reason=_claim(fields, "Interlock-Reason", 2000),
        task=_claim(fields, "Interlock-Task", 8000),
        traceparent=trace if _TRACEPARENT.fullmatch(trace) else "",
    )


def _claim(fields: Fields, name: str, limit: int) -> str:
    lower = name.lower()
    if lower not in fields:
        return ""
    value = _text(name, _value(fields, lower))
    if len(value) > limit:
        raise MalformedCall(f"`{name}` is longer than {limit} characters.")
    return value


def _confidence(text: str) -> float | None:
    if not text:
        return None
    if _CONFIDENCE.fullmatch(text) and 0.0 <= (value := float(text)) <= 1.0:
        return value
    raise MalformedCall("`Interlock-Confidence` must be a number from 0.0 to 1.0.")


def agent_key(headers: Iterable[tuple[str, str]]) -> str | None:
    """Return the Interlock key that the request carries, or None.

    It may come as `Interlock-Key`, as a Bearer token, as the password (or user name) of Basic
    authentication, or as the access key id of an AWS signature.

    Raises:
        MalformedCall: the request carries two different keys.
    """
    keys: set[str] = set()
    for name, value in headers:
        if name.lower() == "interlock-key":
            keys.add(value.strip())
        elif name.lower() == "authorization":
            keys.update(_keys_in(value))
    if len(keys) > 1:
        raise MalformedCall("The request carries two different Interlock keys; send one.")
    return keys.pop() if keys else None


def _keys_in(authorization: str) -> list[str]:
    scheme, _, rest = authorization.strip().partition(" ")
    found: list[str] = []
    if scheme.lower() == "bearer":
        found = [rest.strip()]
    elif scheme.lower() == "basic":
        user, _, password = _basic(rest.strip()).partition(":")
        found = [password, user]
    elif scheme == "AWS4-HMAC-SHA256":
        found = [match.group(1) for match in _SCOPE.finditer(rest)]
    return [key for key in found if key.startswith(_KEY)][:1]


def _basic(encoded: str) -> str:
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8")
    except (binascii.Error, UnicodeError, ValueError):
        return ""


def sigv4_scope(authorization: str) -> tuple[str, str, str]:
    """Return access key id, region and service of an AWS Signature Version 4 header.

    Raises:
        MalformedCall: it is not one, or names more than one scope.
    """
    scheme, _, rest = authorization.strip().partition(" ")
    scopes = _SCOPE.findall(rest)
    if scheme != "AWS4-HMAC-SHA256" or len(scopes) != 1:
        raise MalformedCall(
            "This upstream takes requests signed by an AWS SDK (Signature Version 4), with an "
            "Interlock key as the access key id."
        )
    key_id, region, service = scopes[0]
    return key_id, region, service


def _signing_scope(
    fields: Fields, query: tuple[tuple[str, str], ...], settings: Settings
) -> tuple[str, str]:
    if settings.service != AWS_SIGV4:
        return "", ""
    if any(name.lower() in {"x-amz-signature", "x-amz-credential"} for name, _ in query):
        raise MalformedCall("Presigned URLs are not taken here; sign by the Authorization header.")
    _, region, service = sigv4_scope(_value(fields, "authorization"))
    return region, service


def parse_prefer(headers: Iterable[tuple[str, str]]) -> Prefer:
    """Return the preferences that this gate knows; of repeated ones the first counts (RFC 7240)."""
    known: dict[str, str] = {}
    listed = (value for name, value in headers if name.lower() == "prefer")
    for preference in ",".join(listed).split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        known.setdefault(name.strip().lower(), value.strip().strip('"'))
    wait = known.get("wait", "")
    seconds = int(wait) if wait.isascii() and wait.isdigit() and len(wait) <= 9 else None
    return Prefer(wait=seconds, respond_async="respond-async" in known)
