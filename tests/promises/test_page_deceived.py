"""What agents write, on every page: nothing of it runs, nothing draws, nothing hides (2, 3, 4).

What people see is read back from the page by rules of its own: marked tokens become what they
name, everything else must be seen as it is.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from playwright.async_api import Browser, Page, Route, expect

from interlock.core.actions import Action, Reviewer, ToolCall
from interlock.core.identity import Kind
from interlock.store.redis import RedisStore
from tests.approvals.browser import IN_ONE_LOOP, browser, open_item, signed_in
from tests.approvals.world import ANN, World, a_call, a_world
from tests.support.naughty import strings, unseen
from tests.support.stores import Server, fresh_prefix

__all__ = ["browser"]
pytestmark = [pytest.mark.slow, IN_ONE_LOOP]

READ = """(roots) => roots.map(root => {
  const parts = [], wrong = [];
  const skipped = 'small, .tag, .sr, time';
  const walk = (node) => {
    for (const child of node.childNodes) {
      if (child.nodeType === 3) {
        parts.push(['', child.data]);
        const style = getComputedStyle(child.parentElement);
        const kept = ['pre', 'pre-wrap', 'break-spaces'].includes(style.whiteSpace);
        const after = child.previousSibling?.matches?.('.pt.nl');
        const said = after ? child.data.replace(/^[\\n\\t]/, '') : child.data;
        const first = !child.previousSibling && /^ /.test(said);
        if (!kept && (first || /  |[\\n\\t]/.test(said))) wrong.push(['collapsed', child.data]);
        if (style.textTransform !== 'none' || style.unicodeBidi === 'normal' &&
            !child.parentElement.closest('.v, .pt')) wrong.push(['drawn otherwise', child.data]);
      } else if (child.matches('.pt')) parts.push(['pt', child.textContent]);
      else if (child.nodeType === 1 && !child.matches(skipped)) walk(child);
    }
  };
  walk(root);
  const bidi = getComputedStyle(root.closest('.v') ?? root);
  if (bidi.direction !== 'ltr' || bidi.unicodeBidi !== 'isolate-override')
    wrong.push(['bidi', bidi.unicodeBidi]);
  if (!root.checkVisibility({opacityProperty: true, visibilityProperty: true}))
    wrong.push(['unseen', root.className]);
  for (let at = root; at.id !== 'main' && at.parentElement; at = at.parentElement) {
    const style = getComputedStyle(at), cut = ['hidden', 'clip'];
    if (cut.includes(style.overflowX) && at.scrollWidth > at.clientWidth + 1 ||
        cut.includes(style.overflowY) && at.scrollHeight > at.clientHeight + 1)
      wrong.push(['cut', at.className]);
  }
  return [parts, wrong];
})"""
SKELETON = """() => [...document.querySelectorAll('html, html *')]
  .filter(each => !each.matches('.pt, .sp, .twin, .folds') &&
      !each.matches('.warnings, .warnings *, #preview-warnings *'))
  .map(each => each.tagName + '.' + [...each.classList].sort().join('.') + ' ' +
      each.getAttributeNames().filter(name => name !== 'title').sort().join(' ') +
      ' in ' + (each.parentElement?.closest(':not(.pt, .sp, .twin, .folds)')?.tagName ?? ''))"""
_TOKEN = re.compile(r"<U\+([0-9A-F]{4,6})>|<0x([0-9A-F]{2})>")


def written(parts: Sequence[Sequence[str]], ours: str = "") -> str:
    """Return what was written, from what is seen: texts, and tokens in marks of their own.

    *ours*: what Interlock adds to make it readable.
    """
    text = ""
    eaten = ""
    for kind, part in parts:
        if kind == "pt":
            eaten = {"↵": "\n", "⇥": "\t"}.get(part, "")
            assert eaten or _TOKEN.sub("", part) == "", part
            text += eaten or "".join(
                chr(int(a, 16) if a else 0xDC00 + int(b, 16)) for a, b in _TOKEN.findall(part)
            )
            continue
        seen = part.removeprefix(eaten) if eaten else part
        eaten = ""
        hidden = [hex(ord(each)) for each in seen if unseen(each) and each not in ours]
        assert not hidden, (hidden, seen[:80])
        assert not _TOKEN.search(seen), f"an agent's own words look like a token: {seen[:80]}"
        text += seen
    return text


async def read(page: Page, selector: str, ours: str = "") -> list[str]:
    """Return what was written in each element that *selector* finds; all of it must be seen."""
    found = await page.locator(selector).evaluate_all(READ)
    assert found, selector
    wrong = [(selector, *each) for _, wrong in found for each in wrong]
    assert wrong == []
    return [written(parts, ours) for parts, _ in found]


def same(first: Counter[str], second: Counter[str]) -> None:
    assert [dict(first - second), dict(second - first)] == [{}, {}]


async def skeleton(page: Page) -> Counter[str]:
    return Counter(await page.evaluate(SKELETON))


@contextlib.asynccontextmanager
async def watched(
    browser: Browser, world: World, person: Reviewer = ANN, **options: Any
) -> AsyncIterator[Page]:
    """A page that may talk to us alone, open no dialog, and keep nothing that a payload sets."""
    strange: list[str] = []
    ours = urlsplit(world.url).netloc

    async def on(route: Route) -> None:
        if urlsplit(route.request.url).netloc == ours:
            await route.continue_()
        else:
            strange.append(route.request.url)
            await route.abort()

    async with signed_in(browser, world, person, **options) as page:
        await page.context.route(lambda url: urlsplit(url).netloc != ours, on)
        page.on("dialog", lambda dialog: strange.append(f"dialog {dialog.message}"))
        page.on("popup", lambda popup: strange.append(f"popup {popup.url}"))
        page.on("download", lambda download: strange.append(f"download {download.url}"))
        page.on(
            "framenavigated", lambda frame: strange.append(frame.url) if frame.parent_frame else 0
        )
        yield page
        assert await page.evaluate(
            "[window.hacked, document.querySelectorAll('iframe').length]"
        ) == [
            None,
            0,
        ]
        assert strange == []


@contextlib.asynccontextmanager
async def worlds(server: Server, **options: Any) -> AsyncIterator[World]:
    prefix = fresh_prefix()
    store = RedisStore(server.url, prefix=prefix)
    async with a_world(store, prefix, **options) as world:
        yield world
    await store.close()


def harmless(texts: Sequence[str]) -> list[str]:
    """Return as many texts that say nothing, each as long, on as many lines."""
    return [
        re.sub(r"[^\n]", "x", text)
        if "\n" in text
        else f"{number}".ljust(len(text), "x")[: len(text)]
        for number, text in enumerate(texts)
    ]


def with_values(texts: Sequence[str], **more: Any) -> ToolCall:
    members = {f"k{number:03}": text for number, text in enumerate(texts)}
    body = json.dumps({"amount": 1, "recipient": "Bob", **members}, ensure_ascii=False)
    return a_call(body=body.encode("utf-8", "surrogatepass"), **more)


def numbered(texts: Sequence[str]) -> list[str]:
    """Return names that no reader takes for one."""
    return [f"{text}{number:03}" for number, text in enumerate(texts)]


def with_names(texts: Sequence[str], **more: Any) -> ToolCall:
    members = dict.fromkeys(numbered(texts), 7)
    body = json.dumps({"amount": 1, "recipient": "Bob", **members})
    return a_call(body=body.encode(), **more)


def around(texts: Sequence[str]) -> dict[str, Any]:
    """Everything beside the body: one text of all, and headers with one each."""
    joined = "\n".join(texts)
    headers = tuple((f"X-{number}", text) for number, text in enumerate(texts))
    return {
        "target": f"/v1/accounts/DE-1/transfers?q={quote(joined.replace(NUL, ''), safe='')}",
        "headers": headers,
        "agent": joined,
        "session": joined,
        "reason": joined,
        "task": joined,
        "traceparent": joined,
    }


ALL = strings()
NUL = "\0"  #: refused in a URL, however it is written


async def opened(page: Page, world: World, action: Action) -> None:
    """Open the page of *action*, and all that is folded there."""
    await open_item(page, world, action)
    if await page.locator("[data-unfold]:visible").count():
        await expect(page.locator("#approve")).to_be_disabled()
        await page.locator("[data-unfold]:visible").first.click()


async def edited(page: Page, call: ToolCall) -> None:
    """Ask for a preview of an edit: the script draws that."""
    await page.keyboard.press("e")
    await page.get_by_label("amount", exact=True).fill("2")
    await page.get_by_role("button", name="Preview the edit").click()
    await expect(page.locator("#preview")).to_be_visible()
    (after,) = await read(page, "#preview-body", ours="\n")
    assert json.loads(after) == json.loads(call.body) | {"amount": 2}


@pytest.mark.parametrize("script", [False, True], ids=["the server draws", "the script draws"])
async def test_promise_04_arguments_run_nothing_and_draw_nothing_and_hide_nothing(
    server: Server, browser: Browser, script: bool
) -> None:
    """*script*: the call is longer than the first page shows, so the page's script draws it."""
    async with (
        worlds(server, whole_bytes=4096 if script else 10**7) as world,
        watched(browser, world) as page,
    ):
        shapes = []
        for turn, texts in enumerate((harmless(ALL), ALL)):
            call = with_values(texts, agent="bot", session=f"{turn}")
            action = await world.hold(call)
            await opened(page, world, action)
            if script:
                await expect(page.locator("#approve")).to_be_disabled()
                await page.locator("#show-all").click()
            await expect(page.locator("#approve")).to_be_enabled()
            assert (await read(page, "#arguments td"))[3:] == list(texts)
            await page.locator("[data-show=exact]").click()
            assert await read(page, "#body-exact") == [call.body.decode()]
            if not script:
                await edited(page, call)
            shapes.append(await skeleton(page))
        same(*shapes)


async def test_promise_04_names_of_arguments_are_text_as_well(
    server: Server, browser: Browser
) -> None:
    async with worlds(server, whole_bytes=10**7) as world, watched(browser, world) as page:
        shapes = []
        for turn, texts in enumerate((harmless(ALL), ALL)):
            call = with_names(texts, agent="bot", session=f"{turn}")
            action = await world.hold(call)
            await opened(page, world, action)
            names = numbered(texts)
            assert (await read(page, "#arguments th"))[3:] == names
            await page.keyboard.press("e")
            assert (await read(page, "#edit-fields label.v"))[3 : 3 + len(names)] == names
            shapes.append(await skeleton(page))
        same(*shapes)


async def test_promise_03_all_around_the_arguments_is_seen_as_it_is(
    server: Server, browser: Browser
) -> None:
    async with worlds(server, whole_bytes=10**7) as world, watched(browser, world) as page:
        shapes = []
        for texts in (harmless(ALL), ALL):
            action = await world.hold(a_call(**around(texts)))
            joined = "\n".join(texts)
            await opened(page, world, action)
            assert await read(page, "#url") == [f"https://api.bank.example{action.call.target}"]
            assert (await read(page, ".headers dd"))[1:] == list(texts)
            assert await read(page, ".untrusted blockquote") == [joined, joined]
            assert await read(page, ".untrusted code") == [joined, joined]
            assert (await read(page, ".facts b.v"))[0] == joined
            shapes.append(await skeleton(page))
        same(*shapes)


async def test_promise_02_what_is_no_json_is_shown_byte_by_byte(
    server: Server, browser: Browser
) -> None:
    bodies = (
        ("\n".join(ALL).encode("utf-8", "surrogatepass"), "text/plain"),
        (bytes(range(256)) * 2, "application/octet-stream"),
        (b'{"recipient": "\xff\xfe"} <script>window.hacked=1</script>', "application/x-thing"),
    )
    async with worlds(server) as world, watched(browser, world) as page:
        for body, media in bodies:
            action = await world.hold(a_call("mail", target="/messages", body=body, media=media))
            await opened(page, world, action)
            (seen,) = await read(page, "#body-exact")
            assert seen.encode("utf-8", "surrogateescape") == body


async def test_promise_02_however_much_there_is_all_of_it_is_shown_first(
    server: Server, browser: Browser
) -> None:
    end = "\u202e<script>window.hacked=1</script>"
    wide = {f"k{number:05}": number for number in range(10_000)} | {"zz": end}
    deep: Any = end
    for _ in range(13):
        deep = {"in": [deep]}
    calls = [
        {"amount": 1, "recipient": "x" * 100_000 + end},
        {"amount": 1, "recipient": "Bob", "tags": [deep]},
        {"amount": 1, "recipient": "Bob"} | wide,
    ]
    async with worlds(server, whole_bytes=2048) as world, watched(browser, world) as page:
        for members in calls:
            body = json.dumps(members, ensure_ascii=False).encode()
            action = await world.hold(a_call(body=body))
            await opened(page, world, action)
            if await page.locator("#withheld").count():
                assert "hacked" not in await page.locator("#main").inner_text()
                await page.keyboard.press("a")
                await expect(page.locator("#panel-approve")).to_be_hidden()
                await expect(page.locator("#approve")).to_be_disabled()
                await page.locator("#show-all").click()
            await expect(page.locator("#approve")).to_be_enabled(timeout=30_000)
            await page.locator("[data-show=exact]").click()
            assert await read(page, "#body-exact") == [body.decode()]
            assert len(await read(page, "#arguments td", ours="\n")) == len(members) + 1


# every other page ---------------------------------------------------------------------------

PER_CALL = 20


def chunks(texts: Sequence[str]) -> list[str]:
    return ["\n".join(texts[at : at + PER_CALL]) for at in range(0, len(texts), PER_CALL)]


async def filled(world: World, texts: Sequence[str]) -> list[Action]:
    """Hold a call for each text, which is in all that a card shows; and decide half of them."""
    held = []
    key = await world.key(Kind.APPROVER, "bob")
    for turn, text in enumerate(chunks(texts)):
        target = f"/v1/accounts/{turn}/transfers?q={quote(text.replace(NUL, ''), safe='')}"
        body = json.dumps({"amount": 1, "recipient": text, text[:50]: text}).encode()
        action = await world.hold(a_call(target=target, body=body, agent=text, session=f"s{turn}"))
        held.append(action)
        if turn % 2:
            said = await world.decide(action, key, type="reject", message=text[:9000] or "No.")
            assert said.status == 200
    return held


async def drawn(page: Page, waiting: Sequence[Action]) -> None:
    """Wait until the script has drawn just these: on the way there it shows others, as many.

    What the filters complete is drawn by the script alone.
    """
    await page.wait_for_function(
        """(ids) => document.querySelector('#agents option') && ids.join() ===
            [...document.querySelectorAll('#cards .card')].map(each => each.dataset.id).join()""",
        arg=[each.id for each in waiting],
    )


async def test_promise_04_lists_show_agents_and_calls_as_text(
    server: Server, browser: Browser
) -> None:
    shapes: list[list[Counter[str]]] = [[], []]
    for which, texts in enumerate((harmless(ALL), ALL)):
        async with worlds(server) as world, watched(browser, world) as page:
            await page.wait_for_selector("[data-ready]")
            actions = await filled(world, texts)
            waiting, decided = actions[::2], actions[1::2]
            await drawn(page, waiting)
            live = await read(page, "#cards [data-f=agent]")
            cards = await page.locator("#cards .card").evaluate_all(
                "(all) => all.map(each => each.querySelector('.card-link').innerText)"
            )
            shapes[which].append(await skeleton(page))
            await page.goto(f"{world.url}/review?limit=100")
            await drawn(page, waiting)
            assert await read(page, "#cards [data-f=agent]") == live
            assert sorted(live) == sorted(each.call.agent.id for each in waiting)
            again = await page.locator("#cards .card").evaluate_all(
                "(all) => all.map(each => each.querySelector('.card-link').innerText)"
            )
            assert [ageless(each) for each in cards] == [ageless(each) for each in again]
            shapes[which].append(await skeleton(page))
            await page.goto(f"{world.url}/history")
            found = await read(page, ".card.was .facts span.v")
            assert sorted(found) == sorted(each.call.agent.id for each in decided)
            shapes[which].append(await skeleton(page))
            await page.goto(f"{world.url}/agents")
            found = await read(page, ".card.agent .tool.v")
            assert sorted(found) == sorted(each.call.agent.id for each in actions)
            shapes[which].append(await skeleton(page))
    for first, second in zip(*shapes, strict=True):
        same(first, second)


def ageless(card: str) -> str:
    ages = r"\d+ (s|min)\b|\d\d:\d\d left|agent is waiting|agent has hung up; it may ask again"
    return re.sub(ages, "", card)


async def test_promise_04_what_servers_say_of_their_tools_is_text(
    server: Server, browser: Browser
) -> None:
    async with worlds(server) as world, watched(browser, world) as page:
        kept = [each for each in ALL if each]
        tools = [
            {
                "name": f"t{turn}",
                "title": text[:200],
                "description": text,
                "inputSchema": {"type": "object", "properties": {text[:60]: {"title": text}}},
            }
            for turn, text in enumerate(chunks(kept)[:30])
        ]
        await world.definitions.listed("files", [{"name": "read"}], whole=True)
        await world.definitions.listed("files", tools, whole=True)
        seen = ""
        for tool in tools:
            await page.goto(f"{world.url}/tools?server=files&tool={tool['name']}")
            lines = await read(page, "[data-member=description] .text")
            assert (
                "\n".join(lines).replace("\n\n", "\n").split() == str(tool["description"]).split()
            )
            seen += "".join(lines)
        assert "window.hacked" in seen
