"""Models of confidence in a real store: sealed, bounded, and refused where they are not ours."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace

import pytest

from interlock.core.calibration import (
    MOST_MODELS,
    MOST_STEPS,
    Isotonic,
    Models,
    Platt,
)
from interlock.core.errors import StoreUnavailable
from interlock.learning import Fitted, Refused
from interlock.store.calibration import LARGEST, RedisCalibration
from interlock.store.connection import connect
from interlock.store.redis import RedisStore
from tests.support.builders import NOON

KEY = b"a key that is not in the store.."
MODELS = Models(
    by={
        ("bot", "bank.pay"): Platt(of=60, slope=1.5, offset=-0.25),
        ("", ""): Isotonic(of=1200, steps=((0.1, 0.05), (0.9, 0.8))),
    }
)
FITTED = Fitted(models=MODELS, at=NOON, labels=1260, newest=NOON - 5)


def kept_in(store: RedisStore, key: bytes = KEY, prefix: str = "") -> RedisCalibration:
    return RedisCalibration(store.client, key=key, prefix=prefix or store._prefix[1:-1])


def name(store: RedisStore) -> str:
    return f"{store._prefix}:calibration"


async def test_what_one_process_fits_another_reads(store: RedisStore) -> None:
    assert await kept_in(store).read() is None
    assert await kept_in(store).mark() == b""
    await kept_in(store).write(FITTED)
    assert await kept_in(store).read() == FITTED
    assert await kept_in(store).mark() != b""


async def test_the_mark_changes_with_what_is_kept(store: RedisStore) -> None:
    await kept_in(store).write(FITTED)
    first = await kept_in(store).mark()
    await kept_in(store).write(FITTED)
    assert await kept_in(store).mark() == first
    await kept_in(store).write(replace(FITTED, at=NOON + 1))
    assert await kept_in(store).mark() != first


async def test_that_there_are_no_models_is_kept_as_well(store: RedisStore) -> None:
    none = Fitted(models=Models(), at=NOON, labels=3, newest=NOON)
    await kept_in(store).write(none)
    assert await kept_in(store).read() == none


async def test_the_most_models_that_are_ever_fitted_can_be_kept(store: RedisStore) -> None:
    steps = tuple((each / 1000 + 1e-16, each / 3000) for each in range(MOST_STEPS))
    every = [("", ""), *((f"agent {each}", "") for each in range(MOST_MODELS))]
    every += [("", f"tool.{each}") for each in range(MOST_MODELS)]
    every += [(f"agent {each}", f"tool.{each}") for each in range(MOST_MODELS)]
    models = Models(by={key: Isotonic(of=1000, steps=steps) for key in every})
    await kept_in(store).write(replace(FITTED, models=models))
    read = await kept_in(store).read()
    assert isinstance(read, Fitted) and read.models.by == models.by


async def test_every_changed_byte_is_noticed(store: RedisStore) -> None:
    await kept_in(store).write(FITTED)
    sealed = await store.client.get(name(store))
    assert sealed is not None
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        await store.client.set(name(store), changed)
        assert await kept_in(store).read() is Refused.FORGED


@pytest.mark.parametrize("planted", [b"\x00", b"x" * 31, b"x" * 33, zlib.compress(b"{}")])
async def test_what_nobody_here_sealed_is_refused(store: RedisStore, planted: bytes) -> None:
    await store.client.set(name(store), planted)
    assert await kept_in(store).read() is Refused.FORGED


async def test_what_another_installation_sealed_is_refused(store: RedisStore) -> None:
    await kept_in(store, key=b"the key of another installation.").write(FITTED)
    assert await kept_in(store).read() is Refused.FORGED


async def test_what_was_sealed_for_another_prefix_is_refused(store: RedisStore) -> None:
    other = store._prefix[1:-1] + "other"
    await kept_in(store, prefix=other).write(FITTED)
    moved = await store.client.get("{" + other + "}:calibration")
    assert moved is not None
    await store.client.set(name(store), moved)
    assert await kept_in(store).read() is Refused.FORGED


@pytest.mark.parametrize(
    "said",
    [
        {"v": 0},
        {"v": 2, "models": {"v": 1, "models": []}},
        {"v": 1, "at": 1, "labels": 1, "newest": 1, "models": {"v": 9, "models": []}},
        {"v": 1, "at": 1, "labels": 1, "newest": 1, "models": {"v": 1, "models": [["a"]]}},
        {"v": 1, "models": {"v": 1, "models": []}},
        [],
        7,
    ],
)
async def test_what_an_interlock_with_other_models_sealed_is_refused(
    store: RedisStore, said: object
) -> None:
    kept, data = kept_in(store), zlib.compress(json.dumps(said).encode())
    await store.client.set(name(store), kept._mac(data) + data)
    assert await kept.read() is Refused.VERSION


async def test_a_bomb_is_refused_unread(store: RedisStore) -> None:
    await store.client.setrange(name(store), 64 * 1024 * 1024, b"x")
    assert await kept_in(store).read() is Refused.LARGE


async def test_what_is_too_large_to_be_read_is_not_written(
    store: RedisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.store.calibration.LARGEST", 40)
    with pytest.raises(ValueError, match="at most"):
        await kept_in(store).write(FITTED)
    assert await store.client.exists(name(store)) == 0
    assert LARGEST > 40


def test_a_key_that_anybody_could_guess_is_not_taken() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        RedisCalibration(connect("unix:///nowhere/s.sock"), key=b"short")


async def test_a_store_that_is_gone_is_said_to_be() -> None:
    client = connect("unix:///nowhere/s.sock")
    for asked in (kept := RedisCalibration(client, key=KEY)).read, kept.mark:
        with pytest.raises(StoreUnavailable):
            await asked()
    with pytest.raises(StoreUnavailable):
        await kept.write(FITTED)
    await client.aclose()
