"""`interlock tune`: what decided calls speak for changing in policy, as a diff with evidence."""

from __future__ import annotations

import datetime
from collections.abc import Iterator
from pathlib import Path

import click

from ..core.errors import InvalidDocument, Problem
from ..core.records import DecidedCall
from ..core.risk import Caught
from ..core.tuning import Settings
from ..policies.proposing import opened
from ..policies.proposing_evidence import from_then
from ..policies.replaying_sums import Sums
from ..policies.tuning import Asked, Outcome, tuned
from .asking import Api
from .console import note
from .options import configured_partly
from .policy_output import PATHS, echo_json, suites_in
from .practised import caught_of, practice_option
from .proposed import checked_suites, folder_for, write
from .recorded import kept, records, records_options
from .render_tune import as_json as outcome_as_json
from .render_tune import lines
from .replay import judged

SHARE = click.FloatRange(0, 1, min_open=True, max_open=True)


@click.command()
@click.option(
    "--policy",
    "paths",
    multiple=True,
    type=PATHS,
    metavar="PATH",
    help="The policy to tune: a file or a directory; may repeat. Else the configured one.",
)
@click.option(
    "--target",
    type=SHARE,
    default=0.02,
    show_default=True,
    help="The share of calls that may be wrong and unreviewed.",
)
@click.option(
    "--confidence",
    type=SHARE,
    default=0.95,
    show_default=True,
    help="How sure the bounds are.",
)
@click.option(
    "--owner",
    default="",
    metavar="NAME",
    help="Who answers for proposed exceptions; without, none is proposed.",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Write the proposed files there; it may not hold any yet.",
)
@practice_option
@records_options
def tune(
    paths: tuple[Path, ...],
    target: float,
    confidence: float,
    owner: str,
    out: Path | None,
    practice: Caught | None,
    api: Api,
    source: Path | None,
    since: str | None,
) -> None:
    """Propose changes of the policy from what people decided: a diff, with the evidence for each.

    Thresholds of confidence that keep wrong and unreviewed calls under --target, rules that hold
    only what people approve, calls that always end the same way. The proposal is replayed on the
    same records. Nothing is applied: the files are written only with --out, and elsewhere.

    \b
    Examples:
      interlock tune --since 90d
      interlock tune --policy policies --records calls.jsonl --owner ann@example.com
      interlock tune --since 90d --target 0.01 --out proposed

    Exit status: 0 done, also where nothing is proposed; 2 wrong usage or an invalid document.
    """
    if not paths and not api.file.exists():
        raise click.UsageError(f"Name the policy with --policy: there is no {api.file} here.")
    live = tuple(configured_partly(api.file).policies) if api.file.exists() else ()
    paths = paths or live
    if out is not None:
        folder_for(out, (*paths, *live))
    proposal = opened(paths)
    caught = caught_of(practice, api if source is None else None)
    wanted = Settings(target=target, confidence=confidence, caught=caught)
    asked = Asked(settings=wanted, owner=owner, today=_today())
    with kept(records(api, source, since, {})) as history:
        outcome = tuned(proposal, history.all, history.stopped, asked)
        if not outcome.findings.records:
            raise InvalidDocument((_nothing(source),))
        sums = _replayed(outcome, from_then(history.all, outcome.since)())
    suites = checked_suites(suites_in(paths), outcome.proposal.files)
    written = write(out, outcome.proposal.files, suites_in(paths)) if out is not None else ()
    if api.as_json:
        echo_json(outcome_as_json(outcome, sums, suites, written))
        return
    for line in lines(outcome, sums, suites, out, [str(each) for each in paths]):
        click.echo(line)


def _replayed(outcome: Outcome, history: Iterator[DecidedCall]) -> Sums:
    sums = Sums()
    for _ in judged(history, outcome.proposal.policy, sums):
        pass
    for text in sums.why_unusable[:3]:
        note(f"not judged: {text}")
    return sums


def _today() -> datetime.date:
    return datetime.datetime.now(datetime.UTC).date()  # noqa: TID251 -- the shell reads the clock


def _nothing(source: Path | None) -> Problem:
    name = str(source or "records")
    return Problem(file=name, line=1, column=1, message="no call is recorded: nothing to learn")
