"""FilterLogEvents: what several streams of a group say, in the order of time."""

from __future__ import annotations

import heapq
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from colonnade.cloud.logs import frames
from colonnade.cloud.logs.filter_pattern import compile_pattern
from colonnade.cloud.logs.log_events import EVENT_BYTES, MOST_BYTES, MOST_EVENTS
from colonnade.cloud.logs.named import files, group, group_name, invalid, stream_path
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token

_Found = tuple[int, str, frames.Address, frames.StoredEvent]
"""Timestamp, stream and address order the events; addresses differ, so events are never compared."""


@operation("logs", "FilterLogEvents")
def filter_log_events(call: Call) -> Result:
    limit = int(call.parameters.get("limit", MOST_EVENTS))
    after = _after(call)
    matching = (each for each in _matching(call) if after is None or each[:3] > after)
    found = heapq.nsmallest(limit + 1, matching, key=lambda each: each[:3])
    page = _fitting(found[:limit])
    answer: dict[str, Any] = {"events": [_shown(*each) for each in page], "searchedLogStreams": []}
    if len(page) < len(found):
        timestamp, stream, address, _ = page[-1]
        answer["nextToken"] = encode_token([timestamp, stream, *address])
    return answer


def _matching(call: Call) -> Iterator[_Found]:
    matches = compile_pattern(call.parameters.get("filterPattern", ""))
    start = int(call.parameters.get("startTime", 0))
    end = call.parameters.get("endTime")
    name = group(call, group_name(call)).name
    for stream in _streams(call, name):
        for each in _events(files(call).path(call.account, call.region, name, stream)):
            in_time = each.timestamp >= start and (end is None or each.timestamp < end)
            if in_time and matches(each.message):
                yield each.timestamp, stream, each.address, each


def _events(path: Path) -> Iterator[frames.StoredEvent]:
    """A stream that is deleted meanwhile has none."""
    try:
        yield from frames.forward(path)
    except FileNotFoundError:
        return


def _streams(call: Call, name: str) -> list[str]:
    named = call.parameters.get("logStreamNames")
    prefix = call.parameters.get("logStreamNamePrefix", "")
    if named and prefix:
        raise invalid("logStreamNames and logStreamNamePrefix exclude each other.")
    if named:
        for stream in named:
            stream_path(call, name, stream)
        return sorted(set(named))
    return sorted(stream.name for stream in files(call).streams(call.account, call.region, name, prefix))


def _fitting(found: list[_Found]) -> list[_Found]:
    size = 0
    for count, (_, _, _, each) in enumerate(found):
        size += len(each.message.encode(errors="surrogatepass")) + EVENT_BYTES
        if count and size > MOST_BYTES:
            return found[:count]
    return found


def _shown(timestamp: int, stream: str, address: frames.Address, event: frames.StoredEvent) -> dict[str, Any]:
    offset, index = address
    return {
        "logStreamName": stream,
        "timestamp": timestamp,
        "message": event.message,
        "ingestionTime": event.ingested,
        "eventId": f"{timestamp:016d}{zlib.crc32(stream.encode()):010d}{offset:018d}{index:012d}",
    }


def _after(call: Call) -> tuple[int, str, frames.Address] | None:
    if "nextToken" not in call.parameters:
        return None
    match decode_token(call.parameters["nextToken"]):
        case [int(timestamp), str(stream), int(offset), int(index)]:
            return timestamp, stream, (offset, index)
    raise invalid("The specified nextToken is invalid.")
