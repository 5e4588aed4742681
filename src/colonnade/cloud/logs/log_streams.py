"""Log streams."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.logs.named import (
    files,
    group,
    group_name,
    invalid,
    no_group,
    no_stream,
    recorded,
    stream_arn,
)
from colonnade.cloud.logs.streams import Stream
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token

_PAGE = 50
_Place = tuple[int, str]
"""What streams are sorted by: last event's time (0 when ordered by name), then name."""


@operation("logs", "CreateLogStream")
def create_log_stream(call: Call) -> None:
    name = call.parameters["logGroupName"]
    try:
        made = files(call).create_stream(call.account, call.region, name, call.parameters["logStreamName"])
    except FileNotFoundError:
        raise no_group() from None
    if not made:
        raise ServiceError("ResourceAlreadyExistsException", "The specified log stream already exists")
    recorded(call)


@operation("logs", "DeleteLogStream")
def delete_log_stream(call: Call) -> None:
    name = group(call, call.parameters["logGroupName"]).name
    if not files(call).delete_stream(call.account, call.region, name, call.parameters["logStreamName"]):
        raise no_stream()
    recorded(call)


@operation("logs", "DescribeLogStreams")
def describe_log_streams(call: Call) -> Result:
    by_time = call.parameters.get("orderBy") == "LastEventTime"
    prefix = call.parameters.get("logStreamNamePrefix", "")
    if by_time and prefix:
        raise invalid("Cannot order by LastEventTime with a logStreamNamePrefix.")
    name = group(call, group_name(call)).name
    descending = bool(call.parameters.get("descending"))
    limit = int(call.parameters.get("limit", _PAGE))
    after = _after(call)
    placed = [
        ((stream.state.last if by_time else 0, stream.name), stream)
        for stream in files(call).streams(call.account, call.region, name, prefix)
    ]
    placed.sort(key=lambda each: each[0], reverse=descending)
    rest = [each for each in placed if after is None or (each[0] < after if descending else each[0] > after)]
    answer: dict[str, Any] = {"logStreams": [_shown(call, name, stream) for _, stream in rest[:limit]]}
    if len(rest) > limit:
        answer["nextToken"] = encode_token(list(rest[limit - 1][0]))
    return answer


def _shown(call: Call, group: str, stream: Stream) -> dict[str, Any]:
    shown = {
        "logStreamName": stream.name,
        "creationTime": stream.created,
        "arn": stream_arn(call, group, stream.name),
        "storedBytes": stream.size,
    }
    if stream.state.ingested:
        shown["firstEventTimestamp"] = stream.state.first
        shown["lastEventTimestamp"] = stream.state.last
        shown["lastIngestionTime"] = stream.state.ingested
    return shown


def _after(call: Call) -> _Place | None:
    if "nextToken" not in call.parameters:
        return None
    match decode_token(call.parameters["nextToken"]):
        case [int(time), str(name)]:
            return time, name
    raise invalid("The specified nextToken is invalid.")
