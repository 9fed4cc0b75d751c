"""docs/conditions.md: every example, table, bound and line of the grammar is what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from interlock.core.rules import Indeterminate
from interlock.policies import expression_syntax as syntax
from interlock.policies import expression_values as values
from interlock.policies import regexes
from interlock.policies.expression_types import Shape, of_value
from interlock.policies.expressions import compile_condition, compile_edit_condition

from .cel_writer import BEYOND, Writer

PAGE = (Path(__file__).parents[2] / "docs" / "conditions.md").read_text()
SEEN: dict[str, Any] = yaml.safe_load(re.findall(r"```yaml\n# seen\n(.*?)```", PAGE, re.S)[0])
VARS = SEEN.pop("vars")


def examples(kind: str) -> list[str]:
    blocks = re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)
    return [line for block in blocks for line in block.strip().splitlines()]


def answers(source: str, args: Shape | None, compiler: Any, seen: dict[str, Any]) -> str:
    try:
        condition = compiler(source, VARS, args) if args else compiler(source, VARS)
    except syntax.ConditionError as error:
        return f"refused: {error}"
    try:
        return str(condition(seen)).lower()
    except Indeterminate:
        return "indeterminate"


@pytest.mark.parametrize("line", examples("cel"))
def test_a_condition_on_the_page_answers_as_it_says(line: str) -> None:
    source, _, said = line.rpartition("# ")
    # Only what is refused there depends on the types of the arguments.
    args = of_value(SEEN["args"]) if said.startswith("refused: ") else None

    got = answers(source.strip(), args, compile_condition, SEEN)

    words = said.removeprefix("refused: ")
    assert got == said or (got.startswith("refused: ") and words != said and words in got)


@pytest.mark.parametrize("line", examples("cel edit"))
def test_a_condition_on_an_edit_answers_as_it_says(line: str) -> None:
    source, _, said = line.rpartition("# ")
    edited = {"args": {**SEEN["args"], "amount": 700}}
    seen = {"edited": edited, "original": {"args": SEEN["args"]}}

    assert answers(source.strip(), None, compile_edit_condition, seen) == said


OPERANDS = {"true": "args.paid", "false": "!args.paid", "indeterminate": "args.missing"}


@pytest.mark.parametrize("op", ["&&", "||"])
def test_the_tables_of_three_values_are_what_it_does(op: str) -> None:
    shown = op.replace("|", "\\|")
    _, _, after = PAGE.partition(f"| `{shown}` | true | false | indeterminate |\n")
    rows = [
        [cell.strip(" *") for cell in line.strip("|").split("|")]
        for line in after.splitlines()[1:4]
    ]

    for left, *said in rows:
        got = [
            answers(f"{OPERANDS[left]} {op} {right}", None, compile_condition, SEEN)
            for right in OPERANDS.values()
        ]
        assert got == said, (left, op)
    assert [row[0] for row in rows] == list(OPERANDS)


def test_the_page_names_every_bound() -> None:
    for what, bound in {
        "characters |": syntax.MAX_LENGTH,
        "|": syntax.MAX_NODES,
        "levels |": syntax.MAX_DEPTH,
        "; longer ones": syntax.MAX_ITEMS,
        "; more are": values.MAX_ITEMS,
    }.items():
        assert re.search(rf"\| {bound:,} ?{re.escape(what)}", PAGE), what
    assert f"| {regexes.MAX_PATTERN} characters |" in PAGE


# -- the grammar: read from the page and set beside the parser --------------------------------

Match = Callable[[str, int], int | None]
_PIECE = re.compile(r'\s*(?:("[^"]*")|/(.*)/$|([a-z]+)|([][{}()|]))')


def grammar() -> dict[str, str]:
    joined = re.sub(r"\n +\|", " |", "\n".join(examples("ebnf")))
    return {
        name.strip(): body.strip()
        for name, _, body in (line.partition(" = ") for line in joined.splitlines())
    }


class Grammar:
    """Recognises what the page's rules say, the first choice that fits, as far as it goes."""

    def __init__(self) -> None:
        self.rules = grammar()

    def takes(self, text: str) -> bool:
        end = self.rule("condition")(text, 0)
        return end is not None and not text[end:].strip()

    @lru_cache  # noqa: B019 -- lives as long as the module
    def rule(self, name: str) -> Match:
        pieces = _PIECE.findall(self.rules[name])
        match, rest = self.choice(pieces)
        assert not rest, (name, rest)
        return match

    def choice(self, pieces: list[Any]) -> tuple[Match, list[Any]]:
        options: list[Match] = []
        while True:
            parts: list[Match] = []
            while pieces and pieces[0][3] not in tuple("|)]}"):
                part, pieces = self.part(pieces)
                parts.append(part)
            options.append(_sequence(parts))
            if not pieces or pieces[0][3] != "|":
                return _first(options), pieces
            pieces = pieces[1:]

    def part(self, pieces: list[Any]) -> tuple[Match, list[Any]]:
        (literal, regex, name, bracket), rest = pieces[0], pieces[1:]
        if literal:
            word = r"\b" if literal[1].isalpha() else ""
            return _regex(re.escape(literal[1:-1]) + word), rest
        if regex:
            return _regex(regex), rest
        if name:
            return (lambda text, at: self.rule(name)(text, at)), rest
        inner, rest = self.choice(rest)
        wrap = {"(": lambda each: each, "[": _optional, "{": _repeated}[bracket]
        return wrap(inner), rest[1:]


def _regex(pattern: str) -> Match:
    compiled = re.compile(rf"\s*(?:{pattern})")

    def match(text: str, at: int) -> int | None:
        found = compiled.match(text, at)
        return found.end() if found else None

    return match


def _sequence(parts: list[Match]) -> Match:
    def match(text: str, at: int) -> int | None:
        end: int | None = at
        for part in parts:
            end = part(text, end) if end is not None else None
        return end

    return match


def _first(options: list[Match]) -> Match:
    def match(text: str, at: int) -> int | None:
        found = (end for option in options if (end := option(text, at)) is not None)
        return next(found, None)

    return match


def _optional(inner: Match) -> Match:
    return _first([inner, lambda text, at: at])


def _repeated(inner: Match) -> Match:
    def match(text: str, at: int) -> int | None:
        while (end := inner(text, at)) is not None:
            at = end
        return at

    return match


def parses(source: str) -> bool | None:
    """Whether the parser takes *source*; None where a bound stopped it."""
    try:
        syntax.parse(source)
    except syntax.ConditionError as error:
        return None if re.search("may have|deeper", str(error)) else False
    return True


def test_the_grammar_on_the_page_is_what_the_parser_takes() -> None:
    page, writer, seen = Grammar(), Writer(7), {True: 0, False: 0}
    sources = [writer.condition() for _ in range(1500)] + BEYOND
    # Broken ones too: a character lost, doubled or put elsewhere.
    sources += [broken(source, writer) for source in sources if len(source) < 300 for _ in range(4)]
    for source in sources:
        if (taken := parses(source)) is not None:
            assert page.takes(source) is taken, source
            seen[taken] += 1

    assert seen[True] > 2000 and seen[False] > 1000, seen


def broken(source: str, writer: Writer) -> str:
    at = writer.random.randrange(len(source))
    other = writer.one([*"()[].,!-<=&|\"'\\ r1ax?", "in", "true", "null", source[at] * 2, ""])
    return source[:at] + str(other) + source[at + writer.one([0, 1]) :]


def test_every_name_of_the_grammar_is_a_rule_and_is_used() -> None:
    rules = grammar()
    named = {name for body in rules.values() for *_, name, _ in _PIECE.findall(body) if name}

    assert named | {"condition"} == set(rules)
    assert [
        word for word in (*syntax.FUNCTIONS, *syntax.METHODS) if f'"{word}"' not in str(rules)
    ] == []
