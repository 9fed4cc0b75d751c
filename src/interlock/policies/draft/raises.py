"""What makes an operation graver than its verbs: phrases, parameters, the server's own hints."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ...core.decisions import Reversibility
from .actions import READING, Said
from .effects import COMPENSABLE, IRREVERSIBLE, READ_ONLY, REVERSIBLE, Effect
from .operations import Operation
from .vocabulary import (
    ACTIONS,
    EATS,
    GRAVE,
    HARD,
    OVERWRITES,
    PROGRAMS,
    QUERIES,
    RECIPIENTS,
    TELLS,
    VERBS,
    Verb,
)
from .words import first_sentence, tokens


def raises(operation: Operation, said: Said, so_far: Reversibility) -> Iterator[Effect]:
    """Yield what raises *operation* above *so_far*."""
    yield from _parameters(operation, said, so_far)
    yield from _hints(operation, so_far)
    if so_far is READ_ONLY:
        eats = EATS.search(said.text)
        if eats:
            yield _at_least(COMPENSABLE, f"description: '{eats[0]}'", "does reading change it?")
        return
    grave = GRAVE.search(said.text)
    if grave:
        yield _at_least(IRREVERSIBLE, f"description: '{grave[0]}'")
    overwrites = OVERWRITES.search(first_sentence(said.text))
    if overwrites and so_far is REVERSIBLE:
        yield _at_least(COMPENSABLE, f"description: '{overwrites[0]}'")
    tells = TELLS.search(said.text)
    if tells and so_far is REVERSIBLE:
        yield _at_least(COMPENSABLE, f"description: '{tells[0]}'")


def _at_least(reversibility: Reversibility, why: str, confirm: str = "") -> Effect:
    return Effect(reversibility=reversibility, why=why, confirm=confirm)


def _parameters(operation: Operation, said: Said, so_far: Reversibility) -> Iterator[Effect]:
    names = {name.lower(): name for name in operation.parameters.names}
    for low, name in names.items():
        if _is_program(operation, said, low, so_far):
            why = f"parameter {name} holds what is to be run"
            yield _at_least(IRREVERSIBLE, why, "may agents run anything here?")
        elif low in ACTIONS:
            yield from _choice(operation, name, so_far)
        elif so_far is not READ_ONLY and low in HARD:
            yield _at_least(IRREVERSIBLE, f"parameter {name}")
        elif so_far is REVERSIBLE and low in RECIPIENTS:
            yield _at_least(COMPENSABLE, f"parameter {name}: people are told")


def _is_program(operation: Operation, said: Said, low: str, so_far: Reversibility) -> bool:
    if low in QUERIES:
        return True
    if low in ("query", "q", "statement"):
        text = f"{said.text} {operation.parameters.texts.get(low, '')}"
        return "SQL" in text or "sql" in tokens(operation.name)
    return low in PROGRAMS and (so_far is not READ_ONLY or not operation.method)


def _choice(operation: Operation, name: str, so_far: Reversibility) -> Iterator[Effect]:
    """Judge an operation that is many, told apart by a parameter, by its gravest."""
    values = _values(operation.parameters.properties.get(name))
    verbs = [word for value in values for word in tokens(value)[:1]]
    worst = max((VERBS.get(verb, Verb.RUN) for verb in verbs), default=Verb.RUN)
    if worst <= Verb.LOOK:
        return
    if not values and (operation.method in READING or so_far is READ_ONLY):
        yield _at_least(COMPENSABLE, f"parameter {name}", f"what can {name} be?")
    else:
        shown = ", ".join(values[:8]) or "anything"
        yield _at_least(
            IRREVERSIBLE,
            f"parameter {name}: {shown}",
            f"make an entry of its own for each harmless {name}, by a rule",
        )


def _values(schema: Any) -> list[str]:
    found = schema.get("enum") if isinstance(schema, Mapping) else None
    return [each for each in found or () if isinstance(each, str)]


def _hints(operation: Operation, so_far: Reversibility) -> Iterator[Effect]:
    """Heed annotations of the server where they raise; that it only reads is not believed."""
    hints = operation.annotations
    if so_far is READ_ONLY and hints.get("readOnlyHint") is False:
        yield _at_least(
            IRREVERSIBLE, "annotation readOnlyHint: false", "the server says that it writes"
        )
    elif so_far < COMPENSABLE and hints.get("destructiveHint") is True:
        level = COMPENSABLE if so_far is REVERSIBLE else IRREVERSIBLE
        if hints.get("readOnlyHint") is not True:
            yield _at_least(level, "annotation destructiveHint: true")
