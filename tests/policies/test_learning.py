"""Audits, how long records are kept, and whose number confidence is: compiled, merged, checked."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from interlock.core.rules import Audit, Retention
from interlock.policies.load import read_policies
from interlock.policies.suite import run_suite
from tests.policies.building import HEAD, PAY, call, judge, policy, problems

DAY = 86_400_000
MAIL = """
tools:
  - id: mail.send
    http: {upstream: mail, method: POST, path: /mail}
    facets: {size: small}
stake: {size: {small: low}}
"""
SIGNAL = "signals: {confidence: {raise_below: {low: 0.3, medium: 0.6, high: 0.9, critical: 1.0}"


def test_where_nothing_is_said_nothing_is_audited_and_records_have_their_time() -> None:
    found = policy(PAY + SIGNAL + "}}\n")

    assert found.audit == Audit()
    assert found.records == Retention(keep_ms=400 * DAY, unreviewed_ms=30 * DAY)
    assert found.confidence is not None and found.confidence.use == "claimed"


def test_what_is_written_is_what_is_compiled() -> None:
    found = policy(
        PAY + "audit: {share: 0.05, tools: {pay: 0.2}}\n"
        "records: {keep: 90d, keep_unreviewed: 12h}\n" + SIGNAL + ", use: calibrated}}\n"
    )

    assert found.audit == Audit(share=0.05, tools={"pay": 0.2})
    assert found.records == Retention(keep_ms=90 * DAY, unreviewed_ms=DAY // 2)
    assert found.confidence is not None and found.confidence.use == "calibrated"


def shares(*audits: str) -> tuple[float, float, float]:
    """Return the shares of `pay`, of `mail.send` and of unknown tools."""
    found = policy(PAY + audits[0], MAIL + "".join(audits[1:2]), *audits[2:]).audit
    return found.of("pay"), found.of("mail.send"), found.of("")


def test_of_all_shares_that_apply_the_largest_counts() -> None:
    """Fault caught: the last pattern that matches, so that the order of keys decides."""
    assert shares('audit: {tools: {"mail.*": 0.2, mail.send: 0.1}}') == (0, 0.2, 0)
    assert shares('audit: {tools: {mail.send: 0.1, "mail.*": 0.2}}') == (0, 0.2, 0)
    assert shares('audit: {share: 0.05, tools: {"*.send": 1.0}}') == (0.05, 1.0, 0.05)
    assert shares("audit: {share: 1}") == (1, 1, 1)


def test_a_star_is_every_tool_and_unknown_ones_too() -> None:
    assert shares('audit: {share: 0.05, tools: {"*": 0.2}}') == (0.2, 0.2, 0.2)


def test_files_reach_each_others_tools_and_the_largest_share_counts() -> None:
    one, other = "audit: {share: 0.05, tools: {mail.send: 0.3}}", "audit: {share: 0.1}"

    assert shares(one, other) == (0.1, 0.3, 0.1)
    assert shares(other, one) == (0.1, 0.3, 0.1)


def test_a_trial_is_audited_too_and_keeps_records_no_longer() -> None:
    """Fault caught: a file that is enforced, which ends the audits of one that is on trial."""
    trial = "mode: shadow\naudit: {share: 0.2}\nrecords: {keep: 7d}\n"

    assert shares("", "", trial) == (0.2, 0.2, 0.2)
    assert policy(PAY, trial).records == Retention(keep_ms=7 * DAY, unreviewed_ms=7 * DAY)


KEPT = ("", "records: {keep: 7d}", "records: {keep_unreviewed: 60d}", "records: {keep: 900d}")


@pytest.mark.parametrize(
    ("written", "keep", "unreviewed"),
    list(zip(KEPT, (400, 7, 400, 900), (30, 7, 60, 30), strict=True)),
)
def test_what_nobody_looked_at_is_never_kept_longer_than_the_rest(
    written: str, keep: int, unreviewed: int
) -> None:
    found = policy(PAY + written).records

    assert found == Retention(keep_ms=keep * DAY, unreviewed_ms=unreviewed * DAY)


@pytest.mark.parametrize(
    ("one", "other", "keep", "unreviewed"),
    [(KEPT[1], KEPT[2], 7, 7), (KEPT[1], KEPT[3], 7, 7), (KEPT[2], KEPT[3], 900, 60)],
)
def test_of_several_files_the_shortest_time_counts(
    one: str, other: str, keep: int, unreviewed: int
) -> None:
    expected = Retention(keep_ms=keep * DAY, unreviewed_ms=unreviewed * DAY)

    for files in itertools.permutations((one, other)):
        assert policy(PAY + files[0], files[1]).records == expected


def test_one_file_that_heeds_the_calibrated_number_is_enough() -> None:
    heeds, plain = SIGNAL + ", use: calibrated}}\n", SIGNAL + "}}\n"

    def use(*files: str) -> str:
        found = policy(*files).confidence
        return found.use if found else ""

    assert use(PAY + plain, heeds) == use(PAY + heeds, plain) == "calibrated"
    # A trial raises nothing for the others.
    assert use(PAY + plain, "mode: shadow\n" + heeds) == "claimed"


SHARES = st.sampled_from([0, 0.001, 0.05, 0.5, 1])
PATTERNS = st.sampled_from(["*", "pay", "mail.send", "mail.*", "*.send", "p*"])
AUDITS = st.lists(
    st.tuples(SHARES, st.dictionaries(PATTERNS, SHARES, max_size=2), st.booleans()),
    min_size=1,
    max_size=3,
)


def audited(files: list[tuple[float, dict[str, float], bool]]) -> Audit:
    bodies = [PAY, MAIL]
    for share, tools, trial in files:
        larger = {name: each for name, each in tools.items() if each > share}
        listed = ", ".join(f'"{name}": {each}' for name, each in larger.items())
        mode = "mode: shadow\n" if trial else ""
        bodies.append(f"{mode}audit: {{share: {share}, tools: {{{listed}}}}}\n")
    return policy(*bodies).audit


@settings(max_examples=30, deadline=None)
@given(files=AUDITS, data=st.data())
def test_one_more_file_never_lowers_the_share_of_any_tool(
    files: list[tuple[float, dict[str, float], bool]], data: st.DataObject
) -> None:
    less = audited([each for each in files if data.draw(st.booleans())])
    more, turned = audited(files), audited(files[::-1])

    assert all(more.of(tool) >= less.of(tool) for tool in ("pay", "mail.send", ""))
    assert more == turned


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ("audit: {share: 1.5}", "1:16: 1.5 is too large: at most 1 of the calls that go through"),
        ("audit: {share: -0.1}", "-0.1 is too small: at least 0"),
        ("audit: {share: 0.0000001}", "1e-07 is too small: write 0, or at least 0.000001"),
        ("audit: {share: 5%}", "a number is needed here, not '5%'"),
        ("audit: {shares: 0.1}", "unknown key 'shares'; did you mean 'share'?"),
        ("audit: 0.05", "a mapping is needed here (share, tools), not 0.05"),
        ("audit: {tools: {pya: 0.1}}", "1:17: 'pya' names no tool; did you mean 'pay'?"),
        ('audit: {tools: {"mail.*": 0.1}}', "'mail.*' names no tool"),
        ("audit: {tools: [pay]}", "a mapping is needed here, not a list"),
        (
            "audit: {share: 0.05, tools: {pay: 0.01}}",
            "1:35: 0.01 changes nothing: the largest share that applies counts, and `share` is"
            " 0.05 for every tool",
        ),
        ("audit: {tools: {pay: 0}}", "0 changes nothing"),
        ("records: {keep: 400}", "write a duration with its unit"),
        ("records: {keep: 1m}", "1m is too short: at least 1h"),
        ("records: {keep: 9999d}", "9999d is too long: at most 3660d"),
        ("records: {keep_unreviewed: 1m}", "1m is too short"),
        (
            "records: {keep: 20d, keep_unreviewed: 30d}",
            "1:39: nothing is kept longer than `keep`, 20d: write no more than that",
        ),
        ("records: {kept: 20d}", "unknown key 'kept'; did you mean 'keep'?"),
        (
            SIGNAL + ", use: calibratd}}",
            "write claimed or calibrated here, not 'calibratd'; did you mean 'calibrated'?",
        ),
    ],
)
def test_a_mistake_is_a_problem_with_its_cure(body: str, said: str) -> None:
    found = problems(body + "\n" + PAY)

    assert any(said in line for line in found), found


def test_files_that_keep_for_different_times_are_no_mistake() -> None:
    assert problems(PAY + "records: {keep: 20d}\n", "records: {keep_unreviewed: 60d}\n") == []


def suite(folder: Path, body: str, cases: str) -> list[str]:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + body)
    (folder / "p_test.yaml").write_text(
        f"apiVersion: interlock/v1\nkind: PolicyTest\npolicy: p.yaml\n{cases}"
    )
    return [str(each) for each in run_suite(folder / "p_test.yaml").failures]


CASES = """cases:
  - name: audits
    call: {tool: pay, args: {account: a, amount: 10}}
    agent: {confidence: 1.0}
    each:
      - {args.amount: 10, expect: {level: notify, audit: 0.05}}
      - {args.amount: 100, expect: {level: approve, audit: 0}}
      - {args.amount: 10, expect: {audit: 0.06}}
  - name: corrected
    call: {tool: pay, args: {account: a, amount: 10}}
    agent: {confidence: 0.9}
    each:
      - {facts.calibrated: 0.3, expect: {level: notify, signals: []}}
      - {facts.calibrated: 0.29, expect: {level: approve, signals: [confidence]}}
      - {facts.calibrated: 1.2, expect: {level: approve}}
  - name: all is unknown but for one thing
    call: {tool: pay, args: {account: a, amount: 10}}
    facts: {unknown: true, calibrated: 0.3}
    expect: {level: notify}
properties:
  - name: a better past is never more oversight
    for: {tool: pay, vary: facts.calibrated}
    monotone_down: level
  - name: and never less
    for: {tool: pay, vary: facts.calibrated}
    monotone: level
"""


def test_a_suite_can_expect_a_share_and_say_what_past_decisions_make_of_a_claim(
    tmp_path: Path,
) -> None:
    body = "audit: {share: 0.05}\n" + SIGNAL + ", use: calibrated}}\n"

    failures = suite(tmp_path, body, CASES)

    assert len(failures) == 4, failures
    assert "audit: want 0.06, got 0.05" in failures[0]
    assert "facts.calibrated: Input should be less than or equal to 1" in failures[1]
    assert "facts.calibrated is set beside `unknown: true`" in failures[2]
    assert "facts.calibrated from 0.29 to 0.3 goes from approve to notify" in failures[3]


def test_what_is_compiled_is_what_a_call_gets() -> None:
    compiled = policy(PAY + "audit: {tools: {pay: 0.2}}\n")

    assert judge(compiled, call(value={"amount": 10})).audit_share == 0.2
    assert judge(compiled, call(value={"amount": 100})).audit_share == 0.0


def test_the_order_of_files_means_nothing() -> None:
    files = [("b.yaml", HEAD.replace("NAME", "b") + "audit: {tools: {pay: 0.5}}\n")]
    files.append(("a.yaml", HEAD.replace("NAME", "a") + PAY + "audit: {share: 0.1}\n"))

    assert read_policies(files).audit == read_policies(files[::-1]).audit
