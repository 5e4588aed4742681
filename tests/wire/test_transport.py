"""What HTTP brings along: limits, compression, clients that leave, hosts that name buckets, paths of our own."""

from __future__ import annotations

import asyncio
import gzip
import json
import socket
import threading
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore import auth
from botocore.exceptions import ClientError

from colonnade.gateway import app, own
from colonnade.gateway.body import IncomingBody
from colonnade.gateway.exchange import Response
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principals
from colonnade.testing.gateway import served

from .conftest import Gateway
from .test_signatures import send, signed

LIMIT = 6 * 1024 * 1024


def test_an_invocation_may_be_six_mebibytes_and_no_more(gateway: Gateway) -> None:
    async def invoke(call: Call) -> dict[str, Any]:
        return {"Body": str(len(call.parameters["Body"])).encode()}

    gateway.on("sagemaker-runtime", "InvokeEndpoint", invoke)
    client = gateway.client("sagemaker-runtime")

    answer = client.invoke_endpoint(EndpointName="e", Body=bytes(LIMIT))
    with pytest.raises(ClientError) as caught:
        client.invoke_endpoint(EndpointName="e", Body=bytes(LIMIT + 1))

    assert answer["Body"].read() == str(LIMIT).encode()
    assert caught.value.response["Error"]["Code"] == "ValidationError"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 413


def test_a_compressed_request_is_unpacked(gateway: Gateway) -> None:
    seen: list[Any] = []
    gateway.on("cloudwatch", "PutMetricData", lambda call: seen.append(call.parameters["MetricData"]))
    data = [{"MetricName": "m", "Value": float(number)} for number in range(900)]

    gateway.client("cloudwatch").put_metric_data(Namespace="n", MetricData=data)

    assert seen == [data]


def test_a_compressed_bomb_is_refused(gateway: Gateway) -> None:
    gateway.on("cloudwatch", "PutMetricData", lambda call: pytest.fail("it was called"))
    headers = {"X-Amz-Target": "GraniteServiceVersion20100801.PutMetricData", "Content-Encoding": "gzip"}
    bomb = gzip.compress(bytes(100 * 1024 * 1024), 1)

    status, body = send(gateway, signed(gateway, auth.SigV4Auth, "monitoring", "POST", "/", bomb, headers))

    assert status == 413
    assert json.loads(body)["__type"] == "RequestEntityTooLargeException"


def test_a_query_compatible_service_also_names_its_query_error(gateway: Gateway) -> None:
    def missing(call: Call) -> None:
        raise ServiceError("ResourceNotFound", "no such dashboard")

    gateway.on("cloudwatch", "GetDashboard", missing)

    with pytest.raises(ClientError) as caught:
        gateway.client("cloudwatch").get_dashboard(DashboardName="d")

    assert caught.value.response["Error"]["Code"] == "ResourceNotFound"
    assert (
        caught.value.response["ResponseMetadata"]["HTTPHeaders"]["x-amzn-query-error"]
        == "ResourceNotFound;Sender"
    )


def open_request(gateway: Gateway, sent: dict[str, Any], length: int) -> socket.socket:
    """A connection on which a signed request's head has been written."""
    connection = socket.create_connection(("127.0.0.1", gateway.port), timeout=60)
    lines = [
        f"{sent['method']} {sent['target']} HTTP/1.1",
        *(f"{k}: {v}" for k, v in sent["headers"].items()),
    ]
    connection.sendall("\r\n".join([*lines, f"Content-Length: {length}", "", ""]).encode())
    return connection


def test_an_upload_whose_client_leaves_ends_in_an_error_for_its_operation(gateway: Gateway) -> None:
    ended: list[str] = []
    done = threading.Event()

    def put(call: Call) -> None:
        try:
            call.parameters["Body"].read()
        except ServiceError as error:
            ended.append(error.code)
        done.set()

    gateway.on("s3", "PutObject", put)
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    sent = signed(gateway, auth.S3SigV4Auth, "s3", "PUT", "/bucket/key", b"a" * 1000, headers)
    connection = open_request(gateway, sent, 1_000_000)
    connection.sendall(b"a" * 1000)
    connection.close()

    assert done.wait(60)
    assert ended == ["IncompleteBody"]


class Endless:
    """A ByteStream that goes on until somebody stops it."""

    length = 10**12

    def __init__(self) -> None:
        self.closed = threading.Event()

    def __iter__(self) -> Iterator[bytes]:
        while True:
            yield b"x" * 65_536

    def close(self) -> None:
        self.closed.set()


def test_a_download_whose_client_leaves_is_closed(gateway: Gateway) -> None:
    stream = Endless()
    gateway.on("s3", "GetObject", lambda call: {"Body": stream})
    connection = open_request(gateway, signed(gateway, auth.S3SigV4Auth, "s3", "GET", "/bucket/key"), 0)

    assert connection.recv(65_536).startswith(b"HTTP/1.1 200")
    connection.close()

    assert stream.closed.wait(60)


def test_a_download_that_breaks_is_closed_and_not_taken_for_whole(gateway: Gateway) -> None:
    class Broken(Endless):
        length = 100_000

        def __iter__(self) -> Iterator[bytes]:
            yield b"x" * 65_536
            raise OSError("the disk is gone")

    stream = Broken()
    gateway.on("s3", "GetObject", lambda call: {"Body": stream})
    answer = gateway.client("s3").get_object(Bucket="bucket", Key="key")

    with pytest.raises(Exception, match=r"(?i)incomplete|broken|closed"):
        answer["Body"].read()

    assert stream.closed.wait(60)


def test_many_uploads_at_once_do_not_wait_for_each_other_forever(gateway: Gateway) -> None:
    gateway.on("s3", "PutObject", lambda call: {"ETag": str(len(call.parameters["Body"].read()))})
    client = gateway.client("s3", max_pool_connections=40)

    with ThreadPoolExecutor(40) as pool:
        answers = list(
            pool.map(lambda n: client.put_object(Bucket="b", Key=str(n), Body=bytes(400_000)), range(40))
        )

    assert {answer["ETag"] for answer in answers} == {"400000"}


def test_a_bucket_may_be_named_by_the_host(gateway: Gateway) -> None:
    seen: list[Any] = []
    gateway.on("s3", "HeadObject", lambda call: seen.append(dict(call.parameters)))
    platform = Platform(store=None, clock=_Clock(), ids=_Ids(), signals=None)  # type: ignore[arg-type]
    platform.provide(Principals, gateway.principals)
    with served(app.build(platform, bucket_hosts=["s3.localhost"])) as port:
        gateway.port = port
        sent = signed(
            gateway, auth.S3SigV4Auth, "s3", "HEAD", "/a/b", headers={"Host": "my-bucket.s3.localhost"}
        )

        status, _ = send(gateway, sent)

    assert status == 200
    assert seen == [{"Bucket": "my-bucket", "Key": "a/b"}]


class _Clock:
    def now(self) -> float:
        return 0.0


class _Ids:
    def uuid(self) -> str:
        return "request-id"

    def token(self, length: int) -> str:
        return "A" * length


def test_our_own_paths_are_found_by_prefix_and_say_what_there_is(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(own, "_handlers", dict(own._handlers))

    @own.own("POST", "/_colonnade/echo/*")
    async def echo(request: own.OwnRequest) -> Response:
        await asyncio.sleep(0)
        return own.json_response(
            {"path": request.path, "query": request.query, "body": request.body.decode()}
        )

    url = f"{gateway.url}/_colonnade/echo/a/b?c=d"
    with urllib.request.urlopen(urllib.request.Request(url, data=b"hello")) as answer:
        assert json.load(answer) == {"path": "/_colonnade/echo/a/b", "query": {"c": "d"}, "body": "hello"}
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(f"{gateway.url}/_colonnade/nothing")
    assert caught.value.code == 404
    assert "/_colonnade/health" in json.load(caught.value)["paths"]


def test_the_same_own_path_cannot_be_given_twice() -> None:
    with pytest.raises(ValueError, match="has a handler already"):
        own.own("GET", "/_colonnade/health")(own.health)


def test_a_cancelled_exchange_frees_the_thread_that_waits_for_its_body() -> None:
    async def story() -> str:
        async def never() -> dict[str, Any]:
            await asyncio.Event().wait()
            raise AssertionError

        body = IncomingBody(never, asyncio.get_running_loop(), 10)
        reading = asyncio.get_running_loop().run_in_executor(None, body.read)
        while not body.started:
            await asyncio.sleep(0)
        body.abandon()
        try:
            await reading
        except ServiceError as error:
            return error.code
        return "it read on"

    assert asyncio.run(story()) == "IncompleteBody"
