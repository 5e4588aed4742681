"""What a call names: its group and stream, as ARNs for policies, as files for the work, as refusals where there is none."""

from __future__ import annotations

from pathlib import Path

from colonnade.cloud.logs.streams import FileLogStreams, Group
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call, finds_resources
from colonnade.kernel.ports import LogStreams


def files(call: Call) -> FileLogStreams:
    """The operations need more than the port: they list, create and delete."""
    streams = call.platform.the(LogStreams)
    if not isinstance(streams, FileLogStreams):
        raise TypeError(
            f"the operations of CloudWatch Logs work on FileLogStreams, not on {type(streams).__name__}"
        )
    return streams


def group_name(call: Call) -> str:
    """From `logGroupName`, or `logGroupIdentifier`, which may also be an ARN."""
    given = [call.parameters[m] for m in ("logGroupName", "logGroupIdentifier") if call.parameters.get(m)]
    if len(given) != 1:
        raise invalid("Give exactly one of logGroupName and logGroupIdentifier.")
    return _of_arn(given[0]) if given[0].startswith("arn:") else str(given[0])


def group(call: Call, name: str) -> Group:
    found = files(call).group(call.account, call.region, name)
    if found is None:
        raise no_group()
    return found


def stream_path(call: Call, group: str, stream: str) -> Path:
    """The stream's file. Raises ResourceNotFoundException for a group or stream that is not there."""
    logs = files(call)
    path = logs.path(call.account, call.region, group, stream)
    if not path.exists():
        raise no_stream() if logs.group(call.account, call.region, group) else no_group()
    return path


def group_arn(call: Call, group: str) -> str:
    return f"arn:{call.partition}:logs:{call.region}:{call.account}:log-group:{group}"


def stream_arn(call: Call, group: str, stream: str) -> str:
    return f"{group_arn(call, group)}:log-stream:{stream}"


def group_of_resource(call: Call) -> str:
    """From `resourceArn`, of tag operations."""
    arn = call.parameters["resourceArn"]
    if ":log-group:" not in arn:
        raise invalid(f"{arn} is not the ARN of a log group, and nothing else has tags here.")
    return _of_arn(arn)


def recorded(call: Call) -> None:
    """Audit a change that was made to files."""
    with call.write():
        pass


def no_group() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The specified log group does not exist.")


def no_stream() -> ServiceError:
    return ServiceError("ResourceNotFoundException", "The specified log stream does not exist.")


def invalid(message: str) -> ServiceError:
    return ServiceError("InvalidParameterException", message)


@finds_resources("logs")
def target(call: Call) -> str:
    """As AWS names it in its refusals: also a group ends in `:log-stream:`, which is why policies write `log-group:NAME:*`."""
    if "resourceArn" in call.parameters:
        return str(call.parameters["resourceArn"])
    named = call.parameters.get("logGroupName") or call.parameters.get("logGroupIdentifier") or ""
    group = _of_arn(named) if named.startswith("arn:") else named
    return stream_arn(call, group, call.parameters.get("logStreamName", ""))


def _of_arn(arn: str) -> str:
    return arn.partition(":log-group:")[2].partition(":")[0]
