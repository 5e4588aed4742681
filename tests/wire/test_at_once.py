"""Small requests, which are kept until they are whole and then answered at once where the operation can."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest
from botocore import auth

from colonnade.kernel import operations
from colonnade.kernel.operations import Call, Effect

from .conftest import Gateway
from .test_connection import connected, hasty, read_answer  # noqa: F401 - a fixture
from .test_signatures import signed

Answers = Callable[[Call], Any]


def on(gateway: Gateway, name: str, handler: Answers, at_once: Answers) -> None:
    gateway.registered.pop(("sagemaker-runtime", name), None)
    operations.add("sagemaker-runtime", name, handler, effect=Effect.REAL, line=1, at_once=at_once)


def echoing(gateway: Gateway) -> list[str]:
    """InvokeEndpoint answers its body, and the name of the thread that was asked."""
    threads: list[str] = []

    def echo(call: Call) -> Any:
        threads.append(threading.current_thread().name)
        return {"Body": call.parameters.get("Body", b""), "ContentType": "text/plain"}

    on(gateway, "InvokeEndpoint", lambda call: pytest.fail("it took the handler"), echo)
    return threads


def request(gateway: Gateway, body: bytes, *, more: str = "") -> tuple[bytes, bytes]:
    """Head and body."""
    sent = signed(gateway, auth.SigV4Auth, "sagemaker", "POST", "/endpoints/e/invocations", body)
    head = "".join(f"{name}: {value}\r\n" for name, value in sent["headers"].items())
    line = "POST /endpoints/e/invocations HTTP/1.1\r\n"
    return f"{line}{head}Content-Length: {len(body)}\r\n{more}\r\n".encode(), body


def one_answer(connection: socket.socket) -> tuple[int, bytes]:
    arrived = b""
    while b"\r\n\r\n" not in arrived:
        arrived += connection.recv(65_536)
    head, _, body = arrived.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(65_536)
    assert len(body) == length, "nothing follows"
    return int(head.split()[1]), body


def test_a_body_may_come_by_the_byte_and_is_answered_on_the_event_loop(gateway: Gateway) -> None:
    threads = echoing(gateway)
    head, body = request(gateway, b"0123456789")
    with connected(gateway) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(head[:50])
        connection.sendall(head[50:])
        for number in range(len(body)):
            connection.sendall(body[number : number + 1])

        assert one_answer(connection) == (200, body)
        connection.sendall(head + body)
        assert one_answer(connection) == (200, body), "the connection stays"
    assert len(set(threads)) == 1
    assert not threads[0].startswith("operation")


def test_requests_that_come_together_are_answered_in_their_order(gateway: Gateway) -> None:
    """Those that take a thread hold up those behind them, at once or not."""
    release = threading.Event()

    def slow(call: Call) -> Any:
        release.wait(20)
        return {"Body": call.parameters["Body"], "ContentType": "text/plain"}

    def quick(call: Call) -> Any:
        body = call.parameters.get("Body", b"")
        return None if body == b"slow" else {"Body": body, "ContentType": "text/plain"}

    on(gateway, "InvokeEndpoint", slow, quick)
    wanted = [b"first", b"second", b"slow", b"third", b"fourth"]
    together = b"".join(b"".join(request(gateway, body)) for body in wanted[:-1])
    with connected(gateway) as connection:
        connection.sendall(together + b"".join(request(gateway, wanted[-1], more="Connection: close\r\n")))
        release.set()
        arrived = b"".join(iter(lambda: connection.recv(65_536), b""))

    assert arrived.count(b"HTTP/1.1 200") == len(wanted)
    places = [arrived.index(b"\r\n\r\n" + body) for body in wanted]
    assert places == sorted(places)
    assert arrived.count(b"HTTP/1.1 200") == len(wanted)


def test_what_cannot_be_answered_at_once_takes_the_handler_with_the_same_request(gateway: Gateway) -> None:
    asked: list[Call] = []

    def handler(call: Call) -> Any:
        asked.append(call)
        return {"Body": call.parameters["Body"]}

    on(gateway, "InvokeEndpoint", handler, asked.append)
    with connected(gateway) as connection:
        connection.sendall(b"".join(request(gateway, b"once")))
        answer = one_answer(connection)

    assert answer == (200, b"once")
    assert len(asked) == 2
    assert asked[0] is asked[1], "identified, verified and authorised once"


def test_a_refusal_is_answered_at_once_too_and_the_connection_stays(gateway: Gateway) -> None:
    echoing(gateway)
    head, body = request(gateway, b"body")
    with connected(gateway) as connection:
        connection.sendall(head + b"BODY")
        status, said = one_answer(connection)
        connection.sendall(head + body)
        after = one_answer(connection)

    assert (status, b"InvalidSignatureException" in said) == (403, True)
    assert after == (200, body)


def test_a_small_body_that_does_not_come_is_given_up(hasty: Gateway) -> None:  # noqa: F811
    echoing(hasty)
    head, _ = request(hasty, b"0123456789")
    with connected(hasty) as connection:
        connection.sendall(head + b"012")
        status, headers, body = read_answer(connection)

    assert status == 408
    assert headers["connection"] == "close"
    assert b"RequestTimeoutException" in body


def test_a_head_and_no_body_answers_as_before(gateway: Gateway) -> None:
    gateway.on("s3", "HeadBucket", lambda call: {"BucketRegion": "eu-west-1"})
    sent = signed(gateway, auth.S3SigV4Auth, "s3", "HEAD", "/bucket")
    head = "".join(f"{name}: {value}\r\n" for name, value in sent["headers"].items())
    with connected(gateway) as connection:
        connection.sendall(f"HEAD /bucket HTTP/1.1\r\n{head}Connection: close\r\n\r\n".encode())
        status, headers, body = read_answer(connection)

    assert (status, body) == (200, b"")
    assert headers["x-amz-bucket-region"] == "eu-west-1"
