"""Log groups and their tags."""

from __future__ import annotations

from typing import Any

from colonnade.cloud.logs.named import (
    files,
    group,
    group_arn,
    group_of_resource,
    invalid,
    recorded,
)
from colonnade.cloud.logs.named import no_group as no_such_group
from colonnade.cloud.logs.streams import Group
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, Result, operation
from colonnade.kernel.pages import decode_token, encode_token

_PAGE = 50
_UNSUPPORTED = ("kmsKeyId", "deletionProtectionEnabled")


@operation("logs", "CreateLogGroup")
def create_log_group(call: Call) -> None:
    for member in _UNSUPPORTED:
        if call.parameters.get(member):
            raise invalid(f"Colonnade does not support {member} of log groups yet: leave it out.")
    if call.parameters.get("logGroupClass", "STANDARD") != "STANDARD":
        raise invalid("Colonnade has log groups of the class STANDARD only.")
    tags = call.parameters.get("tags", {})
    if not files(call).create_group(call.account, call.region, call.parameters["logGroupName"], tags):
        raise ServiceError("ResourceAlreadyExistsException", "The specified log group already exists")
    recorded(call)


@operation("logs", "DeleteLogGroup")
def delete_log_group(call: Call) -> None:
    if not files(call).delete_group(call.account, call.region, call.parameters["logGroupName"]):
        raise no_such_group()
    recorded(call)


@operation("logs", "DescribeLogGroups")
def describe_log_groups(call: Call) -> Result:
    prefix = call.parameters.get("logGroupNamePrefix", "")
    pattern = call.parameters.get("logGroupNamePattern", "")
    if prefix and pattern:
        raise invalid("logGroupNamePrefix and logGroupNamePattern exclude each other.")
    limit = int(call.parameters.get("limit", _PAGE))
    after = _after(call)
    found = [
        each
        for each in files(call).groups(call.account, call.region)
        if each.name.startswith(prefix) and pattern in each.name and each.name > after
    ]
    answer: dict[str, Any] = {"logGroups": [_shown(call, each) for each in found[:limit]]}
    if len(found) > limit:
        answer["nextToken"] = encode_token([found[limit - 1].name])
    return answer


@operation("logs", "TagResource")
def tag_resource(call: Call) -> None:
    _tag(call, group_of_resource(call), call.parameters["tags"])


@operation("logs", "TagLogGroup")
def tag_log_group(call: Call) -> None:
    _tag(call, call.parameters["logGroupName"], call.parameters["tags"])


@operation("logs", "UntagResource")
def untag_resource(call: Call) -> None:
    _tag(call, group_of_resource(call), dict.fromkeys(call.parameters["tagKeys"]))


@operation("logs", "UntagLogGroup")
def untag_log_group(call: Call) -> None:
    _tag(call, call.parameters["logGroupName"], dict.fromkeys(call.parameters["tags"]))


@operation("logs", "ListTagsForResource")
def list_tags_for_resource(call: Call) -> Result:
    return {"tags": dict(group(call, group_of_resource(call)).tags)}


@operation("logs", "ListTagsLogGroup")
def list_tags_log_group(call: Call) -> Result:
    return {"tags": dict(group(call, call.parameters["logGroupName"]).tags)}


def _tag(call: Call, name: str, changed: dict[str, str | None]) -> None:
    """A tag with None goes. The transaction keeps other processes from changing the same tags meanwhile."""
    with call.write():
        tags = {**group(call, name).tags, **changed}
        kept = {tag: value for tag, value in tags.items() if value is not None}
        if len(kept) > 50:
            raise ServiceError("TooManyTagsException", f"A log group has at most 50 tags, not {len(kept)}")
        files(call).tag_group(call.account, call.region, name, kept)


def _shown(call: Call, each: Group) -> dict[str, Any]:
    arn = group_arn(call, each.name)
    return {
        "logGroupName": each.name,
        "creationTime": each.created,
        "metricFilterCount": 0,
        "arn": f"{arn}:*",
        "logGroupArn": arn,
        "storedBytes": each.size,
        "logGroupClass": "STANDARD",
    }


def _after(call: Call) -> str:
    if "nextToken" not in call.parameters:
        return ""
    match decode_token(call.parameters["nextToken"]):
        case [str(name)]:
            return name
    raise invalid("The specified nextToken is invalid.")
