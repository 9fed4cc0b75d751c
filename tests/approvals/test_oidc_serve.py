"""`interlock serve` with a certified provider: by a client of HTTP, and in a browser."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urljoin

import pytest
from aiohttp import ClientResponse, ClientSession, CookieJar

from tests.support.stores import Server

from .browser import a_browser
from .oidc_serve import Running, served

pytestmark = pytest.mark.slow


async def signed_in(client: ClientSession, running: Running, account: str) -> tuple[int, str]:
    """Go to the provider, sign in, agree, and come back; return what Interlock says then."""
    url, form = f"{running.url}/oidc/start?to=/policy", {}
    for _ in range(20):
        method = "POST" if form else "GET"
        async with client.request(method, url, data=form or None, allow_redirects=False) as answer:
            text = await answer.text()
            if answer.status in (302, 303):
                url, form = urljoin(url, answer.headers["Location"]), {}
                continue
            if url.startswith(f"{running.url}/oidc/callback"):
                return answer.status, text
            assert answer.status == 200, text
            url, form = _filled(answer, text, account)
    raise AssertionError(f"no end of it at {url}")


def _filled(answer: ClientResponse, text: str, account: str) -> tuple[str, dict[str, str]]:
    action = re.search(r'action="([^"]+)" method="post"', text)
    prompt = re.search(r'name="prompt" value="(\w+)"', text)
    assert action and prompt, text
    return urljoin(str(answer.url), action[1]), {
        "prompt": prompt[1],
        "login": account,
        "password": "any",
    }


@pytest.mark.parametrize(
    "how",
    [
        {"alg": "RS256", "idTokenClaims": True},
        {"alg": "ES256", "idTokenClaims": False},
        {"alg": "PS256", "secret": ""},
        {"alg": "EdDSA", "idTokenClaims": True},
    ],
    ids=lambda how: how["alg"],
)
async def test_people_of_a_real_provider_come_in_as_their_groups_say(
    server: Server, tmp_path: Path, how: dict[str, object]
) -> None:
    async with served(server, tmp_path, **how) as running:  # type: ignore[arg-type]
        found: dict[str, tuple[int, str]] = {}
        seen: dict[str, int] = {}
        for account in ("ann", "iris", "both", "eve", "mallory"):
            async with ClientSession(cookie_jar=CookieJar(unsafe=True)) as client:
                found[account] = await signed_in(client, running, account)
                async with client.get(f"{running.url}/v1/approvals") as queue:
                    seen[account] = queue.status
    assert {account: status for account, (status, _) in found.items()} == {
        "ann": 200,
        "iris": 200,
        "both": 200,
        "eve": 403,
        "mallory": 403,
    }
    assert seen == {"ann": 200, "iris": 200, "both": 200, "eve": 401, "mallory": 401}
    assert "an approver here" in found["ann"][1] and 'content="0;url=/policy"' in found["ann"][1]
    assert "an auditor here" in found["iris"][1]
    assert "Go on as admin" in found["both"][1]
    assert "payments (approver)" in found["eve"][1]
    assert "is verified" in found["mallory"][1]


async def test_a_person_signs_in_and_out_in_a_browser(server: Server, tmp_path: Path) -> None:
    complaints: list[str] = []
    async with (
        # another site for the browser, as providers are: cookies have to survive the way back
        served(server, tmp_path, idTokenClaims=True, host="localhost") as running,
        a_browser() as browser,
    ):
        page = await browser.new_page()
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if "Content Security Policy" in said.text and running.url in page.url
                else None
            ),
        )
        await page.goto(f"{running.url}/policy")
        await page.get_by_role("link", name="Sign in with Example ID").click()
        await page.fill('input[name="login"]', "both")
        await page.fill('input[name="password"]', "any")
        await page.get_by_role("button", name="Sign-in").click()
        await page.get_by_role("button", name="Continue").click()
        await page.get_by_role("heading", name="Signed in as both@example.com").wait_for()
        await page.get_by_role("button", name="Go on as admin").click()
        await page.wait_for_url("**/policy")
        await page.reload()
        await page.get_by_text("both@example.com").wait_for()
        kept = {each["name"]: each for each in await page.context.cookies()}
        assert kept["interlock"]["sameSite"] == "Strict" and kept["interlock"]["httpOnly"]
        assert "interlock-oidc" not in kept

        await page.get_by_role("button", name="Sign out").click()
        await page.get_by_role("link", name="Sign out there too").click()
        await page.get_by_role("button", name="Yes, sign me out").click()
        await page.wait_for_url(f"{running.url}/**")
        await page.get_by_role("link", name="Sign in with Example ID").wait_for()
    assert complaints == []
