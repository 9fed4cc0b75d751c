"""Which entry a call belongs to, and that nothing slips into a laxer one."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.graphql import read_operation
from interlock.core.patterns import Pattern
from interlock.core.reading import Reading
from interlock.core.rules import PolicySet
from tests.core.building import judge
from tests.policies.building import call, policy, problems

FORM = "application/x-www-form-urlencoded"


def tools(*https: str) -> str:
    """Entries t0, t1 ... that differ in `http` only."""
    entries = (
        f"  - {{id: t{i}, reversibility: read_only, facets: {{data: public}}, http: {{{http}}}}}\n"
        for i, http in enumerate(https)
    )
    return "tools:\n" + "".join(entries)


def found(compiled: PolicySet, method: str, target: str, **how: Any) -> str:
    decision = judge(compiled, call(method, target, upstream="u", **how))
    return decision.tool or decision.reason


GET = "upstream: u, method: GET, path: "


@pytest.mark.parametrize(
    ("target", "tool"),
    [
        ("/", "t0"),
        ("/a", "t1"),
        ("/b", "t2"),
        ("/a/x", "t4"),
        ("/a/b", "t3"),
        ("/b/b", "t4"),
        ("/b/c/d", "t5"),
        ("/b/c/", "t5"),
        ("/a/", "unknown_tool"),
        ("/A", "t2"),
    ],
)
def test_the_more_specific_path_wins(target: str, tool: str) -> None:
    paths = ("/", "/a", "/{x}", "/a/b", "/{x}/{y}", "/{x}/{rest...}")
    compiled = policy(tools(*(f'{GET}"{path}"' for path in paths)))

    assert found(compiled, "GET", target) == tool


def test_path_parameters_are_arguments_and_a_tail_is_one() -> None:
    compiled = policy(tools(f'{GET}"/{{bucket}}/{{key...}}"'))

    decision = judge(compiled, call("GET", "/b/a/b%20c/", upstream="u"))

    assert decision.arguments == {"bucket": "b", "key": "a/b c/"}
    assert decision.sources == {"bucket": "path", "key": "path"}


def test_upstream_method_and_service_must_fit() -> None:
    compiled = policy(tools(f'{GET}"/a", service: s3'))

    assert found(compiled, "GET", "/a", service="s3") == "t0"
    assert found(compiled, "GET", "/a", service="iam") == "unknown_tool"
    assert found(compiled, "HEAD", "/a", service="s3") == "unknown_tool"
    assert judge(compiled, call("GET", "/a", upstream="other")).reason == "unknown_tool"


def test_an_undeclared_query_parameter_makes_a_call_unknown_and_names_it() -> None:
    compiled = policy(tools(f'{GET}"/a", params: [page, "x-*"]'))

    assert found(compiled, "GET", "/a?page=1&x-y=2") == "t0"
    assert "'debug'" in judge(compiled, call("GET", "/a?debug=1", upstream="u")).message


def test_a_flag_is_told_apart_from_the_plain_call() -> None:
    compiled = policy(tools(f'{GET}"/{{b}}"', f'{GET}"/{{b}}", query: {{acl: ""}}'))

    assert found(compiled, "GET", "/b") == "t0"
    assert found(compiled, "GET", "/b?acl") == "t1"
    assert found(compiled, "GET", "/b?acl=x") == "unknown_tool"
    assert found(compiled, "GET", "/b?acl&acl") == "unknown_tool"


def test_what_a_narrow_entry_refuses_no_wider_entry_takes() -> None:
    """Fault caught: falling through to a laxer entry by adding a parameter that it declares."""
    compiled = policy(tools(f'{GET}"/x/secret"', f'{GET}"/x/{{name}}", params: [verbose]'))

    assert found(compiled, "GET", "/x/open?verbose=1") == "t1"
    assert found(compiled, "GET", "/x/secret?verbose=1") == "unknown_tool"


POST = 'upstream: u, method: POST, path: "/"'


def test_form_fields_name_the_operation() -> None:
    compiled = policy(tools(f"{POST}, form: {{Action: Run}}", f'{POST}, form: {{Action: "Get*"}}'))

    assert found(compiled, "POST", "/", media_type=FORM, body=b"Action=Run") == "t0"
    assert found(compiled, "POST", "/", media_type=FORM, body=b"Action=GetX") == "t1"
    assert found(compiled, "POST", "/", media_type=FORM, body=b"Action=Other") == "unknown_tool"
    assert found(compiled, "POST", "/?Action=Run") == "unknown_tool"
    twice = found(compiled, "POST", "/?Action=GetX", media_type=FORM, body=b"Action=Run")
    assert twice == "unknown_tool"


@pytest.mark.parametrize(
    ("media_type", "body"),
    [
        (FORM, b"Action=Run"),
        ("application/json", b'{"Action": "Run"}'),
        ("application/json", b'[{"Action": "Run"}]'),
        ("text/plain", b"Action=Run"),
    ],
)
def test_a_call_with_a_neighbours_field_is_not_the_entry_without_it(
    media_type: str, body: bytes
) -> None:
    """Fault caught: a dangerous operation passing as the plain POST beside it."""
    lax = f"{POST}, body: [form, json, opaque]"
    compiled = policy(tools(lax, f"{POST}, form: {{Action: Terminate}}"))

    assert found(compiled, "POST", "/", media_type=FORM, body=b"note=1") == "t0"
    assert found(compiled, "POST", "/", media_type=media_type, body=body) == "unknown_tool"


def test_headers_name_the_operation_and_close_the_neighbour() -> None:
    compiled = policy(tools(POST, f"{POST}, header: {{X-Amz-Target: Db.Get}}"))

    assert found(compiled, "POST", "/") == "t0"
    assert found(compiled, "POST", "/", headers=(("x-amz-target", "Db.Get"),)) == "t1"
    assert found(compiled, "POST", "/", headers=(("X-AMZ-Target", "Db.Drop"),)) == "unknown_tool"
    twice = (("x-amz-target", "Db.Get"), ("x-amz-target", "Db.Drop"))
    assert found(compiled, "POST", "/", headers=twice) == "unknown_tool"
    assert found(compiled, "POST", "/", headers=twice[::-1]) == "unknown_tool"


def test_a_header_may_be_ruled_out() -> None:
    compiled = policy(tools(f'{POST}, without_header: ["x-grant-*"]'))

    assert found(compiled, "POST", "/", headers=(("X-Grant-Read", "all"),)) == "unknown_tool"


def test_json_fields_name_the_operation_by_dotted_name() -> None:
    compiled = policy(tools(f'{POST}, json: {{rpc.method: "users.*"}}'))

    assert found(compiled, "POST", "/", body=b'{"rpc": {"method": "users.get"}}') == "t0"
    assert found(compiled, "POST", "/", body=b'{"rpc": {"method": ["users.get"]}}') != "t0"
    assert found(compiled, "POST", "/", body=b'{"rpc.method": "users.get"}') != "t0"


def graphql(document: str, **more: Any) -> Any:
    return read_operation({"query": document, **more})


def test_graphql_is_matched_by_its_one_operation() -> None:
    compiled = policy(
        tools(
            f"{POST}, graphql: {{name: GetUser, type: query}}",
            f"{POST}, graphql: {{type: mutation, fields: [rename]}}",
        )
    )
    got = b'{"query": "query GetUser { user { id } }", "operationName": "GetUser"}'
    renamed = b'{"query": "mutation M { a: rename(id: 1) { id } }"}'
    dropped = b'{"query": "mutation M { rename(id: 1) { id } drop }"}'

    assert found(compiled, "POST", "/", body=got) == "t0"
    assert found(compiled, "POST", "/", body=renamed) == "t1"
    assert found(compiled, "POST", "/", body=dropped) == "unknown_tool"


@pytest.mark.parametrize(
    "document",
    [
        "query A { a } query B { b }",
        "query A { ...F } fragment F on Query { drop }",
        "query A { a ",
        "query A { a } garbage { b }",
        'query A { a(x: "unclosed }',
        "",
        "{ a } { b }",
        'query A { a(x: """\\""" """) }',
    ],
)
def test_a_graphql_document_that_is_not_one_plain_operation_has_no_answer(document: str) -> None:
    assert graphql(document) is None


def test_the_graphql_reader_sees_through_strings_comments_and_aliases() -> None:
    document = 'query A($x: In = {a: "}"}) @d(a: "{") { one: two(s: """ } """) # }\n three }'

    operation = graphql(document, operationName="A")

    assert operation is not None
    assert (operation.name, operation.fields) == ("A", {"two", "three"})
    assert graphql(document, operationName="B") is None
    assert graphql("{ a }").name == ""


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f'{GET}"/a"', f'{GET}"/a"'),
        (f'{GET}"/{{x}}"', f'{GET}"/{{y}}"'),
        (f'{POST}, form: {{Action: "Get*"}}', f'{POST}, form: {{Action: "*User"}}'),
        (
            f"{POST}, header: {{a: x}}, form: {{f: '*'}}",
            f"{POST}, form: {{f: b}}, header: {{a: '*'}}",
        ),
    ],
)
def test_two_entries_that_can_match_one_call_equally_are_a_problem_with_both_places(
    one: str, other: str
) -> None:
    (problem,) = problems(tools(one, other))

    assert "t1 and t0 (0.yaml:" in problem
    assert "neither is more specific" in problem


def test_where_two_paths_cross_the_calls_that_both_would_take_are_neithers() -> None:
    """Fault caught: the first or the laxer of the two takes them."""
    for order in (('{GET}"/a/{x}"', '{GET}"/{y}/b"'), ('{GET}"/{y}/b"', '{GET}"/a/{x}"')):
        compiled = policy(tools(*(each.replace("{GET}", GET) for each in order)))
        one, other = ("t0", "t1") if "/a/" in order[0] else ("t1", "t0")

        assert found(compiled, "GET", "/a/c") == one
        assert found(compiled, "GET", "/c/b") == other
        assert found(compiled, "GET", "/a/b") == "unknown_tool"
        said = judge(compiled, call("GET", "/a/b", upstream="u")).message
        assert "t0 and t1 both take this path" in said or "t1 and t0 both take this path" in said


def test_an_entry_for_the_crossing_itself_takes_its_calls() -> None:
    paths = ("/a/{x}", "/{y}/b", "/a/b")
    compiled = policy(tools(*(f'{GET}"{path}"' for path in paths)))

    assert found(compiled, "GET", "/a/b") == "t2"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (f'{GET}"/a"', 'upstream: u, method: POST, path: "/a"'),
        (f'{GET}"/a"', f'{GET}"/a/b"'),
        (f'{GET}"/a", query: {{acl: ""}}', f'{GET}"/a", query: {{policy: ""}}'),
        (f'{GET}"/a", service: s3', f'{GET}"/a", service: iam'),
        (f"{POST}, form: {{f: x}}", f"{POST}, json: {{f: x}}"),
        (f"{POST}, header: {{a: x}}", f"{POST}, header: {{b: x}}"),
        (f'{POST}, without_header: ["a"]', f"{POST}, header: {{a: '*'}}"),
    ],
)
def test_entries_that_cannot_meet_are_fine(one: str, other: str) -> None:
    assert problems(tools(one, other)) == []


def test_finding_does_not_slow_down_with_unrelated_tools() -> None:
    """Counts what is looked at instead of timing it."""
    many = [f'{POST}, form: {{Action: "Op{i}"}}' for i in range(300)]
    compiled = policy(tools(*many, f'{GET}"/r/{{id}}"'))
    asked = call("POST", "/", upstream="u", media_type=FORM, body=b"Action=Op7")

    assert len(list(compiled.catalogue._candidates(Reading(asked)))) == 1


def test_finding_looks_only_at_entries_whose_path_fits() -> None:
    many = [f'{GET}"/v1/things/{{id}}/part{i}"' for i in range(300)]
    compiled = policy(tools(*many, f'{GET}"/v1/{{kind}}/{{id}}/part7/{{rest...}}"'))
    asked = call("GET", "/v1/things/9/part7", upstream="u")

    assert len(list(compiled.catalogue._candidates(Reading(asked)))) == 1
    assert found(compiled, "GET", "/v1/things/9/part7") == "t7"
    assert found(compiled, "GET", "/v1/things/9/part7/deep/er") == "t300"


TEXT = st.text(alphabet="ab*.", max_size=8)


@given(pattern=TEXT, value=st.text(alphabet="ab.", max_size=8))
def test_a_pattern_matches_as_the_textbook_says(pattern: str, value: str) -> None:
    def textbook(p: str, v: str) -> bool:
        if not p:
            return not v
        if p[0] == "*":
            return textbook(p[1:], v) or bool(v) and textbook(p, v[1:])
        return bool(v) and p[0] == v[0] and textbook(p[1:], v[1:])

    assert Pattern(pattern).matches(value) is textbook(pattern, value)


@given(one=TEXT, other=TEXT, value=st.text(alphabet="ab.", max_size=6))
def test_inclusion_and_overlap_of_patterns_are_never_wrong(
    one: str, other: str, value: str
) -> None:
    a, b = Pattern(one), Pattern(other)

    if a.includes(b) and b.matches(value):
        assert a.matches(value)
    if a.matches(value) and b.matches(value):
        assert a.overlaps(b)


def test_a_thousand_operations_on_one_path_clash_only_where_they_do() -> None:
    many = [f'{POST}, form: {{Action: "Op{i}"}}' for i in range(1000)]

    assert problems(tools(*many)) == []
    (problem,) = problems(tools(*many, f"{POST}, form: {{Action: Op7}}"))

    assert "t1000 and t7 (" in problem
