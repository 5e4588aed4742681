"""From what a work prints to its CloudWatch log stream, at least once asked and never twice written."""

from __future__ import annotations

from dataclasses import dataclass

from colonnade.executors import Executor
from colonnade.kernel.ports import LogStreams


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
