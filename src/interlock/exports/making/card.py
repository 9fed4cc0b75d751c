"""The card of an exported set: README.md with the front matter that Hugging Face's hub reads.

Source: huggingface.co/docs/hub/datasets-cards and datasets-manual-configuration (`configs`).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...core.redaction import visible_line
from .columns import META
from .exporter import Wanted
from .format import Format, Shape, Use
from .past import moment
from .tally import Tally

_LISTED = 20  #: names of one kind
_SIZES = (
    (1_000, "n<1K"),
    (10_000, "1K<n<10K"),
    (100_000, "10K<n<100K"),
    (1_000_000, "100K<n<1M"),
    (10_000_000, "1M<n<10M"),
)
_TASKS = {
    "dpo-openai": ("text-generation", ("dpo", "tool-use")),
    "dpo-trl": ("text-generation", ("dpo", "trl", "tool-use")),
    "kto": ("text-generation", ("kto", "trl", "tool-use")),
    "sft": ("text-generation", ("sft", "trl", "tool-use")),
}
_LABEL = """\
A proposed call is **right** where people approved it as it was, or whoever judged its audit found
it right. It is **not right** where people rejected or edited it, or where whoever judged its audit,
a person or the agent itself said later that it turned out wrong, whoever had approved it. A call
that was found wrong is never a good example. An edited call is a good example as edited. Calls that
nobody judged, that ran out of time or were cancelled before enough people had approved them, or
that were answered in the tool's place have no label. Whether the call was then sent, and whether
the tool took it, is not part of it."""
_UNDECIDED = "- what expired or was cancelled before people had decided it is left out"
_LICENCE = """\
## Licence

None is given here: whoever owns these calls decides. They may hold personal data; what policy masks
was masked when each was recorded, and no more than that.
"""
_BIASES = """\
- **Selective labels.** People judge the calls that policy held. What policy let through or refused
  is here only where it was drawn for an audit, so that shares of right and wrong calls here are not
  those of the agents' work.
- **People differ and tire.** A label is what somebody said, mostly one person. `--agreed-only`
  keeps calls on which two said the same; a single rejection ends a call, so few are among those.
- **Policies change.** What was held, and so what was judged, depends on the policies above.
- **Only the called tool is known**, not which others the agent could have called, nor its system
  prompt. Where the user's request is not known, the prompt only names the tool.
- **Reasons are the agent's, for the call as it proposed it.** An edited call has the same one.
- **What was masked is missing.** Calls with masked values are left out of what models learn from or
  policies are judged by, unless asked for; tools whose arguments are often secret are rare here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One file of the set. Times in ms, of the first and the last record in it."""

    file: str
    split: str  #: train | test
    lines: int
    calls: int = 0
    right: int = 0  #: of the calls, those that were right as proposed
    not_right: int = 0
    good: int = 0  #: lines that say of themselves that they are right, where lines say that
    first: int = 0
    last: int = 0


def card(
    name: str, format: Format, wanted: Wanted, tally: Tally, parts: Sequence[Part], version: str
) -> str:
    """Return the card of the set made as *format* *name* by Interlock *version*."""
    return "\n".join(
        (
            _front(name, format, wanted, tally, parts),
            f"# Decided tool calls: {name}\n",
            f"{format.about} Made by Interlock {version}.\n",
            _counts(format, tally, parts),
            _filters(wanted, format),
            *(
                ()
                if format.use is Use.READING and not format.decided
                else (f"## Labels\n\n{_LABEL}\n",)
            ),
            _who(tally),
            f"## Known biases\n\n{_BIASES}\n",
            _loading(format, parts),
            _LICENCE,
        )
    )


def _front(name: str, format: Format, wanted: Wanted, tally: Tally, parts: Sequence[Part]) -> str:
    size = next((word for most, word in _SIZES if tally.lines < most), "n>10M")
    task, tags = _TASKS.get(name, ("", ()))
    lines = ["---", 'pretty_name: "Decided tool calls"', f"size_categories: [{size}]"]
    if task:
        lines.append(f"task_categories: [{task}]")
    lines.append("tags: [" + ", ".join(("interlock", *tags)) + "]")
    if format.shape is not Shape.SUITES and parts:
        lines += ["configs:", "- config_name: default", "  data_files:"]
        for part in parts:
            lines += [f"  - split: {part.split}", f"    path: {json.dumps(part.file)}"]
    if format.columns:
        columns = (*format.columns, *([META] if wanted.meta and format.meta else []))
        lines += ["dataset_info:", "  features:"]
        lines += [f"  - {json.dumps(column)}" for column in columns]
    return "\n".join((*lines, "---", ""))


def _counts(format: Format, tally: Tally, parts: Sequence[Part]) -> str:
    said = [
        "## Counts\n",
        _files(format, parts),
        f"{tally.lines:,} lines of {tally.used:,} decided calls; {tally.read:,} were looked at.",
        f"They ended between {_at(tally.first)} and {_at(tally.last)}.\n",
        _table("label of the proposed call", tally.labels),
        _table("what people said", tally.verdicts),
        _table("left out", tally.left_out),
        _table("lines left out of calls that are in it", tally.dropped, "lines"),
    ]
    if tally.without_task:
        said.append(f"The user's request is not known of {_calls(tally.without_task)}.\n")
    if tally.without_schema:
        said.append(f"The tool's schema is not known of {_calls(tally.without_schema)}.\n")
    if tally.masked:
        said.append(f"There are masked values in {_calls(tally.masked)}.\n")
    if tally.twice:
        said.append("So many lines were exported that some may be there twice, far apart.\n")
    return "\n".join(said)


def _files(format: Format, parts: Sequence[Part]) -> str:
    """Return a table of the files: of each split, how many of its calls were right as proposed."""
    names = ["file", "split", "lines", "calls", "right as proposed", "not right", "no label"]
    names += ["lines with `label: true`"] if format.labelled else []
    names += ["from", "to"]
    rows = ["| " + " | ".join(names) + " |", "| --- " * len(names) + "|"]
    for part in parts:
        unlabelled = part.calls - part.right - part.not_right
        counts = [part.lines, part.calls, part.right, part.not_right, unlabelled]
        counts += [part.good] if format.labelled else []
        cells = [f"`{part.file}`", part.split, *(f"{count:,}" for count in counts)]
        rows.append("| " + " | ".join([*cells, _at(part.first), _at(part.last)]) + " |")
    return "\n".join((*rows, ""))


def _filters(wanted: Wanted, format: Format) -> str:
    said = [
        f"- ended from {_at(wanted.since)}" if wanted.since else "",
        f"- ended before {_at(wanted.until)}" if wanted.until else "",
        f"- tool `{visible_line(wanted.tool)}`" if wanted.tool else "",
        f"- agent `{visible_line(wanted.agent)}`" if wanted.agent else "",
        "- two people judged it, and said the same" if wanted.agreed else "",
        "- practice calls are never recorded",
        _UNDECIDED if format.decided else "",
        "- no line is there twice" if format.unique else "",
    ]
    if format.use is not Use.READING:
        masks = "are kept" if wanted.masked else "are left out"
        said.append(
            f"- calls with masked values {masks}; lines that look like secrets are left out"
        )
    else:
        said.append("- what looks like a secret is blanked")
    return "## Filters\n\n" + "\n".join(filter(None, said)) + "\n"


def _who(tally: Tally) -> str:
    return "\n".join(
        (
            "## Sources\n",
            f"{_people(len(tally.reviewers))} judged them. Records name people by pseudonyms.\n",
            _table("policy", tally.policies),
            _table("tool", tally.tools),
            _table("agent", tally.agents),
        )
    )


def _people(count: int) -> str:
    return "1 person" if count == 1 else f"{count:,} people"


def _calls(count: int) -> str:
    return "1 call" if count == 1 else f"{count:,} calls"


def _loading(format: Format, parts: Sequence[Part]) -> str:
    file = parts[0].file if parts else "FILE"
    loads = format.loads.replace("FILE", file)
    if format.columns:
        loads += (
            "\n\nFOLDER is where this card lies as README.md. It declares the columns, without"
            "\nwhich `datasets` cannot read calls of tools with different arguments."
        )
    return f"## Loading it\n\n{loads}\n"


def _table(title: str, counts: Counter[str], of: str = "calls") -> str:
    if not counts:
        return ""
    listed = counts.most_common(_LISTED)
    rows = [f"| {_cell(name)} | {count:,} |" for name, count in listed]
    rest = len(counts) - len(listed)
    rows += [f"| {rest:,} more | {counts.total() - sum(c for _, c in listed):,} |"] if rest else []
    return "\n".join((f"| {title} | {of} |", "| --- | --- |", *rows, ""))


def _cell(name: str) -> str:
    """Return a name that an agent may have chosen, so that it is nothing but text in a table."""
    shown = visible_line(name)[:80]
    return "`" + shown.replace("`", "'").replace("|", "/") + "`" if shown else "(none)"


def _at(ms: int) -> str:
    return moment(ms) if ms else "-"
