"""`interlock replay`: what another policy would have done on what really happened."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import Any

import click

from ..core.errors import InvalidDocument, Problem
from ..core.masking import NO_MASKS
from ..core.numbers import number_of
from ..core.records import DecidedCall, Turned
from ..core.rules import PolicySet
from ..core.wording import gist
from ..policies.load import load_policies
from ..policies.replaying import LOOSER, STRICTER, BadCall, Replayed, replayed
from ..policies.replaying_sums import Sums, went_wrong
from .asking import Api
from .console import note
from .policy_output import PATHS
from .recorded import records, records_options
from .render_replay import call_lines, sums_as_json, sums_lines

_IN_MEMORY = 8 << 20  #: bytes of calls that are kept before they go to a temporary file
_KINDS = {"looser": (LOOSER,), "stricter": (STRICTER,), "all": (LOOSER, STRICTER, "reason")}
LOOSENS = 3  #: exit code, as that of `policy diff`
_EVERY = 50_000  #: calls after which progress is told


@click.command()
@click.option(
    "--policy",
    "paths",
    multiple=True,
    required=True,
    type=PATHS,
    metavar="NEW",
    help="The policy to judge by: a file or a directory; may repeat.",
)
@click.option("--tool", help="Only calls of this tool.")
@click.option("--agent", help="Only calls of this agent.")
@click.option(
    "--calls",
    type=click.Choice(list(_KINDS)),
    default="looser",
    show_default=True,
    help="Which calls are listed.",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=50,
    show_default=True,
    metavar="N",
    help="How many calls are listed; 0: every one.",
)
@click.option(
    "--fail-on-looser", is_flag=True, help="Exit with 3 where a call is asked less than it was."
)
@records_options
def replay(
    paths: tuple[Path, ...],
    tool: str | None,
    agent: str | None,
    calls: str,
    limit: int,
    fail_on_looser: bool,
    api: Api,
    source: Path | None,
    since: str | None,
) -> None:
    """Judge recorded calls again by another policy, and say what it would have done.

    Each call is judged with what was known of the past when it came, and compared with what was
    decided then. Nothing is sent, and no policy is changed.

    \b
    Examples:
      interlock replay --policy policies.new --since 30d
      interlock replay --policy new.yaml --records calls.jsonl --calls all
      interlock replay --policy new.yaml --records calls.jsonl --fail-on-looser

    Exit status: 0 done, 2 wrong usage or an invalid document, 3 with --fail-on-looser where the
    new policy asks for less.
    """
    policy = load_policies(paths)
    query = {name: value for name, value in (("tool", tool), ("agent", agent)) if value}
    found = records(api, source, since, query)
    sums = Sums()
    with Listed(limit) as listed:
        for each in judged(found, policy, sums):
            if each.kind in _KINDS[calls]:
                listed.add(each)
        if not sums.calls:
            raise InvalidDocument((_nothing(sums, source),))
        if api.as_json:
            _print_json(policy, sums, listed)
        else:
            _print(policy, sums, listed)
    click.get_current_context().exit(LOOSENS if fail_on_looser and sums.kinds[LOOSER] else 0)


def judged(found: Iterator[DecidedCall], policy: PolicySet, sums: Sums) -> Iterator[Replayed]:
    """Yield each recorded call as *policy* judges it, and add it to *sums*."""
    for count, record in enumerate(found, 1):
        if count % _EVERY == 0:
            note(f"{count} calls judged")
        try:
            each = replayed(record, policy)
        except BadCall as error:
            sums.cannot(record, str(error))
            continue
        sums.add(each)
        yield each


class Listed:
    """Calls to list: the ones that went wrong first, and no more than fit on a disk."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._wrong: Any = SpooledTemporaryFile(_IN_MEMORY)
        self._rest: Any = SpooledTemporaryFile(_IN_MEMORY)
        self._counts = [0, 0]

    def __enter__(self) -> Listed:
        return self

    def __exit__(self, *_: object) -> None:
        self._wrong.close()
        self._rest.close()

    def add(self, each: Replayed) -> None:
        """Keep *each* as it will be listed; of many, the first."""
        wrong = went_wrong(each.record)
        self._counts[not wrong] += 1
        if self._limit and self._counts[not wrong] > self._limit:
            return
        row = json.dumps(row_of(each)).encode() + b"\n"
        (self._wrong if wrong else self._rest).write(row)

    def rows(self) -> Iterator[dict[str, Any]]:
        """Yield what is listed."""
        listed = 0
        for file in (self._wrong, self._rest):
            file.seek(0)
            for line in file:
                if self._limit and listed >= self._limit:
                    return
                listed += 1
                yield json.loads(line)

    @property
    def more(self) -> int:
        """How many are not listed."""
        return max(0, sum(self._counts) - self._limit) if self._limit else 0


def row_of(each: Replayed) -> dict[str, Any]:
    """Return one call as it is listed, in JSON's terms."""
    record = each.record
    arguments = record.arguments or each.after.arguments
    return {
        "id": record.id,
        "kind": each.kind,
        "agent": record.agent,
        "tool": each.after.tool or record.tool,
        "call": gist(replace(each.after, arguments=arguments), NO_MASKS),
        "before": each.before.word,
        "after": each.after.level.word,
        "why": each.why,
        "people": said_by_people(record),
        "wrong": went_wrong(record),
        "masked": record.masked,
        "unrecorded": list(each.unrecorded),
        "at": record.created,
    }


def said_by_people(record: DecidedCall) -> str:
    """Return in a few words what people, or the agent, said of a call."""
    said = [record.verdict or f"nobody decided ({record.state})"]
    codes = [each.reason_code for each in record.reviews if each.reason_code]
    if codes:
        said[0] += f" ({', '.join(dict.fromkeys(codes))})"
    if record.audit is not None:
        said.append(f"an audit found it {record.audit.turned.value}")
    if any(each.turned is Turned.WRONG for each in record.reports):
        said.append("reported wrong")
    return "; ".join(said)


def _nothing(sums: Sums, source: Path | None) -> Problem:
    """A replay of nothing must not look like one without differences."""
    why = f" ({sums.why_unusable[0]})" if sums.why_unusable else ""
    return Problem(
        file=str(source or "records"),
        line=1,
        column=1,
        message=f"holds no call that can be judged{why}",
    )


def _print(policy: PolicySet, sums: Sums, listed: Listed) -> None:
    click.echo("\n".join(sums_lines(policy, sums)))
    for row in listed.rows():
        click.echo("\n".join(call_lines(row)))
    if listed.more:
        note(f"{number_of(listed.more, 'more call')}; list them with --limit 0")
    for text in sums.why_unusable:
        note(f"not judged: {text}")


def _print_json(policy: PolicySet, sums: Sums, listed: Listed) -> None:
    """Print one JSON object; its calls one by one, since they may be many."""
    head = json.dumps(sums_as_json(policy, sums), indent=2, ensure_ascii=True)
    click.echo(head[: head.rindex("}")].rstrip() + ',\n  "calls": [', nl=False)
    for count, row in enumerate(listed.rows()):
        click.echo((",\n    " if count else "\n    ") + json.dumps(row), nl=False)
    click.echo(f'],\n  "not_listed": {listed.more}\n}}')
