"""A condition about a value that a field never has is a mistake; about any other it is none."""

from __future__ import annotations

import pytest

from tests.policies.building import problems

STAFF = """
tools:
  - id: grant
    http: {upstream: hotel, method: POST, path: "/staff/{user}/roles"}
    args_schema:
      type: object
      required: [role, days]
      properties:
        role: {type: string, enum: [clerk, manager, owner]}
        days: {type: integer, minimum: 0, maximum: 30}
        note: {type: string, enum: [a, b]}
        price: {type: number, minimum: 0}
        free: {type: string}
    facets: {data: internal}
  - id: revoke
    http: {upstream: hotel, method: DELETE, path: "/staff/{user}/roles"}
    args_schema:
      type: object
      required: [role]
      properties: {role: {type: string, enum: [clerk, ceo]}}
    facets: {data: internal}
"""


def found(when: str, tools: str = "grant", head: str = "") -> list[str]:
    rule = f"rules: [{{id: r, tools: [{tools}], when: '{when}', deny: No.}}]\n"
    return [each.partition(": ")[2] for each in problems(head + STAFF + rule)]


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("call.hour >= 24", "call.hour is an integer and at least 0 and at most 23"),
        ("call.hour < 6 || call.hour == 24", "so `call.hour == 24` is never true"),
        ("24 <= call.hour", "so `24 <= call.hour` is never true"),
        ("call.hour == 22.5", "is never true"),
        ("call.hour < 0", "is never true"),
        ("agent.confidence > 1", "agent.confidence is at least 0 and at most 1, so"),
        ('args.role == "ceo"', "args.role is one of clerk, manager, owner, so"),
        ('args.role in ["ceo", "cfo"]', "is never true"),
        ('args.note == "c" && args.days > 1', "args.note is one of a, b, so"),
        ("args.days > 365", "args.days is an integer and at least 0 and at most 30, so"),
        ("args.price <= -1", "args.price is at least 0, so"),
        ("args.days < 0", "it is false for every value that a call can have here"),
        ("call.hour <= 23", "it is true for every value that a call can have here"),
        ('args.role != "ceo"', "it is true for every value that a call can have here"),
    ],
)
def test_what_no_call_can_meet_is_refused(when: str, said: str) -> None:
    (problem,) = found(when)

    assert said in problem


@pytest.mark.parametrize(
    ("when", "tools"),
    [
        ("call.hour >= 23", "grant"),
        ("call.hour >= 22 && call.hour < 24", "grant"),
        ("agent.confidence >= 1.0", "grant"),
        ('args.role == "owner"', "grant"),
        ('args.role == "ceo"', "revoke"),
        ('args.role == "ceo"', "grant, revoke"),  # one of them has it
        ('args.role == "ceo"', '"gra*"'),  # and tools to come may
        ('args.role in ["ceo", "owner"]', "grant"),
        ("args.price < 0 || args.price > 1000", "grant"),  # a bound is said again
        ("args.days >= 30", "grant"),
        ('args.note != "c"', "grant"),  # fires where there is no note, too: it says something
        ('args.free == "anything"', "grant"),
    ],
)
def test_what_some_call_meets_is_none(when: str, tools: str) -> None:
    assert found(when, tools) == []


def test_in_shadow_mode_what_fits_no_schema_is_judged_by_rules_too() -> None:
    assert found('args.role == "ceo"', head="mode: shadow\n") == []


def test_an_exception_is_held_to_the_same() -> None:
    exception = (
        "exceptions: [{id: e, tools: [grant], when: 'args.role == \"ceo\"', at_most: notify,"
        " owner: a, reason: b, expires: '2030-01-01'}]\n"
    )

    assert "args.role is one of clerk, manager, owner" in problems(STAFF + exception)[0]
