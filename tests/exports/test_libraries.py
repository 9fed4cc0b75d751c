"""Exports read by the real libraries: datasets, TRL's data utilities, Label Studio's SDK.

The first run makes their environment (see `libraries`): a minute, and 650 MB.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from interlock.core.records import DecidedCall, Turned, pack
from tests.cli.conftest import Command, folder, interlock
from tests.exports.libraries import read
from tests.support.records import NOON, audited, record, said, unreviewed

__all__ = ("folder", "interlock")
pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("export_libraries")]
MANY = 4_000  #: long lines of one tool: more than the 10 MB of which `datasets` takes the types
TRAINING = ("dpo-openai", "dpo-trl", "kto", "sft")


def edits(many: int = 100, size: int = 250) -> list[DecidedCall]:
    """Edits of *many* calls of one tool, then of one whose arguments have other types."""
    some = [
        _edited(f"a{at:06}", at, {"amount": at, "to": "bob"}, {"amount": 1, "to": "bob"}, size)
        for at in range(many)
    ]
    other = {"amount": "much", "to": [{"x": None, "ü": 2.5}], "deep": {"a": [1, "b"]}}
    some += [
        _edited(f"b{at:06}", many + at, other, {"to": []}, size, tool="mail.send")
        for at in range(100)
    ]
    return some


def _edited(
    name: str, at: int, before: dict[str, Any], after: dict[str, Any], size: int = 250, **more: Any
) -> DecidedCall:
    return record(
        id=name,
        ended=NOON + at,
        task=f"Do {name} 🙂 " + "x" * size,
        arguments=before,
        final={"tool": "t"},
        final_arguments=after,
        reviews=(said("edit"),),
        **more,
    )


def mixed() -> list[DecidedCall]:
    """An approval, an edit, a rejection, and audits."""
    drawn = {"drawn": True, "share": 0.1}
    return [
        record(id="a1", task="Pay the rent", ended=NOON),
        _edited("a2", 1, {"amount": 900, "to": "bob"}, {"amount": 90, "to": "bob"}),
        record(
            id="a3",
            ended=NOON + 2,
            state="rejected",
            tool="mail.send",
            arguments={"to": ["zoe"], "amount": "none"},
            reviews=(said("reject", reason_code="spam", message="No."),),
        ),
        unreviewed(id="a4", ended=NOON + 3, audit=audited(), **drawn),
        unreviewed(id="a5", ended=NOON + 4, audit=audited(Turned.WRONG), **drawn),
    ]


_SEEN: dict[str, Any] = {}  #: by the format: to import TRL takes longer than what it then does


def by_trl(interlock: Command, name: str) -> Any:
    """Return what TRL sees in calls of all kinds in this format."""
    if name not in _SEEN:
        _SEEN[name] = read("trl", exported(interlock, mixed(), name))
    return _SEEN[name]


def exported(interlock: Command, calls: list[DecidedCall], name: str, *more: str) -> str:
    Path("records.jsonl").write_text("".join(json.dumps(pack(each)) + "\n" for each in calls))
    command = ("export", "--format", name, "--out", name, "--records", "records.jsonl")
    told = interlock(*command, *more)
    assert told.code == 0, told.err
    return str(Path(name).resolve())


@pytest.mark.parametrize("name", TRAINING)
def test_datasets_reads_back_every_line_as_it_was(
    interlock: Command, folder: Path, name: str
) -> None:
    calls = edits(MANY, size=3_000) if name == "dpo-trl" else mixed() + edits()
    found = read("datasets", exported(interlock, calls, name, "--split", "0.9"))
    assert {split: each["same"] for split, each in found.items()} == {"train": True, "test": True}
    assert sum(each["rows"] for each in found.values()) >= len(calls) // 2
    assert "Json" in found["train"]["features"]


def test_datasets_reads_what_lines_were_made_of(interlock: Command, folder: Path) -> None:
    found = read("datasets", exported(interlock, mixed(), "kto", "--with-meta"))
    assert found["train"]["same"]


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("dpo-trl", {"prompt", "chosen", "rejected"}),
        ("kto", {"prompt", "completion", "label"}),
        ("sft", {"text"}),
    ],
)
def test_trl_applies_a_template_to_every_example(
    interlock: Command, folder: Path, name: str, parts: set[str]
) -> None:
    told = by_trl(interlock, name)
    assert told["rows"]
    for row in told["rows"]:
        assert row["conversational"]
        assert row["prompt_kept"]
        assert set(row["applied"]) == parts


def test_trl_sees_the_pair_as_the_person_left_it(interlock: Command, folder: Path) -> None:
    told = by_trl(interlock, "dpo-trl")
    [row] = told["rows"]
    pair = row["applied"]
    assert pair["prompt"].startswith('<tools>[{"type": "function"')
    assert pair["prompt"].endswith("<end><assistant>")
    assert '<call>bank_pay {"amount": 90, "to": "bob"}</call>' in pair["chosen"]
    assert '<call>bank_pay {"amount": 900, "to": "bob"}</call>' in pair["rejected"]
    assert [label for label, _ in told["unpaired"]] == [True, False]
    assert [each["role"] for each in told["extracted"]["prompt"]] == ["user"]


def test_trl_sees_kto_labels(interlock: Command, folder: Path) -> None:
    told = by_trl(interlock, "kto")
    labels = [row["applied"]["label"] for row in told["rows"]]
    assert labels == [True, True, False, False, True, False]


def test_label_studio_takes_tasks_predictions_and_annotations(
    interlock: Command, folder: Path
) -> None:
    found = read("label-studio", exported(interlock, mixed(), "label-studio"))
    assert found["tasks"] == [True] * 5
    assert found["predictions"] == [[]] * 5
    assert found["annotations"] == [[True, []]] * 5
