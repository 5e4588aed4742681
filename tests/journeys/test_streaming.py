"""Answers that are read while the model makes them, by boto3: from a script and from a server of one's own."""

from __future__ import annotations

import io
import socket
import tarfile
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from botocore.exceptions import ClientError, EventStreamError

from journeys.team import SCIKIT_LEARN, Team

SCRIPT = """
import socket

def model_fn(model_dir): return 1

def input_fn(body, content_type): return body.decode()

def predict_fn(data, model):
    if data == "wrong": raise ValueError("no such row")
    return parts(*data.split())

def parts(what, port):
    told = socket.create_connection(("127.0.0.1", int(port)))
    try:
        while what == "endless":
            yield b"y" * 65536
        yield "first "
        if told.recv(1) == b"!": raise RuntimeError("half way")
        yield {"n": 2}
    finally:
        told.sendall(b"closed")
        told.close()
"""
SERVE = '#!/bin/sh\nexec python -m uvicorn application:application --uds "$COLONNADE_SOCKET" --log-level warning\n'
APPLICATION = """
import asyncio

async def application(scope, receive, send):
    if scope["type"] != "http": return
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/invocations":
        what, port = (await receive())["body"].decode().split()
        reader, writer = await asyncio.open_connection("127.0.0.1", int(port))
        try:
            while what == "endless":
                await send({"type": "http.response.body", "body": b"y" * 65536, "more_body": True})
                if (await asyncio.wait({asyncio.ensure_future(receive())}, timeout=0))[0]: return
            await send({"type": "http.response.body", "body": b"first ", "more_body": True})
            if await reader.read(1) == b"!": raise RuntimeError("half way")
            await send({"type": "http.response.body", "body": b'{"n": 2}', "more_body": True})
        finally:
            writer.write(b"closed")
            writer.close()
    await send({"type": "http.response.body", "body": b""})
"""


class Listener:
    """Where a model waits for the test's word, and says that it was closed."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(120)
        self.port = self._listener.getsockname()[1]

    def model(self) -> socket.socket:
        accepted, _ = self._listener.accept()
        accepted.settimeout(120)
        return accepted

    def close(self) -> None:
        self._listener.close()


def heard(model: socket.socket) -> bytes:
    with model:
        return b"".join(iter(lambda: model.recv(4096), b""))


@pytest.fixture
def listener() -> Iterator[Listener]:
    made = Listener()
    yield made
    made.close()


def archive(files: Mapping[str, str]) -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as packed:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content.encode())
            packed.addfile(entry, io.BytesIO(content.encode()))
    return stream.getvalue()


@pytest.fixture(scope="module", params=["script", "server"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def endpoint(team: Team, kind: str) -> str:
    name = team.name("stream")
    if kind == "script":
        image, environment, files = SCIKIT_LEARN, {}, {"code/inference.py": SCRIPT}
    else:
        image, environment = "mine:1", {"COLONNADE_SERVER": "serve"}
        files = {"code/serve": SERVE, "code/application.py": APPLICATION}
    url = team.put(f"models/{name}.tar.gz", archive(files))
    container = {"Image": image, "ModelDataUrl": url, "Environment": environment}
    team.server.client("sagemaker").create_model(
        ModelName=name, ExecutionRoleArn=team.role, PrimaryContainer=container
    )
    return team.deploy(name)


def ask(team: Team, endpoint: str, body: str) -> Any:
    return team.server.client("sagemaker-runtime").invoke_endpoint_with_response_stream(
        EndpointName=endpoint, Body=body, ContentType="application/octet-stream", Accept="application/json"
    )


def test_the_first_part_is_read_before_the_last_one_is_made(
    team: Team, endpoint: str, kind: str, listener: Listener
) -> None:
    answer = ask(team, endpoint, f"two {listener.port}")
    model = listener.model()
    events = iter(answer["Body"])

    assert next(events) == {"PayloadPart": {"Bytes": b"first "}}
    model.sendall(b".")

    assert [event["PayloadPart"]["Bytes"] for event in events] == [b'{"n": 2}']
    assert heard(model) == b"closed"
    assert answer["InvokedProductionVariant"] == "A"
    assert answer["ContentType"] == {"script": "application/json", "server": "text/event-stream"}[kind]


def test_a_client_that_leaves_ends_the_models_work_and_the_endpoint_goes_on(
    team: Team, endpoint: str, kind: str, listener: Listener
) -> None:
    answer = ask(team, endpoint, f"endless {listener.port}")
    model = listener.model()
    assert next(iter(answer["Body"]))["PayloadPart"]["Bytes"]

    answer["Body"].close()

    assert heard(model) == b"closed"
    test_the_first_part_is_read_before_the_last_one_is_made(team, endpoint, kind, listener)


def test_a_model_that_fails_half_way_ends_the_stream_by_an_exception_of_the_stream(
    team: Team, endpoint: str, listener: Listener
) -> None:
    events = iter(ask(team, endpoint, f"two {listener.port}")["Body"])
    model = listener.model()
    assert next(events) == {"PayloadPart": {"Bytes": b"first "}}

    model.sendall(b"!")
    with pytest.raises(EventStreamError) as broken:
        list(events)

    error = broken.value.response["Error"]
    assert error["Code"] == "ModelStreamError"
    assert "message" in error["Message"]
    assert heard(model) == b"closed"


def test_a_script_that_fails_before_its_first_part_is_a_model_error(
    team: Team, endpoint: str, kind: str
) -> None:
    if kind == "server":
        return  # its answer has begun when its code runs
    with pytest.raises(ClientError) as refused:
        ask(team, endpoint, "wrong")

    assert refused.value.response["Error"]["Code"] == "ModelError"
    assert refused.value.response["OriginalStatusCode"] == 500
    assert 'message "ValueError: no such row"' in refused.value.response["Error"]["Message"]
