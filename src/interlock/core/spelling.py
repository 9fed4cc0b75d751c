"""How the laxest readers compare names: by what is left of them once they are tidied up.

Policy knows a name as it is written. Servers may trim it, fold its case or compatibility forms
(NFKC), drop what cannot be seen, or stop at a NUL as C does; names that differ in no more than that
could be one name to them.
"""

from __future__ import annotations

import re
import unicodedata

from .content import fold
from .errors import MalformedCall

_USUAL = re.compile(r"[!-~]+", re.ASCII)


def lax(name: str) -> str:
    """Return *name* as the laxest reader compares it."""
    if _USUAL.fullmatch(name):
        return name.lower()
    try:
        folded = fold(name.partition("\0")[0])
    except MalformedCall:  # marks without end: folding drops none, so it is no other name
        return name
    return "".join([each for each in folded if unicodedata.category(each)[0] not in "CZ"])


def lax_method(method: str) -> str:
    """Return letters and digits of *method*, as who takes any separator compares it."""
    return "".join([each for each in lax(method) if each.isalnum()])
