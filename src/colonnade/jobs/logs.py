"""From what a work prints to its CloudWatch log stream, at least once asked and never twice written."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.executors import Executor
from colonnade.kernel.ports import LogEvent, LogStreams

_MOST = 4 << 20


@dataclass(frozen=True, slots=True)
class Stream:
    account: str
    region: str
    group: str
    name: str


def pump(executor: Executor, work_id: str, streams: LogStreams, stream: Stream) -> None:
    """Everything printed since the stream's own position, which makes it safe to be killed at any moment and repeated."""
    position = streams.position(stream.account, stream.region, stream.group, stream.name)
    while (lines := executor.logs(work_id, position)).events:
        streams.append(
            stream.account, stream.region, stream.group, stream.name, lines.events, position=lines.position
        )
        position = lines.position


def pump_file(
    executor: Executor, work_id: str, path: str, streams: LogStreams, stream: Stream, now: float
) -> None:
    """The same for a file that a work writes line by line, beside what it prints. Nothing where there is none yet."""
    position = streams.position(stream.account, stream.region, stream.group, stream.name)
    try:
        with executor.open(work_id, path) as file:
            file.seek(position)
            data = file.read(_MOST)
    except FileNotFoundError:
        return
    whole = data[: data.rfind(b"\n") + 1]
    if whole:
        events = [LogEvent(now, line.decode("utf-8", "replace")) for line in whole.splitlines()]
        position += len(whole)
        streams.append(stream.account, stream.region, stream.group, stream.name, events, position=position)
