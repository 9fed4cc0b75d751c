"""`interlock policy check` and `test`, as a policy owner sees them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from interlock.cli.main import run as main
from interlock.cli.policy import policy
from tests.policies.building import HEAD, PAY

SUITE = """apiVersion: interlock/v1
kind: PolicyTest
policy: p.yaml
cases: [{name: a, call: {tool: pay, args: {amount: 5}}, expect: {level: LEVEL}}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY)
    (tmp_path / "p_test.yaml").write_text(SUITE.replace("LEVEL", "notify"))
    return tmp_path


def run(*words: object) -> Result:
    return CliRunner().invoke(policy, [str(word) for word in words])


def test_a_sound_policy_exits_0_and_says_what_is_in_it(folder: Path) -> None:
    result = run("check", folder / "p.yaml")

    assert result.exit_code == 0
    assert "ok p version 1: 1 tool, 0 rules, 0 exceptions" in result.output


def test_every_problem_is_shown_with_its_place_and_exits_1(folder: Path) -> None:
    broken = folder / "p.yaml"
    broken.write_text(broken.read_text().replace("facets", "facet").replace("upto: 500", "upt: 5"))

    result = run("check", broken)

    assert result.exit_code == 1
    lines = result.output.splitlines()
    assert lines[0].startswith(f"{broken}:9:8: error: unknown key 'upt'; did you mean 'upto'?")
    assert any("unknown key 'facet'; did you mean 'facets'?" in line for line in lines)
    assert lines[-1] == "3 problems"


def test_wrong_usage_exits_2(folder: Path) -> None:
    assert run("check").exit_code == 2
    assert run("check", folder / "gone.yaml").exit_code == 2
    assert run("test", "--nope", folder).exit_code == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["check", "p_test.yaml"], "this is a suite of tests, no policy: `interlock policy test"),
        (["check", "p_test.yaml"], "its policy may be p.yaml"),
        (["check", "unnamed.yaml"], "no policy: let its name end in _test.yaml"),
        (["check", "empty.yaml"], "the file is empty: a policy starts with apiVersion"),
        (["check", "bytes.yaml"], "the file is not UTF-8"),
        (["check", "nothing"], "no policy file here: none ends in .yaml or .yml"),
        (["check", "suites"], "no policy file here, only suites"),
        (["test", "empty_test.yaml"], "the file is empty: a suite starts with apiVersion"),
        (["test", "of_suite_test.yaml"], "of_suite_test.yaml names it under `policy`"),
        (["test", "of_nothing_test.yaml"], "cannot be read: No such file or directory; of_nothing"),
        (["test", "no_cases_test.yaml"], "has neither cases nor properties, so nothing was tested"),
        (["test", "nothing"], "there are no tests here: write nothing"),
        (["mutate", "nothing"], "there are no tests here"),
        (["mutate", "p.yaml", "--seconds", "0"], "0 is not in the range x>=1"),
        (["explain", "bytes.yaml", "--policy", "p.yaml"], "not UTF-8, so not JSON"),
        (
            ["explain", "empty.yaml", "--policy", "p.yaml"],
            "the file is empty: write a call such as",
        ),
        (["explain", "digits.json", "--policy", "p.yaml"], "a number has more digits than"),
        (["explain", "marked.json", "--policy", "p_test.yaml"], "a suite of tests, no policy"),
        (["diff", "p.yaml", "nothing"], "no policy file here"),
        (["diff", "p.yaml", "p.yaml", "--corpus", "empty.yaml"], "holds no call that can be"),
        (["diff", "p.yaml", "p.yaml", "--corpus", "bytes.yaml"], "not UTF-8, so not JSON"),
        (["diff", "p.yaml", "p.yaml", "--corpus", "third.jsonl"], "third.jsonl:3:18: not JSON"),
        (["diff", "p.yaml", "p.yaml", "--corpus", "other.jsonl"], "neither policy has a tool 'p'"),
    ],
)
def test_what_is_wrong_is_told_with_its_cure(
    folder: Path,
    words: list[str],
    said: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(folder)
    head = "apiVersion: interlock/v1\nkind: PolicyTest\npolicy: "
    for name, text in {
        "unnamed.yaml": f"{head}p.yaml\n",
        "empty.yaml": "\n",
        "empty_test.yaml": "",
        "of_suite_test.yaml": f"{head}p_test.yaml\n",
        "of_nothing_test.yaml": f"{head}gone.yaml\n",
        "no_cases_test.yaml": f"{head}p.yaml\n",
        "digits.json": f'{{"tool": "pay", "args": {{"amount": {"9" * 5000}}}}}',
        "marked.json": '\ufeff{"tool": "pay"}',
        "third.jsonl": '{"call": {"tool": "pay"}}\n\n{"call": {"tool" "pay"}}\n',
        "other.jsonl": '{"call": {"tool": "p"}}\n',
    }.items():
        (folder / name).write_text(text)
    (folder / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    (folder / "nothing").mkdir()
    (folder / "suites").mkdir()
    (folder / "suites" / "a_test.yaml").write_text("")

    code: str | int | None
    try:
        code = main(["policy", *words])
    except SystemExit as exit_:  # as the commands say how it went
        code = exit_.code

    shown = capsys.readouterr()
    assert code in (1, 2)
    assert said in shown.out + shown.err


def test_a_file_that_begins_with_a_byte_order_mark_is_read(folder: Path) -> None:
    (folder / "call.json").write_text('\ufeff{"tool": "pay", "args": {"amount": 5}}')

    result = run("explain", folder / "call.json", "--policy", folder)

    assert (result.exit_code, result.output.splitlines()[0]) == (0, "notify  pay  (Pays.)")


def test_an_exception_that_has_ended_is_found(folder: Path) -> None:
    ended = """exceptions:
  - {id: e, tools: [pay], when: args.to == "x", at_most: notify, owner: a, reason: b,
     expires: "2020-01-01"}
"""
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + ended)

    result = run("check", folder)

    assert (result.exit_code, "ended on 2020-01-01" in result.output) == (1, True)


def test_json_is_one_object(folder: Path) -> None:
    good = json.loads(run("check", "--json", folder).output)
    (folder / "p.yaml").write_text("a: 1\n")
    bad = json.loads(run("check", "--json", folder).output)

    assert (good["ok"], good["policy"]["name"]) == (True, "p")
    assert (bad["ok"], bad["policy"]) == (False, None)
    assert {"file", "line", "column", "message", "path"} == set(bad["problems"][0])


@pytest.mark.parametrize("what", ["p.yaml", "p_test.yaml", "."])
def test_tests_are_found_by_policy_suite_or_directory(folder: Path, what: str) -> None:
    result = run("test", folder / what)

    assert result.exit_code == 0
    assert "1 passed, 0 failed; 100 % of rules fire, 6 % of matrix cells reached" in result.output


def test_a_failing_test_exits_1_with_its_place_and_trace(folder: Path) -> None:
    (folder / "p_test.yaml").write_text(SUITE.replace("LEVEL", "deny"))

    result = run("test", folder)
    as_json = json.loads(run("test", "--json", folder).output)

    assert result.exit_code == 1
    assert "p_test.yaml:4:65: FAIL case 'a': level: want 'deny', got 'notify'" in result.output
    assert "matrix compensable x low: notify" in result.output
    assert as_json["suites"][0]["failures"][0]["line"] == 4


def test_nothing_to_run_is_a_failure(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p"))

    result = run("test", tmp_path / "p.yaml")

    assert (result.exit_code, "there are no tests here: write" in result.output) == (1, True)


def test_a_pipe_gets_plain_text(folder: Path) -> None:
    assert "\x1b" not in run("check", folder).output


FACTS = """
rules:
  - {id: tainted, tools: [pay], when: session.untrusted_content, at_least: approve}
limits:
  - {id: per-day, tools: [pay], key: [agent.id], window: 24h, count: 2, then: approve_dual}
"""


def test_coverage_says_of_each_part_whether_it_was_reached(folder: Path) -> None:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + FACTS)

    shown = run("test", "--coverage", folder).output
    as_json = json.loads(run("test", "--json", folder).output)["suites"][0]["coverage"]

    assert [line.split() for line in shown.splitlines() if "never" in line] == [
        ["rule", "tainted", "never"],
        ["limit", "per-day", "never"],
    ]
    assert "compensable           1         -         -         -" in shown
    assert "0 % of rules and exceptions, 0 % of limits, 6 % of cells" in shown
    assert as_json["never_fired"] == ["tainted", "per-day"]
    assert {"reversibility": "compensable", "stake": "low", "cases": 1} in as_json["cells"]


def test_a_filter_runs_the_tests_with_that_name(folder: Path) -> None:
    assert "1 passed" in run("test", "--filter", "A", folder).output

    none = run("test", "--filter", "zzz", folder)
    assert (none.exit_code, "no case or property has 'zzz' in its name" in none.output) == (1, True)


def test_explain_reads_a_call_and_shows_every_step(folder: Path) -> None:
    (folder / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY + FACTS)
    call = {
        "tool": "pay",
        "args": {"amount": 5},
        "facts": {"session": {"untrusted_content": True}, "used": {"per-day": 1}},
    }

    words = ["explain", "-", "--policy", str(folder / "p.yaml")]
    text = CliRunner().invoke(policy, words, input=json.dumps(call))
    as_json = CliRunner().invoke(policy, [*words, "--json"], input=json.dumps(call))

    assert text.exit_code == 0
    assert text.output.startswith("approve  pay  (Pays.)")
    for line in (
        "amount args.amount = 5: low (up to 50)  <- decides",
        "compensable x low: notify",
        "tainted is true, applies (at least approve)",
        "session.untrusted_content  =>  true",
        "per-day: 1 used, this call takes 1, 2 fit: fits",
        "a session that has read no untrusted content: notify",
    ):
        assert line in text.output
    assert json.loads(as_json.output)["one_level_lower"][0]["level"] == "notify"


def test_explain_takes_the_policies_of_the_configuration(folder: Path) -> None:
    (folder / "interlock.yaml").write_text("policies: [p.yaml]\n")
    (folder / "call.json").write_text('{"tool": "pay", "args": {"amount": 5}}')

    result = run("explain", folder / "call.json", "--config", folder / "interlock.yaml")

    assert (result.exit_code, result.output.splitlines()[0]) == (0, "notify  pay  (Pays.)")


def test_explain_names_all_keys_that_a_call_takes(folder: Path) -> None:
    (folder / "call.json").write_text('{"tool": "pay", "argz": {}, "who": 1}')

    result = run("explain", folder / "call.json", "--policy", folder / "p.yaml")

    assert result.exit_code != 0
    said = str(result.exception)
    assert "call.json:1:17: unknown key 'argz'; did you mean 'args'? A call takes tool, " in said
    assert "call.json:1:29: unknown key 'who': a call takes tool, args, " in said
    assert said.count("agent, facts, task, now") == 2


def test_explain_without_a_policy_says_how_to_name_one(folder: Path) -> None:
    (folder / "call.json").write_text('{"tool": "pay"}')

    result = run("explain", folder / "call.json", "--config", folder / "none.yaml")

    assert result.exit_code == 2
    assert "Name the policy with --policy: there is no" in result.output


@pytest.mark.parametrize(
    ("call", "said"),
    [
        ('{"tool": "pya"}', ":1:1: there is no tool 'pya'; did you mean 'pay'?"),
        ('{"tol": "pay"}', ":1:2: unknown key 'tol'; did you mean 'tool'?"),
        ('{"tool": "pay",}', "not JSON: "),
        ("[]", ":1:1: a call is one JSON object: {...}"),
        ('{"tool": "pay", "facts": {"used": {"a": 1}}}', "unknown limit 'a'; known: none"),
        ('{"tool": "pay", "now": "soon"}', "'soon' is not a time such as"),
    ],
)
def test_a_call_that_cannot_be_read_is_told_with_its_place(
    folder: Path, call: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (folder / "call.json").write_text(call)

    code = main(["policy", "explain", str(folder / "call.json"), "--policy", str(folder)])

    assert (code, said in capsys.readouterr().err) == (2, True)


def test_diff_exits_3_on_looser_unless_it_is_allowed(folder: Path) -> None:
    (folder / "new.yaml").write_text(
        (folder / "p.yaml").read_text().replace("upto: 50,", "upto: 60,")
    )
    words = ["diff", folder / "p.yaml", folder / "new.yaml"]

    result = run(*words)
    as_json = json.loads(run(*words, "--json").output)

    assert (result.exit_code, run(*words, "--allow-looser").exit_code) == (3, 0)
    assert result.output.startswith("looser   bands of amount at 60: stake medium -> low")
    assert "looser   pay: approve -> notify" in result.output
    assert "stake medium -> low" in result.output
    assert as_json["counts"]["looser"] > 0
    assert as_json["examples"][0]["before"] == "approve"
    assert run("diff", folder / "new.yaml", folder / "p.yaml").exit_code == 0


def test_diff_exits_3_on_a_looser_setting_that_no_call_shows(folder: Path) -> None:
    (folder / "new.yaml").write_text(
        (folder / "p.yaml").read_text() + "approvals: {grants: {tools: [pay], uses: 50}}\n"
    )
    words = ["diff", folder / "p.yaml", folder / "new.yaml"]

    result = run(*words)
    as_json = json.loads(run(*words, "--json").output)

    assert (result.exit_code, run(*words, "--allow-looser").exit_code) == (3, 0)
    assert result.output.startswith("looser   grants for pay may be given\n")
    assert as_json["looser"]
    assert as_json["settings"][0]["kind"] == "looser"
    assert as_json["settings"][0]["place"].startswith(str(folder / "new.yaml"))


def test_diff_takes_recorded_calls(folder: Path) -> None:
    (folder / "calls.jsonl").write_text('{"call": {"tool": "pay", "args": {"amount": 5}}}\n')

    result = run("diff", folder / "p.yaml", folder / "p.yaml", "--corpus", folder / "calls.jsonl")

    same = "all: 0 looser, 0 stricter, 0 reason, 1 same\n"
    assert (result.exit_code, result.stdout) == (0, same)
    assert "OLD and NEW are the same policy" in result.stderr


def test_mutate_lists_what_no_test_notices(folder: Path) -> None:
    words = ["mutate", folder / "p.yaml", "--workers", "1"]
    result = run(*words)
    as_json = json.loads(run(*words, "--json").output)

    assert result.exit_code == 1
    assert "p.yaml:8:14: survived band 1 of amount: upto 50 -> 45" in result.output
    assert "add cases with amount 50 and just above it" in result.output
    assert as_json["survived"] == len(as_json["survivors"]) > 0
    assert run(*words, "--allow", "1000").exit_code == 0


def test_mutate_without_a_suite_says_what_to_write(tmp_path: Path) -> None:
    (tmp_path / "p.yaml").write_text(HEAD.replace("NAME", "p") + PAY)

    result = run("mutate", tmp_path / "p.yaml")

    assert (result.exit_code, "p_test.yaml (docs/testing-policies.md" in result.output) == (1, True)
