"""CloudWatch Logs by boto3."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import ClientError

from colonnade.kernel.ports import LogEvent

GROUP = "/aws/sagemaker/TrainingJobs"
NOW = 1_700_000_000_000
"""Where the test's clock stands, in milliseconds."""


@pytest.fixture
def logs(cloud: Any) -> Any:
    return cloud.client("logs")


def refused(function: Callable[..., Any], **parameters: Any) -> tuple[str, str]:
    with pytest.raises(ClientError) as refusal:
        function(**parameters)
    error = refusal.value.response["Error"]
    return error["Code"], error["Message"]


def write(logs: Any, stream: str, *messages: str, at: int = NOW, group: str = GROUP) -> None:
    for create, names in (
        (logs.create_log_group, {"logGroupName": group}),
        (logs.create_log_stream, {"logGroupName": group, "logStreamName": stream}),
    ):
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            create(**names)
    events = [{"timestamp": at + i, "message": message} for i, message in enumerate(messages)]
    if events:
        logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=events)


def texts(answer: Any) -> list[str]:
    return [event["message"] for event in answer["events"]]


def test_groups_are_made_listed_and_deleted(logs: Any) -> None:
    for name in ("/b/2", "/b/1", "/a"):
        logs.create_log_group(logGroupName=name, tags={"team": "x"})
    assert refused(logs.create_log_group, logGroupName="/a") == (
        "ResourceAlreadyExistsException",
        "The specified log group already exists",
    )
    listed = logs.describe_log_groups(logGroupNamePrefix="/b")["logGroups"]
    assert [each["logGroupName"] for each in listed] == ["/b/1", "/b/2"]
    assert listed[0]["arn"] == "arn:aws:logs:us-east-1:123456789012:log-group:/b/1:*"
    assert listed[0]["creationTime"] == NOW
    pages = logs.get_paginator("describe_log_groups").paginate(PaginationConfig={"PageSize": 2})
    assert [[each["logGroupName"] for each in page["logGroups"]] for page in pages] == [
        ["/a", "/b/1"],
        ["/b/2"],
    ]
    logs.delete_log_group(logGroupName="/a")
    missing = ("ResourceNotFoundException", "The specified log group does not exist.")
    assert refused(logs.delete_log_group, logGroupName="/a") == missing
    assert refused(logs.create_log_stream, logGroupName="/a", logStreamName="s") == missing
    assert refused(logs.describe_log_streams, logGroupName="/a") == missing
    assert refused(logs.filter_log_events, logGroupName="/a") == missing


def test_what_a_group_cannot_have_is_refused(logs: Any) -> None:
    assert "kmsKeyId" in refused(logs.create_log_group, logGroupName="/a", kmsKeyId="k")[1]
    code, _ = refused(logs.create_log_group, logGroupName="/a", logGroupClass="INFREQUENT_ACCESS")
    assert code == "InvalidParameterException"
    with pytest.raises(ClientError, match="does not implement logs:PutRetentionPolicy"):
        logs.put_retention_policy(logGroupName="/a", retentionInDays=7)


def test_groups_are_tagged(logs: Any) -> None:
    logs.create_log_group(logGroupName="/a", tags={"x": "1"})
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/a"
    logs.tag_resource(resourceArn=arn, tags={"y": "2"})
    logs.untag_resource(resourceArn=arn, tagKeys=["x"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"y": "2"}
    logs.tag_log_group(logGroupName="/a", tags={"z": "3"})
    logs.untag_log_group(logGroupName="/a", tags=["y"])
    assert logs.list_tags_log_group(logGroupName="/a")["tags"] == {"z": "3"}


def test_streams_are_listed_by_name_and_by_time(logs: Any) -> None:
    write(logs, "job/b", "x", "y", at=NOW - 1000)
    write(logs, "job/a", "x", at=NOW)
    write(logs, "other")
    listed = logs.describe_log_streams(logGroupName=GROUP, logStreamNamePrefix="job/")["logStreams"]
    assert [each["logStreamName"] for each in listed] == ["job/a", "job/b"]
    first = listed[1]
    assert (first["firstEventTimestamp"], first["lastEventTimestamp"]) == (NOW - 1000, NOW - 999)
    assert (first["creationTime"], first["lastIngestionTime"]) == (NOW, NOW)
    assert first["arn"] == f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}:log-stream:job/b"
    newest = logs.describe_log_streams(logGroupName=GROUP, orderBy="LastEventTime", descending=True, limit=2)
    assert [each["logStreamName"] for each in newest["logStreams"]] == ["job/a", "job/b"]
    rest = logs.describe_log_streams(
        logGroupName=GROUP, orderBy="LastEventTime", descending=True, nextToken=newest["nextToken"]
    )
    assert [each["logStreamName"] for each in rest["logStreams"]] == ["other"]
    assert "nextToken" not in rest
    assert "firstEventTimestamp" not in rest["logStreams"][0]
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{GROUP}"
    assert len(logs.describe_log_streams(logGroupIdentifier=arn)["logStreams"]) == 3
    code, _ = refused(
        logs.describe_log_streams, logGroupName=GROUP, orderBy="LastEventTime", logStreamNamePrefix="j"
    )
    assert code == "InvalidParameterException"


def test_a_stream_is_made_and_deleted_once(logs: Any) -> None:
    write(logs, "s", "x")
    assert (
        refused(logs.create_log_stream, logGroupName=GROUP, logStreamName="s")[0]
        == "ResourceAlreadyExistsException"
    )
    logs.delete_log_stream(logGroupName=GROUP, logStreamName="s")
    missing = ("ResourceNotFoundException", "The specified log stream does not exist.")
    named = {"logGroupName": GROUP, "logStreamName": "s"}
    assert refused(logs.delete_log_stream, **named) == missing
    assert refused(logs.get_log_events, **named) == missing
    assert refused(logs.put_log_events, **named, logEvents=[{"timestamp": NOW, "message": "x"}]) == missing
    assert refused(logs.filter_log_events, logGroupName=GROUP, logStreamNames=["s"]) == missing


def test_the_last_events_come_first_unless_asked_from_the_head(logs: Any) -> None:
    write(logs, "s", *"abcdef")
    named = {"logGroupName": GROUP, "logStreamName": "s"}
    assert texts(logs.get_log_events(**named)) == list("abcdef")
    last = logs.get_log_events(**named, limit=2)
    assert texts(last) == ["e", "f"]
    assert last["events"][0]["timestamp"] == NOW + 4
    assert last["events"][0]["ingestionTime"] == NOW
    before = logs.get_log_events(**named, limit=2, nextToken=last["nextBackwardToken"])
    assert texts(before) == ["c", "d"]
    assert texts(logs.get_log_events(**named, nextToken=before["nextForwardToken"])) == ["e", "f"]
    assert texts(logs.get_log_events(**named, startFromHead=True, limit=2)) == ["a", "b"]


def test_following_a_stream_repeats_its_token_until_something_comes(logs: Any, cloud: Any) -> None:
    write(logs, "s", "a", "b")
    named = {"logGroupName": GROUP, "logStreamName": "s"}
    head = logs.get_log_events(**named, startFromHead=True)
    again = logs.get_log_events(**named, nextToken=head["nextForwardToken"])
    assert texts(again) == []
    assert again["nextForwardToken"] == head["nextForwardToken"]
    cloud.logs.append("123456789012", "us-east-1", GROUP, "s", [LogEvent(1_700_000_001.0, "c")], position=1)
    more = logs.get_log_events(**named, nextToken=again["nextForwardToken"])
    assert texts(more) == ["c"]
    assert more["nextForwardToken"] != again["nextForwardToken"]
    start = logs.get_log_events(**named, nextToken=head["nextBackwardToken"])
    assert texts(start) == []
    assert start["nextBackwardToken"] == head["nextBackwardToken"]


@pytest.mark.parametrize("from_head", [True, False])
def test_an_empty_stream_can_be_followed(logs: Any, from_head: bool) -> None:
    write(logs, "s")
    named = {"logGroupName": GROUP, "logStreamName": "s"}
    first = logs.get_log_events(**named, startFromHead=from_head)
    again = logs.get_log_events(**named, nextToken=first["nextForwardToken"])
    assert (texts(again), again["nextForwardToken"]) == ([], first["nextForwardToken"])
    write(logs, "s", "x")
    assert texts(logs.get_log_events(**named, nextToken=again["nextForwardToken"])) == ["x"]


def test_times_bound_what_is_read(logs: Any) -> None:
    write(logs, "s", *"abcdef")
    asked = {"startTime": NOW + 1, "endTime": NOW + 4}
    assert texts(logs.get_log_events(logGroupName=GROUP, logStreamName="s", **asked)) == ["b", "c", "d"]
    assert texts(logs.filter_log_events(logGroupName=GROUP, **asked)) == ["b", "c", "d"]


@pytest.mark.parametrize("token", ["x", "f/1/s", f"f/{200:040d}{0:016d}/s", f"b/{10**9:040d}{0:016d}/s"])
def test_a_token_of_nobody_is_refused(logs: Any, token: str) -> None:
    write(logs, "s", "a" * 500)
    assert refused(logs.get_log_events, logGroupName=GROUP, logStreamName="s", nextToken=token) == (
        "InvalidParameterException",
        "The specified nextToken is invalid.",
    )


def test_a_page_holds_a_megabyte_at_most(logs: Any) -> None:
    for i in range(5):
        write(logs, "s", *[f"{i}" * 250_000] * 3, at=NOW + 10 * i)
    named = {"logGroupName": GROUP, "logStreamName": "s", "startFromHead": True}
    seen: list[str] = []
    token: dict[str, str] = {}
    while True:
        answer = logs.get_log_events(**named, **token)
        if not answer["events"]:
            break
        assert sum(map(len, texts(answer))) <= 1_048_576
        seen += [message[0] for message in texts(answer)]
        token = {"nextToken": answer["nextForwardToken"]}
    assert "".join(seen) == "000111222333444"


def test_bad_batches_are_refused_and_events_out_of_time_told(logs: Any) -> None:
    write(logs, "s")
    named = {"logGroupName": GROUP, "logStreamName": "s"}

    def event(at: int, message: str = "x") -> dict[str, Any]:
        return {"timestamp": at, "message": message}

    put = logs.put_log_events
    assert "chronological" in refused(put, **named, logEvents=[event(NOW), event(NOW - 1)])[1]
    assert "24 hours" in refused(put, **named, logEvents=[event(NOW - 90_000_000), event(NOW)])[1]
    assert "Upload too large" in refused(put, **named, logEvents=[event(NOW, "x" * 600_000)] * 2)[1]
    hours = 3_600_000
    ahead = put(**named, logEvents=[event(NOW, "kept"), event(NOW + 3 * hours)])
    assert ahead["rejectedLogEventsInfo"] == {"tooNewLogEventStartIndex": 1}
    old = put(**named, logEvents=[event(NOW - 15 * 24 * hours)])
    assert old["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1}
    assert texts(logs.get_log_events(**named)) == ["kept"]


def test_streams_are_searched_together_in_the_order_of_time(logs: Any) -> None:
    write(logs, "job/1", "a", "c", at=NOW)
    write(logs, "job/2", "b", "d", at=NOW)
    write(logs, "other", "e", at=NOW + 5)
    answer = logs.filter_log_events(logGroupName=GROUP, logStreamNamePrefix="job/")
    assert texts(answer) == ["a", "b", "c", "d"]
    assert len({event["eventId"] for event in answer["events"]}) == 4
    pages = logs.get_paginator("filter_log_events").paginate(
        logGroupName=GROUP, PaginationConfig={"PageSize": 2}
    )
    assert [texts(page) for page in pages] == [["a", "b"], ["c", "d"], ["e"]]
    named = logs.filter_log_events(logGroupName=GROUP, logStreamNames=["other", "job/2"])
    assert [event["logStreamName"] for event in named["events"]] == ["job/2", "job/2", "other"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("", ["ERROR 404 not found", "INFO ok", "WARN almost not", "ERROR 500"]),
        ("ERROR", ["ERROR 404 not found", "ERROR 500"]),
        ("error", []),
        ("ERROR 404", ["ERROR 404 not found"]),
        ('"not found"', ["ERROR 404 not found"]),
        ("ERROR -404", ["ERROR 500"]),
        ("?INFO ?WARN", ["INFO ok", "WARN almost not"]),
        ("?INFO ERROR", ["ERROR 404 not found", "ERROR 500"]),
        ('-"not"', ["INFO ok", "ERROR 500"]),
    ],
)
def test_patterns_choose_messages(logs: Any, pattern: str, found: list[str]) -> None:
    write(logs, "s", "ERROR 404 not found", "INFO ok", "WARN almost not", "ERROR 500")
    assert texts(logs.filter_log_events(logGroupName=GROUP, filterPattern=pattern)) == found


@pytest.mark.parametrize("pattern", ['{ $.level = "x" }', "[a, b]", "%a.c%", '"unclosed'])
def test_a_pattern_that_cannot_be_followed_is_refused(logs: Any, pattern: str) -> None:
    logs.create_log_group(logGroupName=GROUP)
    code, _ = refused(logs.filter_log_events, logGroupName=GROUP, filterPattern=pattern)
    assert code == "InvalidParameterException"


def test_what_the_platform_writes_clients_read(logs: Any, cloud: Any) -> None:
    cloud.logs.append(
        "123456789012", "us-east-1", GROUP, "job/algo-1", [LogEvent(1.25, "training")], position=9
    )
    (stream,) = logs.describe_log_streams(logGroupName=GROUP)["logStreams"]
    answer = logs.get_log_events(logGroupName=GROUP, logStreamName=stream["logStreamName"])
    assert [(event["timestamp"], event["message"]) for event in answer["events"]] == [(1250, "training")]


def test_a_user_reads_what_a_policy_names_and_nothing_else(logs: Any, cloud: Any) -> None:
    write(logs, "s", "mine", group="/mine")
    write(logs, "s", "theirs", group="/theirs")
    resource = "arn:aws:logs:us-east-1:123456789012:log-group:/mine:*"
    key = cloud.user(
        "ann", {"Effect": "Allow", "Action": ["logs:Get*", "logs:Filter*"], "Resource": resource}
    )
    mine = cloud.client("logs", key)
    assert texts(mine.get_log_events(logGroupName="/mine", logStreamName="s")) == ["mine"]
    assert texts(mine.filter_log_events(logGroupName="/mine")) == ["mine"]
    code, message = refused(mine.get_log_events, logGroupName="/theirs", logStreamName="s")
    assert code == "AccessDeniedException"
    assert (
        "logs:GetLogEvents on resource: arn:aws:logs:us-east-1:123456789012:log-group:/theirs:log-stream:s"
        in message
    )
    assert refused(mine.delete_log_group, logGroupName="/mine")[0] == "AccessDeniedException"
