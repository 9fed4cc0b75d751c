"""What a gate for pull requests must not be silent about, whether a call shows it or not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from interlock.policies.corpus_generated import generated
from interlock.policies.diff import Difference, compare
from interlock.policies.diff_settings import differences
from interlock.policies.diff_sheet import Setting, sheet
from interlock.policies.explain import open_book

HOTEL = """
apiVersion: interlock/v1
kind: Policy
metadata: {name: hotel, version: 1}
vars:
  ours: [hotel.example]
stake:
  amount: [{upto: 100, stake: low}, {upto: 300, stake: medium}, {stake: high}]
tools:
  - id: refund
    http: {upstream: hotel, method: POST, path: "/bookings/{booking}/refunds"}
    args_schema:
      type: object
      required: [amount]
      properties: {amount: {type: number}, iban: {type: string}, role: {type: string}}
    reversibility: compensable
    undo: {reason: Ask for it back.}
    facets: {amount: args.amount}
    target: [booking]
  - id: mail
    http: {upstream: hotel, method: POST, path: /mail}
    args_schema:
      type: object
      required: [to]
      properties: {to: {type: string}, body: {type: string}}
    facets: {blast: team}
    egress: true
    taints: [sensitive_data]
rules:
  - {id: outside, tools: [mail], when: '!(domain(args.to) in vars.ours)', at_least: approve}
  - {id: unasked, tools: [mail], when: '!stated(args.to)', at_least: approve}
  - {id: night, tools: [refund], when: call.hour >= 22 || call.hour < 6, at_least: approve_dual}
limits:
  - {id: per-day, tools: [refund], key: [agent.id], window: 1d, sum: args.amount, max: 500,
     then: approve_dual}
signals:
  confidence: {missing: 0.7, raise_below: {low: 0.3, medium: 0.6, high: 0.9, critical: 1.0},
     use: calibrated}
  novelty: {key: [agent.id, tool, target], memory: 30d, raise: 2}
  session_risk: {points: {low: 1, medium: 5}, half_life: 30m, raise_at: [{points: 60, raise: 1}]}
  session: {scope: agent, memory: 12h}
exceptions:
  - {id: credit, tools: [refund], when: args.booking == "G1" && args.amount <= 150,
     at_most: notify, owner: olga, reason: Agreed., expires: "2026-12-31"}
levels:
  notify: {to: [desk, managers]}
  approve: {approvers: [desk], remind_after: 5m, escalate: [{after: 15m, to: [managers]}]}
  approve_dual: {approvers: [desk, managers], quorum: 3, expire_after: 4h}
approvals:
  require_reason: [reject, approve_dual]
  grants: {tools: [refund], at_most: notify, longest: 24h, uses: 5}
  repeat_denied: {same_call_within: 10m, then: deny}
  caps: {open_per_session: 10, per_agent_per_hour: 30}
edit:
  allow: {refund: [args.amount]}
  must: [edited.args.amount <= original.args.amount, edited.args.amount > 0]
redact:
  approver: [args.iban]
  logs: [args.body]
  detectors: [iban, card_number]
audit: {share: 0.05, tools: {mail: 0.2}}
records: {keep: 400d, keep_unreviewed: 20d}
"""

Differ = Callable[[str, str], tuple[Difference, tuple[Setting, ...]]]


@pytest.fixture
def differ(tmp_path: Path) -> Differ:
    """Compare two policies as `interlock policy diff` does."""

    def compared(old: str, new: str) -> tuple[Difference, tuple[Setting, ...]]:
        paths = []
        for name, text in (("old", old), ("new", new)):
            paths.append(tmp_path / f"{name}.yaml")
            paths[-1].write_text(text)
        one, other = (open_book([path]) for path in paths)
        calls = generated((one.policy, other.policy), (one.written, other.written))
        found = compare(one.policy, other.policy, calls)
        sheets = sheet(one, paths[:1]), sheet(other, paths[1:])
        return found, differences(*sheets, found.fewer, found.more)

    return compared


@pytest.fixture
def settings(tmp_path: Path) -> Callable[[str, str], list[tuple[str, str]]]:
    """Compare two policies as they are written, without any call."""

    def compared(old: str, new: str) -> list[tuple[str, str]]:
        sheets = []
        for name, text in (("old", old), ("new", new)):
            path = tmp_path / f"{name}.yaml"
            path.write_text(text)
            sheets.append(sheet(open_book([path]), [path]))
        return [(each.kind, each.what) for each in differences(*sheets)]

    return compared


def changed(before: str, after: str) -> str:
    assert HOTEL.count(before) == 1
    return HOTEL.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after", "tool"),
    [
        ("max: 500", "max: 600", "refund"),
        ("call.hour >= 22", "call.hour >= 23", "refund"),
        ("ours: [hotel.example]", "ours: [hotel.example, evil.example]", "mail"),
        ("args.amount <= 150", "args.amount <= 151", "refund"),
        ("low: 0.3", "low: 0.2", "refund"),
        ("use: calibrated", "use: claimed", "refund"),
        ("points: 60", "points: 80", "refund"),
    ],
)
def test_generated_calls_show_what_a_change_lets_through(
    differ: Differ, before: str, after: str, tool: str
) -> None:
    found, _ = differ(HOTEL, changed(before, after))

    assert found.unusable == ()
    assert tool in {each.tool for each in found.changes if each.kind == "looser"}


def test_what_a_call_needs_beside_its_arguments_is_told(differ: Differ) -> None:
    found, _ = differ(HOTEL, changed("call.hour >= 22", "call.hour >= 23"))

    looser = [each for each in found.changes if each.kind == "looser"]
    assert {each.entry.at for each in looser} == {"2026-01-01T22:00:00Z"}


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("max: 500", "max: 600", "limit per-day: max 500 -> 600"),
        ("window: 1d", "window: 12h", "limit per-day: window 1d -> 12h"),
        ("max: 500,\n     then: approve_dual", "max: 500,\n     then: approve", "per-day: then"),
        (", edited.args.amount > 0]", "]", "edit.must `edited.args.amount > 0` dropped"),
        ("approver: [args.iban]", "approver: []", "redact.approver: args.iban dropped"),
        ("logs: [args.body]", "logs: []", "redact.logs: args.body dropped"),
        ("[iban, card_number]", "[iban]", "redact.detectors: card_number dropped"),
        ("uses: 5", "uses: 50", "grants for refund: uses 5 -> 50"),
        ("longest: 24h", "longest: 2d", "grants for refund: longest 1d -> 2d"),
        ("grants: {tools: [refund]", "grants: {tools: [refund, mail]", "grants for mail may be"),
        ("allow: {refund: [args.amount]}", "allow: {refund: [args.amount, args.iban]}", "iban"),
        ("memory: 30d", "memory: 60d", "novelty: memory 30d -> 60d"),
        ("raise: 2", "raise: 1", "novelty: raise 2 -> 1"),
        ("missing: 0.7", "missing: 0.9", "confidence: missing 0.7 -> 0.9"),
        ("medium: 0.6", "medium: 0.5", "confidence: raise_below medium 0.6 -> 0.5"),
        ("use: calibrated", "use: claimed", "the calibrated one is heeded no longer"),
        ("share: 0.05", "share: 0.04", "audit: share 0.05 -> 0.04"),
        ("{mail: 0.2}", "{mail: 0.1}", "audit: share of mail 0.2 -> 0.1"),
        (", tools: {mail: 0.2}", "", "audit: share of mail 0.2 -> 0.05"),
        ("audit: {share: 0.05, ", "audit: {", "audit: share 0.05 -> 0"),
        ("scope: agent", "scope: session", "session scope is agent no longer"),
        ("memory: 12h", "memory: 1h", "session memory 12h -> 1h"),
        ("half_life: 30m", "half_life: 5m", "session_risk: half_life 30m -> 5m"),
        ("points: 60, raise", "points: 90, raise", "session_risk: raise at 60 points 1 -> 0"),
        ("{low: 1, medium: 5}", "{low: 1, medium: 2}", "session_risk: points medium 5 -> 2"),
        ("open_per_session: 10, ", "", "caps: open_per_session 10 -> none"),
        ("per_agent_per_hour: 30", "per_agent_per_hour: 40", "caps: per_agent_per_hour 30 -> 40"),
        ("then: deny}", "then: approve}", "repeat_denied: then deny -> approve"),
        ("within: 10m", "within: 1m", "repeat_denied: same_call_within 10m -> 1m"),
        ("quorum: 3", "quorum: 2", "levels.approve_dual: quorum 3 -> 2"),
        ("approvers: [desk],", "approvers: [desk, all],", "levels.approve: approvers all added"),
        ("notify: {to: [desk, managers]}", "notify: {to: [desk]}", "notify: to managers dropped"),
        ("[reject, approve_dual]", "[reject]", "require_reason: approve_dual dropped"),
        ("    egress: true\n", "", "tool mail: egress no longer"),
        ("    taints: [sensitive_data]\n", "", "tool mail: taint sensitive_data dropped"),
        ('"2026-12-31"', '"2027-12-31"', "exception credit: expires 2026-12-31 -> 2027-12-31"),
        ("at_most: notify, owner", "at_most: approve, owner", ""),
        ("at_least: approve_dual}\nlimits", "at_least: approve}\nlimits", "rule night: at_least"),
        ("at_least: approve_dual}\n", "at_least: approve_dual, mode: shadow}\n", "in shadow mode"),
        ("vars:\n", "mode: shadow\nvars:\n", "mode shadow: nothing is held now"),
        ("vars:\n", "defaults: {exception_floor: allow}\nvars:\n", "exception_floor notify ->"),
        ("vars:\n", "defaults: {unknown_tool: {level: notify}}\nvars:\n", "unknown_tool level"),
        ("vars:\n", "matrix: lenient\nvars:\n", "matrix compensable x high"),
    ],
)
def test_a_looser_setting_is_told_without_any_call(
    settings: Callable[[str, str], list[tuple[str, str]]], before: str, after: str, what: str
) -> None:
    new = changed(before, after)
    looser, stricter = settings(HOTEL, new), settings(new, HOTEL)

    if not what:  # lowering less far
        looser, stricter, what = stricter, looser, "exception credit: at_most approve -> notify"
    assert any(kind == "looser" and what in said for kind, said in looser), looser
    # An entry that came is one that is enforced now; both ways are certain.
    assert {kind for kind, _ in stricter} == {"stricter"}, stricter


@pytest.mark.parametrize(
    ("before", "after", "what"),
    [
        ("    target: [booking]\n", "", "tool refund: target changed: booking -> all arguments"),
        ("key: [agent.id], window", "key: [agent.owner], window", "limit per-day: key changed"),
        ("key: [agent.id, tool", "key: [agent.owner, tool", "novelty: key changed"),
        ("sum: args.amount", "sum: double(args.amount) + 1.0", "limit per-day: sum changed"),
        ("required: [to]", "required: [body]", "tool mail: args_schema changed"),
        ("keep: 400d", "keep: 90d", "records: keep 400d -> 90d"),
        ("keep: 400d", "keep: 800d", "records: keep 400d -> 800d"),
        ("keep_unreviewed: 20d", "keep_unreviewed: 7d", "records: keep_unreviewed 20d"),
        ("expire_after: 4h", "expire_after: 8h", "levels.approve_dual: expire_after 4h -> 8h"),
        ("remind_after: 5m", "remind_after: 9m", "levels.approve: remind_after 5m -> 9m"),
        ("after: 15m", "after: 25m", "levels.approve: escalate managers after 900s ->"),
        ("path: /mail", "path: /mails", "tool mail: what it matches changed"),
        ("!stated(args.to)", "!stated(args.body)", "rule unasked: `when` or its vars changed, and"),
    ],
)
def test_a_setting_of_which_nobody_knows_the_direction_is_changed(
    settings: Callable[[str, str], list[tuple[str, str]]], before: str, after: str, what: str
) -> None:
    found = settings(HOTEL, changed(before, after))

    assert [(kind, said.startswith(what)) for kind, said in found] == [("changed", True)], found


CAREFUL = HOTEL.replace("notify: {to: [desk, managers]}", "notify: {to: [desk], digest: 1h}")
CAREFUL = CAREFUL.replace("approve: {approvers: [desk],", "approve: {approvers: [desk], DWELL,")
CAREFUL = CAREFUL.replace("quorum: 3,", "quorum: 3, dwell: 20s, step_up: webauthn,")
CAREFUL = CAREFUL.replace("approvals:\n", "approvals:\n  per_hour: 60\n  decoys: {share: 0.1}\n")
CAREFUL = CAREFUL.replace("DWELL", "dwell: 10s, fold: true")
BATCHED = HOTEL.replace("approvals:\n", "approvals:\n  batch: {up_to: low}\n")


@pytest.mark.parametrize(
    ("old", "before", "after", "what"),
    [
        (CAREFUL, "dwell: 10s", "dwell: 5s", "levels.approve: dwell 10s -> 5s"),
        (CAREFUL, "dwell: 20s, ", "", "levels.approve_dual: dwell 20s -> 10s"),
        (CAREFUL, "step_up: webauthn, ", "", "levels.approve_dual: step_up no longer"),
        (CAREFUL, ", fold: true", "", "levels.approve: folds no longer"),
        (CAREFUL, "digest: 1h", "digest: 2h", "levels.notify: digest 1h -> 2h"),
        (
            HOTEL,
            "[desk, managers]}\n  approve:",
            "[desk, managers], digest: 1h}\n  approve:",
            "tog",
        ),
        (CAREFUL, "per_hour: 60", "per_hour: 90", "approvals: per_hour 60 -> 90"),
        (CAREFUL, "  per_hour: 60\n", "", "approvals: per_hour 60 -> none"),
        (CAREFUL, "share: 0.1", "share: 0.05", "approvals: decoys 0.1 -> 0.05"),
        (CAREFUL, "  decoys: {share: 0.1}\n", "", "approvals: decoys 0.1 -> 0"),
        (BATCHED, "up_to: low", "up_to: medium", "approvals: batch up to low -> medium"),
        (HOTEL, "approvals:\n", "approvals:\n  batch: {up_to: low}\n", "batch up to none -> low"),
        (HOTEL, "quorum: 3,", "quorum: 3, fold: false,", "levels.approve_dual: folds no longer"),
    ],
)
def test_less_attention_is_looser_and_more_of_it_stricter(
    settings: Callable[[str, str], list[tuple[str, str]]],
    old: str,
    before: str,
    after: str,
    what: str,
) -> None:
    assert before in old
    new = old.replace(before, after)

    assert [(kind, what in said) for kind, said in settings(old, new)] == [("looser", True)]
    assert [kind for kind, _ in settings(new, old)] == ["stricter"]


@pytest.mark.parametrize(
    ("more", "what"),
    [
        ("rotate: true", "approvals: rotate now"),
        ("reasons: {a: A}", "approvals: reasons changed"),
    ],
)
def test_who_is_asked_first_and_what_is_to_choose_from_is_neither(
    settings: Callable[[str, str], list[tuple[str, str]]], more: str, what: str
) -> None:
    new = HOTEL.replace("approvals:\n", f"approvals:\n  {more}\n")

    assert settings(HOTEL, new) == [("changed", what)]


def test_another_undo_is_told(
    settings: Callable[[str, str], list[tuple[str, str]]],
) -> None:
    undo = "undo: {tool: mail, within: 1h, arguments: {to: ANSWER}}"
    one, other = (
        HOTEL.replace("undo: {reason: Ask for it back.}", undo.replace("ANSWER", each))
        for each in ("answer.id", "answer.to")
    )

    assert settings(one, other) == [("changed", "tool refund: undo changed")]


def test_a_setting_is_told_with_its_line(differ: Differ) -> None:
    new = changed("max: 500", "max: 600")

    _, (setting,) = differ(HOTEL, new)

    line = next(n for n, text in enumerate(new.splitlines(), 1) if "max: 600" in text)
    assert setting.place.endswith(f"new.yaml:{line}")


def test_a_rule_that_applies_less_often_is_told_though_another_asks_for_as_much(
    differ: Differ,
) -> None:
    masked = HOTEL.replace(
        "when: '!stated(args.to)', at_least: approve", "deny: No mail at all."
    ).replace("ours)', at_least: approve", "ours)', deny: Not to strangers.")

    found, settings = differ(
        masked, masked.replace("ours: [hotel.example]", "ours: [hotel.example, evil.example]")
    )

    assert not found.looser
    assert [each.what for each in settings if each.kind == "looser"] == [
        "rule outside: `when` or its vars changed, it applies less often"
    ]


def test_a_rule_with_another_name_is_the_same_rule(differ: Differ) -> None:
    found, settings = differ(HOTEL, changed("id: night", "id: after-hours"))

    assert (found.looser, settings) == (False, ())


def test_a_policy_without_a_rule_or_with_an_exception_more_is_looser(differ: Differ) -> None:
    rule = next(line for line in HOTEL.splitlines() if "id: outside" in line) + "\n"

    _, settings = differ(HOTEL, HOTEL.replace(rule, ""))
    _, back = differ(HOTEL.replace(rule, ""), HOTEL)

    assert [(each.kind, each.what) for each in settings] == [("looser", "rule outside dropped")]
    assert [(each.kind, each.what) for each in back] == [("stricter", "rule outside added")]


def test_the_same_policy_differs_in_nothing(differ: Differ) -> None:
    found, settings = differ(HOTEL, HOTEL)

    assert (set(found.counts), settings) == ({"same"}, ())
