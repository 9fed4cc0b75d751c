"""What pydantic finds wrong, in the words of those who write the file: what, and how to mend it."""

from __future__ import annotations

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import pydantic

Path = tuple[str | int, ...]
Schema = Mapping[str, Any]
Existing = Callable[[Sequence[str | int]], Path]

# What a pattern asks for; the patterns are those of `document`.
FORMS: Mapping[str, str] = {
    r"^[1-9][0-9]{0,5}(ms|s|m|h|d)$": "write a duration with its unit: 90s, 15m, 4h or 7d",
    r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,99}$": (
        "write a name of letters, digits and _ . : - that begins with a letter or a digit "
        "(at most 100)"
    ),
    r"^/": "a path begins with /",
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$": "write a day in quotes, as in '2027-03-31'",
}
_NEEDED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "bool_type": "true or false",
    "tuple_type": "a list",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
# Keys that other products use for what is called otherwise here; the first that is known counts.
_SYNONYMS: Mapping[str, tuple[str, ...]] = {
    "then": ("at_least",),
    "level": ("at_least", "then"),
    "action": ("at_least", "then"),
    "effect": ("at_least", "then"),
    "decision": ("at_least", "then"),
    "if": ("when",),
    "condition": ("when",),
    "expr": ("when", "sum"),
    "message": ("deny",),
    "name": ("id",),
    "schema": ("args_schema",),
    "args": ("args_schema",),
    "arguments": ("args_schema",),
    "parameters": ("args_schema",),
    "risk": ("stake",),
    "severity": ("stake",),
    "per": ("key",),
    "period": ("window", "memory"),
    "timeout": ("expire_after",),
    "until": ("expires",),
}
_LENGTHS = ("minItems", "minProperties", "minLength", "maxItems", "maxProperties", "maxLength")
_SCALARS = frozenset(("str", "int", "float", "bool"))


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return `; did you mean 'x'?` for the nearest of *known*, or nothing."""
    near = difflib.get_close_matches(word, sorted(set(known)), 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def worded(
    errors: Sequence[Any], model: type[pydantic.BaseModel], existing: Existing
) -> Iterator[tuple[Path, str, bool]]:
    """Yield where each error is, what to say of it, and whether at the key or at the value.

    What every choice of a union says of one value is one problem. *existing* returns a path
    without the parts that name nothing in the file.
    """
    schema = _schema(model)
    groups: dict[Path, list[Any]] = defaultdict(list)
    for details in filter(_counts, errors):
        groups[_place(details, existing)].append(details)
    for place, group in groups.items():
        needed = [each for each in group if each["type"] in _NEEDED]
        if len(needed) > 1 and any(_unlabelled(each["loc"]) != each["loc"] for each in needed):
            if not any(place == other[: len(place)] != other for other in groups):
                yield place, _of_type(needed, _at(schema, place)), False
            group = [each for each in group if each not in needed]
        for details in group:
            yield place, *_said(details, schema, place)


def _counts(details: Any) -> bool:
    """Whether an error is one: of a list with a wrong entry, pydantic says it is short as well."""
    if details["type"] == "literal_error":
        return bool(_words(details))  # that an empty text would do helps nobody
    least: int = details["ctx"]["min_length"] if details["type"] == "too_short" else 0
    return least == 0 or len(details["input"]) < least


def _words(details: Any) -> list[str]:
    expected = str(details.get("ctx", {}).get("expected", ""))
    return [word for word in re.findall(r"'([^']*)'", expected) if word]


def _place(details: Any, existing: Existing) -> Path:
    location: Path = details["loc"]
    return location if existing(location) == location else _unlabelled(location)


def _unlabelled(location: Path) -> Path:
    """Return *location* without what pydantic calls the choices of a union of plain values."""
    kept = tuple(part for part in location if not str(part).startswith("tuple["))
    return kept[:-1] if kept and kept[-1] in _SCALARS else kept


def _said(details: Any, schema: Schema, place: Path) -> tuple[str, bool]:
    kind, name = details["type"], str(place[-1]) if place else ""
    if kind == "extra_forbidden":
        return f"unknown key {name!r}{_known(name, schema, place[:-1])}", True
    if kind == "unsupported":
        return f"{name!r} {details['msg']}", True
    if kind == "missing":
        return f"{name!r} is missing", False
    if kind in _NEEDED:
        return _of_type([details], _at(schema, place)), False
    if kind in ("literal_error", "enum"):
        return _of_words(details, name), False
    return _of_value(details, kind, name, _at(schema, place)), False


def _known(name: str, schema: Schema, place: Path) -> str:
    known = list(dict.fromkeys(key for each in _at(schema, place) for key in _keys(each)))
    for other in _SYNONYMS.get(name, ()):
        if other in known:
            return f"; did you mean {other!r}?"
    if hint := suggestion(name, known):
        return hint
    if re.search(r"[()\"'=<>&|]", name):
        return "; a comma within {...} ends a text: put the text before it in quotes"
    return f"; known here: {', '.join(known)}" if known else ""


def _of_words(details: Any, name: str) -> str:
    given, words = details.get("input"), _words(details)
    if given is None:
        return _NO_VALUE
    if name == "at_least" and given == "deny":
        return "a rule denies with a message: write `deny: MESSAGE FOR THE AGENT` in its place"
    if len(words) == 1:
        return f"only {words[0]!r} is possible here, not {shown(given)}"
    hint = suggestion(given, words) if isinstance(given, str) else ""
    return f"write {listed(words)} here, not {shown(given)}{hint}"


_NO_VALUE = "there is no value: write one, or take the key out"


def _of_type(group: Sequence[Any], schemas: Sequence[Schema]) -> str:
    given = group[0].get("input")
    if given is None:
        return _NO_VALUE
    needed = list(dict.fromkeys(_NEEDED[each["type"]] for each in group))
    if "a number" in needed and "a whole number" in needed:
        needed.remove("a whole number")
    if needed == ["a text"] and not isinstance(given, list | dict):
        forms = [FORMS[each["pattern"]] for each in schemas if each.get("pattern") in FORMS]
        if forms:
            return f"{forms[0]}; not {shown(given)}"
        return f"a text is needed here, not {shown(given)}: put it in quotes"
    return f"{listed(needed)} is needed here{_of_keys(needed, schemas)}, not {shown(given)}" + (
        _cure(needed, given)
    )


def _of_keys(needed: Sequence[str], schemas: Sequence[Schema]) -> str:
    keys = list(dict.fromkeys(key for each in schemas for key in _keys(each)))
    if needed != ["a mapping"] or not keys:
        return ""
    more = ", ..." if len(keys) > 8 else ""
    return f" ({', '.join(keys[:8])}{more})"


def _cure(needed: Sequence[str], given: Any) -> str:
    if needed == ["a list"]:
        return ": begin each entry with '- '" if isinstance(given, dict) else ": write [...]"
    if "a whole number" in needed and isinstance(given, float) and given.is_integer():
        return f": write {int(given)}"
    number = any("number" in word for word in needed)
    if number and isinstance(given, str) and re.fullmatch(r"-?[0-9]+,[0-9]{1,2}", given):
        return f": write {given.replace(',', '.')}"
    plain = isinstance(given, str) and re.fullmatch(r"-?[0-9.]+|true|false", given)
    return ": take the quotes away" if plain else ""


_SHARES = {0.2: " of held calls", 1: " of the calls that go through"}
"""By the bound of a `share`: what a bare number would not say."""


def _of_value(details: Any, kind: str, name: str, schemas: Sequence[Schema]) -> str:
    given, bounds = details.get("input"), details.get("ctx", {})
    small, large = f"{_plain(given)} is too small", f"{_plain(given)} is too large"
    found: Mapping[str, Callable[[], str]] = {
        "string_pattern_mismatch": lambda: _of_form(given, str(bounds["pattern"])),
        "string_too_short": lambda: "the text is empty: write one",
        "string_too_long": lambda: (
            f"the text has more than {bounds['max_length']} characters: shorten it"
        ),
        "too_short": lambda: _of_length(given, schemas),
        "too_long": lambda: _of_length(given, schemas),
        "greater_than_equal": lambda: f"{small}: at least {_plain(bounds['ge'])}",
        "less_than_equal": lambda: f"{large}: at most {_plain(bounds['le'])}",
        "greater_than": lambda: f"{small}: write more than {_plain(bounds['gt'])}",
        "less_than": lambda: f"{large}: write less than {_plain(bounds['lt'])}",
        "finite_number": lambda: f"{shown(given)} is no finite number",
    }
    if kind in found:
        return found[kind]() + (_SHARES.get(bounds.get("le"), "") if name == "share" else "")
    message = str(details["msg"]).removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _plain(number: Any) -> str:
    whole = isinstance(number, float) and number.is_integer()
    return shown(int(number) if whole else number)


def _of_form(given: Any, pattern: str) -> str:
    if pattern == "^/" and isinstance(given, str):
        return f"a path begins with /: write {shown('/' + given)}"
    form = FORMS.get(pattern, f"this must have the form {pattern}")
    return f"{form}; not {shown(given)}"


def _of_length(given: Any, schemas: Sequence[Schema]) -> str:
    bounds = {word: each[word] for each in schemas for word in _LENGTHS if word in each}
    least = next((bounds[word] for word in _LENGTHS[:3] if word in bounds), 1)
    most = next((bounds[word] for word in _LENGTHS[3:] if word in bounds), None)
    if not given:
        return f"nothing is listed here: write {'at least one' if least == 1 else least}"
    asked = least if least == most else f"at most {most}" if most else f"at least {least}"
    return f"{len(given)} {'is' if len(given) == 1 else 'are'} listed here: write {asked}"


def listed(words: Sequence[str]) -> str:
    """Return *words* as `a, b or c`."""
    return " or ".join(filter(None, (", ".join(words[:-1]), words[-1]))) if words else ""


def shown(given: Any) -> str:
    """Return a value as the file has it, short."""
    if isinstance(given, list | tuple):
        return "a list"
    if isinstance(given, dict):
        return "a mapping"
    if isinstance(given, str):
        return repr(given if len(given) <= 60 else given[:57] + "...")
    return json.dumps(given, default=str)


# ---- what a model takes at a path ------------------------------------------------------------


@cache
def _schema(model: type[pydantic.BaseModel]) -> Schema:
    return model.model_json_schema()


def _at(schema: Schema, place: Path) -> list[Schema]:
    """Return the choices that the model gives at *place*."""
    found = list(_choices(schema, schema))
    for part in place:
        inner = [each[part] for each in map(_properties, found) if part in each]
        if not inner:
            inner = [each["items"] for each in found if isinstance(part, int) and "items" in each]
            inner += [
                each["additionalProperties"]
                for each in found
                if isinstance(part, str) and isinstance(each.get("additionalProperties"), dict)
            ]
            # A union's tag stands in `loc` without standing in the file, so try both readings.
            inner += found if isinstance(part, str) else []
        found = [choice for each in inner for choice in _choices(each, schema)]
    return found


def _choices(each: Schema, schema: Schema) -> Iterator[Schema]:
    if "$ref" in each:
        yield from _choices(schema["$defs"][each["$ref"].rpartition("/")[2]], schema)
        return
    for choice in (*each.get("anyOf", ()), *each.get("oneOf", ())):
        yield from _choices(choice, schema)
    if "anyOf" not in each and "oneOf" not in each:
        yield each


def _properties(each: Schema) -> Mapping[Any, Schema]:
    found: Mapping[Any, Schema] = each.get("properties", {})
    return found


def _keys(each: Schema) -> list[str]:
    return list(_properties(each))
