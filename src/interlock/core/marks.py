"""Bounds what normalising a text costs: sorting a run of combining marks takes quadratic time.

Unicode's Stream-Safe Text Format (UAX #15, section 13) allows 30 marks in a row; no language needs
as many.
"""

from __future__ import annotations

from unicodedata import combining

MOST = 30  #: combining marks in a row


def piled_up(text: str) -> bool:
    """Say whether *text* has more combining marks in a row than any writing needs."""
    if text.isascii():
        return False
    run = 0
    for character in text:
        run = run + 1 if character > "\u02ff" and combining(character) else 0
        if run > MOST:
            return True
    return False
