"""`interlock export`: decided calls as files for training, labelling and testing."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from .. import __version__
from ..core.errors import InterlockError, InvalidDocument
from ..exports import formats
from ..exports.label_studio import CONFIG
from ..exports.making.card import Part, card
from ..exports.making.exporter import Exporter, Wanted
from ..exports.making.format import Shape
from ..exports.making.labels import right
from ..exports.making.tally import Tally
from .asking import asked as ask
from .asking import moment, people_options, span
from .client import Access, access
from .console import note, safe, say, say_json
from .export_files import Target, Writing, begin, finish, resume
from .export_source import SCHEMAS_FILE, FileSource, ServerSource, Source
from .options import configured_partly

_TELL = 100_000  #: records after which progress is told
_LABELLING = "label-config.xml"


@click.command()
@click.option("--format", "name", required=True, type=click.Choice(sorted(formats())))
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR|FILE",
    help="Where to: a folder, or one file that ends in .jsonl, .json or .yaml.",
)
@click.option("--since", metavar="TIME", help="Calls that ended since: 12h or 30d ago, or a date.")
@click.option("--until", metavar="TIME", help="Calls that ended before.")
@click.option("--tool", default="", help="Only calls of this tool.")
@click.option("--agent", default="", help="Only calls of this agent.")
@click.option("--agreed-only", is_flag=True, help="Only where two people said the same.")
@click.option(
    "--split",
    type=click.FloatRange(0, 1, min_open=True, max_open=True),
    metavar="SHARE",
    help="The oldest SHARE of lines to data-train, the rest to data-test.",
)
@click.option(
    "--keep-masked", is_flag=True, help="Also calls with masked values, where they are left out."
)
@click.option(
    "--with-meta",
    is_flag=True,
    help="Of kto, dpo-trl and sft: each line with its id, time, agent, tool, policy, weight ...",
)
@click.option(
    "--policy",
    "policies",
    multiple=True,
    type=click.Path(path_type=Path, exists=True),
    help="Of policy-tests: the policy files to test. Else those of the configuration.",
)
@click.option(
    "--records",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    help="Records of `interlock export --format records`; else the running Interlock is asked.",
)
@click.option("--resume", "again", is_flag=True, help="Go on with an export that broke off.")
@click.option("--replace", is_flag=True, help="Replace what is there.")
@people_options
def export(
    name: str,
    out: Path,
    records: Path | None,
    policies: tuple[Path, ...],
    split: float | None,
    again: bool,
    replace: bool,
    url: str | None,
    key_file: Path | None,
    file: Path,
    as_json: bool,
    **filters: Any,
) -> None:
    """Write decided calls to files: for training, labelling, testing, and for tune and replay.

    A card (README.md) says what is in them and what is not. Needs a key of an auditor or admin.

    \b
    Examples:
      interlock export --format dpo-trl --out pairs/ --since 90d --split 0.8
      interlock export --format policy-tests --out policies/
      interlock export --format records --out records.jsonl
      interlock export --format kto --out kto/ --records records.jsonl
    """
    if again and replace:
        raise click.UsageError("--resume goes on, --replace begins anew: give one of them.")
    if filters["with_meta"] and not formats()[name].meta:
        raise click.UsageError("--with-meta goes with --format kto, dpo-trl or sft.")
    target = _target(name, out, split or 0.0, policies, file)
    if target.single and split:
        raise click.UsageError("--split writes two files: give a folder with --out.")
    at = None if records is not None else access(url, key_file, file)
    asked = filters | {"format": name, "split": split or 0.0, "records": str(records or "")}
    if again:
        writing = resume(target, asked)
    else:
        wanted = _wanted(filters, at)
        begun = {"asked": asked, "wanted": asdict(wanted)}
        writing = begin(target, begun, replace=replace)
    with writing:
        wanted = Wanted(**writing.note["wanted"])
        source = _source(records, at, wanted)
        tally, parts = _exported(target, name, wanted, writing, source)
    _report(target, tally, parts, wanted, as_json=as_json)


def _target(name: str, out: Path, split: float, policies: tuple[Path, ...], file: Path) -> Target:
    target = Target(out=out, format=formats()[name], split=split)
    if target.format.shape is not Shape.SUITES:
        if policies:
            raise click.UsageError("--policy goes with --format policy-tests.")
        return target
    if split:
        raise click.UsageError("--split does not go with --format policy-tests.")
    found = policies or (tuple(configured_partly(file).policies) if file.exists() else ())
    if not found:
        raise click.UsageError(
            f"A suite names its policy: give --policy FILE, or run this beside {file}."
        )
    named = tuple(os.path.relpath(each, target.folder) for each in found)
    return Target(out=out, format=target.format, policy=named)


def _wanted(filters: Mapping[str, Any], at: Access | None) -> Wanted:
    times = {}
    now = 0
    for option in ("since", "until"):
        text = filters[option]
        ago = span(text) if text else None
        if ago is not None:
            now = now or _now(at)
            times[option] = now - ago
        elif text:
            times[option] = moment(text, f"--{option}")
    return Wanted(
        **times,
        tool=filters["tool"],
        agent=filters["agent"],
        agreed=filters["agreed_only"],
        masked=filters["keep_masked"],
        meta=filters["with_meta"],
    )


def _source(records: Path | None, at: Access | None, wanted: Wanted) -> Source:
    if records is not None:
        return FileSource(records)
    assert at is not None  # noqa: S101 (for the type checker: one of them is given)
    return ServerSource(at, _query(wanted))


def _now(at: Access | None) -> int:
    """Return the time in ms: Interlock's, else this machine's."""
    if at is None:
        from ..system import SystemClock

        return SystemClock().now_ms()
    return int(ask(at, lambda people: people.get("/v1/me"))["now"])


def _query(wanted: Wanted) -> dict[str, str]:
    said = {"since": wanted.since, "until": wanted.until}
    times = {name: str(ms) for name, ms in said.items() if ms}
    names = {"tool": wanted.tool, "agent": wanted.agent}
    return times | {name: text for name, text in names.items() if text}


def _exported(
    target: Target, name: str, wanted: Wanted, writing: Writing, source: Source
) -> tuple[Tally, list[Part]]:
    tally = Tally.from_json(writing.note["tally"]) if "tally" in writing.note else Tally()
    exporter = Exporter(target.format, wanted, tally)
    writing.take_up(exporter)
    schemas: dict[str, Mapping[str, Any]] = dict(writing.note.get("schemas", {}))
    try:
        if not writing.note.get("done"):
            _copy(exporter, writing, source, schemas)
        parts = writing.parts()
        text = card(name, target.format, wanted, tally, parts, __version__)
        more = {_LABELLING: CONFIG} if name == "label-studio" else {}
        if name == "records":
            more[SCHEMAS_FILE] = json.dumps(schemas)
        finish(target, parts, text, more)
    except InvalidDocument:
        raise
    except InterlockError as error:
        if "tally" not in writing.note:
            raise
        raise InterlockError(
            f"{error.detail} {tally.read:,} calls were read before.",
            help=f"{error.help} What was written stays: go on with --resume.".strip(),
        ) from None
    except OSError as error:
        raise InterlockError(
            f"Cannot write {error.filename or target.out}: {error.strerror}.",
            help="Make room for it, then go on with --resume.",
        ) from None
    except KeyboardInterrupt:
        raise InterlockError("Interrupted.", help="Go on with --resume.") from None
    return tally, parts


def _copy(
    exporter: Exporter, writing: Writing, source: Source, schemas: dict[str, Mapping[str, Any]]
) -> None:
    tally, told = exporter.tally, exporter.tally.read // _TELL
    for page in source.pages(writing.cursor):
        for record in page.records:
            good = tally.good
            lines = exporter.lines(record, page.schemas)
            if lines:
                writing.add(lines, record.ended, right(record), tally.good - good)
        schemas |= {name: each for name, each in page.schemas.items() if each}
        writing.note |= {"schemas": schemas, "done": page.next is None}
        writing.save(page.next, tally)
        if tally.read // _TELL > told:
            told = tally.read // _TELL
            note(f"{tally.read:,} calls read, {tally.lines:,} lines written")


def _report(
    target: Target, tally: Tally, parts: list[Part], wanted: Wanted, *, as_json: bool
) -> None:
    if as_json:
        files = [asdict(part) | {"file": str(target.folder / part.file)} for part in parts]
        say_json({"files": files, "card": str(target.card), "counts": tally.to_json()})
        return
    for part in parts:
        say(f"{safe(target.folder / part.file)}: {part.lines:,} lines")
    say(f"{safe(target.card)}: what is in it, and what is not")
    note(f"{tally.used:,} of {tally.read:,} decided calls are in it.")
    for why, count in tally.left_out.most_common():
        note(f"  left out, {why}: {count:,}")
    asked = wanted.since or wanted.until or wanted.tool or wanted.agent
    if not tally.read and not asked:
        note("The archive is empty: there is no decided call in it yet.")
    elif not tally.lines:
        note("Nothing fits: see which filters were given, and `interlock export --help`.")
