"""Endpoints whose container is an HTTP server of the user's own: by port and by unix socket, with real processes."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import Any

import pytest

from colonnade.kernel.errors import ServiceError
from colonnade.lifecycle.deploy.transform_job import acceptance

from .conftest import ROLE, SCIKIT_LEARN, Bench, as_json, until

IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/churn/my-server:latest"
BY_PORT = '''
"""The contract by Python's own server: started as `serve`, on the port that it is given."""
import json, os, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = PROTOCOL

    def log_message(self, *_):
        pass

    def say(self, status, body=b"", **headers):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.say(200 if self.path == "/ping" else 404)

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if body == b"die":
            os._exit(3)
        if body == b"wrong":
            return self.say(400, b"no such row", Content_Type="text/plain")
        about = {"path": self.path, "pid": os.getpid(), "arguments": sys.argv[1:], "body": body.decode(),
                 "headers": {name.lower(): value for name, value in self.headers.items()},
                 "word": open("/opt/ml/model/word").read()}
        self.say(200, json.dumps(about).encode(), Content_Type="application/json",
                 X_Amzn_SageMaker_Custom_Attributes="seen")

print("ready to serve", flush=True)
ThreadingHTTPServer(("127.0.0.1", int(os.environ["SAGEMAKER_BIND_TO_PORT"])), Handler).serve_forever()
'''
BY_SOCKET = '#!/bin/sh\nexec python -m uvicorn application:application --uds "$COLONNADE_SOCKET" --log-level warning\n'
APPLICATION = """
import asyncio, os

waiting = []

async def application(scope, receive, send):
    if scope["type"] != "http":
        return
    body = b""
    while (message := await receive())["type"] == "http.request":
        body += message["body"]
        if not message.get("more_body"):
            break
    if body == b"both":
        waiting.append(asyncio.Event())
        if len(waiting) == 2:
            [event.set() for event in waiting]
        await waiting[0].wait()
    if body == b"die":
        os._exit(3)
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": str(os.getpid()).encode()})
"""


def by_port(protocol: str = "HTTP/1.1") -> dict[str, str]:
    return {"code/serve.py": BY_PORT.replace("PROTOCOL", repr(protocol)), "word": "hello"}


BY_UNIX_SOCKET = {"code/serve": BY_SOCKET, "code/application.py": APPLICATION}


def serve(
    bench: Bench, files: dict[str, str], program: str, *, instances: int = 1, status: str = "InService"
) -> Any:
    bench.model("own", bench.upload("own.tar.gz", files), IMAGE, COLONNADE_SERVER=program)
    bench.config("own", {"ModelName": "own", "InitialInstanceCount": instances})
    bench.endpoint("own", "own")
    return bench.settled("own", status)


@pytest.mark.parametrize("protocol", ["HTTP/1.1", "HTTP/1.0"])
def test_a_server_on_a_port_is_started_as_serve_and_asked_with_the_contracts_headers_alone(
    bench: Bench, protocol: str
) -> None:
    serve(bench, by_port(protocol), "serve.py")

    answer = bench.invoke(
        "own", b"1,2", Accept="application/json", CustomAttributes="trace=7", InferenceId="not-forwarded"
    )

    about = as_json(answer)
    assert (about["path"], about["arguments"], about["body"], about["word"]) == (
        "/invocations",
        ["serve"],
        "1,2",
        "hello",
    )
    assert about["headers"] == {
        "host": "localhost",
        "content-length": "3",
        "content-type": "text/csv",
        "accept": "application/json",
        "x-amzn-sagemaker-custom-attributes": "trace=7",
    }
    assert (answer["ContentType"], answer["CustomAttributes"]) == ("application/json", "seen")
    until(
        lambda: "ready to serve" in bench.logs.text("/aws/sagemaker/Endpoints/own"), "its print is in the log"
    )


def test_what_it_refuses_is_a_model_error_in_its_words(bench: Bench) -> None:
    serve(bench, by_port(), "serve.py")

    with pytest.raises(ServiceError) as refused:
        bench.invoke("own", b"wrong")

    assert refused.value.message.startswith(
        'Received client error (400) from primary with message "no such row"'
    )
    assert refused.value.members["OriginalStatusCode"] == 400
    assert as_json(bench.invoke("own", b"1"))["body"] == "1"


def test_a_server_on_a_unix_socket_works_on_calls_side_by_side(bench: Bench) -> None:
    serve(bench, BY_UNIX_SOCKET, "serve")

    async def two() -> list[Any]:
        return list(await asyncio.gather(bench.ask("own", b"both"), bench.ask("own", b"both")))

    one, other = bench.on_loop(two())

    assert one["Body"] == other["Body"]


def test_no_call_fails_when_a_server_is_killed_and_it_is_replaced(bench: Bench) -> None:
    serve(bench, BY_UNIX_SOCKET, "serve", instances=2)
    pids: set[int] = set()
    until(lambda: pids.add(int(bench.invoke("own", b"x")["Body"])) or len(pids) == 2, "both are asked")

    async def calls() -> tuple[int, set[int]]:
        failed, seen = 0, set()
        for number in range(300):
            if number == 50:
                os.kill(min(pids), signal.SIGKILL)
            results = await asyncio.gather(
                *(bench.ask("own", b"x") for _ in range(4)), return_exceptions=True
            )
            failed += sum(isinstance(result, BaseException) for result in results)
            seen |= {int(result["Body"]) for result in results if not isinstance(result, BaseException)}
        return failed, seen

    failed, _ = bench.on_loop(calls())

    print(f"{failed} of 1200 calls failed")
    assert failed == 0
    until(lambda: int(bench.invoke("own", b"x")["Body"]) not in pids, "the replacement is asked")


def test_a_call_that_ends_the_server_twice_is_answered_so_and_the_server_comes_back(bench: Bench) -> None:
    serve(bench, by_port(), "serve.py")

    with pytest.raises(ServiceError) as refused:
        bench.invoke("own", b"die")

    assert "twice" in refused.value.message
    assert as_json(bench.invoke("own", b"1"))["body"] == "1"


def test_a_server_that_never_answers_a_ping_with_200_fails_the_endpoint(bench: Bench) -> None:
    code = BY_PORT.replace("PROTOCOL", '"HTTP/1.1"').replace("200 if self.path", "503 if self.path")
    bench.model(
        "own", bench.upload("own.tar.gz", {"code/serve.py": code}), IMAGE, COLONNADE_SERVER="serve.py"
    )
    bench.config("own", {"ModelName": "own", "ContainerStartupHealthCheckTimeoutInSeconds": 1})
    bench.endpoint("own", "own")

    failed = bench.settled("own", "Failed")

    assert failed["FailureReason"].startswith(
        "The primary container for production variant AllTraffic did not pass the ping health check."
    )


@pytest.mark.parametrize("program", ["nothing", "../serve.py"])
def test_a_program_that_is_not_there_is_named_in_the_log(bench: Bench, program: str) -> None:
    serve(bench, by_port(), program, status="Failed")

    until(
        lambda: f"COLONNADE_SERVER names {program}" in bench.logs.text("/aws/sagemaker/Endpoints/own"),
        "the log says why",
    )


def test_a_server_without_an_archive_and_an_image_without_a_server_are_refused(bench: Bench) -> None:
    def refusal(**container: Any) -> str:
        with pytest.raises(ServiceError) as refused:
            bench.do(
                "CreateModel",
                ModelName="m",
                PrimaryContainer={"Image": IMAGE, **container},
                ExecutionRoleArn=ROLE,
            )
        return refused.value.message

    assert "give its ModelDataUrl" in refusal(Environment={"COLONNADE_SERVER": "serve"})
    assert "name the program in the container's Environment as COLONNADE_SERVER" in refusal()


def test_a_server_may_be_one_of_several_containers(bench: Bench) -> None:
    double = "def model_fn(d): return 1\ndef transform_fn(m, body, c, a): return body + body, 'text/plain'"
    first = bench.upload("double.tar.gz", {"code/inference.py": double})
    own = {
        "Image": IMAGE,
        "ModelDataUrl": bench.upload("own.tar.gz", by_port()),
        "Environment": {"COLONNADE_SERVER": "serve.py"},
        "ContainerHostname": "mine",
    }
    containers = [{"Image": SCIKIT_LEARN, "ModelDataUrl": first, "ContainerHostname": "double"}, own]
    bench.do("CreateModel", ModelName="own", Containers=containers, ExecutionRoleArn=ROLE)
    bench.config("own", {"ModelName": "own"})
    bench.endpoint("own", "own")
    bench.settled("own")

    about = as_json(bench.invoke("own", b"1,2"))

    assert (about["body"], about["headers"]["content-type"]) == ("1,21,2", "text/plain")


def test_batch_transform_says_that_it_does_not_drive_servers_yet() -> None:
    container = {"Image": IMAGE, "ModelDataUrl": "s3://a/b", "Environment": {"COLONNADE_SERVER": "serve"}}

    with pytest.raises(
        ServiceError, match="does not implement batch transform with COLONNADE_SERVER"
    ) as refused:
        acceptance._check_model("own", {"PrimaryContainer": container})

    assert refused.value.status == 501
