"""Looking only at neighbours leaves out no two entries that one call could match."""

from __future__ import annotations

from itertools import combinations, product

from hypothesis import given
from hypothesis import strategies as st

from interlock.core.neighbours import neighbours, pairs, probes
from interlock.core.patterns import Discriminator, HttpMatch, Kind, Pattern, Segment, paths_overlap

SEGMENTS = [
    Segment(Kind.LITERAL, "pay"),
    Segment(Kind.LITERAL, "note"),
    Segment(Kind.PARAMETER, "x"),
]
VALUES = [("one",), ("two",), ("one", "two"), ("o*",), ()]


def entry(
    segment: Segment = SEGMENTS[0],
    method: str = "POST",
    values: tuple[str, ...] = (),
    *,
    upstream: str = "bank",
    service: str = "",
    kind: str = "query",
) -> HttpMatch:
    named = (Discriminator("Action", tuple(map(Pattern, values))),) if values else ()
    return HttpMatch(
        upstream=upstream,
        methods=frozenset({method}),
        segments=(segment,),
        service=service,
        **{kind: named},
    )


entries = st.builds(
    entry,
    st.sampled_from(SEGMENTS),
    st.sampled_from(["GET", "POST"]),
    st.sampled_from(VALUES),
    upstream=st.sampled_from(["bank", "mail"]),
    service=st.sampled_from(["", "s3", "sqs"]),
    kind=st.sampled_from(["query", "form"]),
)


def found(matches: dict[str, HttpMatch]) -> set[frozenset[str]]:
    return {frozenset(each) for one, other in neighbours(matches) for each in pairs(one, other)}


def may_meet(one: HttpMatch, other: HttpMatch) -> bool:
    """Say so from the parts alone, one pair at a time."""
    services = {one.service, other.service} - {""}
    here = one.upstream == other.upstream and one.methods & other.methods and len(services) < 2
    if not (here and paths_overlap(one.segments, other.segments)):
        return False
    return all(
        mine.overlaps(theirs)
        for mine, theirs in product(one.query + one.form, other.query + other.form)
        if mine.name == theirs.name and (mine in one.query) == (theirs in other.query)
    )


@given(st.lists(entries, max_size=8))
def test_whatever_may_meet_is_looked_at(every: list[HttpMatch]) -> None:
    matches = {f"t{number}": match for number, match in enumerate(every)}
    meeting = {
        frozenset((one, other))
        for one, other in combinations(matches, 2)
        if may_meet(matches[one], matches[other])
    }
    assert meeting <= found(matches)


def test_two_values_of_one_discriminator_are_not_looked_at() -> None:
    matches = {"one": entry(values=("one",)), "two": entry(values=("two",)), "any": entry()}
    assert found(matches) == {frozenset({"one", "any"}), frozenset({"two", "any"})}


def test_entries_of_other_upstreams_methods_and_services_are_not_looked_at() -> None:
    others = {
        "here": entry(service="s3"),
        "mail": entry(upstream="mail", service="s3"),
        "read": entry(method="GET", service="s3"),
        "queue": entry(service="sqs"),
    }
    assert found(others) == set()


def test_an_entry_is_looked_up_by_what_it_names_exactly() -> None:
    assert probes(entry(values=("one", "two"))) == [
        ("query", "Action", "one"),
        ("query", "Action", "two"),
    ]
    assert probes(entry(values=("o*",), service="s3")) == [("service", "", "s3")]
    assert probes(entry()) == []
