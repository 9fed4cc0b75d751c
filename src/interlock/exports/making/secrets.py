"""The last look for secrets, after the record was masked as policy says.

Policy's detectors may find less than this, and a training set travels far. What is looked for
needs no judgement: credentials whose makers gave them a form, and members that are named so.
Account and card numbers are for policy's detectors: they are what some calls are about.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

BLANKED = "[secret]"
_NAMES = (
    "pass(?:word|wd|phrase)|secret|client_?secret|secret_?(?:access_?)?key|private_?key"
    "|(?:api|access|auth|refresh|bearer|id)_?(?:key|token)|authorization|x-api-key|credentials?"
)
#: of a word, also behind a character that JSON writes with letters or digits
_BEGIN = r"(?:\b|(?<=\\[bfnrt])|(?<=\\u[0-9A-Fa-f]{4}))"
# each form after a text that it cannot be without: looking for texts is a hundred times as fast
_FORMS = tuple(
    (sign, re.compile(form.replace(r"\b", _BEGIN)))
    for sign, form in (
        ("-----BEGIN ", r"-----BEGIN [A-Z ]*PRIVATE KEY"),
        ("AKIA", r"\bAKIA[0-9A-Z]{16}\b"),
        ("ASIA", r"\bASIA[0-9A-Z]{16}\b"),
        *((f"gh{kind}_", rf"\bgh{kind}_[A-Za-z0-9]{{30,}}") for kind in "opusr"),
        ("github_pat_", r"\bgithub_pat_[A-Za-z0-9_]{30,}"),
        ("glpat-", r"\bglpat-[A-Za-z0-9_-]{16,}"),
        ("xox", r"\bxox[abeoprs]-[A-Za-z0-9-]{10,}"),
        ("hooks.slack.com", r"hooks\.slack\.com/services/T[A-Z0-9]+/"),
        ("sk-", r"\bsk-[A-Za-z0-9_-]{20,}"),
        ("k_live_", r"\b[rs]k_live_[A-Za-z0-9]{16,}"),
        ("k_test_", r"\b[rs]k_test_[A-Za-z0-9]{16,}"),
        ("AIza", r"\bAIza[0-9A-Za-z_-]{30,}"),
        ("npm_", r"\bnpm_[A-Za-z0-9]{30,}"),
        ("pypi-", r"\bpypi-[A-Za-z0-9_-]{30,}"),
        ("hf_", r"\bhf_[A-Za-z0-9]{30,}"),
        ("ilk_", r"\bilk_[a-z]+_[A-Za-z0-9_-]{16,}"),
        ("whsec_", r"\bwhsec_[A-Za-z0-9+/=]{16,}"),
        ("eyJ", r"\beyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]{8,}\."),
        ("earer", r"\b[Bb]earer[ \t]+(?=[^\s\"\\]*[0-9])[A-Za-z0-9._~+/=-]{12,}"),
        ("://", r"[a-z]://[^\s/:@\"\\]+:[^\s/@\"\\]+@"),
    )
)
_MEMBER = re.compile(rf"(?:{_NAMES})\Z", re.IGNORECASE)
_WRITTEN = re.compile(  # also within JSON that is a text in JSON
    rf'"(?:{_NAMES})\\*"\s*:\s*\\*"[^"\\*…]', re.IGNORECASE
)
_BLANK = re.compile(r'"' + re.escape(BLANKED) + r'\\*"')  #: a whole text, also in JSON in a text
_WORDS = ("pass", "secret", "key", "token", "authorization", "credential")  #: in all of the names


def found_in(text: str) -> bool:
    """Say whether JSON written as *text* has anything in it that looks like a secret."""
    if any(sign in text and form.search(text) for sign, form in _FORMS):
        return True
    lower = text.lower()
    return any(word in lower for word in _WORDS) and _WRITTEN.search(text) is not None


def was_blanked(text: str) -> bool:
    """Say whether JSON written as *text* has a text that `blanked` put in place of a secret."""
    return BLANKED in text and _BLANK.search(text) is not None


def held_in(value: Any) -> bool:
    """Say whether a member that is named as a credential holds anything, also lists and objects."""
    if isinstance(value, Mapping):
        return any(
            _holds(each) if _MEMBER.match(name) else held_in(each) for name, each in value.items()
        )
    return isinstance(value, list | tuple) and any(map(held_in, value))


def _holds(value: Any) -> bool:
    return _emptied(value) != value or was_blanked(json.dumps(value))


def blanked(value: Any) -> Any:
    """Return a JSON value with every text that looks like a secret replaced."""
    if isinstance(value, str):
        return BLANKED if found_in(value) else value
    if isinstance(value, Mapping):
        return {blanked(name): _member(name, each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [blanked(each) for each in value]
    return value


def _member(name: str, value: Any) -> Any:
    return _emptied(value) if _MEMBER.match(name) else blanked(value)


def _emptied(value: Any) -> Any:
    """Return what the member of a credential holds, without its leaves; masks stay."""
    if isinstance(value, Mapping):
        return {name: _emptied(each) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_emptied(each) for each in value]
    if not value or isinstance(value, bool) or (isinstance(value, str) and value[0] in "*…"):
        return value
    return BLANKED
