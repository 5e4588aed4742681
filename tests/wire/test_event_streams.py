"""Event streams out, as boto3 reads them: frames, openings, exceptions, flushing, and clients that leave."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import AsyncIterator, Iterator
from types import SimpleNamespace
from typing import Any
from zlib import crc32

import pytest
from botocore import auth
from botocore.exceptions import EventStreamError

from colonnade.gateway import event_streams, plans
from colonnade.gateway.protocols import cbor_items
from colonnade.kernel.errors import ServiceError

from .conftest import Gateway
from .test_signatures import signed
from .test_transport import open_request

Event = dict[str, dict[str, Any]]


def test_a_frame_is_as_the_specification_has_it() -> None:
    # Lengths, CRC of the lengths, headers, payload, CRC of all.
    found = event_streams.frame([("foo", "string", "bar")], b"{}")

    total, headers = struct.unpack(">II", found[:8])
    assert (total, headers) == (len(found), 10)
    assert found[8:12] == struct.pack(">I", crc32(found[:8]))
    assert found[12:22] == b"\x03foo\x07\x00\x03bar"
    assert found[22:24] == b"{}"
    assert found[24:] == struct.pack(">I", crc32(found[:-4]))


def test_an_endpoint_streams_its_answer_in_raw_parts(gateway: Gateway) -> None:
    async def invoke(call: Any) -> dict[str, Any]:
        async def parts() -> AsyncIterator[Event]:
            for piece in (b"\x00one", b"two", b""):
                await asyncio.sleep(0)
                yield {"PayloadPart": {"Bytes": piece}}

        return {"Body": parts(), "ContentType": "text/csv", "InvokedProductionVariant": "a"}

    gateway.on("sagemaker-runtime", "InvokeEndpointWithResponseStream", invoke)

    answer = gateway.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName="flowers", Body=b"1,2"
    )

    assert answer["ResponseMetadata"]["HTTPHeaders"]["content-type"] == "application/vnd.amazon.eventstream"
    assert "content-length" not in answer["ResponseMetadata"]["HTTPHeaders"]
    assert (answer["ContentType"], answer["InvokedProductionVariant"]) == ("text/csv", "a")
    assert list(answer["Body"]) == [{"PayloadPart": {"Bytes": piece}} for piece in (b"\x00one", b"two", b"")]


def test_a_function_streams_its_payload_and_its_end(gateway: Gateway) -> None:
    events: list[Event] = [
        {"PayloadChunk": {"Payload": b"\xff\x00"}},
        {"InvokeComplete": {"ErrorCode": "Unhandled", "ErrorDetails": "é", "LogResult": "bG9n"}},
    ]
    gateway.on(
        "lambda", "InvokeWithResponseStream", lambda call: {"StatusCode": 200, "EventStream": iter(events)}
    )

    answer = gateway.client("lambda").invoke_with_response_stream(FunctionName="f")

    assert answer["StatusCode"] == 200
    assert list(answer["EventStream"]) == events


def test_a_shard_is_subscribed_to_with_an_initial_response(gateway: Gateway) -> None:
    records = [
        {"SequenceNumber": "1", "Data": b"\x00\x01", "PartitionKey": "p", "ApproximateArrivalTimestamp": 1.5}
    ]
    event = {"Records": records, "ContinuationSequenceNumber": "1", "MillisBehindLatest": 0}
    gateway.on(
        "kinesis",
        "SubscribeToShard",
        lambda call: {"EventStream": iter([{"SubscribeToShardEvent": event}])},
    )

    answer = gateway.client("kinesis", inject_host_prefix=False).subscribe_to_shard(
        ConsumerARN="arn:aws:kinesis:eu-west-1:123456789012:stream/s/consumer/c:1",
        ShardId="shardId-0",
        StartingPosition={"Type": "LATEST"},
    )

    (found,) = list(answer["EventStream"])
    (record,) = found["SubscribeToShardEvent"]["Records"]
    assert record["Data"] == b"\x00\x01"
    assert record["ApproximateArrivalTimestamp"].timestamp() == 1.5


def test_a_selection_streams_records_statistics_and_the_end(gateway: Gateway) -> None:
    events: list[Event] = [
        {"Records": {"Payload": b"a,b\n"}},
        {"Cont": {}},
        {"Stats": {"Details": {"BytesScanned": 4, "BytesProcessed": 4, "BytesReturned": 4}}},
        {"End": {}},
    ]
    gateway.on("s3", "SelectObjectContent", lambda call: {"Payload": iter(events)})

    answer = gateway.client("s3").select_object_content(
        Bucket="bucket",
        Key="k",
        Expression="SELECT * FROM S3Object",
        ExpressionType="SQL",
        InputSerialization={"CSV": {}},
        OutputSerialization={"CSV": {}},
    )

    assert list(answer["Payload"]) == events


def live_tail(gateway: Gateway) -> Any:
    client = gateway.client("logs", inject_host_prefix=False)
    return client.start_live_tail(logGroupIdentifiers=["arn:aws:logs:eu-west-1:123456789012:log-group:g"])[
        "responseStream"
    ]


def test_each_event_is_sent_when_it_happens(gateway: Gateway) -> None:
    # The second event waits until the client has read the first.
    read = threading.Event()

    def happenings() -> Iterator[Event | None]:
        yield {"sessionStart": {"sessionId": "s", "logGroupIdentifiers": ["g"]}}
        while not read.wait(0.05):
            yield None
        yield {"sessionUpdate": {"sessionMetadata": {"sampled": False}, "sessionResults": [{"message": "m"}]}}

    gateway.on("logs", "StartLiveTail", lambda call: {"responseStream": happenings()})
    stream = iter(live_tail(gateway))

    assert next(stream)["sessionStart"]["sessionId"] == "s"
    read.set()
    assert next(stream)["sessionUpdate"]["sessionResults"] == [{"message": "m"}]
    assert list(stream) == []


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ServiceError("SessionTimeoutException", "three hours"), "SessionTimeoutException", "three hours"),
        (ServiceError("NobodyKnowsThis", "why"), "NobodyKnowsThis", "why"),
        (KeyError("a-secret-detail"), "InternalFailure", "The server's log has it"),
    ],
)
def test_what_goes_wrong_on_the_way_is_raised_where_it_happened(
    gateway: Gateway, error: Exception, code: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    def happenings() -> Iterator[Event]:
        yield {"sessionUpdate": {"sessionResults": []}}
        raise error

    gateway.on("logs", "StartLiveTail", lambda call: {"responseStream": happenings()})
    stream = iter(live_tail(gateway))
    next(stream)

    with pytest.raises(EventStreamError) as caught:
        next(stream)

    assert caught.value.response["Error"]["Code"] == code
    assert message in caught.value.response["Error"]["Message"]
    assert "a-secret-detail" not in str(caught.value.response)
    assert ("a-secret-detail" in caplog.text) == isinstance(error, KeyError)


class Forever:
    """Events until somebody closes it."""

    def __init__(self, pause: float) -> None:
        self.closed = threading.Event()
        self.pause = pause

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        if self.pause:
            self.closed.wait(self.pause)
        return {"PayloadPart": {"Bytes": b"x"}}

    def close(self) -> None:
        self.closed.set()


def hang_up(gateway: Gateway) -> None:
    target = "/endpoints/flowers/invocations-response-stream"
    sent = signed(gateway, auth.SigV4Auth, "sagemaker", "POST", target)
    connection: socket.socket = open_request(gateway, sent, 0)
    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    connection.close()


@pytest.mark.parametrize("pause", [0, 0.01])
def test_a_stream_whose_client_leaves_is_closed(gateway: Gateway, pause: float) -> None:
    stream = Forever(pause)
    gateway.on("sagemaker-runtime", "InvokeEndpointWithResponseStream", lambda call: {"Body": stream})

    hang_up(gateway)

    assert stream.closed.wait(60)


def test_an_asynchronous_stream_whose_client_leaves_is_cancelled_where_it_waits(gateway: Gateway) -> None:
    ended = threading.Event()

    async def parts() -> AsyncIterator[Event]:
        try:
            yield {"PayloadPart": {"Bytes": b"x"}}
            await asyncio.Event().wait()
        finally:
            ended.set()

    gateway.on("sagemaker-runtime", "InvokeEndpointWithResponseStream", lambda call: {"Body": parts()})

    hang_up(gateway)

    assert ended.wait(60)


def test_many_waiting_streams_hold_up_nobody(gateway: Gateway) -> None:
    # More than there are threads for operations.
    streams = [Forever(0.2) for _ in range(40)]
    waiting = iter(streams)
    gateway.on("sagemaker-runtime", "InvokeEndpointWithResponseStream", lambda call: {"Body": next(waiting)})
    gateway.on("sagemaker", "ListEndpoints", lambda call: {"NextToken": "here"})
    target = "/endpoints/flowers/invocations-response-stream"
    sent = signed(gateway, auth.SigV4Auth, "sagemaker", "POST", target)

    connections = [open_request(gateway, sent, 0) for _ in streams]
    for connection in connections:
        assert connection.recv(65_536).startswith(b"HTTP/1.1 200")

    assert gateway.client("sagemaker").list_endpoints()["NextToken"] == "here"
    for connection in connections:
        connection.close()
    assert all(stream.closed.wait(60) for stream in streams)


def test_a_refusal_before_the_stream_begins_is_an_ordinary_one(gateway: Gateway) -> None:
    def subscribe(call: Any) -> None:
        raise ServiceError("ResourceNotFoundException", "no such log group")

    gateway.on("logs", "StartLiveTail", subscribe)

    with pytest.raises(Exception, match="no such log group") as caught:
        live_tail(gateway)

    assert type(caught.value).__name__ == "ResourceNotFoundException"


def test_a_stream_over_cbor_opens_with_an_initial_response_too() -> None:
    # No client asks for it yet; the frames must be right all the same.
    plan = plans.plan("kinesis", "SubscribeToShard", "smithy-rpc-v2-cbor")
    event = {
        "SubscribeToShardEvent": {"Records": [], "ContinuationSequenceNumber": "1", "MillisBehindLatest": 0}
    }

    response = plan.serialise(SimpleNamespace(), {"EventStream": [event]})  # type: ignore[arg-type]

    async def gathered() -> list[bytes]:
        return [piece async for piece in response.body]  # type: ignore[union-attr]

    opening, first = asyncio.run(gathered())
    assert b"initial-response" in opening
    assert (
        cbor_items.decode(first[first.index(b"application/cbor") + len(b"application/cbor") : -4])
        == event["SubscribeToShardEvent"]
    )
