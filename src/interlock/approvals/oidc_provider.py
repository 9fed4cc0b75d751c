"""An OpenID Connect provider, asked over HTTP: bounded in time and size, redirects never followed.

Sources: OpenID Connect Discovery 1.0 and RFC 8414 (metadata; the issuer must be the one asked),
OpenID Connect Core 1.0 (code flow, ID token, userinfo), RFC 6749 (token request), RFC 7517 (keys),
RFC 7636 (PKCE, S256), OpenID Connect RP-Initiated Logout 1.0.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote_plus, urlencode, urlsplit

import aiohttp

from ..core.redaction import visible_line
from ..ports import Clock
from .oidc_people import NotAPerson, Registration, lacking, merged
from .oidc_tokens import Expected, Key, TokenRefused, UnknownKey, signing_keys, validated
from .problems import PeopleError

log = logging.getLogger("interlock.sign_in")

PATIENCE = 10.0  #: seconds for one answer of the provider
LARGEST = 1 << 20  #: bytes of one answer
KEPT = 3600.0  #: seconds that metadata and keys are believed
KEYS_AGAIN = 30.0  #: seconds between two looks for keys because of an unknown one
FAILED = 3.0  #: seconds in which others do not wait for a provider that has just failed
AT_ONCE = 8  #: connections
_NO_CLIENT = frozenset({"invalid_client", "unauthorized_client"})  # RFC 6749, 5.2
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class ProviderFailed(PeopleError):
    """The sign-in provider did not do its part."""

    status, kind = 502, "sign-in-provider"


class ClientRefused(ProviderFailed):
    """The sign-in provider does not accept Interlock as its client."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """What a provider says of itself."""

    authorization: str
    token: str
    jwks: str
    userinfo: str = ""
    end_session: str = ""
    names_itself: bool = False  #: RFC 9207: answers carry `iss`
    posts_secrets: bool = False  #: it takes client secrets in the form only


class Provider:
    """One provider, as *registered* there. `close` it at the end."""

    def __init__(self, registered: Registration, clock: Clock, *, patience: float = PATIENCE):
        self.registered = registered
        self._clock = clock
        self._patience = patience
        self._session: aiohttp.ClientSession | None = None
        self._metadata: tuple[float, Metadata] | None = None
        self._keys: tuple[float, tuple[Key, ...]] | None = None
        self._failure: tuple[float, ProviderFailed] | None = None
        self._asking = asyncio.Lock()

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()

    async def metadata(self) -> Metadata:
        """Return the provider's own description, at most an hour old. Raises ProviderFailed."""
        async with self._asking:
            if self._metadata is None or time.monotonic() - self._metadata[0] >= KEPT:
                issuer = self.registered.issuer
                url = issuer.rstrip("/") + "/.well-known/openid-configuration"
                self._metadata = (time.monotonic(), _read(await self._read_once(url), issuer))
            return self._metadata[1]

    async def authorization_url(self, state: str, nonce: str, challenge: str) -> str:
        """Return where a person goes to sign in. Raises ProviderFailed."""
        registered, metadata = self.registered, await self.metadata()
        asked = {
            "response_type": "code",
            "client_id": registered.client_id,
            "redirect_uri": registered.redirect_uri,
            "scope": " ".join(registered.scopes),
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge,
            "code_challenge_method": "S256",
        }
        return _with(metadata.authorization, asked)

    async def end_session_url(self) -> str:
        """Return where a person signs out of the provider too; empty where it says of none."""
        try:
            where = (await self.metadata()).end_session
        except ProviderFailed:
            return ""
        registered = self.registered
        back = {"client_id": registered.client_id, "post_logout_redirect_uri": registered.url + "/"}
        return _with(where, back) if where else ""

    async def claims(self, code: str, verifier: str, nonce: str) -> Mapping[str, Any]:
        """Return what the provider says of who came back with *code*.

        Raises:
            ProviderFailed: it did not answer, or not as it must.
            NotAPerson: it did not take the code.
        """
        metadata = await self.metadata()
        told = await self._redeemed(metadata, code, verifier)
        token, access = told.get("id_token"), told.get("access_token", "")
        if not isinstance(token, str) or not isinstance(access, str):
            raise _failed("It sent no ID token.")
        claims = await self._genuine(metadata, token, access, nonce)
        if metadata.userinfo and access and lacking(claims, self.registered):
            headers = {"Authorization": f"Bearer {access}"}
            more = await self._ask("GET", metadata.userinfo, headers=headers)
            if more.get("sub") != claims["sub"]:
                raise _failed("Its userinfo is about somebody else.")
            claims = merged(claims, more)
        return claims

    async def accepts_client(self) -> None:
        """Ask whether the provider takes Interlock as its client, with a code that is none.

        A provider looks at the client before it looks at the code (RFC 6749, 4.1.3 and 5.2).

        Raises:
            ClientRefused: it does not: `client_id` or the secret is wrong.
            ProviderFailed: it did not answer, or not as it must.
        """
        metadata = await self.metadata()
        try:
            await self._redeemed(metadata, "interlock-doctor", "x" * 43)
        except NotAPerson:
            return
        except ProviderFailed as failed:
            if isinstance(failed, ClientRefused):
                raise
            log.info("whether it takes this client is not known: %s", failed.detail)

    async def _redeemed(self, metadata: Metadata, code: str, verifier: str) -> dict[str, Any]:
        registered = self.registered
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": registered.redirect_uri,
            "code_verifier": verifier,
        }
        headers = {}
        if registered.client_secret and not metadata.posts_secrets:
            pair = f"{quote_plus(registered.client_id)}:{quote_plus(registered.client_secret)}"
            headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
        else:
            form["client_id"] = registered.client_id
            if registered.client_secret:
                form["client_secret"] = registered.client_secret
        return await self._ask("POST", metadata.token, headers=headers, form=form)

    async def _genuine(
        self, metadata: Metadata, token: str, access: str, nonce: str
    ) -> Mapping[str, Any]:
        registered, now = self.registered, self._clock.now_ms() // 1000
        expected = Expected(
            issuer=registered.issuer,
            client_id=registered.client_id,
            nonce=nonce,
            audiences=registered.audiences,
        )
        try:
            try:
                return validated(token, access, await self._known(metadata, KEPT), expected, now)
            except UnknownKey:
                keys = await self._known(metadata, KEYS_AGAIN)
                return validated(token, access, keys, expected, now)
        except TokenRefused as refused:
            raise _failed(f"Its ID token is not accepted: {refused}.") from None

    async def _known(self, metadata: Metadata, age: float) -> tuple[Key, ...]:
        """Return the provider's keys, asked for at most *age* seconds ago."""
        async with self._asking:
            if self._keys is None or time.monotonic() - self._keys[0] >= age:
                keys = signing_keys(await self._read_once(metadata.jwks))
                self._keys = (time.monotonic(), keys)
            return self._keys[1]

    async def _read_once(self, url: str) -> dict[str, Any]:
        """Return a document that all wait for; each of them waits for one failure at most."""
        if self._failure is not None and time.monotonic() - self._failure[0] < FAILED:
            raise ProviderFailed(self._failure[1].detail, help=self._failure[1].help)
        try:
            return await self._ask("GET", url)
        except ProviderFailed as failed:
            self._failure = (time.monotonic(), failed)
            raise

    async def _ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Return a JSON object. Raises ProviderFailed, and NotAPerson where it refuses the form."""
        sent = {"Accept": "application/json", "Accept-Encoding": "identity", **(headers or {})}
        try:
            async with self._client().request(
                method, url, headers=sent, data=form, allow_redirects=False
            ) as answer:
                body = await _bounded(answer)
        except TimeoutError:
            raise _failed(f"{_host(url)} did not answer in {self._patience:g} s.") from None
        except (aiohttp.ClientError, OSError, ValueError) as error:
            log.warning("%s: %s", _host(url), visible_line(str(error)[:300]))
            raise _failed(f"{_host(url)} cannot be reached ({type(error).__name__}).") from None
        if answer.status != 200:
            log.warning("%s answered %d: %s", _host(url), answer.status, _excerpt(body))
            if form is not None and answer.status in (400, 401):
                raise _not_taken(body)
            raise _failed(f"{_host(url)} answered {answer.status}.")
        return _object(body, url)

    def _client(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=self._patience),
                connector=aiohttp.TCPConnector(limit=AT_ONCE),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                trust_env=False,
            )
        return self._session


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for chunk in answer.content.iter_any():
        body += chunk
        if len(body) > LARGEST:
            raise _failed(f"{_host(str(answer.url))} answered more than {LARGEST >> 20} MiB.")
    return bytes(body)


def _object(body: bytes, url: str) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if not isinstance(said, dict):
        raise _failed(f"{_host(url)} did not answer with a JSON object.")
    return said


def _not_taken(body: bytes) -> PeopleError | NotAPerson:
    """Return what a refused code means; the provider's own words are in the log only."""
    error = ""
    try:
        said = json.loads(body)
        error = said.get("error", "") if isinstance(said, dict) else ""
    except (ValueError, RecursionError):
        pass  # it refused, whatever it said
    if error == "invalid_grant":
        return NotAPerson("This sign-in was used already, or took too long.", help="Sign in again.")
    if error in _NO_CLIENT:
        return ClientRefused(
            "The sign-in provider failed. It does not accept Interlock as its client.",
            help="Whoever runs Interlock has to check `people.oidc.client_id` and its secret;"
            " `interlock doctor` says so as well.",
        )
    return _failed("It does not accept Interlock as its client; check `client_id` and its secret.")


def _read(said: Mapping[str, Any], issuer: str) -> Metadata:
    """Read a provider's metadata. Raises ProviderFailed where it is not that issuer's."""
    if said.get("issuer") != issuer:
        given = visible_line(str(said.get("issuer"))[:200])
        raise _failed(f"It calls itself {given}, and `people.oidc.issuer` is {issuer}.")
    near = urlsplit(issuer).scheme == "http"
    methods = said.get("token_endpoint_auth_methods_supported", ["client_secret_basic"])
    posts = isinstance(methods, list) and "client_secret_basic" not in methods
    return Metadata(
        authorization=_endpoint(said, "authorization_endpoint", near=near),
        token=_endpoint(said, "token_endpoint", near=near),
        jwks=_endpoint(said, "jwks_uri", near=near),
        userinfo=_optional(said, "userinfo_endpoint", near=near),
        end_session=_optional(said, "end_session_endpoint", near=near),
        names_itself=said.get("authorization_response_iss_parameter_supported") is True,
        posts_secrets=posts and "client_secret_post" in methods,
    )


def _optional(said: Mapping[str, Any], name: str, *, near: bool) -> str:
    return _endpoint(said, name, near=near) if name in said else ""


def _endpoint(said: Mapping[str, Any], name: str, *, near: bool) -> str:
    """Return an endpoint; only a provider on this machine may do without TLS."""
    url = said.get(name)
    try:
        parts = urlsplit(url if isinstance(url, str) else "")
        host = parts.hostname
    except ValueError:
        host = None
    local = near and host in _LOOPBACK and parts.scheme == "http"
    if host is None or not (parts.scheme == "https" or local) or parts.fragment:
        raise _failed(f"Its `{name}` is not an https:// address.")
    return str(url)


def _with(url: str, query: Mapping[str, str]) -> str:
    return f"{url}{'&' if urlsplit(url).query else '?'}{urlencode(query)}"


def _host(url: str) -> str:
    return urlsplit(url).netloc


def _excerpt(body: bytes) -> str:
    return visible_line(body[:300].decode("utf-8", "replace"))


def _failed(why: str) -> ProviderFailed:
    return ProviderFailed(
        f"The sign-in provider failed. {why}",
        help="Try again in a moment. If it stays so, tell whoever runs Interlock;"
        " `interlock doctor` says more.",
    )
