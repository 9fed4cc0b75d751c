"""Regexes and globs on a linear-time engine: pydantic-core's Rust `regex`.

Python's `re` backtracks: `^(a+)+$` on 30 characters takes minutes. This engine has no look-around
and no back-references, and refuses patterns that compile to too much. What it would read in another
way than RE2, the engine of CEL, is refused as well.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from pydantic_core import SchemaError, SchemaValidator, core_schema

from ..core.rules import Indeterminate

MAX_PATTERN = 500

_GLOB_PARTS = re.compile(r"\*\*|\*|\?|[^*?]+")
_GLOBS = {"**": "(?s:.*)", "*": "[^.]*", "?": "[^.]"}
_SPECIAL = frozenset("\\.+*?()|[]{}^$#&-~")

MAX_REPEATS = 1000
_POSIX = "alnum|alpha|ascii|blank|cntrl|digit|graph|lower|print|punct|space|upper|word|xdigit"
_ESCAPE = r"\\(?:[pP](?:\{[^}]*\}|.)|x\{[^}]*\}|[bB]\{[^}]*\}?|.)"
_TOKEN = re.compile(
    rf"""(?P<escape>{_ESCAPE})
    | (?P<set>\[\^?\]?(?:\[:\^?(?:{_POSIX}):\]|{_ESCAPE}|[^]\\[])*\])
    | (?P<open>\((?:\?(?:P?<[^>]*>|[A-Za-z-]*[:)]))?)
    | (?P<repeat>(?:[*+?]|\{{[^}}]*\}})\??)
    | (?P<other>.)""",
    re.VERBOSE | re.DOTALL,
)
_COUNT = re.compile(r"\{([0-9]+)(?:,([0-9]*))?\}\??\Z")
_NAMED = re.compile(r"\(\?P?<[A-Za-z_][A-Za-z0-9_]*>\Z")
# Scripts of which all versions of Unicode say the same, and categories of assigned characters.
_SCRIPTS = "Arabic|Cyrillic|Devanagari|Greek|Han|Hangul|Hebrew|Hiragana|Katakana|Latin|Thai"
_CATEGORY = re.compile(
    rf"\\[pP](?:[LMNPSZ]|\{{(?:[LMNPSZ][a-z]?|C[cfo]|{_SCRIPTS})\}})\Z",
)


def compile_regex(pattern: str) -> Callable[[str], bool]:
    """Return a search for *pattern* (unanchored, as CEL's `matches`).

    The search raises Indeterminate for text that is not Unicode (lone surrogates).

    Raises:
        ValueError: the pattern is too long, is not one that this engine takes, or is one that RE2
            reads in another way.
    """
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"a regex may have {MAX_PATTERN} characters")
    try:
        matches = SchemaValidator(
            core_schema.str_schema(pattern=pattern, strict=True, regex_engine="rust-regex")
        ).isinstance_python
    except SchemaError as error:
        reason = str(error).strip().splitlines()[-1].removeprefix("error: ").strip()
        raise ValueError(f"not a regex that we take: {reason}") from None
    if cure := _read_otherwise(pattern):
        raise ValueError(f"engines read this regex in different ways: {cure}")

    def search(text: str) -> bool:
        if matches(text):
            return True
        if not text.isascii():
            try:
                text.encode()
            except UnicodeEncodeError:
                raise Indeterminate("the text is not Unicode") from None
        return False

    return search


def compile_glob(pattern: str) -> Callable[[str], bool]:
    """Return a full match for a dotted glob: `*` and `?` stop at a dot, `**` does not.

    Raises:
        ValueError: the pattern is too long.
    """
    parts = (_GLOBS.get(part) or _escaped(part) for part in _GLOB_PARTS.findall(pattern))
    return compile_regex("^" + "".join(parts) + "$")


def _escaped(text: str) -> str:
    return "".join(f"\\{c}" if c in _SPECIAL else c for c in text)


def _read_otherwise(pattern: str) -> str:
    """Return what of *pattern* RE2 does not read as we do, and what to write; "" where nothing."""
    counts, before, last = [1], "", 1  # repetitions within each open group, and of the last atom
    for found in _TOKEN.finditer(pattern):
        kind, text = str(found.lastgroup), found[0]
        cure = _DIALECTS[kind](text)
        if kind == "repeat":
            last *= _times(text)
            counts[-1] = max(counts[-1], last)
            if before == "repeat":
                cure = f"{text!r} repeats a repetition: group it, as in (?:a*)*"
            elif last > MAX_REPEATS:
                cure = f"a repetition may count to {MAX_REPEATS}, nested ones multiplied"
        elif text == ")":
            last = counts.pop()
            counts[-1] = max(counts[-1], last)
        else:
            last = 1
            if kind == "open" and not text.endswith(")"):
                counts.append(1)
        if cure:
            return cure
        before = kind
    return ""


def _times(repeat: str) -> int:
    found = _COUNT.match(repeat)
    return max(1, int(found[1]), int(found[2] or 0)) if found else 1


def _escape(text: str) -> str:
    if text in ("\\<", "\\>"):
        return f"{text} is a word boundary or a character: write \\b, or {text[1]}"
    if text[:3] in ("\\b{", "\\B{"):
        return f"write {text[:2]}, without {text[2:]}"
    if text in ("\\u", "\\U"):
        return f"write the character itself, or \\x{{E9}} for {text}..."
    if text[:2] in ("\\p", "\\P") and not _CATEGORY.match(text):
        return f"{text}: write a general category such as \\p{{L}} or \\p{{Lu}}, or [...]"
    return ""


def _set(text: str) -> str:
    plain = re.sub(_ESCAPE, "", text)
    for operation in ("&&", "--", "~~"):
        if operation in plain:
            one = operation[0]
            return f"{operation} within [...] may be a set operation: write \\{one}\\{one}"
    return next(filter(None, map(_escape, re.findall(_ESCAPE, text))), "")


def _open(text: str) -> str:
    if "<" in text:
        return "" if _NAMED.match(text) else f"{text}: a name has letters, digits and _"
    odd = [flag for flag in text if flag.isalpha() and flag not in "imsU"]
    return f"{text}: take the flag {odd[0]} out; i, m, s and U are known" if odd else ""


def _repeat(text: str) -> str:
    fine = text[0] != "{" or _COUNT.match(text)
    return "" if fine else f"{text}: write counts as in {{2}}, {{2,}} or {{0,2}}"


def _other(text: str) -> str:
    return "[ within [...] may begin a set: write \\[" if text == "[" else ""


_DIALECTS: Mapping[str, Callable[[str], str]] = {
    "escape": _escape,
    "set": _set,
    "open": _open,
    "repeat": _repeat,
    "other": _other,
}


# One address and nothing else: atoms of RFC 5322 without the routing characters % and !.
is_mail_address = compile_regex(
    r"^[A-Za-z0-9.#$&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,15}\.?$"
)
