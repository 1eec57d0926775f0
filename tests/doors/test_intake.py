"""Bodies that are read before their requests go on: how much of them is kept."""

import pytest

from hestia.doors.intake import Intake, Room
from hestia.h1.grammar import BadMessage
from hestia.h1.request import CHUNKED

CHUNKS = b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"


class Body:
    def __init__(self, room: Room, length: int = 1000) -> None:
        self.let_in = 0
        self.intake = Intake(length, room, self.came)

    def came(self) -> None:
        self.let_in += 1

    def read(self, size: int) -> bool:
        """Whether it could be read."""
        if not self.intake.may_go_on():
            return False
        self.intake.feed(b"x" * size)
        return True


def test_a_body_of_known_length_is_kept_as_it_came():
    room = Room(100, 100)
    intake = Intake(5, room, lambda: None)
    assert intake.feed(b"ab") == (b"ab", None)
    assert intake.feed(b"cdeNEXT") == (b"cde", b"NEXT")
    assert (room.used, intake.content) == (5, 5)
    data, pledge = intake.hand_over()
    assert data == b"abcde"
    assert room.used == 5
    pledge.over()
    pledge.over()
    assert room.used == 0


@pytest.mark.parametrize("cut", range(len(CHUNKS)))
def test_chunks_are_kept_as_they_came_and_searched_without_their_framing(cut):
    room = Room(100, 100)
    intake = Intake(CHUNKED, room, lambda: None)
    first, rest = intake.feed(CHUNKS[:cut])
    assert rest is None
    second, rest = intake.feed(CHUNKS[cut:] + b"NEXT")
    assert (first + second, rest, intake.content) == (b"abcde", b"NEXT", 5)
    assert intake.hand_over()[0] == CHUNKS
    assert room.used == len(CHUNKS)


def test_a_malformed_chunk_is_told():
    with pytest.raises(BadMessage):
        Intake(CHUNKED, Room(100, 100), lambda: None).feed(b"x\r\n")


def test_who_comes_when_all_is_used_waits_in_line_until_something_is_given_back():
    room = Room(100, 50)
    first, second, third = Body(room), Body(room), Body(room)
    assert first.read(100)
    assert not second.read(1)
    assert not third.read(1)
    first.intake.drop()
    assert (second.let_in, third.let_in, room.used) == (1, 1, 0)
    assert second.read(1)
    assert third.read(1)


def test_a_body_that_was_read_counts_until_it_is_delivered():
    room = Room(100, 50)
    first, second = Body(room), Body(room)
    first.read(100)
    _, pledge = first.intake.hand_over()
    assert not second.read(1)
    pledge.delivered()
    assert second.let_in == 1
    assert second.read(1)
    pledge.over()
    assert room.used == 1


def test_of_bodies_that_are_all_half_read_the_first_is_read_on():
    room = Room(100, 50)
    first, second = Body(room), Body(room)
    assert first.read(50)
    assert second.read(50)
    assert not second.read(1)
    assert first.read(30)
    first.intake.hand_over()  # the next one is the first now
    assert second.let_in == 1
    assert second.read(20)
    assert not second.read(1), "what was handed over counts: nobody is read beyond one body more than all"
    assert room.used == 150


def test_whoever_leaves_the_line_is_forgotten():
    room = Room(10, 5)
    first, second = Body(room), Body(room)
    first.read(10)
    assert not second.read(1)
    second.intake.drop()
    first.intake.drop()
    assert (room.used, len(room.line), len(room.reading), second.let_in) == (0, 0, 0, 0)


def test_only_as_many_are_let_in_as_there_is_room_for():
    room = Room(100, 10)
    first = Body(room)
    first.read(100)
    others = [Body(room) for _ in range(5)]
    for other in others:
        other.came = lambda other=other: other.read(60)  # type: ignore[method-assign]
        other.intake.let_in = other.came
        assert not other.read(1)
    first.intake.drop()
    assert room.used == 120
    assert len(room.line) == 3
