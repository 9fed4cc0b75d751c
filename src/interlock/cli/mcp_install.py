"""`interlock mcp install`: put Interlock in front of the MCP servers of a client, and undo it."""

from __future__ import annotations

import difflib
import os
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from ..config import DEFAULT_FILE, environment, load_config_partly
from ..core.errors import InterlockError, InvalidDocument
from ..settings import Config
from ..settings_types import Address, is_private
from .console import note, safe, say
from .mcp_clients import CLIENTS, Client, Surroundings, settings_files
from .mcp_entries import Entry, guarded, literal
from .mcp_files import Original, backups, read_original, replace
from .mcp_nodes import Path as Where
from .mcp_plans import (
    Fate,
    Gate,
    Lacking,
    Outcome,
    Settings,
    changed,
    installed,
    is_guarded,
    read_settings,
    shown_diff,
    undone,
)

_HEADERS = frozenset({"headers", "http_headers", "env_http_headers"})  #: the latter two: Codex


@click.command()
@click.option(
    "--client", "name", required=True, type=click.Choice([*CLIENTS]), help="Whose settings."
)
@click.option(
    "--config",
    "file",
    type=click.Path(path_type=Path),
    help="The client's settings file. Absent: looked for where the client keeps it.",
)
@click.option(
    "--interlock-config",
    type=click.Path(path_type=Path),
    default=Path(DEFAULT_FILE),
    show_default=True,
    help="Interlock's own configuration.",
)
@click.option("--server", "servers", multiple=True, help="Only this one. Repeatable.")
@click.option("--undo", is_flag=True, help="Put the servers back as they were.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.pass_context
def install(
    ctx: click.Context,
    name: str,
    file: Path | None,
    interlock_config: Path,
    servers: tuple[str, ...],
    undo: bool,
    dry_run: bool,
    yes: bool,
) -> None:
    """Start a client's MCP servers through Interlock.

    Each server that the client starts is started by `interlock mcp` instead, with its own command
    behind `--`; each server behind a URL that interlock.yaml has too is reached through Interlock.
    All else in the file stays byte for byte. The change is shown first, and a private copy of the
    file is kept beside it. Exits 1 where a server is left that does not go through Interlock.

    \b
    Examples:
      interlock mcp install --client claude-code
      interlock mcp install --client cursor --server github --dry-run
      interlock mcp install --client vscode --undo
    """
    client = CLIENTS[name]
    original = read_original(file or _found(client))
    settings = read_settings(str(original.path), original.text, client.places)
    chosen = _chosen(settings, servers)
    if undo:
        gate = _gate(interlock_config, _config_or_none(interlock_config))
        outcomes = undone(
            settings, chosen, gate, lambda where: _before(original, gate, client, where)
        )
    else:
        config = load_config_partly(interlock_config, environment())
        gate = _gate(interlock_config, config)
        _warn_of_cache(gate.program)
        outcomes = installed(settings, chosen, gate)
    note(f"{client.title}: {safe(settings.file)}")
    after = changed(settings, outcomes)
    _print(settings, after, outcomes)
    if not undo:
        _tell_of_defaults(outcomes, gate, config)
        _tell_of_keys(outcomes, gate)
    if after.text != settings.text and not dry_run:
        _write(original, after, client, asked=not yes)
    elif undo and not outcomes:
        say("None of these servers goes through Interlock.")
    ctx.exit(1 if any(outcome.fate is Fate.LEFT for outcome in outcomes) else 0)


def _write(original: Original, after: Settings, client: Client, *, asked: bool) -> None:
    if asked:
        click.confirm("Write this?", abort=True)
    backup = replace(original, after.text)
    say(f"Written. As it was before: {safe(backup)}")
    note(client.after)


def _print(before: Settings, after: Settings, outcomes: Sequence[Outcome]) -> None:
    if after.text != before.text:
        say(_coloured(shown_diff(before, after)))
    for outcome in outcomes:
        where = safe(".".join(outcome.entry.where))
        if outcome.fate is not Fate.LEFT:
            say(f"{where}: {safe(outcome.said)}")
            continue
        mark = click.style("not changed", fg="yellow", bold=True)
        say(f"{where} (line {outcome.entry.line}): {mark}, because {safe(outcome.said)}")
    left = sum(outcome.fate is Fate.LEFT for outcome in outcomes)
    if left:
        say(f"{left} of {len(outcomes)} could not be changed.")
    lacking = [outcome.add for outcome in outcomes if outcome.add]
    if lacking:
        say("Have this in interlock.yaml, and run this again:\n\nservers:")
    for each in lacking:
        say(safe("\n".join(_server_lines(each))))


def _tell_of_defaults(outcomes: Sequence[Outcome], gate: Gate, config: Config) -> None:
    """Say which started servers interlock.yaml says nothing of: `interlock mcp` takes them."""
    words = [each.words or each.entry.words for each in outcomes if each.fate is not Fate.LEFT]
    started = [found.server for each in words if (found := guarded(each))]
    unlisted = [name for name in dict.fromkeys(started) if name not in config.servers]
    if unlisted:
        note(
            f"Not listed under `servers` in {safe(gate.config)}, which is fine:"
            f" {safe(', '.join(unlisted))}. Such a server has the defaults, and without a policy"
            " every call of it waits for a person."
        )


def _tell_of_keys(outcomes: Sequence[Outcome], gate: Gate) -> None:
    """Say of secrets of servers behind a URL that they would go to Interlock from now on."""
    for each in outcomes:
        if each.entry.url is None or each.fate is Fate.LEFT or not _authorizes(each.entry):
            continue
        server = each.words[0] if each.words else each.entry.address
        name = safe(server.rpartition("/mcp/")[2])
        note(
            f"{safe('.'.join(each.entry.where))}: its `Authorization` stays in this file and goes"
            " to Interlock now, which takes it for an agent's key. Put the server's secret under"
            f" `servers.{name}.credentials` in {safe(gate.config)}, and in its place a key of"
            " `interlock keys create agent`; where `agents.anonymous` lets agents in, none."
        )


def _authorizes(entry: Entry) -> bool:
    """Say whether *entry* sends an Authorization that is, as far as its text tells, no key here."""
    if "bearer_token_env_var" in entry.node.members:  # Codex
        return True
    for name in _HEADERS & entry.node.members.keys():
        for header, value in entry.node.members[name].node.members.items():
            if header.lower() == "authorization" and "ilk_agent_" not in str(value.node.scalar):
                return True
    return False


def _server_lines(lacking: Lacking) -> Iterator[str]:
    yield f"  {lacking.name}:"
    yield f"    url: {literal(lacking.url)}"
    if lacking.sse:
        yield "    transport: sse"
    if is_private(lacking.url):
        yield "    allow_private: true"


def _coloured(diff: str) -> str:
    colours = {"+": "green", "-": "red", "@": "cyan"}
    lines = (line.removesuffix("\r") for line in diff.split("\n"))
    return "\n".join(click.style(safe(line), fg=colours.get(line[:1])) for line in lines)


def _chosen(settings: Settings, servers: tuple[str, ...]) -> tuple[Entry, ...]:
    known = {entry.name for entry in settings.entries}
    if not known:
        keys = " or ".join(f"`{'.'.join(place)}`" for place in settings.places)
        raise InterlockError(
            f"{settings.file} has no MCP servers: there is nothing under {keys}.",
            help="Add the servers in the client first, or name its other file: `--config FILE`.",
        )
    for name in servers:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            raise InterlockError(
                f"{settings.file} has no server {name!r}"
                f"{f'; did you mean {near[0]!r}?' if near else '.'}",
                help=f"It has {', '.join(sorted(known))}.",
            )
    return tuple(each for each in settings.entries if not servers or each.name in servers)


def _found(client: Client) -> Path:
    """Return the first file of *client* that has servers, and say which others it has."""
    around = Surroundings(
        project=Path.cwd(), home=Path.home(), platform=sys.platform, env=environment()
    )
    files = [*settings_files(client, around)]
    there = [file for file in files if file.is_file()]
    if not there:
        looked = ", ".join(map(str, files)) or "nowhere: this client has no known place"
        raise InterlockError(
            f"No settings of {client.title} found (looked in {looked}).",
            help="Name the file: `--config FILE`.",
        )
    full = [file for file in there if _has_servers(file, client)]
    for other in full[1:]:
        note(f"{client.title} also has servers in {safe(other)}: run this again with --config.")
    return (full or there)[0]


def _has_servers(file: Path, client: Client) -> bool:
    try:
        return bool(read_settings(str(file), read_original(file).text, client.places).entries)
    except InterlockError:
        return True  # what is wrong with it is said when it is its turn


def _before(
    original: Original, gate: Gate, client: Client, where: Where
) -> tuple[Entry, str] | None:
    """Return an entry, and its file's text, from the newest backup where Interlock has it not."""
    for backup in backups(original.path):
        try:
            old = read_settings(str(original.path), backup.text, client.places)
        except InterlockError:
            continue
        for entry in old.entries:
            if entry.where == where and not entry.problem and not is_guarded(entry, gate):
                return entry, old.text
    return None


def _gate(file: Path, config: Config | None) -> Gate:
    config = config or Config()
    listen = config.agents.listen
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(listen.host, listen.host)  # noqa: S104
    return Gate(
        program=interlock_program(),
        config=os.path.abspath(file),
        address=f"http://{Address(host, listen.port)}",
        servers={name: each.url for name, each in config.servers.items() if each.url},
        upstreams=frozenset(config.upstreams),
    )


def _config_or_none(file: Path) -> Config | None:
    """Return the configuration; None where it is gone or wrong, which must not hinder an undo."""
    try:
        return load_config_partly(file, environment())
    except InvalidDocument:
        return None


def interlock_program() -> tuple[str, ...]:
    """Return how this Interlock is started, by absolute paths: desktop programs have no PATH."""
    here = Path(sys.argv[0])
    if here.stem.lower() == "interlock" and here.is_file():
        return (os.path.abspath(here),)
    beside = shutil.which("interlock", path=str(Path(sys.executable).parent))
    return (os.path.abspath(beside),) if beside else (sys.executable, "-m", "interlock")


def _warn_of_cache(program: Sequence[str]) -> None:
    if "archive-v0" in Path(program[0]).parts:
        note(
            "This Interlock is in uv's cache, which may be cleaned, and then no server starts: "
            "`uv tool install interlock`, and run this again."
        )
