"""The upstream's own credential, written last over whatever an agent sent under its names.

Secrets come from configuration, live in `Secret`, and never reach the store, a log or a page.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from ..core.actions import ToolCall
from ..core.errors import UpstreamUnreachable, WeakGround

Headers: TypeAlias = tuple[tuple[str, str], ...]
UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"


class Secret:
    """A text that prints as `***`; only `reveal` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('***')"

    def __str__(self) -> str:
        return "***"

    def __format__(self, spec: str) -> str:
        return "***"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __reduce__(self) -> str:
        raise TypeError("A secret is not written anywhere.")


class Credential(Protocol):
    """Adds what authenticates Interlock to the tool. `names`: the headers it writes, lower case."""

    @property
    def names(self) -> frozenset[str]: ...

    def apply(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        """Return *headers* with the credential added last, for the *url* that is sent.

        Raises:
            UpstreamUnreachable: there is no credential for this call; nothing is sent.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class NoCredential:
    """The tool needs none."""

    names: frozenset[str] = frozenset()

    def apply(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        return headers


@dataclass(frozen=True, slots=True, kw_only=True)
class HeaderCredential:
    """A header of its own, such as `X-Api-Key`."""

    name: str
    value: Secret

    @property
    def names(self) -> frozenset[str]:
        return frozenset({self.name.lower()})

    def apply(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        return (*_without(headers, self.names), (self.name, self.value.reveal()))


@dataclass(frozen=True, slots=True, kw_only=True)
class BearerCredential:
    """`Authorization: Bearer` (RFC 6750)."""

    token: Secret
    names: frozenset[str] = frozenset({"authorization"})

    def apply(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        value = f"Bearer {self.token.reveal()}"
        return (*_without(headers, self.names), ("Authorization", value))


@dataclass(frozen=True, slots=True, kw_only=True)
class BasicCredential:
    """`Authorization: Basic` (RFC 7617), UTF-8."""

    username: str
    password: Secret
    names: frozenset[str] = frozenset({"authorization"})

    def apply(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        pair = f"{self.username}:{self.password.reveal()}".encode()
        value = f"Basic {base64.b64encode(pair).decode()}"
        return (*_without(headers, self.names), ("Authorization", value))


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsCredential:
    """AWS Signature Version 4 over exactly the bytes that go out.

    Region and service are the call's own (the agent's signature named them); only *services* are
    signed for.

    Raises:
        WeakGround: botocore is not installed.
    """

    access_key_id: str
    secret_access_key: Secret
    services: frozenset[str]
    session_token: Secret | None = None
    names: frozenset[str] = frozenset({"authorization", "x-amz-date", "x-amz-security-token"})

    def __post_init__(self) -> None:
        try:
            import botocore.auth  # noqa: F401
        except ImportError:
            raise WeakGround(
                "An upstream with aws_sigv4 credentials needs botocore, which is not installed.",
                help="Install it: pip install 'interlock[aws]'",
            ) from None

    def apply(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        if call.service not in self.services:
            allowed = ", ".join(sorted(self.services))
            raise UpstreamUnreachable(
                f"This gate signs for {allowed}; the call is for {call.service or 'no service'!r}."
            )
        return self._signed(call, url, _without(headers, self.names))

    def _signed(self, call: ToolCall, url: str, headers: Headers) -> Headers:
        from botocore.auth import S3SigV4Auth, SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(method=call.method, url=url, data=call.body)
        for name, value in headers:
            request.headers[name] = value
        if request.headers.get("x-amz-content-sha256") == UNSIGNED_TRAILER:
            request.context["checksum"] = {"request_algorithm": {"in": "trailer"}}
        token = self.session_token.reveal() if self.session_token else None
        keys = Credentials(self.access_key_id, self.secret_access_key.reveal(), token)
        signer = S3SigV4Auth if call.service.startswith("s3") else SigV4Auth
        signer(keys, call.service, call.region).add_auth(request)
        written = self.names | {"x-amz-content-sha256"}
        kept = _without(headers, written)
        signed = tuple((k, str(v)) for k, v in request.headers.items() if k.lower() in written)
        return kept + signed


def _without(headers: Headers, names: frozenset[str]) -> Headers:
    return tuple((name, value) for name, value in headers if name.lower() not in names)
