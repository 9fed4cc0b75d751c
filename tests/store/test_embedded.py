"""The embedded store: real servers, real kills."""

from __future__ import annotations

import asyncio
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from interlock.core.errors import StoreUnavailable, WeakGround
from interlock.store.connection import connect
from interlock.store.embedded import RESTARTS, EmbeddedStore, _children
from interlock.store.ground import SUN_PATH, socket_path

PARENT = """
import asyncio, sys
from pathlib import Path
from interlock.store.embedded import EmbeddedStore

async def main():
    async with EmbeddedStore(Path(sys.argv[1])) as store:
        print(store.pid, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)

asyncio.run(main())
"""


async def ask(store: EmbeddedStore, *words: str) -> object:
    client = connect(store.url)
    try:
        return await client.execute_command(*words)
    finally:
        await client.aclose()


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def parent(data: Path) -> tuple[subprocess.Popen[str], int]:
    child = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(data)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    return child, int(child.stdout.readline())


def ended(child: subprocess.Popen[str]) -> None:
    child.communicate(timeout=30)


async def test_it_answers_while_it_is_open_and_is_gone_afterwards(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        assert store.url.startswith("unix://")
        assert await ask(store, "PING") is True
        assert alive(store.pid)
    assert not alive(store.pid)
    assert not store.socket.exists()


async def test_it_promises_what_a_hold_needs(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path, maxmemory=64 << 20) as store:
        client = connect(store.url)
        settings = await client.config_get("*")
        await client.aclose()
    assert settings["appendonly"] == "yes"
    assert settings["appendfsync"] == "always"
    assert settings["maxmemory-policy"] == "noeviction"
    assert settings["maxmemory"] == str(64 << 20)
    assert settings["save"] == ""
    assert settings["port"] == "0"


async def test_only_this_user_can_reach_it(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path / "data") as store:
        modes = [stat.S_IMODE(path.stat().st_mode) for path in (store.directory, store.socket)]
        files = [path for path in store.directory.rglob("*") if path.is_file()]
        assert modes == [0o700, 0o600]
        assert [path for path in files if path.stat().st_mode & 0o077] == []


async def test_what_was_written_is_there_after_a_restart(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        await ask(store, "SET", "hold", "me")
    async with EmbeddedStore(tmp_path) as store:
        assert await ask(store, "GET", "hold") == b"me"


async def test_a_killed_server_is_started_again_with_what_it_held(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with EmbeddedStore(tmp_path, tell=told.put_nowait) as store:
        first = store.pid
        await ask(store, "SET", "hold", "me")
        os.kill(first, signal.SIGKILL)
        assert "started again" in await told.get()
        assert store.pid != first
        assert await ask(store, "GET", "hold") == b"me"


async def test_a_server_that_cannot_live_is_left_alone(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with EmbeddedStore(tmp_path, tell=told.put_nowait) as store:
        for _ in range(RESTARTS):
            os.kill(store.pid, signal.SIGKILL)
            assert "started again" in await told.get()
        os.kill(store.pid, signal.SIGKILL)
        assert "left alone" in await told.get()
    assert not alive(store.pid)


async def test_two_users_share_one_server_and_the_last_one_out_stops_it(tmp_path: Path) -> None:
    first, second = EmbeddedStore(tmp_path), EmbeddedStore(tmp_path)
    await asyncio.gather(first.start(), second.start())
    assert first.pid == second.pid
    await first.stop()
    assert await ask(second, "PING") is True
    await second.stop()
    assert not alive(second.pid)


async def test_both_users_survive_the_death_of_the_server_they_share(tmp_path: Path) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    async with EmbeddedStore(tmp_path, tell=told.put_nowait) as first:
        async with EmbeddedStore(tmp_path, tell=told.put_nowait) as second:
            os.kill(first.pid, signal.SIGKILL)
            await told.get()
            await told.get()
            assert first.pid == second.pid
            assert await ask(first, "PING") is True


async def test_another_process_joins_and_leaves_without_stopping_ours(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        child, pid = parent(tmp_path)
        assert pid == store.pid
        ended(child)
        assert await ask(store, "PING") is True


async def test_we_may_leave_before_a_process_that_joined_us(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        child, _ = parent(tmp_path)
    assert await ask(store, "PING") is True
    ended(child)
    with pytest.raises(OSError):
        await asyncio.open_unix_connection(store.socket)
    _children.pop(store.pid).wait(30)  # the next start would: in this process there is none


async def test_a_server_whose_parent_was_killed_is_adopted(tmp_path: Path) -> None:
    child, pid = parent(tmp_path)
    child.kill()
    ended(child)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid == pid
    with pytest.raises(OSError):
        await asyncio.open_unix_connection(store.socket)


async def test_everything_killed_at_once_is_no_loss(tmp_path: Path) -> None:
    child, pid = parent(tmp_path)
    joined = EmbeddedStore(tmp_path)
    await joined.start()
    await ask(joined, "SET", "hold", "me")
    await joined.stop()
    child.kill()
    os.kill(pid, signal.SIGKILL)
    ended(child)
    async with EmbeddedStore(tmp_path) as store:
        assert store.pid != pid
        assert await ask(store, "GET", "hold") == b"me"


async def test_a_socket_that_nobody_answers_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir(mode=0o700)
    (tmp_path / "store" / "store.sock").write_text("left over")
    async with EmbeddedStore(tmp_path) as store:
        assert await ask(store, "PING") is True


async def test_a_server_without_its_socket_is_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("interlock.store.embedded.START_SECONDS", 0.2)
    async with EmbeddedStore(tmp_path) as store:
        store.socket.rename(tmp_path / "hidden.sock")
        with pytest.raises(StoreUnavailable, match=f"process {store.pid}"):
            await EmbeddedStore(tmp_path).start()
        (tmp_path / "hidden.sock").rename(store.socket)


async def test_a_torn_end_of_the_file_costs_only_the_torn_write(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        await ask(store, "SET", "hold", "me")
    (file,) = (store.directory / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(file.read_bytes() + b"*3\r\n$3\r\nSET\r\n$4\r\nho")
    async with EmbeddedStore(tmp_path) as store:
        assert await ask(store, "GET", "hold") == b"me"


async def test_a_ruined_file_is_an_error_with_the_cure(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        await ask(store, "SET", "hold", "me")
    (file,) = (store.directory / "appendonlydir").glob("*.incr.aof")
    file.write_bytes(b"*rubbish\r\n" + file.read_bytes())
    with pytest.raises(StoreUnavailable, match="Bad file format") as raised:
        await EmbeddedStore(tmp_path).start()
    assert "backup" in raised.value.help


async def test_joining_may_make_the_server_stricter_but_never_laxer(tmp_path: Path) -> None:
    async with EmbeddedStore(tmp_path) as store:
        async with EmbeddedStore(tmp_path, fsync="always"):
            pass
        async with EmbeddedStore(tmp_path, fsync="everysec"):
            assert "always" in str(await ask(store, "CONFIG", "GET", "appendfsync"))


async def test_a_deep_directory_gets_a_short_private_socket(tmp_path: Path) -> None:
    data = tmp_path / ("deep" * 30)
    async with EmbeddedStore(data) as store:
        assert len(os.fsencode(store.socket)) <= SUN_PATH
        assert stat.S_IMODE(store.socket.parent.stat().st_mode) == 0o700
        async with EmbeddedStore(data) as other:
            assert other.pid == store.pid
    store.socket.parent.rmdir()


def test_a_short_directory_keeps_its_socket_inside() -> None:
    assert socket_path(Path("/data/store")) == Path("/data/store/store.sock")


async def test_a_wider_store_directory_is_made_private_again(tmp_path: Path) -> None:
    (tmp_path / "store").mkdir()
    (tmp_path / "store").chmod(0o755)
    async with EmbeddedStore(tmp_path) as store:
        assert stat.S_IMODE(store.directory.stat().st_mode) == 0o700


async def test_a_directory_that_everybody_may_write_in_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o777)
    with pytest.raises(WeakGround, match="Everybody may write"):
        await EmbeddedStore(tmp_path).start()


async def test_a_store_directory_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WeakGround, match="not a directory of this user"):
        await EmbeddedStore(tmp_path).start()


async def test_a_data_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(WeakGround, match="cannot be used") as raised:
        await EmbeddedStore(tmp_path / "file" / "data").start()
    assert "data:" in raised.value.help
