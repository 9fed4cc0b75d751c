from __future__ import annotations

import pytest

from interlock.upstream.http import HttpSettings, HttpUpstream


@pytest.fixture
async def to():
    """Open upstreams on URLs; all are closed at the end."""
    opened = []

    def open_one(url, *, resolver=None, **changes):
        opened.append(HttpUpstream(HttpSettings(url=url, **changes), resolver=resolver))
        return opened[-1]

    yield open_one
    for upstream in opened:
        await upstream.close()
