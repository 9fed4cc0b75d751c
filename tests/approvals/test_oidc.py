"""Signing in at a provider: the way there and back, and every way in which one can cheat."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from aiohttp import ClientSession, web

from interlock.approvals import oidc_provider
from interlock.approvals.oidc_browsers import STARTED_MS, Browsers
from interlock.approvals.returning import own_path
from interlock.core.identity import Kind

from . import oidc_provider as fakes
from .oidc_provider import EC, ED, OTHER, RSA, Claims, OidcWorld, an_oidc_world, signed
from .world import World

NOW = 1_790_000_000_000


@pytest.fixture
async def oidc(world: World) -> AsyncIterator[OidcWorld]:
    async with an_oidc_world(world) as made:
        yield made


async def test_a_person_signs_in_and_goes_on_where_they_wanted_to_be(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    response = await oidc.sign_in(browser, "/review/act_1?x=1")
    assert response.status == 200
    assert 'content="0;url=/review/act_1?x=1"' in await response.text()
    assert await browser.kind() == "approver"
    (session,) = await oidc.world.deps.sessions._kept.listed()
    assert (session.person, set(session.groups)) == ("ann@example.com", {"payments", "everybody"})


async def test_the_provider_is_asked_as_the_standards_say(oidc: OidcWorld) -> None:
    asked = await oidc.browser().begin()
    assert asked == {
        "response_type": "code",
        "client_id": "interlock",
        "redirect_uri": f"{oidc.url}/oidc/callback",
        "scope": "openid email",
        "state": asked["state"],
        "nonce": asked["nonce"],
        "code_challenge": asked["code_challenge"],
        "code_challenge_method": "S256",
    }
    again = await oidc.browser().begin()
    for name in ("state", "nonce", "code_challenge"):
        assert len(asked[name]) == 43 and asked[name] != again[name]


async def test_the_code_is_redeemed_with_the_verifier_and_the_secret(oidc: OidcWorld) -> None:
    await oidc.sign_in(oidc.browser())
    (form,), (head,) = oidc.provider.forms, oidc.provider.heads
    assert form.keys() == {"grant_type", "code", "redirect_uri", "code_verifier"}
    assert head["Authorization"] == "Basic aW50ZXJsb2NrOnMzY3JldCUyRiUyNQ=="  # RFC 6749, 2.3.1


async def test_secrets_go_into_the_form_only_where_nothing_else_is_taken(oidc: OidcWorld) -> None:
    oidc.provider.metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post"]
    assert (await oidc.sign_in(oidc.browser())).status == 200
    (form,), (head,) = oidc.provider.forms, oidc.provider.heads
    assert (form["client_id"], form["client_secret"]) == ("interlock", "s3cret/%")
    assert "Authorization" not in head


async def test_a_public_client_has_pkce_alone(world: World) -> None:
    async with an_oidc_world(world, client_secret="") as oidc:
        assert (await oidc.sign_in(oidc.browser())).status == 200
        (form,), (head,) = oidc.provider.forms, oidc.provider.heads
        assert form["client_id"] == "interlock" and "client_secret" not in form
        assert "Authorization" not in head


async def test_cookies_are_for_this_site_and_for_no_script(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    started = await browser.get("/oidc/start")
    assert started.headers["Set-Cookie"].startswith("interlock-oidc=")
    kept = set(started.headers["Set-Cookie"].split("; "))
    assert {"HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=600"} <= kept
    back = await oidc.sign_in(browser)
    session, begun = back.headers.getall("Set-Cookie")
    assert session.startswith("interlock=") and {"HttpOnly", "SameSite=Strict"} <= set(
        session.split("; ")
    )
    assert begun.startswith('interlock-oidc="";') and "Max-Age=0" in begun


@pytest.mark.parametrize(
    ("key", "algorithm"), [(RSA, "RS256"), (RSA, "PS256"), (EC, "ES256"), (ED, "EdDSA")]
)
async def test_each_algorithm_on_the_list_is_taken(
    oidc: OidcWorld, key: Any, algorithm: str
) -> None:
    oidc.provider.keys = [OTHER, RSA, EC, ED]
    oidc.provider.sign = lambda claims: signed(claims, key, algorithm)
    assert (await oidc.sign_in(oidc.browser())).status == 200


def without(name: str) -> Callable[[Claims], Claims]:
    return lambda claims: {each: value for each, value in claims.items() if each != name}


def with_(name: str, value: Any) -> Callable[[Claims], Claims]:
    return lambda claims: claims | {name: value}


def later(name: str, seconds: int) -> Callable[[Claims], Claims]:
    return lambda claims: claims | {name: claims["iat"] + seconds}


@pytest.mark.parametrize(
    "spoiled",
    [
        with_("iss", "https://evil.example"),
        without("iss"),
        with_("aud", "another-client"),
        with_("aud", ["another-client"]),
        with_("aud", ["interlock", "another-client"]),
        with_("aud", {"interlock": 1}),
        with_("aud", []),
        lambda claims: claims | {"aud": ["interlock", "another-client"], "azp": "interlock"},
        without("aud"),
        with_("azp", "another-client"),
        later("exp", -61),
        without("exp"),
        with_("exp", "9999999999"),
        with_("exp", True),
        later("iat", 61),
        later("iat", -661),
        without("iat"),
        lambda claims: claims | {"nbf": claims["iat"] + 61},
        with_("nbf", "soon"),
        with_("nonce", "n" * 43),
        with_("nonce", ""),
        with_("nonce", None),
        without("nonce"),
        with_("at_hash", "x" * 22),
        with_("sub", ""),
        without("sub"),
        with_("sub", 7),
    ],
)
async def test_an_id_token_that_does_not_say_what_it_must_signs_nobody_in(
    oidc: OidcWorld, spoiled: Callable[[Claims], Claims]
) -> None:
    oidc.provider.claims = spoiled
    browser = oidc.browser()
    response = await oidc.sign_in(browser)
    assert response.status == 502
    assert "ID token is not accepted" in await response.text()
    assert "interlock" not in browser.cookies() and await browser.kind() == ""


@pytest.mark.parametrize(
    "right",
    [
        later("exp", -59),
        later("iat", 59),
        with_("aud", ["interlock"]),
        with_("azp", "interlock"),
        with_("at_hash", "bSKYhMEmi7CrMtjaMV0P5Q"),
    ],
)
async def test_clocks_may_differ_a_little_and_claims_may_be_written_either_way(
    oidc: OidcWorld, right: Callable[[Claims], Claims]
) -> None:
    oidc.provider.claims = right
    response = await oidc.sign_in(oidc.browser())
    assert response.status == 200, await response.text()


async def test_further_audiences_are_taken_where_configuration_trusts_them(world: World) -> None:
    both = {"aud": ["interlock", "api"], "azp": "interlock"}
    async with an_oidc_world(world, audiences=frozenset({"api"})) as oidc:
        oidc.provider.claims = lambda claims: claims | both
        assert (await oidc.sign_in(oidc.browser())).status == 200
        oidc.provider.claims = lambda claims: claims | {"aud": both["aud"]}  # whose is it?
        assert (await oidc.sign_in(oidc.browser())).status == 502
        oidc.provider.claims = lambda claims: claims | {"aud": "api", "azp": "interlock"}
        assert (await oidc.sign_in(oidc.browser())).status == 502


@pytest.mark.parametrize(
    "sign",
    [
        fakes.unsigned,
        fakes.confused,
        lambda claims: signed(claims, OTHER, kid="rsa"),
        lambda claims: signed(claims, OTHER),
        lambda claims: signed(claims, RSA, "RS512"),
        lambda claims: signed(claims, EC, "ES256", kid="rsa"),
        lambda claims: signed(claims)[:-8] + "AAAAAAAA",
        lambda claims: signed(claims).rpartition(".")[0] + ".",
        lambda claims: signed(claims, crit=["exp"], exp=1),
        lambda claims: "x.y.z",
        lambda claims: "",
        lambda claims: signed(claims) + "." + "x" * 70_000,
    ],
    ids=[
        "none",
        "HS256 with the public key",
        "another key under its name",
        "unknown key",
        "RS512",
        "another kind of key under its name",
        "changed",
        "cut",
        "critical",
        "no token",
        "empty",
        "huge",
    ],
)
async def test_a_token_that_the_provider_did_not_sign_signs_nobody_in(
    oidc: OidcWorld, sign: Callable[[Claims], str]
) -> None:
    oidc.provider.sign = sign
    browser = oidc.browser()
    assert (await oidc.sign_in(browser)).status == 502
    assert await browser.kind() == ""


async def test_a_new_key_is_looked_for_once_in_a_while(
    oidc: OidcWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment = 1000.0
    monkeypatch.setattr(oidc_provider.time, "monotonic", lambda: moment)
    assert (await oidc.sign_in(oidc.browser())).status == 200
    oidc.provider.keys = [OTHER]
    oidc.provider.sign = lambda claims: signed(claims, OTHER)
    statuses = [(await oidc.sign_in(oidc.browser())).status for _ in range(3)]
    assert statuses == [502, 502, 502]
    assert oidc.provider.asked.count("jwks") == 1
    moment += oidc_provider.KEYS_AGAIN
    statuses = [(await oidc.sign_in(oidc.browser())).status for _ in range(3)]
    assert statuses == [200, 200, 200]
    assert oidc.provider.asked.count("jwks") == 2
    assert oidc.provider.asked.count("discovery") == 1


# the browser --------------------------------------------------------------------------------


async def test_an_answer_to_another_browser_signs_nobody_in(oidc: OidcWorld) -> None:
    """Login CSRF: somebody is led to the callback with an attacker's own code and state."""
    attacker, victim = oidc.browser(), oidc.browser()
    answer = oidc.provider.authorizes(await attacker.begin())
    nothing = await victim.get("/oidc/callback", **answer)
    await victim.begin()
    other = await victim.get("/oidc/callback", **answer)
    assert (nothing.status, other.status) == (403, 403)
    assert "not begun in this browser" in await nothing.text()
    assert "not the answer" in await other.text()
    assert await victim.kind() == "" and "token" not in oidc.provider.asked


@pytest.mark.parametrize("state", ["", "x", "é" * 43, None])
async def test_a_state_that_is_not_ours_signs_nobody_in(oidc: OidcWorld, state: str | None) -> None:
    browser = oidc.browser()
    answer = oidc.provider.authorizes(await browser.begin())
    del answer["state"]
    response = await browser.get("/oidc/callback", **answer, **({"state": state} if state else {}))
    assert response.status == 403 and "token" not in oidc.provider.asked


async def test_a_parameter_that_comes_twice_is_no_answer(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    answer = oidc.provider.authorizes(await browser.begin())
    query = "&".join(f"{name}={value}" for name, value in answer.items())
    response = await browser.get(f"/oidc/callback?{query}&code=another")
    assert response.status == 403 and "token" not in oidc.provider.asked


async def test_an_answer_counts_once_even_where_the_provider_forgets(oidc: OidcWorld) -> None:
    browser, thief = oidc.browser(), oidc.browser()
    answer = oidc.provider.authorizes(await browser.begin())
    stolen = browser.cookies()
    oidc.provider.forgets_codes = True
    assert (await browser.get("/oidc/callback", **answer)).status == 200
    assert (await browser.get("/oidc/callback", **answer)).status == 403  # its cookie is gone
    thief.client.cookie_jar.update_cookies(stolen)
    again = await thief.get("/oidc/callback", **answer)
    assert again.status == 403 and "used already" in await again.text()
    assert await thief.kind() == ""


async def test_a_code_that_the_provider_does_not_take_again_is_said_so(oidc: OidcWorld) -> None:
    first, second = oidc.browser(), oidc.browser()
    answer = oidc.provider.authorizes(await first.begin())
    assert (await first.get("/oidc/callback", **answer)).status == 200
    other = oidc.provider.authorizes(await second.begin())
    response = await second.get("/oidc/callback", **other | {"code": answer["code"]})
    assert response.status == 403 and "used already" in await response.text()


async def test_another_providers_answer_is_refused(oidc: OidcWorld) -> None:
    """Mix-up, RFC 9207: `iss` says who answers; where it is promised it may not be missing."""
    for change in ({"iss": "https://evil.example"}, {"iss": ""}, {}):
        browser = oidc.browser()
        answer = oidc.provider.authorizes(await browser.begin())
        del answer["iss"]
        response = await browser.get("/oidc/callback", **answer | change)
        assert response.status == 403 and "another provider" in await response.text()
    assert "token" not in oidc.provider.asked


async def test_a_provider_that_promises_no_iss_may_leave_it_out_but_not_lie(
    oidc: OidcWorld,
) -> None:
    oidc.provider.metadata["authorization_response_iss_parameter_supported"] = None
    for change, status in (({}, 200), ({"iss": "https://evil.example"}, 403)):
        browser = oidc.browser()
        answer = oidc.provider.authorizes(await browser.begin())
        del answer["iss"]
        assert (await browser.get("/oidc/callback", **answer | change)).status == status


async def test_who_takes_longer_than_ten_minutes_begins_again(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    answer = oidc.provider.authorizes(await browser.begin())
    oidc.world.clock.now += STARTED_MS
    response = await browser.get("/oidc/callback", **answer)
    assert response.status == 403 and "10 minutes ago" in await response.text()
    assert "/oidc/start" in await response.text()


def test_the_cookie_of_a_begun_sign_in_cannot_be_made_or_changed() -> None:
    browsers = Browsers(b"b" * 32)
    begun, cookie = browsers.begin("/review", NOW)
    assert browsers.resume(cookie, NOW + 1) == begun
    secret, ends, to, mac = cookie.split(".")
    assert Browsers(b"c" * 32).resume(cookie, NOW + 1) is None
    for changed in (
        f"{secret}.9{ends}.{to}.{mac}",
        f"{secret}.{ends}.L2V2aWw.{mac}",
        f"{'A' * 43}.{ends}.{to}.{mac}",
        f"{secret}.{ends}.{to}.",
        f"{secret}.{ends}.{to}",
        "",
        "é.é.é.é",
    ):
        assert browsers.resume(changed, NOW + 1) is None, changed
    assert begun.verifier not in cookie and begun.state not in cookie and begun.nonce not in cookie


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/review//evil",
        "javascript:alert(1)",
        "/review/../oidc/start",
        '/review"><script>',
        "/review;url=https://evil.example",
        "/review\r\nSet-Cookie: x=1",
        "/oidc/start",
        "/sign-out",
        "/v1/events",
        "/" + "a" * 400,
        "review",
        "",
        "/",
    ],
)
async def test_nobody_is_led_elsewhere(oidc: OidcWorld, to: str) -> None:
    assert own_path(to) == "/review"
    response = await oidc.sign_in(oidc.browser(), to)
    assert 'content="0;url=/review"' in await response.text()


def test_our_own_pages_are_where_people_may_go() -> None:
    for path in ("/review", "/review/act_1", "/history?agent=a&since=1", "/me", "/agents"):
        assert own_path(path) == path


async def test_who_came_by_another_name_of_ours_is_sent_to_the_one_that_is_registered(
    oidc: OidcWorld,
) -> None:
    elsewhere = oidc.url.replace("127.0.0.1", "localhost")
    async with ClientSession() as client:
        first = await client.get(f"{elsewhere}/oidc/start?to=/me", allow_redirects=False)
        assert first.headers["Location"] == f"{oidc.url}/oidc/start?to=%2Fme&again=1"
        path = urlsplit(first.headers["Location"])
        again = await client.get(  # behind a proxy that says another Host, it ends here
            f"{elsewhere}{path.path}?{path.query}", allow_redirects=False
        )
    assert again.headers["Location"].startswith(oidc.provider.issuer)


async def test_a_new_sign_in_ends_the_session_before(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    await oidc.sign_in(browser)
    before = browser.cookies()["interlock"]
    await oidc.sign_in(browser)
    assert browser.cookies()["interlock"] != before
    assert await oidc.world.deps.sessions.find(before) is None


# the person ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("groups", "kind"),
    [
        (["payments"], "approver"),
        (["platform"], "admin"),
        (["audit"], "auditor"),
        ("payments", "approver"),
        (["audit", "platform"], "admin"),
        (["payments", "platform", "audit"], "approver"),
    ],
)
async def test_the_groups_say_what_somebody_is(
    oidc: OidcWorld, groups: list[str] | str, kind: str
) -> None:
    oidc.provider.person["groups"] = groups
    browser = oidc.browser()
    assert (await oidc.sign_in(browser)).status == 200
    assert await browser.kind() == kind


@pytest.mark.parametrize(
    "groups",
    [
        [],
        ["pay", "payment", "Payments", " payments"],
        "pay payments",
        "payments,platform",
        {"payments": True},
        [["payments"]],
        [None, 7, True],
        7,
    ],
)
async def test_without_a_group_that_lets_them_in_people_are_told_which_does(
    oidc: OidcWorld, groups: Any
) -> None:
    oidc.provider.person["groups"] = groups
    browser = oidc.browser()
    response = await oidc.sign_in(browser)
    text = await response.text()
    assert response.status == 403
    assert "payments (approver), platform (admin), audit (auditor)" in text
    assert "ann@example.com" in text
    assert await browser.kind() == ""


async def test_a_missing_groups_claim_is_said_to_be_missing(oidc: OidcWorld) -> None:
    del oidc.provider.person["groups"]
    text = await (await oidc.sign_in(oidc.browser())).text()
    assert "sends no <code>groups</code>" in text
    oidc.provider.person["_claim_names"] = {"groups": "src1"}
    text = await (await oidc.sign_in(oidc.browser())).text()
    assert "more groups than the provider sends" in text


async def test_several_roles_are_offered_and_one_session_is_one_of_them(oidc: OidcWorld) -> None:
    oidc.provider.person["groups"] = ["payments", "platform"]
    browser = oidc.browser()
    text = await (await oidc.sign_in(browser, "/me")).text()
    assert "Go on as approver" in text and "Go on as admin" in text and "auditor</" not in text
    assert "http-equiv" not in text
    token = text.partition('name="csrf" value="')[2].partition('"')[0]
    before = browser.cookies()["interlock"]
    assert (await browser.post("/sign-in/role", kind="admin", to="/me")).status == 403
    assert (await browser.post("/sign-in/role", csrf=token, kind="auditor", to="/me")).status == 404
    assert await browser.kind() == "approver"
    changed = await browser.post("/sign-in/role", csrf=token, kind="admin", to="//evil.example")
    assert (changed.status, changed.headers["Location"]) == (303, "/review")
    assert await browser.kind() == "admin"
    assert await oidc.world.deps.sessions.find(before) is None
    assert "Go on as approver" in await (await browser.get("/sign-in/role")).text()


async def test_an_auditor_cannot_become_what_the_groups_do_not_say(oidc: OidcWorld) -> None:
    oidc.provider.person["groups"] = ["audit"]
    browser = oidc.browser()
    await oidc.sign_in(browser)
    text = await (await browser.get("/sign-in/role")).text()
    assert "an auditor here" in text
    assert (await browser.post("/sign-in/role", csrf="x" * 64, kind="approver")).status == 403
    assert await browser.kind() == "auditor"


async def test_a_nested_groups_claim_is_found_by_its_path(world: World) -> None:
    async with an_oidc_world(world, groups_claim="realm_access.roles") as oidc:
        oidc.provider.person["realm_access"] = {"roles": ["payments"]}
        assert (await oidc.sign_in(oidc.browser())).status == 200
    async with an_oidc_world(world, groups_claim="https://example.com/groups") as oidc:
        oidc.provider.person["https://example.com/groups"] = ["payments"]
        assert (await oidc.sign_in(oidc.browser())).status == 200


async def test_userinfo_is_asked_only_for_what_the_token_leaves_out(oidc: OidcWorld) -> None:
    await oidc.sign_in(oidc.browser())
    assert "userinfo" not in oidc.provider.asked
    sub = oidc.provider.person["sub"]
    oidc.provider.userinfo = {"sub": sub, "groups": ["payments"], "email": "eve@example.com"}
    oidc.provider.claims = without("groups")
    browser = oidc.browser()
    assert (await oidc.sign_in(browser)).status == 200
    kept = await oidc.world.deps.sessions._kept.listed()
    assert {each.person for each in kept} == {"ann@example.com"}


async def test_userinfo_about_somebody_else_signs_nobody_in(oidc: OidcWorld) -> None:
    oidc.provider.claims = without("groups")
    oidc.provider.userinfo = {"sub": "eve", "groups": ["payments"]}
    response = await oidc.sign_in(oidc.browser())
    assert response.status == 502 and "about somebody else" in await response.text()


async def test_an_address_is_verified_by_the_one_who_says_it(oidc: OidcWorld) -> None:
    oidc.provider.claims = lambda claims: without("groups")(without("email_verified")(claims))
    oidc.provider.userinfo = {
        "sub": oidc.provider.person["sub"],
        "groups": ["payments"],
        "email": "else@example.com",
        "email_verified": True,
    }
    response = await oidc.sign_in(oidc.browser())
    assert response.status == 403 and "is verified" in await response.text()


@pytest.mark.parametrize("verified", [False, None, "false", "yes", 1.5, []])
async def test_an_address_that_is_not_verified_names_nobody(
    oidc: OidcWorld, verified: object
) -> None:
    oidc.provider.person["email_verified"] = verified
    response = await oidc.sign_in(oidc.browser())
    assert response.status == 403 and "is verified" in await response.text()


@pytest.mark.parametrize(
    "name",
    [
        "ann smith",
        "<script>alert(1)</script>",
        "ann\u202egpj",
        "a" * 129,
        "ann\nbob",
        "-",
        "änn",
        "",
    ],
)
async def test_a_name_that_cannot_be_an_id_is_refused_on_a_page_that_shows_it_harmlessly(
    world: World, name: str
) -> None:
    async with an_oidc_world(world, id_claim="preferred_username") as oidc:
        oidc.provider.person["preferred_username"] = name
        browser = oidc.browser()
        response = await oidc.sign_in(browser)
        text = await response.text()
        assert response.status == 403 and await browser.kind() == ""
        assert "<script>alert" not in text and "\u202e" not in text
        assert "id_claim" in text


@pytest.mark.parametrize("claim", ["sub", "preferred_username"])
async def test_other_claims_can_name_people(world: World, claim: str) -> None:
    async with an_oidc_world(world, id_claim=claim) as oidc:
        oidc.provider.person |= {"sub": "Ann-1", "preferred_username": "Ann-2", "email": None}
        assert (await oidc.sign_in(oidc.browser())).status == 200
        (session,) = await world.deps.sessions._kept.listed()
        assert session.person == {"sub": "ann-1", "preferred_username": "ann-2"}[claim]


async def test_colleagues_know_who_signed_in(oidc: OidcWorld) -> None:
    await oidc.sign_in(oidc.browser())
    (ann,) = await oidc.world.deps.desk.colleagues()
    assert (ann.id, set(ann.groups)) == ("ann@example.com", {"everybody", "payments"})


async def test_a_sign_in_is_in_the_audit_log(
    oidc: OidcWorld, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "interlock.audit")
    await oidc.sign_in(oidc.browser())
    assert f"ann@example.com signed in as approver by {oidc.provider.issuer}" in caplog.text


# the provider's faults ----------------------------------------------------------------------


async def test_a_provider_that_refuses_is_not_quoted(
    oidc: OidcWorld, caplog: pytest.LogCaptureFixture
) -> None:
    browser = oidc.browser()
    answer = oidc.provider.authorizes(await browser.begin())
    del answer["code"]
    response = await browser.get(
        "/oidc/callback",
        **answer,
        error="access_denied",
        error_description="<img src=x>\u202e call 0900 to unlock",
    )
    text = await response.text()
    assert response.status == 403 and "you declined" in text
    assert "<img src=x" not in text and "0900" not in text
    assert "call 0900" in caplog.text and "\u202e" not in caplog.text


async def test_an_unknown_error_is_an_error_without_its_words(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    answer = oidc.provider.authorizes(await browser.begin())
    response = await browser.get("/oidc/callback", **answer, error="<b>boo</b>")
    text = await response.text()
    assert response.status == 403 and "boo" not in text and "token" not in oidc.provider.asked


def giant() -> web.Response:
    return web.Response(body=b'{"a":"' + b"x" * (2 << 20) + b'"}', content_type="application/json")


def moved() -> web.Response:
    return web.Response(status=302, headers={"Location": "/elsewhere"})


def junk() -> web.Response:
    return web.Response(text="<html>oops")


def a_list() -> web.Response:
    return web.json_response([1])


def deep() -> web.Response:
    return web.Response(text="[" * 200_000)


def broken() -> web.Response:
    return web.json_response({"error": "server_error", "error_description": "<x>"}, status=500)


def zipped() -> web.Response:
    return web.Response(body=b"\x1f\x8b\x08", headers={"Content-Encoding": "gzip"})


@pytest.mark.parametrize("fault", [giant, moved, junk, a_list, deep, broken, zipped])
@pytest.mark.parametrize("where", ["discovery", "jwks", "token"])
async def test_what_is_no_answer_is_said_to_be_none(
    oidc: OidcWorld, where: str, fault: Callable[[], web.Response]
) -> None:
    setattr(oidc.provider, where, fault)
    browser = oidc.browser()
    if where == "discovery":
        response = await browser.get("/oidc/start")
    else:
        response = await oidc.sign_in(browser)
    text = await response.text()
    assert response.status == 502
    assert "provider failed" in text and "<x>" not in text and "Sign in again" in text
    assert ("more than 1 MiB" in text) is (fault is giant)
    assert "elsewhere" not in oidc.provider.asked
    assert await browser.kind() == ""


async def test_a_slow_provider_does_not_keep_people_waiting(oidc: OidcWorld) -> None:
    oidc.provider.slow = 30.0
    response = await oidc.browser().get("/oidc/start")
    assert response.status == 502 and "did not answer in 0.5 s" in await response.text()


async def test_people_do_not_wait_one_after_the_other_for_a_slow_provider(oidc: OidcWorld) -> None:
    oidc.provider.slow = 30.0
    browsers = [oidc.browser() for _ in range(5)]
    answers = await asyncio.gather(*(browser.get("/oidc/start") for browser in browsers))
    assert {answer.status for answer in answers} == {502}
    assert oidc.provider.asked == ["discovery"]


async def test_a_provider_that_is_not_there_is_said_not_to_be(world: World) -> None:
    async with an_oidc_world(world, issuer="http://127.0.0.1:9") as oidc:
        response = await oidc.browser().get("/oidc/start")
        assert response.status == 502 and "cannot be reached" in await response.text()


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "http://127.0.0.1:1"},
        {"issuer": None},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"authorization_endpoint": None},
        {"token_endpoint": "http://tokens.example/"},
        {"jwks_uri": "file:///etc/passwd"},
        {"jwks_uri": 7},
        {"userinfo_endpoint": "http://10.0.0.1/"},
        {"end_session_endpoint": "ftp://x"},
    ],
    ids=str,
)
async def test_metadata_of_another_issuer_or_without_tls_is_refused(
    oidc: OidcWorld, change: Claims
) -> None:
    oidc.provider.metadata = change
    assert (await oidc.browser().get("/oidc/start")).status == 502


async def test_an_issuer_with_a_slash_too_many_is_another_issuer(world: World) -> None:
    async with an_oidc_world(world) as first:
        issuer = first.provider.issuer
    async with an_oidc_world(world, issuer=issuer + "/") as oidc:
        response = await oidc.browser().get("/oidc/start")
        assert response.status == 502


@pytest.mark.parametrize("told", [{}, {"id_token": 7}, {"access_token": "x"}], ids=str)
async def test_an_answer_without_an_id_token_signs_nobody_in(oidc: OidcWorld, told: Claims) -> None:
    oidc.provider.token = lambda: web.json_response(told)
    response = await oidc.sign_in(oidc.browser())
    assert response.status == 502 and "no ID token" in await response.text()


async def test_a_wrong_secret_is_the_operators_to_mend(oidc: OidcWorld) -> None:
    oidc.provider.token = lambda: web.json_response({"error": "invalid_client"}, status=401)
    response = await oidc.sign_in(oidc.browser())
    assert response.status == 502 and "client_id" in await response.text()


@pytest.mark.parametrize("keys", [{}, {"keys": 7}, {"keys": [7, {}, {"kty": "oct", "k": "eA"}]}])
async def test_a_provider_without_usable_keys_signs_nobody_in(
    oidc: OidcWorld, keys: Claims
) -> None:
    oidc.provider.jwks = lambda: web.json_response(keys)
    assert (await oidc.sign_in(oidc.browser())).status == 502


# leaving ------------------------------------------------------------------------------------


async def test_signing_out_offers_to_sign_out_of_the_provider_too(oidc: OidcWorld) -> None:
    browser = oidc.browser()
    await oidc.sign_in(browser)
    page = await (await browser.get("/review")).text()
    token = page.partition('action="/sign-out"')[2].partition('value="')[2].partition('"')[0]
    left = await browser.post("/sign-out", csrf=token)
    text = await left.text()
    where = urlsplit(text.partition('href="http')[2].partition('"')[0].replace("&amp;", "&"))
    assert left.status == 200 and "signed out of Interlock" in text
    assert dict(parse_qsl(where.query)) == {
        "client_id": "interlock",
        "post_logout_redirect_uri": f"{oidc.url}/",
    }
    assert await browser.kind() == ""


async def test_a_provider_that_knows_no_sign_out_is_not_asked_for_one(oidc: OidcWorld) -> None:
    oidc.provider.metadata["end_session_endpoint"] = None
    assert (await oidc.sign_in(oidc.browser())).status == 200
    assert await oidc.door.provider.end_session_url() == ""


async def test_who_is_not_signed_in_is_shown_the_way_in(oidc: OidcWorld) -> None:
    response = await oidc.browser().get("/review/act_1")
    text = await response.text()
    assert "Sign in with Example" in text and "/oidc/start?to=%2Freview%2Fact_1" in text


async def test_where_there_is_no_provider_there_is_no_way_to_it(world: World) -> None:
    answer = await world.ask("GET", "/oidc/start")
    assert "not configured" in await answer.text()
    assert "/oidc/" not in await (await world.ask("GET", "/review")).text()


async def test_an_admin_signs_somebody_out_everywhere(oidc: OidcWorld) -> None:
    phone, laptop = oidc.browser(), oidc.browser()
    for browser in (phone, laptop):
        await oidc.sign_in(browser)
    world = oidc.world
    admin, approver = await world.key(Kind.ADMIN), await world.key(Kind.APPROVER)
    path = "/v1/people/ann@example.com/sign-out"
    assert (await world.ask("POST", path, key=approver)).status == 403
    assert (await world.ask("GET", path, key=admin)).status == 405
    answer = await world.ask("POST", path, key=admin)
    assert await answer.json() == {"id": "ann@example.com", "sessions": 2}
    assert [await browser.kind() for browser in (phone, laptop)] == ["", ""]
