"""`interlock init` and `interlock serve`."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import pwd
import signal
from collections.abc import Callable, Coroutine
from importlib import resources
from pathlib import Path
from typing import Any

import click
import uvloop

from .. import __version__
from ..config import DEFAULT_FILE
from ..core.errors import InterlockError
from ..running import Running
from ..settings import Config
from ..settings_types import Address, known_person
from ..tasks import Tasks
from .console import note, safe, say
from .importing import imports
from .options import config_option, configured, given
from .ports import listener
from .stores import opened

POLICY_FILE = "policies/starter.yaml"
SUITE_FILE = "policies/starter_test.yaml"


@click.command()
@click.argument("folder", type=click.Path(path_type=Path), default=Path("."))
def init(folder: Path) -> None:
    """Write a first interlock.yaml and policy into FOLDER.

    With the policy's own tests. All are commented, small and ready to run. Nothing that exists is
    overwritten.

    \b
    Example:
      interlock init && interlock serve
    """
    files = {
        folder / DEFAULT_FILE: _starter("interlock.yaml").replace("PERSON", _me()),
        folder / POLICY_FILE: _starter("policy.yaml"),
        folder / SUITE_FILE: _starter("policy_test.yaml"),
    }
    for path in files:
        if path.exists():
            raise InterlockError(f"{path} exists already.", help="Name another FOLDER, or edit it.")
    for path, text in files.items():
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        except OSError as error:
            raise InterlockError(f"{path} cannot be written: {error.strerror}.") from None
        say(f"Wrote {path}")
    note("Next, a tool to protect: `python -m http.server 9000 -b 127.0.0.1 -d FOLDER`.")
    note("FOLDER is one that agents may read, never this one. Then: `interlock serve`.")


def _starter(name: str) -> str:
    return (resources.files("interlock.cli") / "starter" / name).read_text(encoding="utf-8")


def _me() -> str:
    try:
        return known_person(pwd.getpwuid(os.getuid()).pw_name)
    except (KeyError, ValueError):  # a container's user without a name, or with a strange one
        return "me"


@click.command()
@config_option
@click.option("--store", metavar="URL", help="A Redis or Valkey of yours, or `embedded`.")
@click.option("--agents", metavar="HOST:PORT", help="Where agents call. Port 0: any free one.")
@click.option("--people", metavar="HOST:PORT", help="Where people come. Port 0: any free one.")
@click.option(
    "--new-secret",
    is_flag=True,
    help="The secret was changed on purpose: keys and approvals made before end.",
)
def serve(
    file: Path, store: str | None, agents: str | None, people: str | None, new_secret: bool
) -> None:
    """Start Interlock: the gate for agents, and the page for people.

    Two listeners, so that a network rule can keep agents away from decisions. Without `--store`
    and `store:`, it starts a store of its own under the data directory, and stops it with itself.
    Stop it with Ctrl-C or SIGTERM: calls in flight are finished, held ones wait in the store.
    Policy files are read again when they change, and on SIGHUP; wrong ones change nothing.

    \b
    Examples:
      interlock serve
      interlock serve --store redis://127.0.0.1:6379/0
      INTERLOCK__LOG__FORMAT=json interlock serve -c /etc/interlock.yaml
    """
    embedded = store == "embedded"
    config = configured(
        file,
        *given("--store", "store" if embedded else "store.url", store),
        *given("--agents", "agents.listen", agents),
        *given("--people", "people.listen", people),
    )
    if new_secret:
        asyncio.run(_take_secret(config))
    with imports():
        from ..app import run  # only this command needs all of it

    try:
        uvloop.run(until_stopped(run(config, announce)))
    except OSError as error:
        raise _explained(error, config) from None


async def _take_secret(config: Config) -> None:
    async with opened(config) as at:
        if not await at.secret.fits():
            await at.secret.replace()
            note("The new secret is the store's now. Make new keys, and decide again what is held.")


async def until_stopped(work: Coroutine[Any, Any, None]) -> None:
    """Run *work* until it ends, or SIGTERM or Ctrl-C cancels it; a second one ends at once."""
    task = Tasks().spawn(work, "serve")
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _stopper(task))
    with contextlib.suppress(asyncio.CancelledError):
        await task


def _stopper(task: asyncio.Future[None]) -> Callable[[], None]:
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            os._exit(1)
        asked = True
        task.cancel()
        with contextlib.suppress(OSError):  # whoever read what we say may have gone
            note("Stopping: finishing what is in flight. Held calls stay in the store.")

    return stop


def announce(running: Running) -> None:
    """Print where everything is, once it is up."""
    policy, durability = running.policy, running.durability
    names = ", ".join(running.upstreams) or "no upstreams yet"
    mcp = [("MCP", f"{running.agents}/mcp/NAME ({', '.join(running.servers)})")]
    say(click.style(f"Interlock {__version__} is up.", bold=True))
    rows = [
        ("Agents", f"{running.agents}/t/NAME/... ({names})"),
        *(mcp if running.servers else []),
        ("People", f"{running.people}/review"),
        ("Store", f"{running.store}; {durability.grade}: {durability.detail}"),
        ("Policy", f"{policy.name} version {policy.version} (sha256 {policy.sha256[:12]})"),
        *((f"Sign in {who}", f"{url} (works once)") for who, url in running.links.items()),
        *((f"Key of {who}", str(path)) for who, path in running.operator_keys.items()),
    ]
    width = max(len(name) for name, _ in rows)
    for name, text in rows:
        say(f"  {click.style(name.ljust(width), fg='cyan')}  {safe(text)}")
    for weakness in running.weaknesses:
        say(f"  {click.style('Weak'.ljust(width), fg='yellow')}  {safe(weakness.what)}")
    if running.weaknesses:
        note("The cures: interlock doctor")


def _explained(error: OSError, config: Config) -> InterlockError:
    """Return what a listener that could not be opened means."""
    for side, address in (("agents", config.agents.listen), ("people", config.people.listen)):
        if error.errno == errno.EADDRINUSE and _concerns(error, address):
            who = listener(address.port)
            other = Address(address.host, address.port + 10)
            return InterlockError(
                f"{address} ({side}) is taken{f' by {who}' if who else ''}.",
                help=f"Stop it, or use `--{side} {other}`.",
            )
    if error.errno in (errno.EACCES, errno.EADDRNOTAVAIL):
        return InterlockError(
            f"A listener cannot be opened: {error.strerror}.",
            help="Use an address of this machine and a port above 1023.",
        )
    raise error


def _concerns(error: OSError, address: Address) -> bool:
    """asyncio puts the address only into the message."""
    return f", {address.port})" in str(error) or f", {address.port}," in str(error)
