from __future__ import annotations

import pytest

from interlock.upstream.http import HttpSettings, HttpUpstream


@pytest.fixture(params=["direct", "session"])
async def to(request, monkeypatch):
    """Open upstreams on URLs, by either way to send; all are closed at the end."""
    monkeypatch.setattr("interlock.upstream.http.DIRECT", request.param == "direct")
    opened = []

    def open_one(url, *, resolver=None, **changes):
        opened.append(HttpUpstream(HttpSettings(url=url, **changes), resolver=resolver))
        return opened[-1]

    yield open_one
    for upstream in opened:
        await upstream.close()
