"""Lines off a pipe, in whatever pieces they come."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from interlock.lines import EDGE, Long, lines


async def read(whole: bytes, pieces: list[int], longest: int) -> list[bytes | Long]:
    rest = [whole]

    async def some(most: int) -> bytes:
        size = min(most, pieces.pop() if pieces else most)
        head, rest[0] = rest[0][:size], rest[0][size:]
        return head

    return [line async for line in lines(some, longest)]


@given(
    said=st.lists(st.binary(max_size=40).filter(lambda b: b"\n" not in b)),
    pieces=st.lists(st.integers(1, 50)),
)
async def test_every_line_comes_whole_however_it_was_cut(
    said: list[bytes], pieces: list[int]
) -> None:
    found = await read(b"\n".join(said), pieces, 100)
    assert found == [kept for line in said if (kept := line.strip(b" \t\r"))]


@given(size=st.integers(0, 3000), pieces=st.lists(st.integers(1, 700)))
async def test_a_line_that_is_too_long_keeps_its_ends_and_spares_the_next(
    size: int, pieces: list[int]
) -> None:
    long = b"<" + b"x" * size + b">"
    first, last = await read(long + b"\nnext", pieces, 1000)
    assert last == b"next"
    if len(long) <= 1000:
        assert first == long
    else:
        assert isinstance(first, Long)
        assert first.size == len(long)
        assert first.head.startswith(b"<")
        assert first.tail.endswith(b">")
        assert max(len(first.head), len(first.tail)) <= EDGE


async def test_empty_lines_and_foreign_line_ends_are_no_lines() -> None:
    assert await read(b"\r\n\n a \r\n \nb", [], 10) == [b"a", b"b"]
