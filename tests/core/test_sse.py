"""Server-sent events: read in any pieces, written so that readers find the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interlock.core.errors import UpstreamLost
from interlock.core.sse import Event, Reader, message_event, written


def read(*pieces: bytes) -> list[Event]:
    reader = Reader()
    return [event for piece in pieces for event in reader.feed(piece)]


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_lines_end_in_any_of_three_ways(end: bytes) -> None:
    (event,) = read(end.join([b"id: 7", b"event: message", b"data: a", b"data:b", b"", b""]))
    assert (event.id, event.name, event.data) == (b"7", b"message", b"a\nb")


def test_comments_retries_and_fields_of_the_future_are_kept() -> None:
    block = b": hello\nretry: 10\nid\nnew: x\n\n"
    (event,) = read(block)
    assert (event.data, event.id, event.name) == (None, b"", b"message")
    assert written(event) == block


def test_an_event_can_say_something_else_and_stay_what_it_is() -> None:
    (event,) = read(b"id: 7\ndata: a\ndata: b\nevent: x\n\n")
    assert written(event.saying(b"c\nd")) == b"id: 7\nevent: x\ndata: c\ndata: d\n\n"
    assert event.saying(b"c\nd").data == b"c\nd"


def test_an_event_that_does_not_end_never_was() -> None:
    reader = Reader()
    assert list(reader.feed(b"data: a\n")) == []
    assert reader.within and not reader.resumable


def test_a_stream_is_resumable_once_an_event_has_an_id() -> None:
    reader = Reader()
    list(reader.feed(b"\xef\xbb\xbfid: 1\n\n"))
    assert reader.resumable and not reader.within


def test_an_event_without_end_is_not_read_for_ever() -> None:
    reader = Reader(largest=100)
    assert len(list(reader.feed(b"data: " + b"x" * 80 + b"\n\n" + b"data: y"))) == 1
    with pytest.raises(UpstreamLost, match="100 bytes"):
        list(reader.feed(b"z" * 100))


TEXT = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20)
LINES = st.lists(TEXT.filter(bool).map(str.encode), min_size=1, max_size=4)


@given(st.lists(LINES, max_size=4), st.sampled_from([b"\n", b"\r", b"\r\n"]), st.data())
def test_pieces_make_no_difference(
    blocks: list[list[bytes]], end: bytes, data: st.DataObject
) -> None:
    events = [Event(lines=tuple(lines)) for lines in blocks]
    stream = b"\n" + b"".join(written(event) for event in events).replace(b"\n", end)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    pieces = [stream[a:b] for a, b in zip([0, *cuts], [*cuts, len(stream)], strict=True)]
    assert read(*pieces) == events


@given(TEXT.map(str.encode))
def test_a_message_is_read_as_it_was_written(text: bytes) -> None:
    (event,) = read(message_event(text))
    assert (event.data, event.name) == (text, b"message")
