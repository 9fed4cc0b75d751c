"""How people's attention is spent: compiled, merged, checked, and what each call gets of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from interlock.core.decisions import Stake
from interlock.core.rules import Attention, Levels
from interlock.policies.load import read_policies
from interlock.policies.suite import run_suite
from tests.policies.building import HEAD, PAY, call, judge, policy, problems

CAREFUL = """levels:
  notify: {to: [desk], digest: 1h}
  approve: {dwell: 10s}
  approve_dual: {dwell: 30s, step_up: webauthn}
approvals:
  per_hour: 60
  rotate: true
  decoys: {share: 0.02}
  reasons: {wrong_amount: Wrong amount, not_asked: Nobody asked for this}
"""
BATCH = "approvals: {batch: {up_to: medium}}\n"


def paid(amount: float, *bodies: str) -> tuple[str, int, bool, bool, bool]:
    """Return level, dwell, step-up, folded and batch of paying *amount*."""
    decision = judge(policy(*bodies), call(value={"amount": amount}))
    looks = decision.dwell_ms, decision.step_up, decision.folded, decision.batch
    return decision.level.word, *looks


def test_what_is_written_is_what_is_compiled() -> None:
    found = policy(PAY + CAREFUL)

    assert found.attention == Attention(
        per_hour=60,
        rotate=True,
        decoys=0.02,
        reasons=(("wrong_amount", "Wrong amount"), ("not_asked", "Nobody asked for this")),
    )
    assert policy(PAY + BATCH).attention.batch is Stake.MEDIUM
    assert found.levels.digest_ms == 3_600_000
    assert (found.levels.approve.dwell_ms, found.levels.approve_dual.dwell_ms) == (10_000, 30_000)


def test_where_nothing_is_said_only_calls_for_two_people_are_folded() -> None:
    found = policy(PAY)

    assert found.attention == Attention() and found.levels == Levels()
    assert paid(100, PAY) == ("approve", 0, False, False, False)
    assert paid(10_001, PAY) == ("approve_dual", 0, False, True, False)
    assert paid(10, PAY) == ("notify", 0, False, False, False)


def test_a_held_call_says_how_it_is_to_be_looked_at() -> None:
    assert paid(10, PAY + CAREFUL) == ("notify", 0, False, False, False)
    assert paid(100, PAY + CAREFUL) == ("approve", 10_000, False, False, False)
    assert paid(10_001, PAY + CAREFUL) == ("approve_dual", 30_000, True, True, False)


def test_two_people_look_as_one_would_have_to() -> None:
    levels = "levels: {approve: {dwell: 10s, step_up: webauthn, fold: true}}\n"

    assert paid(10_001, PAY + levels) == ("approve_dual", 10_000, True, True, False)


def test_folding_can_be_turned_off_for_two_and_on_for_one() -> None:
    levels = "levels: {approve_dual: {fold: false}}\n"

    assert paid(10_001, PAY + levels)[3] is False
    assert paid(100, PAY + "levels: {approve: {fold: true}}\n")[3] is True


@pytest.mark.parametrize(
    ("amount", "up_to", "batch"),
    [(100, "medium", True), (100, "low", False), (501, "medium", False), (10, "medium", False)],
)
def test_a_batch_takes_what_one_person_decides_up_to_its_stake(
    amount: float, up_to: str, batch: bool
) -> None:
    assert paid(amount, PAY + f"approvals: {{batch: {{up_to: {up_to}}}}}\n")[4] is batch


def test_what_two_people_decide_is_never_in_a_batch() -> None:
    rule = "rules: [{id: r, tools: [pay], at_least: approve_dual}]\n"

    assert paid(100, PAY + BATCH + rule) == ("approve_dual", 0, False, True, False)


def test_files_that_say_the_same_agree_and_a_trial_says_nothing() -> None:
    assert policy(PAY + BATCH, BATCH).attention == policy(PAY + BATCH).attention
    other = "mode: shadow\napprovals: {batch: {up_to: low}, per_hour: 5}\n"
    assert policy(PAY + BATCH, other).attention == policy(PAY + BATCH).attention


@pytest.mark.parametrize(
    ("one", "other", "key"),
    [
        ("batch: {up_to: low}", "batch: {up_to: medium}", "batch"),
        ("per_hour: 60", "per_hour: 61", "per_hour"),
        ("rotate: true", "rotate: false", "rotate"),
        ("decoys: {share: 0.1}", "decoys: {share: 0.2}", "decoys"),
        ("reasons: {a: A}", "reasons: {a: B}", "reasons"),
    ],
)
def test_files_that_differ_are_refused(one: str, other: str, key: str) -> None:
    found = problems(PAY + f"approvals: {{{one}}}\n", f"approvals: {{{other}}}\n")

    assert len(found) == 1 and f"`{key}` differs from 0.yaml:" in found[0], found


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("levels: {approve: {dwell: 11m}}", "1:27: 11m is too long: at most 10m"),
        ("levels: {approve: {dwell: 500ms}}", "500ms is too short: at least 1s"),
        ("levels: {approve: {dwell: 10}}", "write a duration with its unit: 90s"),
        (
            "levels: {approve: {dwell: 2m, expire_after: 1m}}",
            "2m in sight, and the call expires",
        ),
        (
            "levels: {approve: {dwell: 60s, expire_after: 1m}}",
            "60s in sight, and the call expires",
        ),
        ("levels: {approve: {dwel: 10s}}", "unknown key 'dwel'; did you mean 'dwell'?"),
        ("levels: {approve: {step_up: totp}}", "only 'webauthn' is possible here, not 'totp'"),
        ("levels: {approve: {step_up: true}}", "only 'webauthn' is possible here, not true"),
        ("levels: {approve: {fold: 1}}", "true or false is needed here"),
        (
            "levels: {approve: {dwell: 30s}, approve_dual: {dwell: 10s}}",
            "approve asks for 30s, and approve_dual for no less",
        ),
        (
            "levels: {approve: {fold: true}, approve_dual: {fold: false}}",
            "approve folds already, and approve_dual does no less",
        ),
        ("levels: {notify: {digest: 30s}}", "1:27: 30s is too short: at least 1m"),
        ("levels: {notify: {digest: 25h}}", "25h is too long: at most 1d"),
        ("approvals: {batch: {up_to: high}}", "1:28: nobody approves calls of high stake in bulk"),
        ("approvals: {batch: {up_to: critical}}", "nobody approves calls of critical stake in"),
        ("approvals: {batch: {up_to: mediun}}", "write low or medium here, not 'mediun'; did you"),
        ("approvals: {batch: {upto: low}}", "unknown key 'upto'; did you mean 'up_to'?"),
        ("approvals: {batch: low}", "a mapping is needed here (up_to), not 'low'"),
        ("approvals: {per_hour: 0}", "0 is too small: at least 1"),
        ("approvals: {per_hours: 5}", "did you mean 'per_hour'?"),
        ("approvals: {rotate: yes}", "ambiguous plain value 'yes'"),
        ("approvals: {decoys: {share: 0}}", "0 is too small: write more than 0"),
        ("approvals: {decoys: {share: 0.21}}", "0.21 is too large: at most 0.2 of held calls"),
        ("approvals: {decoys: 0.1}", "a mapping is needed here (share), not 0.1"),
        ("approvals: {reasons: {Wrong: W}}", "1:23: 'Wrong' is no code: write a-z, 0-9 and _"),
        (f"approvals: {{reasons: {{{'a' * 41}: W}}}}", "is no code"),
        (f"approvals: {{reasons: {{a: {'x' * 81}}}}}", "more than 80 characters: shorten it"),
        ("approvals: {reasons: {a: ''}}", "the text is empty: write one"),
        ("approvals: {reasons: {}}", "nothing is listed here: write at least one"),
        (
            f"approvals: {{reasons: {{{', '.join(f'c{n}: x' for n in range(13))}}}}}",
            "13 are listed here: write at most 12",
        ),
        (
            "levels: {approve: {dwell: 5s}}\napprovals: {batch: {up_to: low}}",
            "2:20: no call is ever approved in a batch: levels.approve has `dwell`; take one or",
        ),
        (
            "levels: {approve: {step_up: webauthn, fold: true, quorum: 2}}\n"
            "approvals: {batch: {up_to: low}}",
            "levels.approve has `step_up` and `fold` and a `quorum` above 1",
        ),
    ],
)
def test_a_mistake_is_a_problem_with_its_cure(body: str, said: str) -> None:
    found = problems(body + "\n" + PAY)

    assert any(said in line for line in found), found


def test_a_suite_can_expect_how_a_call_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + CAREFUL)
    (tmp_path / "p_test.yaml").write_text(
        """
apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
cases:
  - name: held
    call: {tool: pay, args: {account: a, amount: 100}}
    each:
      - {args.amount: 100, expect: {dwell: 10s, step_up: false, folded: false, batch: false}}
      - {args.amount: 10001, expect: {dwell: 30s, step_up: true, folded: true, batch: false}}
      - {args.amount: 10001, expect: {dwell: 31s, step_up: false, folded: false, batch: true}}
      - {args.amount: 10, expect: {dwell: 10s}}
"""
    )

    failures = [str(each) for each in run_suite(tmp_path / "p_test.yaml").failures]

    assert len(failures) == 2, failures
    assert "dwell: want '31s', got '30s'" in failures[0]
    assert all(f"{each}: want" in failures[0] for each in ("step_up", "folded", "batch"))
    assert "dwell: want '10s', got none" in failures[1]


def test_the_order_of_files_means_nothing() -> None:
    files = [("b.yaml", HEAD.replace("NAME", "b") + BATCH)]
    files.append(("a.yaml", HEAD.replace("NAME", "a") + PAY))

    assert read_policies(files).attention == read_policies(files[::-1]).attention
