"""`interlock policy draft`: a first catalogue, from what an API or an MCP server says of itself."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import click

from ..core.decisions import Reversibility
from ..core.numbers import number_of
from ..policies.draft.drafting import Draft, draft_openapi, draft_tools
from ..policies.draft.operations import DraftError
from ..policies.draft.servers import list_tools


@click.command()
@click.option(
    "--from-openapi",
    "document",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="An OpenAPI 3.x or Swagger 2.0 document, JSON or YAML.",
)
@click.option("--from-mcp", "server", metavar="URL|COMMAND", help="An MCP server.")
@click.option(
    "--upstream", metavar="NAME", help="Its name in the configuration; also names the files."
)
@click.option(
    "--header", "headers", multiple=True, metavar="'NAME: VALUE'", help="Sent to the URL."
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="The directory to write to; the current one if left out.",
)
def draft(
    document: Path | None,
    server: str | None,
    upstream: str | None,
    headers: tuple[str, ...],
    out: Path,
) -> None:
    """Draft a catalogue: every operation with its stake, reversibility, and the reason.

    Writes NAME.yaml and NAME_test.yaml (more of them for a large API), which `interlock policy
    check` and `test` accept. Guesses are marked; no model is asked, and no tool is called. Exit
    status: 0 written, 1 nothing written, 2 wrong usage.
    """
    if (document is None) == (server is None):
        raise click.UsageError("give either --from-openapi FILE or --from-mcp URL|COMMAND")
    try:
        found = (
            _from_file(document, upstream)
            if document is not None
            else _from_server(server or "", upstream, headers)
        )
        written = _write(found, out)
    except DraftError as error:
        click.echo(f"{click.style('error:', fg='red', bold=True)} {error}", err=True)
        raise SystemExit(1) from None
    _show(found, written)


def _from_file(document: Path, upstream: str | None) -> Draft:
    name = upstream or _plain(document.name.partition(".")[0])
    try:
        raw = document.read_bytes()
    except OSError as error:
        raise DraftError(f"{document}: cannot be read: {error.strerror}") from None
    return draft_openapi(raw, document.name, _checked(name))


def _from_server(server: str, upstream: str | None, headers: tuple[str, ...]) -> Draft:
    pairs = [each.partition(":") for each in headers]
    if any(not value for _, _, value in pairs):
        raise click.UsageError("--header is written as 'NAME: VALUE'")
    given = {name.strip(): value.strip() for name, _, value in pairs}
    is_url = server.startswith(("http://", "https://"))
    words = re.split(r"[/ @]+", server.partition("?")[0].strip("/"))
    name = upstream or _plain(words[2] if is_url and len(words) > 2 else words[-1])
    # A command line may hold secrets; a file that is kept in version control must not.
    source = server.partition("?")[0] if is_url else "an MCP server"
    return draft_tools(asyncio.run(list_tools(server, given)), source, _checked(name))


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text).strip("-._")[:60]


def _checked(name: str) -> str:
    if not re.match(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,59}\Z", name):
        raise click.UsageError("give --upstream NAME: letters, digits, dots, `_` and `-`")
    return name


def _write(found: Draft, out: Path) -> list[Path]:
    paths = [out / name for name in found.files]
    there = [str(path) for path in paths if path.exists()]
    if there:
        raise DraftError(
            f"{', '.join(there)} is already there and may hold somebody's work: give another "
            "--out, or remove it"
        )
    try:
        out.mkdir(parents=True, exist_ok=True)
        for path, text in zip(paths, found.files.values(), strict=True):
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise DraftError(f"{error.filename or out}: {error.strerror}") from None
    return paths


def _show(found: Draft, written: list[Path]) -> None:
    levels = [each.guess.reversibility for each in found.drafted]
    counts = ", ".join(f"{levels.count(each)} {each.word}" for each in Reversibility)
    doubtful = sum(bool(each.guess.confirm) for each in found.drafted)
    click.echo(f"{number_of(len(levels), 'operation')}: {counts}; {doubtful} marked CONFIRM")
    for note in found.notes:
        click.echo(note)
    for path in written:
        click.echo(f"wrote {path}")
    shown = " ".join(str(path) for path in written if not path.name.endswith("_test.yaml"))
    click.echo(f"Next: look at what is marked CONFIRM, then interlock policy check {shown}")
