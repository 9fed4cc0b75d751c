"""`interlock doctor`: what is weak about this installation."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import click

from ..config import environment, place_of
from ..core.errors import StoreUnavailable
from ..core.identity import KeyRecord
from ..core.numbers import number_of
from ..core.rules import PolicySet
from ..doctor import other_secret, weak_ground
from ..doctor_people import provider_weakness
from ..policies.load import load_policies
from ..ports import Durability
from ..settings import Config
from ..space import shortage
from ..system import SystemClock
from ..weakness import Weakness
from .console import note, safe, say, say_json
from .options import config_option, configured, json_option
from .stores import opened


@click.command()
@config_option
@json_option
@click.pass_context
def doctor(ctx: click.Context, file: Path, as_json: bool) -> None:
    """Say what is weak about this installation, and how to cure it.

    Reads the configuration and the policies, opens the store, asks the sign-in provider who it is,
    and looks at this machine. Exits 1 where something is critical: `interlock serve` would not
    start then.

    \b
    Example:
      interlock doctor
    """
    config = configured(file)
    policy = load_policies(config.policies)
    durability, keys, told = asyncio.run(_asked(config))
    found = weak_ground(config, durability, policy, keys=keys) + told
    if as_json:
        say_json([dataclasses.asdict(weakness) for weakness in found])
    else:
        _print(found, durability, policy, file)
    ctx.exit(1 if any(weakness.critical for weakness in found) else 0)


async def _asked(
    config: Config,
) -> tuple[Durability, tuple[KeyRecord, ...], tuple[Weakness, ...]]:
    provider = await provider_weakness(config, SystemClock())
    async with _told_of_space(config), opened(config) as at:
        found = provider + other_secret(await at.secret.fits())
        return await at.store.durability(), await at.keys.records(), found


@contextlib.asynccontextmanager
async def _told_of_space(config: Config) -> AsyncIterator[None]:
    """Have a store that does not open on a full disk say that first."""
    try:
        yield
    except StoreUnavailable as error:
        full = shortage(config.data)
        if not full:
            raise
        help = f"Make room on the disk of {config.data}."
        raise StoreUnavailable(f"{full} {error.detail}", help=help) from error


def _print(
    found: tuple[Weakness, ...], durability: Durability, policy: PolicySet, file: Path
) -> None:
    tools = number_of(len(policy.tools), "tool")
    note(f"policy {policy.ref.name} version {policy.ref.version}, {tools}")
    note(f"store durability: {durability.grade} ({durability.detail})")
    for weakness in found:
        mark = click.style("critical", fg="red", bold=True)
        mark = mark if weakness.critical else click.style("weak", fg="yellow")
        where = f"{place_of(weakness.path, file, environment())}: " if weakness.path else ""
        say(f"{mark}  {weakness.name}: {where}{safe(weakness.what)} {safe(weakness.cure)}")
    if not found:
        say(click.style("Nothing weak found.", fg="green"))
