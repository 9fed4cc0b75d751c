"""`interlock`: the command line. One file per command family; each is imported when it is used."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Sequence

import click

from .. import __version__
from ..config import environment
from ..core.errors import InterlockError, InvalidDocument
from .console import fail
from .importing import imports

OK, FAILED, MISUSED = 0, 1, 2

COMMANDS = {
    "init": ("serve", "init"),
    "serve": ("serve", "serve"),
    "mcp": ("mcp", "mcp"),
    "demo": ("demo", "demo"),
    "doctor": ("doctor", "doctor"),
    "keys": ("keys", "keys"),
    "sessions": ("sessions", "sessions"),
    "authenticators": ("authenticators", "authenticators"),
    "policy": ("policy", "policy"),
    "queue": ("review", "queue"),
    "show": ("review", "show"),
    "approve": ("review", "approve"),
    "edit": ("review", "edit"),
    "reject": ("review", "reject"),
    "respond": ("review", "respond"),
    "assign": ("desk", "assign"),
    "escalate": ("desk", "escalate"),
    "undo": ("desk", "undo"),
    "history": ("history", "history"),
    "agents": ("agents", "agents"),
    "people": ("desk", "people"),
    "me": ("desk", "me"),
    "away": ("desk", "away"),
    "grants": ("grants", "grants"),
    "tools": ("definitions", "tools"),
    "notifications": ("notifications", "notifications"),
    "practice": ("practice", "practice"),
    "audits": ("audits", "audits"),
    "outcome": ("audits", "outcome"),
    "export": ("export", "export"),
    "replay": ("replay", "replay"),
    "tune": ("tune", "tune"),
}
SECTIONS = {
    "Run it": ("init", "serve", "mcp", "demo", "doctor", "keys", "sessions", "authenticators"),
    "Say what may happen": ("policy",),
    "Decide what waits": (
        "queue",
        "show",
        "approve",
        "edit",
        "reject",
        "respond",
        "assign",
        "escalate",
        "undo",
        "history",
        "agents",
        "people",
        "me",
        "away",
        "grants",
        "tools",
        "notifications",
        "practice",
        "audits",
        "outcome",
    ),
    "Learn from what was decided": ("export", "replay", "tune"),
}


class Commands(click.Group):
    """Imports a command's file when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [name for name in COMMANDS if self.get_command(ctx, name) is not None]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        file, attribute = COMMANDS[cmd_name]
        name = f"{__package__}.{file}"
        try:
            with imports():
                command = getattr(importlib.import_module(name), attribute)
        except ModuleNotFoundError as missing:
            if missing.name != name:
                raise
            return None  # a family that this installation is without
        return command if isinstance(command, click.Command) else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        known = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        for title, names in SECTIONS.items():
            rows = [
                (name, command.get_short_help_str(70))
                for name in names
                if (command := known.get(name)) is not None
            ]
            if rows:
                with formatter.section(title):
                    formatter.write_dl(rows)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="interlock")
@click.pass_context
def cli(ctx: click.Context) -> None:
    """The guardrail between AI agents and the tools that they call.

    Agents call their tools through Interlock. It judges each call by your policy, forwards it,
    holds it until a person decides, or refuses it.

    \b
    First steps:
      interlock init      write interlock.yaml and a first policy
      interlock serve     start; prints where agents and people go
      interlock queue     what waits for a person

    Exit codes: 0 done, 1 failed or refused, 2 wrong usage or an invalid document.
    """
    ctx.color = _colour()


def _colour() -> bool | None:
    """False where the user wants none; None: where it fits."""
    return False if environment().get("NO_COLOR") else None


def run(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; expected failures print no traceback."""
    try:
        code = cli.main(arguments, prog_name="interlock", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else OK
    except click.ClickException as error:
        error.show()
        return MISUSED if isinstance(error, click.UsageError) else FAILED
    except click.Abort:
        click.echo("Nothing done.", err=True)
        return FAILED
    except InvalidDocument as error:
        fail(error, colour=_colour())
        return MISUSED
    except InterlockError as error:
        fail(error, colour=_colour())
        return FAILED
    except BrokenPipeError:
        # Python would complain once more at exit, when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILED


def main() -> None:
    """Entry point of the `interlock` command."""
    sys.exit(run())
