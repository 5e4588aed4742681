r"""What a command prints, as timestamped lines in a file: `<epoch seconds> <text>\n`.

Written by the runner, read by the executor's `logs`; a position is a byte offset between two lines. A carriage return
takes back what stood before it on the line, as a terminal shows a progress bar: only its last state is kept.
"""

from __future__ import annotations

from colonnade.kernel.ports import LogEvent

LONGEST = 200_000
"""Bytes of a line; CloudWatch Logs takes events of up to 262,144. Longer ones are cut into several."""


class LineSplitter:
    """Bytes in, whole lines out.

    >>> splitter = LineSplitter()
    >>> splitter.feed(b"one\n10%\r50%\r100%\ntw")
    ['one', '100%']
    >>> splitter.feed(b"o\r\n"), splitter.end()
    (['two'], [])
    """

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes) -> list[str]:
        *whole, tail = (self._tail + data).split(b"\n")
        lines = [text for line in whole for text in _texts(line)]
        while len(tail) > LONGEST and b"\r" not in tail:
            cut = _character_start(tail, LONGEST)
            lines.append(tail[:cut].decode("utf-8", "replace"))
            tail = tail[cut:]
        # The last carriage return may be half of a line end: it stays, with what it takes back, until more comes.
        kept = tail.rstrip(b"\r")
        self._tail = kept[kept.rfind(b"\r") + 1 :] + tail[len(kept) :][:1]
        return lines

    def end(self) -> list[str]:
        tail, self._tail = self._tail, b""
        return _texts(tail) if tail else []


def _texts(line: bytes) -> list[str]:
    line = line.rstrip(b"\r")
    line = line[line.rfind(b"\r") + 1 :]
    pieces = []
    while len(line) > LONGEST:
        cut = _character_start(line, LONGEST)
        pieces.append(line[:cut])
        line = line[cut:]
    return [piece.decode("utf-8", "replace") for piece in [*pieces, line]]


def _character_start(data: bytes, index: int) -> int:
    while index > 0 and data[index] & 0xC0 == 0x80:
        index -= 1
    return index or LONGEST


def encode(timestamp: float, text: str) -> bytes:
    return f"{timestamp:.3f} {text}\n".encode("utf-8", "replace")


def decode(data: bytes) -> list[LogEvent]:
    events = []
    for line in data.split(b"\n")[:-1]:
        stamp, _, text = line.decode("utf-8", "replace").partition(" ")
        events.append(LogEvent(float(stamp), text))
    return events
