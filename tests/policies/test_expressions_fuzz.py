"""Random conditions and values, judged by us and by Google's CEL (`cel-expr-python`).

The promise: where ours answers true or false, CEL answers the same. The differences are all on the
side of doubt, and each is of a class that docs/conditions.md names. `domain`, `glob` and `stated`
have no counterpart in CEL.
"""

from __future__ import annotations

import operator
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from interlock.policies import expression_values, expressions
from interlock.policies.expression_syntax import ConditionError, Logic
from interlock.policies.expression_trace import explain_condition
from interlock.policies.expression_types import ANY
from interlock.policies.regexes import compile_glob, compile_regex

from .cel_oracle import (
    DOUBTS,
    REFUSALS,
    WRONG,
    Comparison,
    answer,
    compare,
    compared,
    count,
    google,
    said,
    table,
    verdict,
)
from .cel_writer import CONSTANTS, ODD_TEXTS, TEXTS, Writer
from .test_docs_conditions import PAGE, SEEN

SEEDS = range(8)
LEAST = 100_000


@pytest.mark.parametrize("seed", SEEDS)
def test_where_ours_answers_cel_answers_the_same(seed: int) -> None:
    counts = count(compare(seed, conditions=3000, inputs=8))

    print(f"seed {seed}: {compared(counts):,} compared\n{table(counts)}")
    assert compared(counts) >= LEAST / len(SEEDS), counts
    # A fuzz that never sees an answer proves nothing.
    assert min(counts["same: true"], counts["same: false"]) > 4000, counts


@given(seed=st.integers(min_value=1000))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_it_does_under_seeds_that_nobody_chose(seed: int) -> None:
    counts = count(compare(seed, conditions=60, inputs=6))

    assert compared(counts) > 100, counts


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(["\ud800", "a\udfff", "a@b\ud800.c"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["k", "a-b", "\ud800"]), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(
    args=st.dictionaries(st.sampled_from(["a", "b", "c", "d", "a-b"]), JSON, max_size=5),
    session=st.none() | st.dictionaries(st.sampled_from(["writes", "points"]), JSON),
    task=st.none() | st.text(max_size=9),
    seed=st.integers(min_value=1000),
)
@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_no_json_value_makes_a_condition_raise(
    args: Any, session: Any, task: Any, seed: int
) -> None:
    writer = Writer(seed)
    own = ["stated(args.a)", 'domain(args.b) == "a"', 'glob(args.b, "a.*")', "stated(args.d.k)"]
    seen = {"args": args, "agent": {}, "call": {}, "session": session, "task": task}
    for source in (*own, *(writer.truth(2) for _ in range(20))):
        try:
            condition = expressions.compile_condition(source, CONSTANTS)
        except ConditionError:
            continue
        assert answer(condition, seen) in ("true", "false", "indeterminate")


def test_an_explanation_says_what_the_condition_answered() -> None:
    explained = 0
    for each in compare(99, conditions=400, inputs=4):
        if each.refused or each.source.strip("()! ") in ("true", "false"):
            continue
        parts = explain_condition(each.source, CONSTANTS, ANY, each.seen)
        # A whole that is no bool has a value, and no answer.
        whole = parts[0].value if isinstance(parts[0].value, bool) else "indeterminate"
        assert each.mine == str(whole).lower(), each
        assert all(part.shown for part in parts)
        explained += 1
    assert explained > 1000


# -- the documented differences ---------------------------------------------------------------

DIFFERENCES: list[tuple[str, str, dict[str, Any]]] = [
    ("a number that is not finite", "args.a < 5", {"a": float("nan")}),
    ("a number that is not finite", "args.a * args.a > 1.0", {"a": 1e300}),
    ("an integer beyond 64 bits", "args.a > 5", {"a": 2**63}),
    ("an integer beyond 2^53 meets a decimal", "args.a == 9007199254740992.0", {"a": 2**53 + 1}),
    ("equality of different kinds, lists or objects", "args.a == 500", {"a": "500"}),
    ("equality of different kinds, lists or objects", "args.a == args.a", {"a": [1]}),
    ("the order of bools", "args.a < args.b", {"a": False, "b": True}),
    ("joining strings or lists", "args.a + args.b == args.c", {"a": "a", "b": "b", "c": "ab"}),
    ("membership of what is no string or number", "args.a in args.b", {"a": True, "b": [True]}),
    ("double() of text", "double(args.a) > 1.0", {"a": "500"}),
    ("a loop over the keys of an object", 'args.a.exists(k, k == "a")', {"a": {"a": 1}}),
]


@pytest.mark.parametrize(("name", "source", "args"), DIFFERENCES)
def test_a_documented_difference_is_doubt_where_cel_answers(
    name: str, source: str, args: dict[str, Any]
) -> None:
    each = judged(source, args)

    assert each.mine == "indeterminate"
    assert each.theirs != "error"
    assert verdict(each) == f"ours in doubt: {name}"


def test_the_page_names_every_class_of_difference() -> None:
    rows = re.findall(r"^\| ([^|`]+) \| `([^`]+)`[^|]* \| (true|false) \|", PAGE, re.MULTILINE)
    args = {**SEEN["args"], "a": 2**63}
    seen = {"args": args, "agent": {}, "call": {}, "session": {}}

    assert [name for name, _, _ in rows] == [name for name, _ in DOUBTS]
    assert [said(google(source), seen) for _, source, _ in rows] == [row[2] for row in rows]
    assert [name for name, _ in REFUSALS if f"**{name}**" not in PAGE] == []


def judged(source: str, args: dict[str, Any]) -> Comparison:
    seen: dict[str, Any] = {"args": args, "agent": {}, "call": {}, "session": {}}
    mine = answer(expressions.compile_condition(source, CONSTANTS), seen)
    return Comparison(source=source, seen=seen, mine=mine, theirs=said(google(source), seen))


# -- would it notice? -------------------------------------------------------------------------


def _eager(self: Any, node: Logic) -> Callable[[Any], bool]:
    # Doubt of one operand is doubt of the whole, whatever the others are: no longer CEL.
    operands = [self.compile(each) for each in node.operands]
    decide = any if node.op == "||" else all
    return lambda seen: decide([operand(seen) is True for operand in operands])


def _careless(one: Any, other: Any, names: tuple[str, str]) -> None:
    expression_values.number(one, names[0])
    expression_values.number(other, names[1])


def _by_text(left: Any, right: Any, names: tuple[str, str], *, wanted: bool) -> Any:
    return lambda seen: (str(left(seen)) == str(right(seen))) is wanted


def _forgiving(target: Any, field: str, what: str) -> Any:
    def present(seen: Any) -> bool:
        value = target(seen)
        return isinstance(value, dict) and field in value

    return present


_loop = expressions.Compiler.loop
FAULTS: dict[str, tuple[Any, str, Any]] = {
    "< for <=": (expressions._ORDER, "<=", operator.lt),
    ">= for >": (expressions._ORDER, ">", operator.ge),
    "- for +": (expressions._ARITHMETIC, "+", operator.sub),
    "endsWith for startsWith": (expressions._TEXT_METHODS, "startsWith", str.endswith),
    "&& and || stop at doubt": (expressions.Compiler, "logic", _eager),
    "exists for all": (
        *(expressions.Compiler, "loop"),
        lambda self, node: _loop(self, replace(node, name="exists")),
    ),
    "integers meet decimals exactly": (expression_values, "comparable", _careless),
    "== by text": (expression_values, "equality", _by_text),
    "has() of what is no object": (expressions, "_presence", _forgiving),
    "a missing argument is null": (
        *(expressions, "_field_of_root"),
        lambda root, field, text: lambda seen: seen[root].get(field),
    ),
    "matches from the start only": (
        *(expressions, "compile_regex"),
        lambda pattern: compile_regex(f"^(?:{pattern})"),
    ),
    "a constant list without its decimals": (
        *(expression_values, "among"),
        lambda left, listed, what: (
            lambda seen: left(seen) in [each for each in listed if type(each) is not float]
        ),
    ),
    "double() of an integer is an integer": (expression_values, "double", expression_values.number),
    "size in bytes": (
        *(expression_values, "size"),
        lambda value, what: len(str(value).encode()),
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_planted_fault_is_found(fault: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, name, wrong = FAULTS[fault]
    if isinstance(where, dict):
        monkeypatch.setitem(where, name, wrong)
    else:
        monkeypatch.setattr(where, name, wrong)

    verdicts = (verdict(each) for each in compare(0, conditions=3000, inputs=8))
    found = next((n for n, name in enumerate(verdicts, 1) if name == WRONG), None)

    print(f"{fault}: found after {found} comparisons")
    assert found is not None


# -- regexes and globs ------------------------------------------------------------------------

SUBJECTS = [*TEXTS, *ODD_TEXTS, "A", "ab", "aa", "é5", "5", "-", "[", "[a]", "&", "a&b", "_", "١"]
SUBJECTS += ["\u212a", "k", "\u00a0", " ", "\x0b", "\x85", "a\nb", "ß", "a b", "~", "a]", "B-a"]
# Where the two engines read the same pattern differently: the class on the page, what tells it.
DIALECTS = (("Unicode in \\d, \\w, \\s and \\b", re.compile(r"\\[dDwWsSbB]")),)
ODD_PATTERNS = [
    *(r"^\d$", r"^\w+$", r"^\s$", r"\ba", r"^\D$", r"^\W$", r"^\S$", r"^\B.", r"^[\w.]+@"),
    *("(?i)^K$", "(?i)^ß$", "(?i)é", "(?s)^a.b$", "(?m)^b$", r"^\pL$", r"^\p{Lu}$", r"\x{e9}"),
    *("^[[:alpha:]]$", "^[[:^space:]]$", "^[]a]$", "^[^]a]$", r"a\z", r"\Aa", "^(?P<n>a)$", "()"),
    *(r"\Qa\E", r"^a{,2}$", r"\C", "(a+)+$", "a{2}?", "(?U)a+", "|a", r"^\p{Greek}$", "a{1000}"),
    *("(?:a{10}){3}b?", "[[:alpha:]&-]", "(?i-s:a.)", "(?<n>a)", r"[(\]]{2}", "^*a", "()*", r"\b*"),
]
# What only ours takes, or reads in its own way, and what we say of it when a policy is loaded.
OURS_ALONE = {
    "^[a&&b]$": r"&& within [...] may be a set operation: write \&\&",
    "[a~~b]": "~~ within",
    "[a--b]": "-- within",
    "[[a]]": r"[ within [...] may begin a set: write \[",
    "[[:foo:]]": "[ within",
    r"\<a": r"\< is a word boundary or a character: write \b, or <",
    r"a\>": r"\> is a word",
    r"\b{start}a": r"write \b, without {start}",
    "(?x)a b": "(?x): take the flag x out",
    "(?R)a": "take the flag R out",
    "(?-u)a": "take the flag u out",
    r"\u0061": "write the character itself",
    r"[\U00000061]": "write the character itself",
    "a**": "'*' repeats a repetition: group it, as in (?:a*)*",
    "a++": "'+' repeats",
    "a{2}{3}": "'{3}' repeats",
    "a*??": "'?' repeats",
    "a{1001}": "a repetition may count to 1000",
    "(?:a{100}|b){11}": "a repetition may count to 1000, nested ones multiplied",
    "a{ 2 }": "write counts as in {2}",
    "(?P<a.b>a)": "a name has letters, digits and _",
    r"\p{Letter}": r"write a general category such as \p{L}",
    r"[\p{greek}]": "write a general category",
    r"\pC": "write a general category",
}


@pytest.mark.parametrize("pattern", OURS_ALONE)
def test_a_regex_that_engines_read_in_different_ways_is_refused_with_a_cure(pattern: str) -> None:
    with pytest.raises(ValueError) as caught:
        compile_regex(pattern)

    assert OURS_ALONE[pattern] in str(caught.value)


def test_a_glob_is_taken_whatever_its_characters_mean_to_regexes() -> None:
    assert all(compile_glob(f"a{c}b")(f"a{c}b") for c in map(chr, range(33, 127)))
    assert compile_glob("[[a&&b]]<--~~>")("[[a&&b]]<--~~>")


def test_a_regex_matches_what_it_does_in_cel() -> None:
    counts: Counter[str] = Counter()
    program = google("args.a.matches(args.p)")
    for pattern in [*ODD_PATTERNS, *OURS_ALONE, *random_patterns(2000), *wild_patterns(4000)]:
        try:
            ours = compile_regex(pattern)
        except ValueError:
            counts["refused when loaded"] += 1
            continue
        for subject in SUBJECTS:
            seen = {"args": {"a": subject, "p": pattern}, "agent": {}, "call": {}, "session": {}}
            same = str(ours(subject)).lower() == said(program, seen)
            known = [name for name, written in DIALECTS if written.search(pattern)]
            if subject.isascii() and "\x0b" not in subject:
                known = [name for name in known if name != DIALECTS[0][0]]
            assert same or known, (pattern, subject)
            counts["same" if same else known[0]] += 1

    print(table(counts))
    assert counts["same"] > 60_000, counts


def random_patterns(number: int) -> Iterator[str]:
    rand = random.Random(0)
    atoms = [
        "a",
        "b",
        "5",
        "é",
        r"\.",
        ".",
        "[ab]",
        "[^a]",
        "[a-z0-9]",
        "(?:a|é)",
        "(b|)",
        r"\-",
        "@",
    ]
    for _ in range(number):
        parts = [
            rand.choice(atoms) + rand.choice(["", "", "", "*", "+", "?", "+?", "{2}", "{1,3}"])
            for _ in range(rand.randint(1, 4))
        ]
        inner = rand.choice(["%s", "(%s)", "%s|b", "(?i)%s", "(?s)%s"]) % "".join(parts)
        yield rand.choice(["%s", "^%s", "%s$", "^(?:%s)$"]) % inner


def wild_patterns(number: int) -> Iterator[str]:
    """Pieces of syntax put together blindly: most are refused, by one engine or by both."""
    rand = random.Random(1)
    pieces = [
        *"ab5é[]()|*+?^$.-&~{},<>!:",
        "[^",
        "(?",
        "(?:",
        "(?i",
        "(?i)",
        "(?P<n>",
        "{2}",
        "{1,",
    ]
    pieces += [*(r"\\" + c for c in "abdwnvxpzA<>uQ[]-&_"), r"\x41", r"\p{L}", r"\pN", "&&", "[a"]
    pieces += ["--", "{300}", "[:alpha:]", "x", "]*", "a)", ")+", "[a-z]", "[[:", ":]]", "R", "\n"]
    for _ in range(number):
        yield "".join(rand.choices(pieces, k=rand.randint(2, 7)))


def test_the_page_names_how_regexes_differ() -> None:
    assert [name for name, _ in DIALECTS if name not in PAGE] == []


@given(
    pattern=st.text(alphabet="ab.*?é[(\\\n", max_size=7),
    text=st.text(alphabet="ab.é[(\\\n", max_size=7),
)
def test_a_glob_matches_part_by_part(pattern: str, text: str) -> None:
    assert compile_glob(pattern)(text) is globbed(re.findall(r"\*\*|(?s:.)", pattern), text)


def globbed(parts: list[str], text: str) -> bool:
    """The meaning of a glob, spelt out: `*` and `?` stop at a dot, `**` does not."""
    if not parts:
        return not text
    first, rest = parts[0], parts[1:]
    if first in ("*", "**"):
        longest = len(text) if first == "**" else len(text.partition(".")[0])
        return any(globbed(rest, text[n:]) for n in range(longest + 1))
    fits = text[:1] == first if first != "?" else text[:1] not in ("", ".")
    return bool(fits and text) and globbed(rest, text[1:])
