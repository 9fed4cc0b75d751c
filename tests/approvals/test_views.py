"""How actions are put into words."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import pytest

from interlock.approvals.rendering import painted, static
from interlock.approvals.views import history
from interlock.core.decisions import Decision, Level, PolicyRef, Reversibility, Undo
from interlock.core.lookalikes import twins
from interlock.core.masking import NO_MASKS
from interlock.core.wording import consequence


def decided(reversibility: Reversibility, undo: Undo | None) -> Decision:
    policy = PolicyRef(name="p", version=1, sha256="0" * 64)
    return Decision(
        level=Level.APPROVE, policy=policy, tool="t", reversibility=reversibility, undo=undo
    )


@pytest.mark.parametrize(
    ("reversibility", "undo", "said"),
    [
        (Reversibility.COMPENSABLE, Undo(reason="Ask for it back."), "made good, at a cost. Ask"),
        (Reversibility.REVERSIBLE, Undo(reason="It is kept."), "Can be undone. It is kept."),
        (Reversibility.REVERSIBLE, Undo(reason="from the bin"), "Can be undone: from the bin."),
        (Reversibility.REVERSIBLE, None, "Can be undone."),
        (Reversibility.IRREVERSIBLE, Undo(reason="It is kept."), "Cannot be undone."),
        (
            Reversibility.COMPENSABLE,
            Undo(tool="bank.refund", within="24h"),
            "Can be made good with bank.refund within 24h, at a cost.",
        ),
    ],
)
def test_the_authors_words_on_undoing_stay_a_sentence_of_their_own(
    reversibility: Reversibility, undo: Undo | None, said: str
) -> None:
    assert said in consequence(decided(reversibility, undo))


def test_what_policy_does_not_know_is_not_said_to_be_a_fact() -> None:
    unknown = replace(decided(Reversibility.IRREVERSIBLE, None), tool="")
    assert consequence(unknown) == (
        "Policy does not know this call; it is taken for irreversible and critical."
    )


@pytest.mark.parametrize(
    ("event", "said"),
    [
        ({"event": "Decided"}, "by policy"),
        ({"event": "Reviewed", "reviewer": "ann", "verdict": "approve"}, "ann approved"),
        ({"event": "Answered", "status": 200}, "the tool answered 200"),
        ({"event": "NotSent", "cause": "refused"}, "not sent: refused"),
        ({"event": "SomethingNew"}, "SomethingNew"),
        ({"event": ["no", "word"], "verdict": {}}, "['no', 'word']"),
    ],
)
def test_the_history_speaks_in_words(event: dict[str, object], said: str) -> None:
    row = {"version": "1", "at": "5", "from": "", "to": "held", "event": json.dumps(event)}
    (moment,) = history([row], NO_MASKS)
    assert moment.what == said


def test_page_and_script_know_the_same_look_alike_letters() -> None:
    script = static("common.js").decode().partition("LIKE_ASCII = new Set(")[2].partition(")")[0]
    known = {chr(int(code, 16)) for code in re.findall(r"\\u([0-9A-F]{4})", script)}
    letters = map(chr, range(0x80, 0x600))
    assert known >= {letter for letter in letters if list(twins(f"a{letter}"))}
    assert known and all(list(twins(f"a{letter}")) == [1] for letter in known)
    assert painted("p\u0430y") == (
        'p<span class="twin" title="CYRILLIC SMALL LETTER A">\u0430</span>y'
    )
