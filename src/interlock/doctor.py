"""What is weak about an installation, and the cure. Critical weaknesses keep it from starting."""

from __future__ import annotations

import importlib.metadata
import os
import re
import stat
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp.http_parser

from .core.decisions import Reversibility
from .core.errors import WeakGround
from .core.identity import KeyRecord
from .core.patterns import HttpMatch, McpMatch
from .core.rules import PolicySet
from .doctor_people import identities, sign_in, signatures, strangers
from .ports import Durability
from .settings import Config
from .settings_tools import ServerSettings, UpstreamSettings
from .settings_types import Address, secrets_of
from .space import shortage
from .weakness import Weakness as Weakness

OLDEST_AIOHTTP = (3, 14, 4)  #: earlier ones have request-smuggling advisories
_VOLATILE = frozenset({"tmpfs", "ramfs"})
_LOOPBACK = frozenset({"", "localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Ground:
    """What was found on this machine."""

    aiohttp: tuple[int, ...] = OLDEST_AIOHTTP
    compiled_parser: bool = True
    root: bool = False
    debug: tuple[str, ...] = ()
    filesystem: str = ""  #: of the data directory
    shortage: str = ""  #: that its disk is full; empty: it is not
    readable: tuple[str, ...] = ()  #: files with secrets that everybody may read


def survey(config: Config) -> Ground:
    """Look at this machine, as far as *config* concerns it."""
    parsers = aiohttp.http_parser
    return Ground(
        aiohttp=_numbers(importlib.metadata.version("aiohttp")),
        compiled_parser=parsers.HttpRequestParser is not parsers.HttpRequestParserPy,
        root=os.getuid() == 0,
        debug=tuple(_debug_flags()),
        filesystem=_filesystem(config.data),
        shortage=shortage(config.data),
        readable=tuple(str(path) for path in _secret_files(config) if _readable(path)),
    )


def weak_ground(
    config: Config,
    durability: Durability,
    policy: PolicySet,
    *,
    keys: tuple[KeyRecord, ...] = (),
    ground: Ground | None = None,
) -> tuple[Weakness, ...]:
    """Return what is weak, critical things first. *ground* is surveyed where it is not given."""
    ground = ground or survey(config)
    found = (
        *_program(ground),
        *_store(config, durability, policy, ground),
        *_listeners(config),
        *_upstreams(config),
        *_webhooks(config),
        *_catalogue(config, policy),
        *sign_in(config),
        *identities(config, policy, keys),
        *strangers(config, policy, keys),
        *signatures(config, policy),
    )
    return tuple(sorted(found, key=lambda weakness: not weakness.critical))


def other_secret(fits: bool) -> tuple[Weakness, ...]:
    """Return what is weak where *fits* says that another secret made the store."""
    if fits:
        return ()
    return (
        Weakness(
            name="other-secret",
            critical=True,
            what="Another secret than the one set here made this store: no key, approval or"
            " sign-in in it would be valid.",
            cure="Use the same secret as the other processes on this store (`secret:`, or the data"
            " directory's secret.key). If it was changed on purpose, run"
            " `interlock serve --new-secret` once.",
            path="secret",
        ),
    )


def refuse(weaknesses: tuple[Weakness, ...]) -> None:
    """Raise WeakGround where any of *weaknesses* is critical."""
    critical = [weakness for weakness in weaknesses if weakness.critical]
    if critical:
        raise WeakGround(
            "Interlock does not start: " + " ".join(weakness.what for weakness in critical),
            help=" ".join(weakness.cure for weakness in critical),
        )


def _program(ground: Ground) -> Iterator[Weakness]:
    if not ground.compiled_parser:
        yield Weakness(
            name="python-parser",
            critical=True,
            what="aiohttp parses HTTP in Python here, less strictly than its compiled parser.",
            cure="Install aiohttp from a wheel and unset AIOHTTP_NO_EXTENSIONS.",
        )
    if ground.aiohttp < OLDEST_AIOHTTP:
        yield Weakness(
            name="old-aiohttp",
            critical=True,
            what=f"aiohttp {_dotted(ground.aiohttp)} has known holes.",
            cure=f"Run `pip install 'aiohttp>={_dotted(OLDEST_AIOHTTP)}'`.",
        )
    if ground.debug:
        yield Weakness(
            name="debug",
            what=f"Debugging is on ({', '.join(ground.debug)}): slower, and more is logged.",
            cure="Turn it off in production.",
        )
    if ground.root:
        yield Weakness(
            name="root",
            what="Interlock runs as root.",
            cure="Run it as a user of its own; it needs no privilege.",
        )
    for path in ground.readable:
        yield Weakness(
            name="readable-secret",
            what=f"Everybody on this machine may read {path}.",
            cure=f"Run `chmod 600 {path}`.",
        )


def _store(
    config: Config, durability: Durability, policy: PolicySet, ground: Ground
) -> Iterator[Weakness]:
    embedded = config.store.url is None
    if durability.eviction != "noeviction":
        yield Weakness(
            name="evicting-store",
            critical=True,
            what=f"The store may drop held calls when it is full ({durability.eviction}).",
            cure="Set `maxmemory-policy noeviction` in the store's configuration.",
        )
    if not durability.writable:
        yield Weakness(
            name="read-only-store",
            critical=True,
            what="The store is read-only.",
            cure="Point `store.url` at the primary.",
        )
    irreversible = _irreversible(policy)
    if durability.grade == "memory":
        yield Weakness(
            name="forgetful-store",
            critical=bool(irreversible),
            what=f"The store forgets everything when it stops{_because(irreversible)}.",
            cure="Set `appendonly yes` in the store's configuration.",
        )
    elif durability.grade == "process" and irreversible:
        how = "`store: {embedded: {fsync: always}}`" if embedded else "`appendfsync always`"
        yield Weakness(
            name="power-failure",
            what=f"A power failure may lose the last second of records{_because(irreversible)}.",
            cure=f"Set {how}, or accept it.",
        )
    if embedded and ground.filesystem in _VOLATILE:
        yield Weakness(
            name="volatile-data",
            what=f"The data directory {config.data} is in memory ({ground.filesystem}).",
            cure="Set `data:` to a directory on a disk.",
        )
    if ground.shortage:
        yield Weakness(
            name="full-disk",
            what=ground.shortage,
            cure=f"Make room on the disk of {config.data}: without it nothing can be recorded, and"
            " every call is refused.",
            path="data",
        )
    yield from _shared_store(config)


def _shared_store(config: Config) -> Iterator[Weakness]:
    if config.store.url is None:
        return
    if config.secret is None:
        yield Weakness(
            name="local-secret",
            what="The store is shared, but the secret is this machine's own: keys made here are "
            "not valid at another replica.",
            cure="Give all replicas the same `secret: {from_env: ...}`.",
        )
    url = urlsplit(config.store.url.reveal())
    if url.scheme == "redis" and (url.hostname or "") not in _LOOPBACK:
        yield Weakness(
            name="plain-store",
            what=f"What goes to the store at {url.hostname} is not encrypted.",
            cure="Use `rediss://`, or a network that only Interlock and the store are in.",
        )


def _listeners(config: Config) -> Iterator[Weakness]:
    if config.agents.anonymous is not None:
        yield Weakness(
            name="anonymous",
            what=f"Any program on this machine may call tools, as `{config.agents.anonymous.id}`.",
            cure="Remove `agents.anonymous`; make keys with `interlock keys create`.",
        )
    if not config.agents.listen.loopback:
        yield Weakness(
            name="plain-agents",
            what=f"Agents' keys reach {config.agents.listen} unencrypted.",
            cure="Put a TLS proxy before it, or keep it in a private network.",
        )
    if not config.people.listen.loopback and not config.people_url.startswith("https://"):
        yield Weakness(
            name="plain-people",
            what=f"Decisions reach {config.people.listen} unencrypted.",
            cure="Put a TLS proxy before it and set `people.url: https://...`.",
        )


def _upstreams(config: Config) -> Iterator[Weakness]:
    places: list[tuple[str, str, UpstreamSettings | ServerSettings]] = []
    places += [("upstream", name, each) for name, each in config.upstreams.items()]
    places += [("server", name, each) for name, each in config.servers.items()]
    for kind, name, place in places:
        url = urlsplit(place.url or "")
        near = Address(url.hostname or "", 0).loopback
        if place.credentials is not None and url.scheme == "http" and not near:
            yield Weakness(
                name="plain-upstream",
                what=f"The credential of {kind} `{name}` goes out unencrypted.",
                cure=f"Use https:// in `{kind}s.{name}.url`.",
            )


def _webhooks(config: Config) -> Iterator[Weakness]:
    for name, each in config.notify.webhook.items():
        url = urlsplit(each.url.reveal())
        if url.scheme == "http" and not Address(url.hostname or "", 0).loopback:
            yield Weakness(
                name="plain-webhook",
                path=f"notify.webhook.{name}.url",
                what=f"Notices of webhook `{name}` go to {url.hostname} unencrypted: who is on the"
                " way reads what waits.",
                cure=f"Use https:// in `notify.webhook.{name}.url`.",
            )


def _catalogue(config: Config, policy: PolicySet) -> Iterator[Weakness]:
    matches = [tool.match for tool in policy.tools.values()]
    servers = {match.server for match in matches if isinstance(match, McpMatch)}
    if missing := servers - set(config.servers):
        yield Weakness(
            name="no-server",
            what=f"Policy has tools of MCP servers that are not configured: {_some(missing)}.",
            cure="Add them under `servers`, or mend the name: no call can reach these tools.",
        )
    if bare := set(config.servers) - servers:
        yield Weakness(
            name="no-server-tools",
            what=f"Policy has no tool of the MCP servers: {_some(bare)}.",
            cure="Start with `interlock policy draft --from-mcp URL|COMMAND`: until then, all of"
            " their calls wait for people.",
        )
    named = {match.upstream for match in matches if isinstance(match, HttpMatch)}
    if missing := named - set(config.upstreams):
        yield Weakness(
            name="no-upstream",
            what=f"Policy has tools of upstreams that are not configured: {_some(missing)}.",
            cure="Add them under `upstreams`, or mend the name: no call can reach these tools.",
        )
    if bare := set(config.upstreams) - named:
        yield Weakness(
            name="no-tools",
            what=f"Policy has no tool of a configured upstream: {_some(bare)}.",
            cure="Describe its tools, for example with `interlock policy draft`; until then every"
            " call to it is unknown.",
        )


def _some(names: set[str]) -> str:
    shown = sorted(names)
    return ", ".join(shown[:5]) + (f" and {len(shown) - 5} more" if len(shown) > 5 else "")


def _irreversible(policy: PolicySet) -> tuple[str, ...]:
    return tuple(
        name
        for name, tool in policy.tools.items()
        if tool.reversibility is Reversibility.IRREVERSIBLE
    )


def _because(irreversible: tuple[str, ...]) -> str:
    if not irreversible:
        return ""
    more = f" and {len(irreversible) - 1} more" if len(irreversible) > 1 else ""
    return f", and policy has irreversible tools ({irreversible[0]}{more})"


def _debug_flags() -> Iterator[str]:
    if sys.flags.dev_mode:
        yield "python -X dev"
    if sys.flags.optimize:
        yield "python -O"


def _secret_files(config: Config) -> Iterator[Path]:
    for _, secret in secrets_of(config):
        if secret.place.startswith("file "):
            yield Path(secret.place.removeprefix("file "))
    yield from (config.data / name for name in ("secret.key", "operator.key"))


def _readable(path: Path) -> bool:
    try:
        return bool(path.stat().st_mode & stat.S_IROTH)
    except OSError:
        return False


def _filesystem(path: Path) -> str:
    """Return the type of the filesystem that *path* is on, where /proc tells."""
    try:
        lines = Path("/proc/mounts").read_text(encoding="utf-8").splitlines()
    except OSError:
        return ""
    mounts = {line.split()[1].replace("\\040", " "): line.split()[2] for line in lines}
    for parent in (path, *path.parents):
        if str(parent) in mounts:
            return mounts[str(parent)]
    return ""


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))
