"""Tell people by e-mail, in Teams and wherever else Apprise reaches. Text only: no button, no form.

What agents wrote is made harmless here, whatever a receiver reads markup, links or mentions in:
this is a notice, and the page has the exact text. Apprise's own log names URLs with credentials
in them, so it is switched off; what is said here names a service by its scheme alone.
"""

from __future__ import annotations

import asyncio
import importlib
import logging
import re
import warnings
from collections import OrderedDict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..core.errors import WeakGround
from ..ports import Notice
from .channel import ALL, Undelivered
from .telling import Digest, Told, moment

NAME = "apprise"
THREADS = 4  #: at once; a service that hangs takes one of them until its own time-out
REMEMBERED = 10_000  #: notices and services that are not told again when a notice is sent again
UNVERIFIED = "Written by the agent, not verified:"
FEW = 20  #: calls in one message about several
_LIKE = str.maketrans(
    {
        "<": "‹",
        ">": "›",
        "*": "∗",
        "`": "ˋ",
        "~": "∼",
        "|": "∣",
        "\\": "⧵",
        "[": "［",
        "]": "］",
        "#": "＃",
        "&": "＆",
    }
)
_OUTER = re.compile(r"(?<![^\W_])_|_(?![^\W_])")
_DOT = re.compile(r"(?<=\w)\.(?=\w)")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppriseWay:
    """Apprise URLs, and how many seconds all of them may take together."""

    urls: Sequence[str] = field(repr=False)
    timeout: float = 30.0
    arguments: bool = False
    wants: frozenset[Notice] = ALL


class AppriseChannel:
    """channel.Channel. *way*: what configuration says.

    Raises:
        WeakGround: the package is missing, or a URL is none that it understands.
    """

    name = NAME

    def __init__(self, way: AppriseWay) -> None:
        self._way = way
        self._services = [_service(url, at) for at, url in enumerate(way.urls, 1)]
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="apprise")
        self._told: OrderedDict[tuple[str, int], None] = OrderedDict()

    @property
    def wants(self) -> frozenset[Notice]:
        return self._way.wants

    @property
    def arguments(self) -> bool:
        return self._way.arguments

    async def send(self, said: Told) -> None:
        """Tell people of one call. Raises Undelivered."""
        await self._all(said.key, subject(said), lines_of(said), said.link)

    async def send_digest(self, digest: Digest) -> None:
        """Tell people of several calls in one message. Raises Undelivered."""
        link = digest.told[0].link.rpartition("/")[0] if digest.told else ""
        await self._all(digest.key, digest.title, lines_of_several(digest), link)

    async def close(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _all(self, key: str, title: str, lines: Sequence[str], link: str) -> None:
        left = [at for at in range(len(self._services)) if (key, at) not in self._told]
        each = [self._one(at, title, lines, link) for at in left]
        failed = []
        for at, went in zip(left, await asyncio.gather(*each), strict=True):
            if went:
                self._remember(key, at)
            else:
                failed.append(self._services[at].scheme)
        if failed:
            raise Undelivered(f"Apprise could not tell {', '.join(failed)}", retry=True)

    async def _one(self, at: int, title: str, lines: Sequence[str], link: str) -> bool:
        tell = partial(self._services[at].tell, title, lines, link, self._way.timeout)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._way.timeout):
                return await loop.run_in_executor(self._threads, tell)
        except TimeoutError:
            return False

    def _remember(self, key: str, at: int) -> None:
        if not key:
            return
        self._told[key, at] = None
        while len(self._told) > REMEMBERED:
            self._told.popitem(last=False)


@dataclass(frozen=True, slots=True)
class _Service:
    """One URL. `scheme` is all of it that may be said aloud."""

    scheme: str
    api: Any = field(repr=False)
    markdown: bool

    def tell(self, title: str, lines: Sequence[str], link: str, seconds: float) -> bool:
        """Send one message; blocks. Never raises: Apprise has plugins for a hundred services."""
        apprise: Any = importlib.import_module("apprise")
        form = apprise.NotifyFormat.TEXT
        body = "\n".join((f"Open: {link}", *lines))
        if self.markdown:  # as Apprise writes text in Markdown; it would escape the link as well
            escape: Any = importlib.import_module("apprise.conversion").text_to_markdown
            body = "\n\n".join((f"[Open it]({link})", *map(escape, lines)))
            form = apprise.NotifyFormat.MARKDOWN
        try:
            return bool(self.api.notify(title=title, body=body, body_format=form, timeout=seconds))
        except Exception:  # outermost of this thread: its text may hold the URL
            return False


def understood(url: str) -> bool:
    """Whether Apprise knows what *url* means. Nothing is sent."""
    try:
        _service(url, 1)
    except WeakGround:
        return False
    return True


def _service(url: str, at: int) -> _Service:
    with warnings.catch_warnings():  # of what its plugins import
        warnings.simplefilter("ignore")
        return _loaded(url, at)


def _loaded(url: str, at: int) -> _Service:
    try:
        apprise: Any = importlib.import_module("apprise")
    except ImportError:
        raise WeakGround(
            "`notify.apprise` needs the package apprise.",
            help="pip install 'interlock[apprise]'",
        ) from None
    quiet = logging.getLogger("apprise")
    quiet.handlers[:], quiet.propagate = [logging.NullHandler()], False
    asset = apprise.AppriseAsset(
        app_id="Interlock",
        app_desc="Interlock",
        async_mode=False,
        storage_mode="memory",
        interpret_emojis=False,
        interpret_escapes=False,
    )
    api = apprise.Apprise(asset=asset)
    if not api.add(url) or len(api) != 1:
        raise WeakGround(
            f"`notify.apprise.urls`: number {at} is no URL that Apprise understands.",
            help="Try it with `apprise -b test URL`; see https://appriseit.com/services/.",
        )
    markdown = api[0].notify_format == apprise.NotifyFormat.MARKDOWN
    return _Service(_scheme(url), api, markdown)


def _scheme(url: str) -> str:
    scheme = url.partition("://")[0]
    return scheme if re.fullmatch(r"[A-Za-z0-9]{1,20}", scheme, re.ASCII) else "a service"


# what is said --------------------------------------------------------------------------------


def harmless(text: str) -> str:
    """Return visible text that nothing reads as markup, as a link, a mention or an emoji.

    Not injective: some characters become look-alikes. The page has them as they are.
    """
    text = _OUTER.sub("＿", text.translate(_LIKE))
    text = text.replace("@", "［@］").replace("://", "［:］//")
    text = re.sub(r":(?=\w[\w+-]*:)", "：", text)
    return _DOT.sub("［.］", text)


def subject(said: Told) -> str:
    """Return the title, in which no agent names anything."""
    if said.known:
        return said.title
    return "A call to no tool that policy knows" + said.title.removeprefix(said.tool)


def lines_of(said: Told) -> tuple[str, ...]:
    """Return what a notice says besides its title and its link: ours first, then the agent's."""
    ours = said.lines[: len(said.lines) - len(said.arguments)]
    tool = said.tool if said.known else "none that policy knows"
    theirs = [] if said.known else [f"Called: {harmless(said.tool)}"]
    theirs += [f"{harmless(name)}: {harmless(value)}" for name, value in said.arguments]
    head = (subject(said), f"Tool: {tool}", *ours, f"Call: {said.id}")
    return (*head, *((UNVERIFIED, *theirs) if theirs else ()))


def lines_of_several(digest: Digest) -> tuple[str, ...]:
    """Return a line for each call of a digest, as far as they fit."""
    rows = []
    for said in digest.told[:FEW]:
        tool = said.tool if said.known else harmless(said.tool)
        rows.append(f"{moment(said.created)}: {tool}, {said.agent}, {said.stake} stake, {said.id}")
    more = len(digest.told[FEW:]) + digest.more
    return (digest.title, *rows, *((f"and {more} more",) if more else ()))
