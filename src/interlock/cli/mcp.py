"""`interlock mcp`: a client's MCP server on pipes, behind the gate."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ..config import environment
from ..core.errors import InterlockError
from ..settings import Config
from ..settings_tools import ServerSettings
from ..settings_types import plain_name
from .console import note, safe
from .importing import imports
from .mcp_install import install
from .options import config_option, configured

if TYPE_CHECKING:
    from ..wrapping import Guarding


class Wrapper(click.Group):
    """A group that runs what stands behind `--`, where no subcommand is named."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if ctx.params.get("server") is not None:
            return run.name, run, args
        return super().resolve_command(ctx, args)


@click.group(cls=Wrapper, invoke_without_command=True, subcommand_metavar="-- COMMAND [ARGS]...")
@click.option("--server", "-s", metavar="NAME", help="The server's name in the configuration.")
@config_option
@click.option("--agent", metavar="ID", help="Which agent the client is. Else: see below.")
@click.pass_context
def mcp(ctx: click.Context, server: str | None, file: Path, agent: str | None) -> None:
    """Start an MCP server on pipes behind the gate.

    Put this before the command of a server in the settings of Claude Desktop, Claude Code, Cursor
    or VS Code; `interlock mcp install` does it. Calls of tools are judged by your policy, all else
    passes. The exit code is that of COMMAND.

    Without `--agent` the agent is `agents.anonymous` of the configuration, else that of the key in
    INTERLOCK_KEY. The store is shared with `interlock serve`; people decide there, or at the page
    that this command serves while nobody else does. What it has to say goes to standard error.

    \b
    Examples:
      interlock mcp --server files -- npx -y @modelcontextprotocol/server-filesystem ~/notes
      interlock mcp -s git -c ~/gate/interlock.yaml --agent claude -- uvx mcp-server-git
      interlock mcp install --client claude-code
    """
    if ctx.invoked_subcommand is not None:
        return
    if server is None:
        click.echo(ctx.get_help())
        return
    raise click.UsageError("Give the server's command behind `--`, such as `-- npx SERVER`.")


mcp.add_command(install)


@click.command(
    "run",
    hidden=True,
    add_help_option=False,  # every word is the server's
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.pass_context
def run(ctx: click.Context, command: Sequence[str]) -> int:
    """Run COMMAND behind the gate."""
    assert ctx.parent is not None  # noqa: S101 -- it is only reached through `mcp`
    given = ctx.parent.params
    config = configured(given["file"])
    name, agent = given["server"], given["agent"] or ""
    config = _with_server(config, name)
    _check(config, name, agent)
    from ..observe.logging import configure
    from ..wrapping import wrap

    configure(config.log.level, config.log.format)
    env, tell = environment(), _tell(name)
    return asyncio.run(wrap(config, name, command, agent=agent, env=env, tell=tell, load=_gate))


def _gate() -> Guarding:
    """Import what the gate needs."""
    with imports():
        from ..guarding import guarding

    return guarding


def _tell(name: str) -> Callable[[str], None]:
    def tell(text: str) -> None:
        note(safe(f"interlock ({name}): {text}"))

    return tell


def _with_server(config: Config, name: str) -> Config:
    """Return *config* with a server of this name: one that it says nothing of has the defaults.

    Raises:
        InterlockError: the name is none, or is that of an upstream.
    """
    if name in config.servers:
        return config
    try:
        plain_name(name)
    except ValueError as error:
        raise InterlockError(f"--server: {error}.") from None
    if name in config.upstreams:
        raise InterlockError(
            f"`{name}` is an upstream in the configuration: give the server another name."
        )
    return config.model_copy(update={"servers": {**config.servers, name: ServerSettings()}})


def _check(config: Config, name: str, agent: str) -> None:
    """Refuse what cannot run. Raises InterlockError."""
    if config.servers[name].url is not None:
        raise InterlockError(
            f"The server `{name}` has a `url`: it is reached at /mcp/{name} of `interlock serve`.",
            help="Give the command that is started here another name.",
        )
    if agent:
        try:
            plain_name(agent)
        except ValueError as error:
            raise InterlockError(f"--agent: {error}.") from None
