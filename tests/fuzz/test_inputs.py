"""`make fuzz` in small, and what it found, told again by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest

from .blocks import run
from .stage import Answer, Request, Stage
from .verdict import wrong


@pytest.mark.parametrize("block", range(4))
def test_no_bent_request_brings_an_accident_about(block: int) -> None:
    found = [
        f"case {number}: {request.method} {request.target}\n{request}\n{problem}"
        for number, request, problem in run(2026, block, 750, timed=False)
    ]

    assert not found, f"{len(found)} of block {block}:\n" + "\n\n".join(found[:3])


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    stage.ask(Request("s3", "PUT", "/bucket"))
    stage.ask(Request("s3", "PUT", "/bucket/key", body=b"0123456789"))
    yield stage
    stage.close()


def sagemaker(operation: str, body: str) -> Request:
    headers = {"X-Amz-Target": f"SageMaker.{operation}", "Content-Type": "application/x-amz-json-1.1"}
    return Request("sagemaker", "POST", "/", headers, body.encode())


def iam(form: str) -> Request:
    return Request(
        "iam", "POST", "/", {"Content-Type": "application/x-www-form-urlencoded"}, form.encode("latin-1")
    )


def form(action: str, scope: str, text: str) -> Request:
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    return Request(scope, "POST", "/", headers, f"Action={action}&{text}".encode("latin-1"))


def sqs(operation: str, body: str) -> Request:
    headers = {"X-Amz-Target": f"AmazonSQS.{operation}", "Content-Type": "application/x-amz-json-1.0"}
    return Request("sqs", "POST", "/", headers, body.encode())


CHUNK = b"1\r\na\r\n0\r\n"
FRAMED = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
REFUSED = {
    "a length in another script's digits": Request(
        "s3", "PUT", "/bucket/k", {"x-amz-decoded-content-length": "²"}, CHUNK + b"\r\n", framed=FRAMED
    ),
    "a length of five thousand digits": Request(
        "s3", "PUT", "/bucket/k", {"x-amz-decoded-content-length": "9" * 5000}, CHUNK + b"\r\n", framed=FRAMED
    ),
    "a chunk's size in Python's spelling": Request(
        "s3",
        "PUT",
        "/bucket/k",
        {"x-amz-decoded-content-length": "1"},
        b"0x1\r\na\r\n0\r\n\r\n",
        framed=FRAMED,
    ),
    "trailers without end": Request(
        "s3",
        "PUT",
        "/bucket/k",
        {"x-amz-decoded-content-length": "1"},
        CHUNK + b"a:b\r\n" * 9000,
        framed=FRAMED,
    ),
    "chunks of one byte by the million": Request(
        "s3",
        "PUT",
        "/bucket/k",
        {"x-amz-decoded-content-length": "1000000"},
        b"1\r\na\r\n" * 1_000_000 + b"0\r\n\r\n",
        framed=FRAMED,
    ),
    "NaN by the million": sagemaker("CreateModel", '{"Tags": [' + "NaN," * 2_000_000 + "1]}"),
    "a list of a million": sagemaker("CreateModel", '{"Tags": [' + "{}," * 1_000_000 + "{}]}"),
    "a list numbered by five thousand digits": iam(
        f"Action=TagUser&Version=2010-05-08&UserName=a&Tags.member.{'9' * 5000}.Key=x"
    ),
    "an integer that no machine has": sagemaker("ListTrainingJobs", '{"MaxResults": 1' + "0" * 400 + "}"),
    "an integer of more than 32 bits": sagemaker("ListTrainingJobs", '{"MaxResults": 2147483648}'),
    "an instant after the calendar's end": sagemaker("ListTrainingJobs", '{"CreationTimeAfter": 1e300}'),
    "an instant without end": sagemaker("ListTrainingJobs", '{"CreationTimeAfter": Infinity}'),
    "a marker that is no number": Request("s3", "GET", "/bucket/key?uploadId=a&part-number-marker=x"),
    "a marker of another script": Request("s3", "GET", f"/bucket/key?uploadId=a&part-number-marker={quote('²')}"),
    "a map's key that is a list": form(
        "Publish", "sns", "Version=2010-03-31&Message=a&TopicArn=a&MessageAttributes.entry.1.Name.member.1=z"
        "&MessageAttributes.entry.1.Value.DataType=String",
    ),
    "a context without a key": form(
        "SimulateCustomPolicy", "iam", "Version=2010-05-08&PolicyInputList.member.1=a&ActionNames.member.1=a"
        "&ContextEntries.member.1.ContextKeyValues.member.1=true",
    ),
    "a queue without a name": sqs("CreateQueue", '{"QueueName": ""}'),
    "the queue of no name": sqs("GetQueueUrl", '{"QueueName": ""}'),
    "a token in another script": form(
        "ConfirmSubscription", "sns", f"Version=2010-03-31&TopicArn=arn:aws:sns:us-east-1:123456789012:t&Token={quote('é')}"
    ),
    "a digest in another script": Request("s3", "PUT", "/bucket/k", body=b"a", spoilt=("x-amz-content-sha256", "é")),
    "a policy in a card's place, a thousand levels deep": sagemaker(
        "CreateModelCard", '{"ModelCardName": "a", "ModelCardStatus": "Draft", "Content": "' + "[" * 5000 + '"}'
    ),
    "elements by the million": Request("s3", "POST", "/bucket?delete", body=b"<a>" + b"<b/>" * 1_000_000 + b"</a>"),
    "elements in elements": Request("s3", "POST", "/bucket?delete", body=b"<a>" * 100_000),
    "entities in entities": Request(
        "s3",
        "POST",
        "/bucket?delete",
        body='<?xml version="1.0" encoding="utf-16"?><!DOCTYPE a [<!ENTITY b "bb"><!ENTITY c "&b;&b;">]><Delete>&c;</Delete>'.encode(
            "utf-16"
        ),
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", REFUSED)
def test_it_is_refused(stage: Stage, what: str) -> None:
    answer = stage.ask(REFUSED[what])

    assert 400 <= answer.status < 500, answer
    assert wrong(answer, timed=False) is None


def ok(answer: Answer) -> Answer:
    assert 200 <= answer.status < 300, answer
    assert wrong(answer, timed=False) is None
    return answer


def test_a_range_of_five_thousand_digits_is_no_range(stage: Stage) -> None:
    answer = ok(stage.ask(Request("s3", "GET", "/bucket/key", {"Range": "bytes=0-" + "9" * 5000})))

    assert (answer.status, answer.body) == (200, b"0123456789")


def test_control_characters_do_not_get_into_headers(stage: Stage) -> None:
    answer = ok(stage.ask(Request("s3", "GET", "/bucket/key?response-content-type=a%01%0D%0Ab%7F")))

    assert answer.headers[b"content-type"] == b"a   b "
