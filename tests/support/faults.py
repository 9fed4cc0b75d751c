"""Planted faults: a store whose guards were taken out, to see that a test would notice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from interlock.core.errors import InterlockError
from interlock.store.redis import RedisStore
from tests.store.explorer import FAULTS

WAKE = ("redis.pcall('XADD', k, 'MAXLEN'", "tostring('XADD', k, 'MAXLEN'")
"""Nobody is ever woken up."""


def plant(store: RedisStore, *faults: str | tuple[str, str]) -> RedisStore:
    """Break the scripts of *store*; every text to replace has to be there once."""
    for script in (store._put, store._get):
        text = script.source
        for fault in faults:
            old, new = FAULTS[fault] if isinstance(fault, str) else fault
            assert text.count(old) == 1 or script is store._get, f"{fault} is not there once"
            text = text.replace(old, new)
        script.source = text
        script._sha = hashlib.sha1(text.encode()).hexdigest()
    return store


@contextmanager
def noticed() -> Iterator[None]:
    """The block checks a promise on something broken: it has to fail."""
    with pytest.raises((AssertionError, InterlockError)):
        yield
