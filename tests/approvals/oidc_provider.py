"""A provider that does whatever a test wants, and a browser that goes there and back."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import hashlib
import json
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientResponse, ClientSession, CookieJar, web
from aiohttp.test_utils import TestServer, unused_port
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from interlock.approvals.api import add_api
from interlock.approvals.oidc_browsers import Browsers, OidcDoor
from interlock.approvals.oidc_people import Registration
from interlock.approvals.oidc_provider import Provider
from interlock.approvals.page import add_page
from interlock.core.identity import Kind
from interlock.settings_types import known_person

from .world import FixedClock, World

RSA = RSAKey.generate_key(2048, {"kid": "rsa", "use": "sig"})
OTHER = RSAKey.generate_key(2048, {"kid": "other", "use": "sig"})
EC = ECKey.generate_key("P-256", {"kid": "ec", "use": "sig"})
ED = OKPKey.generate_key("Ed25519", {"kid": "ed", "use": "sig"})
Claims = dict[str, Any]
CLIENT = "interlock"


def kept(claims: Claims) -> Claims:
    return claims


def signed(claims: Claims, key: Any = RSA, algorithm: str = "RS256", **header: Any) -> str:
    """A token as an honest or a dishonest provider would sign it."""
    said = {"alg": algorithm, "kid": key.kid, "typ": "JWT"} | header
    said = {name: value for name, value in said.items() if value is not None}
    registry = jws.JWSRegistry(
        algorithms=["RS256", "PS256", "ES256", "EdDSA", "HS256", "none", "RS512"],
        strict_check_header=False,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return jwt.encode(said, claims, key, registry=registry)


def confused(claims: Claims) -> str:
    """HS256 with the public key as the shared secret: the classic confusion."""
    secret = OctKey.import_key(RSA.as_pem(private=False))
    return signed(claims, _named(secret), "HS256")


def unsigned(claims: Claims) -> str:
    head = _part({"alg": "none", "kid": "rsa"})
    return f"{head}.{_part(claims)}."


def _named(key: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return OctKey.import_key(key.as_dict(private=True) | {"kid": "rsa"})


def _part(value: Claims) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@dataclass
class Told:
    """What the provider was asked to sign in."""

    nonce: str
    challenge: str
    redirect_uri: str
    spent: bool = False


@dataclass
class FakeProvider:
    """Honest unless a test changes one of these."""

    clock: FixedClock
    person: Claims = field(
        default_factory=lambda: {
            "sub": "248289761001",
            "email": "Ann@Example.com",
            "email_verified": True,
            "groups": ["payments", "everybody"],
        }
    )
    claims: Callable[[Claims], Claims] = kept  #: changes the ID token
    sign: Callable[[Claims], str] = signed
    keys: list[Any] = field(default_factory=lambda: [RSA])
    metadata: Claims = field(default_factory=dict)  #: on top of the honest ones
    userinfo: Claims | None = None
    token: Callable[[], web.Response] | None = None  #: in place of the token endpoint
    jwks: Callable[[], web.Response] | None = None
    discovery: Callable[[], web.Response] | None = None
    slow: float = 0.0
    forgets_codes: bool = False  #: takes a code as often as it comes
    port: int = field(default_factory=unused_port)
    asked: list[str] = field(default_factory=list)
    forms: list[dict[str, str]] = field(default_factory=list)
    heads: list[dict[str, str]] = field(default_factory=list)
    told: dict[str, Told] = field(default_factory=dict)

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/.well-known/openid-configuration", self._discovery)
        app.router.add_get("/jwks", self._jwks)
        app.router.add_post("/token", self._token)
        app.router.add_get("/userinfo", self._userinfo)
        app.router.add_get("/elsewhere", self._elsewhere)  # where nobody may be led
        return app

    def authorizes(self, query: dict[str, str]) -> dict[str, str]:
        """The person signs in; return what the browser is sent back with."""
        code = f"code{len(self.told)}"
        self.told[code] = Told(query["nonce"], query["code_challenge"], query["redirect_uri"])
        return {"code": code, "state": query["state"], "iss": self.issuer}

    async def _discovery(self, request: web.Request) -> web.Response:
        self.asked.append("discovery")
        await asyncio.sleep(self.slow)
        if self.discovery is not None:
            return self.discovery()
        said = {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "userinfo_endpoint": f"{self.issuer}/userinfo",
            "end_session_endpoint": f"{self.issuer}/leave",
            "authorization_response_iss_parameter_supported": True,
        }
        every = {name: value for name, value in (said | self.metadata).items() if value is not None}
        return web.json_response(every)

    async def _jwks(self, request: web.Request) -> web.Response:
        self.asked.append("jwks")
        if self.jwks is not None:
            return self.jwks()
        return web.json_response({"keys": [key.as_dict(private=False) for key in self.keys]})

    async def _token(self, request: web.Request) -> web.Response:
        self.asked.append("token")
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.forms.append(form)
        self.heads.append(dict(request.headers))
        if self.token is not None:
            return self.token()
        told = self.told.get(form["code"])
        digest = hashlib.sha256(form["code_verifier"].encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if told is None or (told.spent and not self.forgets_codes) or told.challenge != challenge:
            return web.json_response({"error": "invalid_grant"}, status=400)
        told.spent = True
        now = self.clock.now_ms() // 1000
        honest = {
            "iss": self.issuer,
            "aud": CLIENT,
            "exp": now + 300,
            "iat": now,
            "nonce": told.nonce,
            **self.person,
        }
        token = self.sign(self.claims(honest))
        return web.json_response(
            {"id_token": token, "access_token": "opaque", "token_type": "Bearer"}
        )

    async def _elsewhere(self, request: web.Request) -> web.Response:
        self.asked.append("elsewhere")
        return web.json_response({})

    async def _userinfo(self, request: web.Request) -> web.Response:
        self.asked.append("userinfo")
        assert request.headers["Authorization"] == "Bearer opaque"
        return web.json_response(self.userinfo or {"sub": self.person["sub"]})


class Browser:
    """A browser of a person, as far as signing in goes."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.client = ClientSession(cookie_jar=CookieJar(unsafe=True))

    async def begin(self, to: str = "/review") -> dict[str, str]:
        """Press the button; return what the provider is asked for."""
        response = await self.get("/oidc/start", to=to)
        assert response.status == 303, await response.text()
        return dict(parse_qsl(urlsplit(response.headers["Location"]).query))

    async def get(self, path: str, **query: str) -> ClientResponse:
        response = await self.client.get(
            f"{self.url}{path}",
            params=query,
            allow_redirects=False,
            headers={"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"}
            if path.startswith("/oidc")
            else {},
        )
        await response.read()
        return response

    async def post(self, path: str, **form: str) -> ClientResponse:
        response = await self.client.post(
            f"{self.url}{path}", data=form, allow_redirects=False, headers={"Origin": self.url}
        )
        await response.read()
        return response

    def cookies(self) -> dict[str, str]:
        return {each.key: each.value for each in self.client.cookie_jar}

    async def kind(self) -> str:
        """As what this browser is signed in, or nothing."""
        admin = (await self.post("/v1/approvals/none/resolve")).status != 403
        if (await self.get("/v1/approvals")).status != 200:
            return ""
        if admin:
            return "admin"
        response = await self.client.post(
            f"{self.url}/v1/approvals/none/preview", headers={"Origin": self.url}
        )
        return "auditor" if response.status == 403 else "approver"


@dataclass
class OidcWorld:
    """Interlock's people's side with a provider that a test can spoil."""

    world: World
    provider: FakeProvider
    door: OidcDoor
    url: str
    browsers: list[Browser] = field(default_factory=list)

    def browser(self) -> Browser:
        self.browsers.append(Browser(self.url))
        return self.browsers[-1]

    async def sign_in(self, browser: Browser, to: str = "/review") -> ClientResponse:
        asked = await browser.begin(to)
        return await browser.get("/oidc/callback", **self.provider.authorizes(asked))


ROLES = {
    Kind.APPROVER: frozenset({"payments"}),
    Kind.ADMIN: frozenset({"platform"}),
    Kind.AUDITOR: frozenset({"audit"}),
}


@contextlib.asynccontextmanager
async def an_oidc_world(world: World, **changes: Any) -> AsyncIterator[OidcWorld]:
    """*changes*: to the registration at the provider."""
    fake = FakeProvider(world.clock)
    port = unused_port()
    url = f"http://127.0.0.1:{port}"
    registered = Registration(
        issuer=fake.issuer,
        client_id=CLIENT,
        client_secret="s3cret/%",
        label="Example",
        scopes=("openid", "email"),
        id_claim="email",
        groups_claim="groups",
        roles=ROLES,
        audiences=frozenset(),
        url=url,
        way="oidc test",
        named=known_person,
    )
    provider = Provider(dataclasses.replace(registered, **changes), world.clock, patience=0.5)
    door = OidcDoor(provider=provider, browsers=Browsers(b"b" * 32), clock=world.clock)
    app = web.Application()
    deps = dataclasses.replace(world.deps, url=url, oidc=door)
    add_api(app, deps)
    add_page(app, deps)
    async with (
        TestServer(fake.app(), host="127.0.0.1", port=fake.port),
        TestServer(app, host="127.0.0.1", port=port),
    ):
        made = OidcWorld(world, fake, door, url)
        yield made
        for browser in made.browsers:
            await browser.client.close()
        await provider.close()
