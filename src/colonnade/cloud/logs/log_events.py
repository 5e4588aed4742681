"""Putting events into a stream and reading them again, page by page in either direction.

Events of a stream are read in the order in which they came in, which for all writers but careless ones is the order of
their timestamps. A token is an address in the stream; where there is nothing more to read, the same token is answered
again: clients that follow a log compare the two.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from typing import Any

from colonnade.cloud.logs import frames
from colonnade.cloud.logs.named import group_name, invalid, no_stream, stream_path
from colonnade.kernel.operations import Call, Result, operation

MOST_EVENTS = 10_000
MOST_BYTES = 1_048_576
EVENT_BYTES = 26
"""What AWS counts for each event beside its message."""
_DAY = 24 * 3600 * 1000
_TOO_OLD = 14 * _DAY
_TOO_NEW = 2 * 3600 * 1000


@operation("logs", "PutLogEvents")
def put_log_events(call: Call) -> Result:
    """Sequence tokens are ignored, as AWS does by now."""
    path = stream_path(call, call.parameters["logGroupName"], call.parameters["logStreamName"])
    events = [(int(each["timestamp"]), str(each["message"])) for each in call.parameters["logEvents"]]
    _check(events)
    now = round(call.now * 1000)
    old = sum(timestamp < now - _TOO_OLD for timestamp, _ in events)
    new = sum(timestamp > now + _TOO_NEW for timestamp, _ in events)
    fitting = events[old : len(events) - new]
    if fitting and not frames.append(path, fitting, position=None, now=now):
        raise no_stream()
    rejected = {"tooOldLogEventEndIndex": old} if old else {}
    if new:
        rejected["tooNewLogEventStartIndex"] = len(events) - new
    return {"rejectedLogEventsInfo": rejected} if rejected else {}


def _check(events: Sequence[tuple[int, str]]) -> None:
    times = [timestamp for timestamp, _ in events]
    if times != sorted(times):
        raise invalid("Log events in a single PutLogEvents request must be in chronological order.")
    if times[-1] - times[0] > _DAY:
        raise invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours."
        )
    size = sum(len(message.encode()) + EVENT_BYTES for _, message in events)
    if size > MOST_BYTES:
        raise invalid(f"Upload too large: {size} bytes exceeds limit of {MOST_BYTES}")


@operation("logs", "GetLogEvents")
def get_log_events(call: Call) -> Result:
    path = stream_path(call, group_name(call), call.parameters["logStreamName"])
    token = call.parameters.get("nextToken")
    ahead, at = _read_token(token) if token else (bool(call.parameters.get("startFromHead")), None)
    wanted = _between(call)
    try:
        if ahead:
            at = at or frames.START
            page = _page(call, wanted(frames.forward(path, at)))
        else:
            page = _page(call, wanted(frames.backward(path, at)))[::-1]
            at = at or frames.end(path)
    except FileNotFoundError:
        raise no_stream() from None
    except ValueError:
        raise invalid("The specified nextToken is invalid.") from None
    before = page[0].address if page else at
    after = _following(page[-1].address) if page else at
    return {
        "events": [
            {"timestamp": each.timestamp, "message": each.message, "ingestionTime": each.ingested}
            for each in page
        ],
        "nextForwardToken": _token("f", after),
        "nextBackwardToken": _token("b", before),
    }


def _between(call: Call) -> Any:
    start = int(call.parameters.get("startTime", 0))
    end = call.parameters.get("endTime")

    def wanted(events: Iterable[frames.StoredEvent]) -> Iterable[frames.StoredEvent]:
        return (each for each in events if each.timestamp >= start and (end is None or each.timestamp < end))

    return wanted


def _page(call: Call, events: Iterable[frames.StoredEvent]) -> list[frames.StoredEvent]:
    """Up to the limit or a megabyte, and at least one."""
    page: list[frames.StoredEvent] = []
    size = 0
    for each in islice(events, int(call.parameters.get("limit", MOST_EVENTS))):
        size += len(each.message.encode(errors="surrogatepass")) + EVENT_BYTES
        if page and size > MOST_BYTES:
            break
        page.append(each)
    return page


def _following(address: frames.Address) -> frames.Address:
    return address[0], address[1] + 1


def _token(direction: str, address: frames.Address) -> str:
    return f"{direction}/{address[0]:040d}{address[1]:016d}/s"


_TOKEN = re.compile(r"([fb])/(\d{40})(\d{16})/s")


def _read_token(token: str) -> tuple[bool, frames.Address]:
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise invalid("The specified nextToken is invalid.")
    return match[1] == "f", (int(match[2]), int(match[3]))
