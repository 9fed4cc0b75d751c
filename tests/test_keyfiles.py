"""Private files: the secret, and the keys of local people."""

from __future__ import annotations

import stat
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from interlock.config import load_config
from interlock.core.errors import WeakGround
from interlock.core.identity import Kind
from interlock.keyfiles import (
    derived_keys,
    ensure_operator_keys,
    read_private,
    write_private,
)
from interlock.settings import Config, LocalPerson
from interlock.store.connection import connect
from interlock.store.embedded import EmbeddedStore
from interlock.store.keyring import RedisKeyRing

ANN, BOB = LocalPerson(id="ann", groups=("ops",)), LocalPerson(id="bob")


class Clock:
    def now_ms(self) -> int:
        return 1_000_000


@pytest.fixture
async def ring(tmp_path: Path) -> AsyncIterator[RedisKeyRing]:
    async with EmbeddedStore(tmp_path) as store:
        client = connect(store.url)
        yield RedisKeyRing(client, pepper=b"p" * 32, clock=Clock())
        await client.aclose()


def a_config(data: Path, **env: str) -> Config:
    return load_config(None, {"INTERLOCK__DATA": str(data)} | env)


def test_the_secret_is_made_once_and_kept_private(tmp_path: Path) -> None:
    config = a_config(tmp_path / "data")
    first = derived_keys(config)
    assert derived_keys(config) == first
    assert first.pepper != first.seal and len(first.pepper) == len(first.seal) == 32
    assert stat.S_IMODE((tmp_path / "data" / "secret.key").stat().st_mode) == 0o600
    assert [path.name for path in (tmp_path / "data").iterdir()] == ["secret.key"]


def test_a_configured_secret_makes_no_file(tmp_path: Path) -> None:
    env = {"INTERLOCK__SECRET": '{"from_env": "S"}', "S": "s" * 32}
    keys = derived_keys(a_config(tmp_path, **env))
    assert keys == derived_keys(a_config(tmp_path / "elsewhere", **env))
    assert list(tmp_path.iterdir()) == []


def test_derived_keys_never_print(tmp_path: Path) -> None:
    keys = derived_keys(a_config(tmp_path))
    assert repr(keys) == "DerivedKeys()"


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret.key").write_text("s" * 64)
    (tmp_path / "secret.key").chmod(0o644)
    with pytest.raises(WeakGround, match="open to others") as raised:
        derived_keys(a_config(tmp_path))
    assert "chmod 600" in raised.value.help


def test_a_secret_that_was_cut_is_refused(tmp_path: Path) -> None:
    write_private(tmp_path / "secret.key", "short")
    with pytest.raises(WeakGround, match="fewer than 32"):
        derived_keys(a_config(tmp_path))


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    write_private(tmp_path / "elsewhere", "text")
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WeakGround, match="cannot be read"):
        read_private(tmp_path / "link")


def test_a_place_that_cannot_be_written_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeakGround, match="cannot be written"):
        write_private(tmp_path / "file" / "key", "text")
    with pytest.raises(WeakGround, match="cannot be written"):
        derived_keys(a_config(tmp_path / "file"))


async def test_each_local_person_gets_a_key_of_their_own(
    ring: RedisKeyRing, tmp_path: Path
) -> None:
    files = await ensure_operator_keys(ring, (ANN, BOB), tmp_path)
    assert files == {"ann": tmp_path / "operator.key", "bob": tmp_path / "operator-bob.key"}
    ann = await ring.verify(read_private(files["ann"]))
    bob = await ring.verify(read_private(files["bob"]))
    assert ann is not None and bob is not None
    assert (ann.kind, ann.id, ann.groups) == (Kind.APPROVER, "ann", frozenset({"ops"}))
    assert bob.id == "bob"


async def test_a_key_that_fits_is_kept(ring: RedisKeyRing, tmp_path: Path) -> None:
    await ensure_operator_keys(ring, (ANN,), tmp_path)
    before = read_private(tmp_path / "operator.key")
    await ensure_operator_keys(ring, (ANN,), tmp_path)
    assert read_private(tmp_path / "operator.key") == before
    assert len(await ring.records()) == 1


async def test_other_groups_mean_another_key(ring: RedisKeyRing, tmp_path: Path) -> None:
    await ensure_operator_keys(ring, (ANN,), tmp_path)
    before = read_private(tmp_path / "operator.key")
    await ensure_operator_keys(ring, (LocalPerson(id="ann", groups=("cfo",)),), tmp_path)
    assert await ring.verify(before) is None
    now = await ring.verify(read_private(tmp_path / "operator.key"))
    assert now is not None and now.groups == frozenset({"cfo"})


async def test_somebody_who_left_the_configuration_has_no_key_any_more(
    ring: RedisKeyRing, tmp_path: Path
) -> None:
    await ensure_operator_keys(ring, (ANN, BOB), tmp_path)
    gone = read_private(tmp_path / "operator.key")
    other, _ = await ring.create(Kind.APPROVER, "cat", "", (), 0)
    await ensure_operator_keys(ring, (BOB,), tmp_path)
    assert await ring.verify(gone) is None
    assert await ring.verify(other) is not None
    bob = await ring.verify(read_private(tmp_path / "operator.key"))
    assert bob is not None and bob.id == "bob"
