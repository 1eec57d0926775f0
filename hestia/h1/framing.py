"""Where a message ends, and what of its bytes may be passed on.

A body is fed as it comes; `feed` gives back what may be forwarded and, once the body has ended, the bytes behind it.
"""

from collections.abc import Callable

from hestia.h1.grammar import (
    CHUNK_LINE,
    CHUNK_LINE_BEGUN,
    FIELD_BEGUN,
    FIELD_LINES,
    LONGEST_CHUNK_LINE,
    LONGEST_TRAILERS,
    MOST_TRAILERS,
    BadMessage,
    forbidden_in_trailers,
)

LINE_END = 2


def refuse_trailer(name: bytes) -> bool:
    """The rule for a client's trailers: one that could mislead ends the request."""
    if forbidden_in_trailers(name):
        raise BadMessage("a trailer that may not be one")
    return True


def drop_trailer(name: bytes) -> bool:
    """The rule for an upstream's trailers: one that could mislead is left out."""
    return not forbidden_in_trailers(name)


class Sized:
    """A body of known length: counted, never copied."""

    __slots__ = ("left",)

    def __init__(self, length: int) -> None:
        self.left = length

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        size = len(data)
        if size < self.left:
            self.left -= size
            return data, None
        rest = data[self.left :]
        if rest:
            data = data[: self.left]
        self.left = 0
        return data, rest


def _whole_chunks(data: bytes) -> int:
    """Where the chunks end that are here from size to line end, and pass as they came."""
    at = 0
    while (line := CHUNK_LINE.match(data, at)) is not None and line[2] is None:
        size = int(line[1], 16)
        end = line.end() + size + LINE_END
        if not size or data[end - LINE_END : end] != b"\r\n":
            break
        at = end
    return at


class UntilClose:
    """A body that ends with its connection, framed as chunks for a client of HTTP/1.1."""

    __slots__ = ("chunks",)

    def __init__(self, *, chunks: bool) -> None:
        self.chunks = chunks

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        return (b"%x\r\n%b\r\n" % (len(data), data) if self.chunks and data else data), None

    def last(self) -> bytes:
        return b"0\r\n\r\n" if self.chunks else b""


class Chunked:
    """A chunked body: its framing is followed and checked, its bytes pass as they came (extensions left out).

    With `decode` the chunks' content comes out instead, for a client of HTTP/1.0.
    """

    __slots__ = ("decode", "in_trailers", "left", "tail", "trailer_rule")

    def __init__(self, trailer_rule: Callable[[bytes], bool], *, decode: bool = False) -> None:
        self.trailer_rule = trailer_rule
        self.decode = decode
        self.left = 0  # of the chunk at hand, with the line end behind it
        self.tail = b""  # the beginning of a line
        self.in_trailers = False

    def feed(self, data: bytes) -> tuple[bytes, bytes | None]:
        if len(data) <= self.left - 2 and not self.tail:
            self.left -= len(data)
            return data, None
        if self.tail:
            data = self.tail + data
            self.tail = b""
        out: list[bytes] = []
        run = at = 0  # what came since `run` passes as it came
        if not (self.left or self.in_trailers or self.decode):
            at = _whole_chunks(data)
            if at == len(data):
                return data, None  # an event or some: most reads of a stream are that
        while not self.in_trailers:
            if self.left:
                at = self._content(data, at, out)
                if self.left:
                    return self._passed(data, run, at, out), None
            found = CHUNK_LINE.match(data, at)
            if found is None or found[2] is not None or found[1].strip(b"0") == b"":
                self._passed(data, run, at, out, whole=False)
                run = at
            if found is None:
                self._half_a_line(data, at)
                return b"".join(out), None
            at = found.end()
            if found[2] is not None:
                self._without_extension(found[1], at - run, out)
                run = at
            self._begin(int(found[1], 16))
        rest = self._trailers(data, at, out)
        return b"".join(out), rest

    def _passed(self, data: bytes, run: int, at: int, out: list[bytes], *, whole: bool = True) -> bytes:
        """What came between `run` and `at`, without a copy where that is everything."""
        if not self.decode and at > run:
            if whole and not out and at - run == len(data):
                return data
            out.append(data[run:at])
        return b"".join(out) if whole else b""

    def _content(self, data: bytes, at: int, out: list[bytes]) -> int:
        """Takes what is here of a chunk's content and of the line end behind it."""
        left = self.left
        end = min(len(data), at + left)
        line_end = data[max(at, at + left - 2) : end]
        if line_end and not b"\r\n"[2 - min(left, 2) :].startswith(line_end):
            raise BadMessage("a chunk does not end with its line end")
        if self.decode and left > LINE_END:
            out.append(data[at : at + left - LINE_END])
        self.left = left - (end - at)
        return end

    def _half_a_line(self, data: bytes, at: int) -> None:
        if len(data) - at > LONGEST_CHUNK_LINE or CHUNK_LINE_BEGUN.fullmatch(data, at) is None:
            raise BadMessage("a chunk's size is malformed")
        self.tail = data[at:]

    def _without_extension(self, size: bytes, length: int, out: list[bytes]) -> None:
        """An extension means something to one hop only, and readers differ in where it ends: it is left out."""
        if length > LONGEST_CHUNK_LINE:
            raise BadMessage("a chunk's extension is too long")
        if not self.decode and size.strip(b"0"):
            out.append(size + b"\r\n")

    def _begin(self, size: int) -> None:
        if size:
            self.left = size + 2
        else:
            self.in_trailers = True

    def _trailers(self, data: bytes, at: int, out: list[bytes]) -> bytes | None:
        lines = FIELD_LINES.match(data, at)
        end = lines.end() if lines is not None else at
        if end - at > LONGEST_TRAILERS:
            raise BadMessage("the trailers are too long")
        if not data.startswith(b"\r\n", end):
            if len(data) - at > LONGEST_TRAILERS or FIELD_BEGUN.fullmatch(data, end) is None:
                raise BadMessage("a trailer is malformed")
            self.tail = data[at:]
            return None
        fields = data[at:end].split(b"\r\n")[:-1]
        if len(fields) > MOST_TRAILERS:
            raise BadMessage("too many trailers")
        kept = [line + b"\r\n" for line in fields if self.trailer_rule(line[: line.index(b":")].lower())]
        if not self.decode:
            out.append(b"0\r\n%b\r\n" % b"".join(kept))
        return data[end + 2 :]
