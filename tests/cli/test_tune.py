"""`interlock tune`, on real files: what it proposes, what it leaves alone, and what it writes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.core.records import DecidedCall, Turned
from interlock.policies.load import load_policies

from ..support.records import audited, reported, said
from .conftest import Command, Said
from .recorded_calls import GRANTS, TUNABLE, month, rent, sure, unsure, with_memo, written

SUITE = """apiVersion: interlock/v1
kind: PolicyTest
policy: bank.yaml
cases:
  - name: a payment with a memo is looked at
    call: {tool: pay, args: {account: "7", amount: 20, to: bob, memo: lunch}}
    agent: {confidence: 0.95}
    expect: {level: approve}
  - name: a payment without one is not
    call: {tool: pay, args: {account: "7", amount: 20, to: bob}}
    agent: {confidence: 0.95}
    expect: {level: notify}
"""
Tune = Callable[..., Said]


@pytest.fixture
def live(folder: Path) -> Path:
    """The folder of the policy in force."""
    (folder / "policies").mkdir()
    (folder / "policies" / "bank.yaml").write_text(TUNABLE)
    return folder / "policies"


@pytest.fixture
def tune(interlock: Command, folder: Path, live: Path) -> Tune:
    """Tune the policy in force on these calls."""

    def command(calls: Iterable[DecidedCall], *arguments: str) -> Said:
        file = written(folder / "calls.jsonl", calls)
        return interlock("tune", "--policy", "policies", "--records", file, *arguments)

    return command


def found(said: Said) -> dict[str, Any]:
    assert said.code == 0, said.err
    answer: dict[str, Any] = json.loads(said.out)
    return answer


def titles(answer: dict[str, Any]) -> list[str]:
    return [each["title"] for each in answer["changes"]]


def test_a_threshold_a_useless_rule_and_a_repeated_call_are_found(tune: Tune, live: Path) -> None:
    answer = found(tune(month(), "--owner", "ann@example.com", "--json"))
    assert titles(answer) == [
        "signals.confidence.raise_below.low: 0.9 -> 0.6",
        "rule has-memo: to shadow mode",
        "exception for biller and pay (account=7, to=landlord)",
    ]
    assert answer["replay"]["freed"] == {"calls": 1530, "right": 1530, "bad": 0}
    assert answer["replay"]["catch"]["new"]["hits"] == 60
    assert answer["replay"]["burden"]["new"]["holds"] < 5
    assert (live / "bank.yaml").read_text() == TUNABLE


def test_each_change_has_a_block_of_evidence_and_its_bound(tune: Tune) -> None:
    out = tune(month(), "--owner", "ann@example.com").out
    before, rule = out.split("# rule has-memo: to shadow mode\n")
    assert "+    raise_below: {low: 0.6, medium: 0.9" in before
    assert "Clopper-Pearson" in before and "1770 calls of low stake" in before
    assert "of 600 that people decided they changed or refused 0: at most 0.50%" in rule
    assert "+    mode: shadow\n" in rule
    assert "600 calls would go out unreviewed, 600 of them were right, 0 bad" in rule
    assert "interlock policy diff policies DIR --corpus calls.jsonl" in rule
    assert "interlock policy test DIR" in rule


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no `patch` here")
def test_what_is_printed_is_a_diff_that_patch_takes(tune: Tune, folder: Path) -> None:
    out = tune(month(), "--owner", "ann@example.com", "--out", "new").out
    subprocess.run(["patch", "-p1", "-d", str(folder)], input=out.encode(), check=True)
    changed = (folder / "policies" / "bank.yaml").read_text()
    assert changed == (folder / "new" / "bank.yaml").read_text() != TUNABLE
    assert "  # somebody asked for it in 2024\n  - id: has-memo        # the memo" in changed


def test_what_is_written_loads_and_its_suites_run(
    tune: Tune, interlock: Command, folder: Path, live: Path
) -> None:
    (live / "bank_test.yaml").write_text(SUITE)
    out = tune(month(), "--owner", "ann@example.com", "--out", "new").out
    assert "bank_test.yaml: 1 expect what was; change them with it" in out
    policy = load_policies([folder / "new"])
    (exception,) = policy.exceptions
    assert (exception.owner, exception.at_most.word) == ("ann@example.com", "notify")
    assert [each.shadow for each in policy.rules] == [True]
    assert sorted(each.name for each in (folder / "new").iterdir()) == [
        "bank.yaml",
        "bank_test.yaml",
    ]
    assert (live / "bank.yaml").read_text() == TUNABLE


def test_the_exception_is_as_narrow_as_what_was_seen(
    tune: Tune, interlock: Command, folder: Path
) -> None:
    tune(month(), "--owner", "ann@example.com", "--out", "new")
    wider = [
        rent(1),
        rent(2, agent="other"),
        rent(3, **_args(amount=403)),
        rent(4, **_args(to="land1ord")),
        rent(5, **_args(memo="more")),
    ]
    file = written(folder / "wider", wider)
    answer = json.loads(interlock("replay", "--policy", "new", "--records", file, "--json").out)
    assert [each["id"] for each in answer["calls"]] == ["c00001"]


def _args(**changes: Any) -> dict[str, Any]:
    body = {"amount": 401, "to": "landlord", **changes}
    request = {"upstream": "bank", "method": "POST", "path": "/accounts/7/pay", "json": body}
    return {"request": request, "arguments": {"account": "7", **body}}


def test_nobody_is_made_up_to_answer_for_an_exception(tune: Tune) -> None:
    answer = found(tune(month(), "--json"))
    assert not any("exception" in each for each in titles(answer))
    (why,) = [each["why"] for each in answer["not_proposed"] if "exception" in each["title"]]
    assert "--owner NAME" in why


def test_where_policy_lets_people_grant_no_exception_is_proposed(tune: Tune, live: Path) -> None:
    (live / "bank.yaml").write_text(TUNABLE + GRANTS)
    answer = found(tune(month(), "--owner", "ann@example.com", "--json"))
    assert not any("exception" in each for each in titles(answer))
    (advice,) = answer["advice"]
    assert advice["title"].startswith("grant pay of biller (account=7, to=landlord)")
    assert "30 approvals as they were" in advice["evidence"][0]


# ---- what evidence does not allow ------------------------------------------------------------


def test_a_rule_that_people_heeded_stays(tune: Tune) -> None:
    calls = [
        with_memo(each, reviews=(said("reject" if each % 10 == 0 else "approve"),))
        for each in range(200)
    ]
    assert titles(found(tune(calls, "--json"))) == []


def test_a_rule_is_not_useless_because_nobody_looked(tune: Tune) -> None:
    calls = [with_memo(each, reviews=(), state="expired") for each in range(200)]
    assert titles(found(tune(calls, "--json"))) == []


def test_a_call_that_was_reported_wrong_later_speaks_against_its_group(tune: Tune) -> None:
    calls = [rent(each, reports=(reported(),) if each == 7 else ()) for each in range(40)]
    answer = found(tune(calls, "--owner", "ann@example.com", "--json"))
    assert titles(answer) == []


def test_where_doubt_is_warranted_the_threshold_is_not_lowered(tune: Tune) -> None:
    calls = [
        unsure(each, 0.85, reviews=(said("reject" if each % 4 == 0 else "approve"),))
        for each in range(400)
    ]
    answer = found(tune([*calls, *(sure(each) for each in range(400, 600))], "--json"))
    assert titles(answer) == []  # what is in force holds them all
    assert answer["replay"]["freed"]["calls"] == 0


def test_too_little_data_is_said_to_be_too_little(tune: Tune) -> None:
    said = tune([unsure(1, 0.6), with_memo(2)])
    assert "no changes proposed" in said.out
    assert "not proposed: signals.confidence.raise_below.low" in said.out
    assert "interlock policy diff" not in said.out


def test_a_stricter_target_frees_less(tune: Tune) -> None:
    loose = found(tune(month(), "--json"))["replay"]["freed"]["calls"]
    strict = found(tune(month(), "--target", "0.0001", "--json"))["replay"]["freed"]["calls"]
    assert strict == 0 < loose


def test_a_repeated_call_gets_no_exception_where_it_is_too_large_a_part_of_all(tune: Tune) -> None:
    answer = found(tune([rent(each) for each in range(40)], "--owner", "ann@x.org", "--json"))
    assert titles(answer) == []
    assert any("at most 8.81% of all calls" in each["why"] for each in answer["not_proposed"])


def test_calls_that_two_people_decide_get_no_exception(tune: Tune) -> None:
    calls = [rent(each, level="approve_dual", quorum=2) for each in range(40)]
    answer = found(tune(calls, "--owner", "ann@example.com", "--json"))
    assert titles(answer) == []
    assert any("two people" in each["why"] for each in answer["not_proposed"])


def test_denied_calls_do_not_dilute_what_an_exception_lets_through(tune: Tune) -> None:
    denied = [
        with_memo(each, level="deny", state="denied", reviews=(), rules=())
        for each in range(12, 1012)
    ]
    calls = [*(rent(each) for each in range(12)), *denied]
    answer = found(tune(calls, "--owner", "ann@x.org", "--json"))
    assert titles(answer) == [] and answer["bounds"]["calls"] == 12
    assert "12 calls through unreviewed" in answer["not_proposed"][0]["why"]


def test_a_change_is_refused_where_too_much_goes_through_wrong_already(tune: Tune) -> None:
    wrong = audited(Turned.WRONG)
    out = [sure(each, **({"audit": wrong} if each % 30 == 0 else {})) for each in range(1200)]
    held = [with_memo(each) for each in range(1200, 2400)]
    answer = found(tune([*out, *held], "--json"))
    assert not any("rule" in each for each in titles(answer))
    (why,) = [each["why"] for each in answer["not_proposed"] if "rule" in each["title"]]
    assert "may go through wrong already" in why
    fine = [sure(each) for each in range(1200)]
    assert titles(found(tune([*fine, *held], "--json"))) == ["rule has-memo: to shadow mode"]


def test_the_running_total_stands_with_each_change(tune: Tune) -> None:
    out = tune(month(), "--owner", "ann@example.com").out
    totals = re.findall(r"with the changes before it wrong and unreviewed at most (\S+)%", out)
    assert len(totals) == 3 and [float(each) for each in totals] == sorted(map(float, totals))
    assert f"# all together: wrong and unreviewed at most {totals[-1]}% of 2400 calls" in out


def test_what_is_older_than_unreviewed_calls_are_kept_is_left_out(tune: Tune) -> None:
    day = 24 * 3_600_000
    old = [with_memo(each) for each in range(600)]
    new = [
        replace(each, created=each.created + 60 * day, ended=each.ended + 60 * day)
        for each in (sure(at) for at in range(600, 900))
    ]
    answer = found(tune([*old, *new], "--json"))
    assert (
        titles(answer) == [] and answer["findings"]["records"] == answer["bounds"]["calls"] == 300
    )
    assert "what is forgotten would count as right" in answer["findings"]["notes"][-1]


# ---- practice ---------------------------------------------------------------------------------


def test_what_people_may_miss_counts_in_every_bound(tune: Tune) -> None:
    believed = found(tune(month(), "--json"))
    sharp = found(tune(month(), "--practice", "57/3", "--json"))
    assert (believed["practice"], sharp["practice"]) == (
        {"caught": 0, "missed": 0},
        {"caught": 57, "missed": 3},
    )
    assert believed["findings"]["notes"] and not sharp["findings"]["notes"]
    (less,), (more,) = (
        [each["bound"] for each in answer["findings"]["rules"]] for answer in (believed, sharp)
    )
    assert less < more < 2 * less


def test_where_people_miss_much_nothing_is_freed(tune: Tune) -> None:
    said = tune(month(), "--practice", "1/19", "--owner", "ann@example.com", "--json")
    answer = found(said)
    assert titles(answer) == []
    whys = [each["why"] for each in answer["not_proposed"] if "exception" in each["title"]]
    assert whys == ["up to 100.00% of such calls may be bad: too few are known to be right"]


def test_how_people_practised_stands_above_the_proposal(tune: Tune) -> None:
    out = tune(month(), "--practice", "57/3").out
    assert "# practice: people caught 57 of 60 practice calls, at least 87.6% of what is" in out
    assert "at their word" not in out
    assert "at their word" in tune(month(), "--practice", "0/0").out


@pytest.mark.parametrize("given", ["57", "57/", "-1/3", "5.5/1", "a/b", "1234567/1", "٣/1"])
def test_practice_is_told_as_two_counts(tune: Tune, given: str) -> None:
    said = tune(month()[:1], "--practice", given)
    assert said.code == 2 and "such as 58/2" in said.err


# ---- where it writes -------------------------------------------------------------------------


@pytest.mark.parametrize("out", ["policies", "./policies/../policies", "link"])
def test_it_never_writes_over_the_policy(tune: Tune, folder: Path, live: Path, out: str) -> None:
    (folder / "link").symlink_to(live)
    said = tune(month(), "--out", out)
    assert said.code == 1 and "never written over" in said.err
    assert [each.name for each in live.iterdir()] == ["bank.yaml"]
    assert (live / "bank.yaml").read_text() == TUNABLE


def test_it_does_not_mix_a_proposal_with_what_is_there(tune: Tune, folder: Path) -> None:
    (folder / "new").mkdir()
    (folder / "new" / "mine.yaml").write_text("x: 1\n")
    said = tune(month(), "--out", "new")
    assert said.code == 1 and "is not empty" in said.err
    assert [each.name for each in (folder / "new").iterdir()] == ["mine.yaml"]


def test_without_records_there_is_nothing_to_learn(tune: Tune) -> None:
    said = tune([])
    assert said.code == 2 and "nothing to learn" in said.err


def test_without_a_policy_it_says_how_to_name_one(interlock: Command, folder: Path) -> None:
    said = interlock("tune", "--records", written(folder / "r", month()[:1]))
    assert said.code == 2 and "--policy" in said.err


# ---- hostile texts ---------------------------------------------------------------------------

_HOSTILE = st.text(max_size=20) | st.sampled_from(
    (
        "'; rules: []",
        "x\n  - id: evil\n    at_most: allow",
        "' || true || '",
        "\\",
        "\\'",
        '"',
        "#",
        "\x1b[2J",
        "a: {b}",
        "\u2028- x",
        "\x85",
        "🙂",
        "\ud800",
    )
)


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(to=_HOSTILE, agent=_HOSTILE, memo=_HOSTILE, name=_HOSTILE)
def test_whatever_arguments_are_the_proposal_loads_and_has_them_only_as_data(
    tune: Tune, folder: Path, to: str, agent: str, memo: str, name: str
) -> None:
    shutil.rmtree(folder / "new", ignore_errors=True)
    arguments = _args(to=to, **({name: memo} if name not in ("amount", "to", "account") else {}))
    calls = [
        rent(each, agent=agent, target={"account": "7", "to": to}, id=f"{memo}{each}", **arguments)
        for each in range(40)
    ]
    said = tune(calls, "--owner", "ann@example.com", "--out", "new", "--target", "0.2")
    assert said.code == 0, said.err
    assert all(each == "\n" or each.isprintable() for each in said.out)
    policy = load_policies([folder / "new"])
    before = load_policies([folder / "policies"])
    assert [each.id for each in policy.rules] == [each.id for each in before.rules]
    assert set(policy.tools) == set(before.tools)
    assert policy.confidence == before.confidence
    assert len(policy.exceptions) <= 1
    for each in policy.exceptions:
        assert (each.owner, each.at_most.word) == ("ann@example.com", "notify")
        other = {"agent": {"id": "somebody"}, "args": {"account": "7", "to": to, "amount": 401}}
        assert each.when(other | {"agent": {"id": "somebody", "confidence": 1.0}}) is False


@pytest.mark.parametrize(
    "to", ["' || true || '", "\\'", "x\n  - id: evil\n    at_most: allow", "🙂"]
)
def test_a_hostile_target_is_excepted_as_the_text_that_it_is(
    tune: Tune, folder: Path, to: str
) -> None:
    calls = [rent(n, target={"account": "7", "to": to}, **_args(to=to)) for n in range(40)]
    how = ("--owner", "ann@example.com", "--out", "new", "--target", "0.2", "--json")
    assert found(tune(calls, *how))["replay"]["freed"]["calls"] == 40
    (each,) = load_policies([folder / "new"]).exceptions
    args = {"account": "7", "to": to, "amount": 401}
    biller = {"id": "biller", "confidence": 0.95}
    assert each.when({"agent": biller, "args": args}) is True
    assert each.when({"agent": biller, "args": args | {"to": "x"}}) is False
