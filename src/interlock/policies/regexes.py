"""Regexes and globs on a linear-time engine: pydantic-core's Rust `regex`.

Python's `re` backtracks: `^(a+)+$` on 30 characters takes minutes. This engine has no look-around
and no back-references, and refuses patterns that compile to too much.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from pydantic_core import SchemaError, SchemaValidator, core_schema

from ..core.rules import Indeterminate

MAX_PATTERN = 500

_GLOB_PARTS = re.compile(r"\*\*|\*|\?|[^*?]+")
_GLOBS = {"**": "(?s:.*)", "*": "[^.]*", "?": "[^.]"}


def compile_regex(pattern: str) -> Callable[[str], bool]:
    """Return a search for *pattern* (unanchored, as CEL's `matches`).

    The search raises Indeterminate for text that is not Unicode (lone surrogates).

    Raises:
        ValueError: the pattern is too long or is not one that this engine takes.
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
    return "".join(c if c.isalnum() or c in "_ " or ord(c) > 127 else f"\\{c}" for c in text)


# One address and nothing else: atoms of RFC 5322 without the routing characters % and !.
is_mail_address = compile_regex(
    r"^[A-Za-z0-9.#$&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(\.[A-Za-z0-9-]{1,63}){0,15}\.?$"
)
