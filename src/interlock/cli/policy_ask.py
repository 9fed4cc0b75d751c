"""`interlock policy explain` and `diff`: why a call is decided so, and what a change changes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import click

from ..core.errors import InvalidDocument, Problem
from ..policies.corpus import CorpusEntry, Recorded, read_call, read_corpus
from ..policies.corpus_generated import generated
from ..policies.diff import LOOSER, REASON, SAME, STRICTER, Change, Difference, compare
from ..policies.diff_settings import differences
from ..policies.diff_sheet import CHANGED, Setting, sheet
from ..policies.explain import Book, Explanation, open_book
from ..policies.explain import explain as explained
from ..policies.suite import moment
from ..policies.suite_calls import BadCall, make_call, setting
from ..policies.suite_expect import known_call
from ..policies.suite_facts import past
from .console import note, safe
from .options import configured_partly
from .policy_explained import as_json as explained_as_json
from .policy_explained import lines
from .policy_output import PATHS, echo_json

_COLOURS = {LOOSER: "red", STRICTER: "green", REASON: "cyan", CHANGED: "yellow"}


@click.command()
@click.argument("call", type=click.File("rb"), metavar="CALL.json")
@click.option(
    "--policy", "paths", multiple=True, type=PATHS, help="Policy file or directory; may repeat."
)
@click.option(
    "--config",
    "-c",
    "config",
    type=click.Path(path_type=Path),
    default=Path("interlock.yaml"),
    show_default=True,
    help="Where the policies are named, without --policy.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def explain(call: BinaryIO, paths: tuple[Path, ...], config: Path, as_json: bool) -> None:
    """Say why a call is decided as it is, and what would have made it one level lower.

    CALL.json (or - for standard input) holds a call as in a suite: {"tool": ..., "args": {...}},
    or a request {"upstream": ..., "method": ..., "path": ..., "json": {...}}; beside it may stand
    agent, facts, task and now.

    \b
    Example:
      echo '{"tool": "pay", "args": {"amount": 600}}' | interlock policy explain - --policy p.yaml

    Exit status: 0 done, 2 wrong usage or an invalid document.
    """
    if not paths and not config.exists():
        raise click.UsageError(f"Name the policy with --policy: there is no {config} here.")
    name = getattr(call, "name", "-")
    entry = read_call(call.read(), str(name))
    book = open_book(paths or configured_partly(config).policies)
    found = _explained(book, entry, str(name))
    if as_json:
        echo_json(explained_as_json(found))
    else:
        click.echo("\n".join(lines(found)))


def _explained(book: Book, entry: CorpusEntry, name: str) -> Explanation:
    changes = setting({} if entry.task is None else {"task": entry.task})
    try:
        known_call(entry.call, book.policy)
        made = make_call(entry.call, entry.agent, changes, book.policy)
        given = past(entry.facts, changes, book.policy)
        return explained(book, made, given, moment(entry.at))
    except BadCall as error:
        problem = Problem(file=name, line=1, column=1, message=str(error))
        raise InvalidDocument((problem,)) from None


@click.command()
@click.argument("old", type=PATHS)
@click.argument("new", type=PATHS)
@click.option("--corpus", type=click.File("rb"), help="Recorded calls, one JSON object per line.")
@click.option(
    "--allow-looser", is_flag=True, help="Exit with 0 even where it asks for less, or may."
)
@click.option(
    "--examples",
    type=click.IntRange(0),
    default=3,
    show_default=True,
    help="Examples of each kind per tool.",
    metavar="N",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def diff(
    old: Path,
    new: Path,
    corpus: BinaryIO | None,
    allow_looser: bool,
    examples: int,
    as_json: bool,
) -> None:
    """Compare two policies: their settings, and what they decide about the same calls.

    OLD and NEW are a policy file or a directory each. Without --corpus, calls are generated for
    every tool of either: bounds of bands, constants of conditions, hours, thresholds, used-up
    limits, alone and two together. `changed` is a setting of which it is not certain whether it
    asks for less.

    Exit status: 0 done, 2 wrong usage or an invalid document, 3 where NEW asks for less or may.
    """
    before, after = open_book([old]), open_book([new])
    calls: Iterator[Recorded]
    if corpus is None:
        policies = (before.policy, after.policy)
        calls = generated(policies, (before.written, after.written))
    else:
        calls = read_corpus(corpus, str(getattr(corpus, "name", "-")))
    found = compare(before.policy, after.policy, calls, examples)
    if corpus is not None and not found.counts.total():
        raise InvalidDocument(_nothing_compared(found, str(getattr(corpus, "name", "-"))))
    sheets = sheet(before, [old]), sheet(after, [new])
    settings = differences(*sheets, found.fewer, found.more)
    if before.policy.ref.sha256 == after.policy.ref.sha256:
        note("OLD and NEW are the same policy")
    looser = found.looser or any(each.kind != STRICTER for each in settings)
    if as_json:
        echo_json({"looser": looser, **_diff_as_json(found), "settings": _listed(settings)})
    else:
        _show_settings(settings)
        _show_diff(found)
    raise SystemExit(3 if looser and not allow_looser else 0)


def _listed(settings: Sequence[Setting]) -> list[dict[str, str]]:
    return [{"kind": each.kind, "what": each.what, "place": each.place} for each in settings]


def _show_settings(settings: Sequence[Setting]) -> None:
    for each in settings:
        kind = click.style(f"{each.kind:<8}", fg=_COLOURS[each.kind])
        click.echo(f"{kind} {safe(each.what)}")
        if each.place:
            click.echo(click.style(f"         {each.place}", dim=True))
    if settings:
        counts = Counter(each.kind for each in settings)
        shown = ", ".join(f"{counts[kind]} {kind}" for kind in (LOOSER, CHANGED, STRICTER))
        click.echo(f"settings: {shown}")


def _nothing_compared(found: Difference, name: str) -> tuple[Problem, ...]:
    """A comparison of nothing must not look like one without differences."""
    why = f" ({found.unusable[0]})" if found.unusable else ""
    message = f"holds no call that can be compared{why}"
    return (Problem(file=name, line=1, column=1, message=message),)


def _show_diff(found: Difference) -> None:
    for title, names in (("only in OLD", found.only_old), ("only in NEW", found.only_new)):
        if names:
            click.echo(f"{title}: {', '.join(names)}")
    for each in found.changes:
        _show_change(each)
    for name, counts in sorted(found.tools.items()):
        if set(counts) != {SAME}:
            click.echo(f"{name}: {_counted(counts)}")
    click.echo(f"all: {_counted(found.counts)}")
    for text in found.unusable[:10]:
        click.echo(f"not compared: {text}", err=True)
    if len(found.unusable) > 10:
        click.echo(f"not compared: {len(found.unusable) - 10} more", err=True)


def _show_change(change: Change) -> None:
    kind = click.style(f"{change.kind:<8}", fg=_COLOURS[change.kind])
    one, other = change.before.level.word, change.after.level.word
    levels = one if one == other else f"{one} -> {other}"
    click.echo(f"{kind} {change.tool}: {levels}")
    for line in (_call(change), change.why):
        if line:
            click.echo(click.style(f"         {safe(line)}", dim=True))


def _counted(counts: Any) -> str:
    return ", ".join(f"{counts[kind]} {kind}" for kind in (LOOSER, STRICTER, REASON, SAME))


def _call(change: Change) -> str:
    written = change.entry.model_dump(by_alias=True, exclude_defaults=True)
    flat = {**written.pop("call"), **written}  # as `explain` reads it
    return f"{json.dumps(flat)} ({change.place})"


def _diff_as_json(found: Difference) -> dict[str, Any]:
    return {
        "counts": {kind: found.counts[kind] for kind in (LOOSER, STRICTER, REASON, SAME)},
        "tools": {name: dict(counts) for name, counts in sorted(found.tools.items())},
        "only_old": list(found.only_old),
        "only_new": list(found.only_new),
        "not_compared": list(found.unusable),
        "examples": [
            {
                "kind": each.kind,
                "tool": each.tool,
                **each.entry.model_dump(by_alias=True, exclude_defaults=True),
                "place": each.place,
                "before": each.before.level.word,
                "after": each.after.level.word,
                "why": each.why,
            }
            for each in found.changes
        ],
    }
