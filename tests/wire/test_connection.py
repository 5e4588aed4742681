"""Clients that are slow, silent, many, or do not speak HTTP: each is answered in AWS's words or let go, and nobody else waits."""

from __future__ import annotations

import resource
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any
from xml.etree import ElementTree

import pytest
from botocore import auth

from colonnade.gateway import app
from colonnade.gateway.connection import Connection
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import RandomIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principals
from colonnade.testing.gateway import served

from .conftest import Gateway
from .test_signatures import signed


class Hasty(Connection):
    """A second is long."""

    LOOK_SECONDS = 0.05
    HEAD_SECONDS = BODY_SECONDS = DRAIN_SECONDS = 0.3
    IDLE_SECONDS = 0.6
    READER_SECONDS = 0.5


@pytest.fixture
def hasty(gateway: Gateway) -> Iterator[Gateway]:
    platform = Platform(store=None, clock=SystemClock(), ids=RandomIds(), signals=None)  # type: ignore[arg-type]
    platform.provide(Principals, gateway.principals)
    with served(app.build(platform), Hasty) as port:
        gateway.port = port
        yield gateway


def connected(gateway: Gateway) -> socket.socket:
    return socket.create_connection(("127.0.0.1", gateway.port), timeout=60)


def answered(gateway: Gateway, sent: bytes) -> tuple[int, dict[str, str], bytes]:
    with connected(gateway) as connection:
        connection.sendall(sent)
        return read_answer(connection)


def read_answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """All that comes until the server hangs up."""
    arrived = b"".join(iter(lambda: connection.recv(65_536), b""))
    head, _, body = arrived.partition(b"\r\n\r\n")
    status, *lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    return int(status.split()[1]) if status else 0, headers, body


def code(body: bytes) -> str | None:
    """Of S3's form: what is neither signed nor JSON is taken for somebody who reads a bucket."""
    return ElementTree.fromstring(body).findtext("Code")


NOT_HTTP = {
    "noise": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    "words": b"hello there, how are you\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    "a length and chunks": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a length below zero": b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
    "a bare control character": b"GET / HTTP/1.1\r\nHost: a\x00b\r\n\r\n",
    "a tunnel": b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org\r\n\r\n",
}


@pytest.mark.parametrize("what", NOT_HTTP)
def test_what_is_not_http_is_refused_in_aws_words(gateway: Gateway, what: str) -> None:
    status, headers, body = answered(gateway, NOT_HTTP[what])

    assert status == 400
    assert headers["connection"] == "close"
    assert "x-amz-request-id" in headers
    assert code(body) == "BadRequest"


def test_a_body_that_breaks_its_framing_is_refused_as_its_service_would(gateway: Gateway) -> None:
    gateway.on("s3", "PutObject", lambda call: pytest.fail("it was taken"))
    headers = {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"}
    sent = signed(gateway, auth.S3SigV4Auth, "s3", "PUT", "/bucket/key", b"", headers)
    head = "".join(f"{name}: {value}\r\n" for name, value in sent["headers"].items())

    status, _, body = answered(
        gateway, f"PUT /bucket/key HTTP/1.1\r\n{head}Transfer-Encoding: chunked\r\n\r\nzz\r\n".encode()
    )

    assert status == 400
    assert code(body) == "BadRequest"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 66_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nx-a: " + b"a" * 66_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n" + b"a: b\r\n" * 300 + b"\r\n",
    ],
    ids=["line", "header", "headers"],
)
def test_a_head_may_have_64_kib_and_200_headers(gateway: Gateway, head: bytes) -> None:
    status, _, body = answered(gateway, head)

    assert (status, code(body)) == (400, "RequestHeaderSectionTooLarge")


def test_a_header_without_end_is_not_kept(gateway: Gateway) -> None:
    with connected(gateway) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nx-a: ")
        with pytest.raises(OSError):  # noqa: PT012 - some of the first megabytes are buffered on the way
            for _ in range(1000):
                connection.sendall(b"a" * 65_536)


def test_a_request_to_upgrade_is_answered_and_so_is_the_next(gateway: Gateway) -> None:
    ask = b"GET /_colonnade/health HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    last = b"GET /_colonnade/health HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    with connected(gateway) as connection:
        connection.sendall(ask)
        first = connection.recv(65_536)
        connection.sendall(last)
        status, _, _ = read_answer(connection)

    assert first.startswith(b"HTTP/1.1 200")
    assert status == 200


def test_a_head_that_comes_by_the_drop_is_given_up(hasty: Gateway) -> None:
    with connected(hasty) as connection, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(read_answer, connection)
        connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")
        drops = 0
        while not answer.done() and drops < 200:
            drops += 1
            time.sleep(0.05)
            try:
                connection.sendall(b"x")
            except OSError:
                break
        status, _, body = answer.result(60)

    assert (status, code(body)) == (400, "RequestTimeout")


@pytest.mark.parametrize("service", ["sagemaker", "s3"])
def test_a_body_that_does_not_come_is_given_up(hasty: Gateway, service: str) -> None:
    def put(call: Any) -> None:
        call.parameters["Body"].read()
        pytest.fail("it was taken")

    hasty.on("s3", "PutObject", put)
    method, target = ("PUT", "/bucket/key") if service == "s3" else ("POST", "/endpoints/e/invocations")
    signer = auth.S3SigV4Auth if service == "s3" else auth.SigV4Auth
    sent = signed(hasty, signer, service, method, target, b"", {"x-amz-content-sha256": "UNSIGNED-PAYLOAD"})
    head = "".join(f"{name}: {value}\r\n" for name, value in sent["headers"].items())

    status, _, body = answered(
        hasty, f"{method} {target} HTTP/1.1\r\n{head}Content-Length: 1000000\r\n\r\nabc".encode()
    )

    assert status == (400 if service == "s3" else 408)
    assert b"RequestTimeout" in body


def test_an_idle_connection_is_closed(hasty: Gateway) -> None:
    with connected(hasty) as connection:
        assert connection.recv(1) == b""


def test_who_reads_nothing_of_an_answer_is_let_go(hasty: Gateway) -> None:
    from .test_transport import Endless, open_request

    stream = Endless()
    hasty.on("s3", "GetObject", lambda call: {"Body": stream})
    with open_request(hasty, signed(hasty, auth.S3SigV4Auth, "s3", "GET", "/bucket/key"), 0):
        assert stream.closed.wait(60)


def test_a_thousand_idle_connections_do_not_keep_others_from_being_answered(gateway: Gateway) -> None:
    gateway.on("s3", "ListBuckets", lambda call: {"Buckets": []})
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    client = gateway.client("s3")
    with ExitStack() as stack:
        for number in range(1000):
            connection = stack.enter_context(connected(gateway))
            if number % 2:
                connection.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n")

        assert client.list_buckets()["Buckets"] == []
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
