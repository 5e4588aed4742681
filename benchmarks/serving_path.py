"""Which way a prediction takes: in the gateway's process, to a replica by frames, or to a replica by HTTP.

    python benchmarks/serving_path.py [--seconds 3] [--repeat 3]

One run on one machine compares the three. The server side (gateway and, where there is one, the replica) is pinned to one
core and the load to another, so the figures are cost per request and not parallelism; the processor time that the server's
processes really used per request is read beside the rate, because it barely minds a noisy neighbour. The model is XGBoost as ONNX, one
CSV row a request, a raw ASGI application on uvicorn + uvloop + httptools in front. The ways take turns within each repeat,
and the best of the repeats counts.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httptools
import numpy as np
import uvloop

from colonnade.serving import connection, frames
from colonnade.serving.replica import server as replica

WAYS = ("compiled", "frames", "http")
CONCURRENCY = (1, 8, 32)
ROW = ",".join(f"{value:.4f}" for value in np.linspace(0, 1, 10)).encode()


def train(path: Path) -> None:
    import onnxmltools
    import xgboost
    from onnxmltools.convert.common.data_types import FloatTensorType

    features = np.random.default_rng(0).random((2000, 10), dtype=np.float32)
    labels = features[:, 0] * 3 + np.sin(features[:, 1] * 6) + features[:, 2] * features[:, 3]
    booster = xgboost.train(
        {"max_depth": 6, "objective": "reg:squarederror", "nthread": 1},
        xgboost.DMatrix(features, labels),
        100,
    )
    onnx = onnxmltools.convert_xgboost(booster, initial_types=[("input", FloatTensorType([None, 10]))])
    path.write_bytes(onnx.SerializeToString())


class Model:
    """One CSV row in, its score out: the same work behind each way."""

    def __init__(self, path: str) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(path, options)
        self._input = self._session.get_inputs()[0].name

    def predict(self, body: bytes) -> bytes:
        rows = [line.split(b",") for line in body.splitlines()]
        (scores,) = self._session.run(None, {self._input: np.array(rows, dtype=np.float32)})
        out = io.BytesIO()
        out.write("\n".join(str(score) for score in scores.ravel().tolist()).encode())
        return out.getvalue()


# The replicas


def serve_frames(model: str, address: str) -> None:
    predictor = Model(model)

    def handle(request: frames.Request) -> frames.Answer:
        return frames.Answer(200, predictor.predict(request.body), "text/csv")

    replica.Server(replica.listen(address), handle).run()


def serve_http(model: str, address: str) -> None:
    predictor = Model(model)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if (message := await receive())["type"] == "http.request":
            await answer(send, predictor.predict(message["body"]))

    run_uvicorn(app, uds=address)


async def answer(send: Any, body: bytes) -> None:
    headers = [(b"content-type", b"text/csv"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def run_uvicorn(app: Any, **where: Any) -> None:
    import uvicorn

    uvicorn.run(
        app,
        loop="uvloop",
        http="httptools",
        lifespan="off",
        access_log=False,
        log_level="warning",
        timeout_keep_alive=600,
        **where,
    )


# The gateway


class HttpConnection(asyncio.Protocol):
    """As lean an HTTP client as can be: kept alive, one request at a time."""

    def __init__(self) -> None:
        self._future: asyncio.Future[bytes] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._parser.feed_data(data)

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        body, self._body = self._body, b""
        self._parser = httptools.HttpResponseParser(self)
        assert self._future is not None
        self._future.set_result(body)

    async def ask(self, body: bytes) -> bytes:
        self._future = asyncio.get_running_loop().create_future()
        self._transport.write(
            b"POST /invocations HTTP/1.1\r\nhost: replica\r\ncontent-type: text/csv\r\ncontent-length: %d\r\n\r\n"
            % len(body)
            + body
        )
        return await self._future


def gateway(model: str, frames_address: str, http_address: str, port: int) -> None:
    predictor = Model(model)
    pool: deque[HttpConnection] = deque()
    link: connection.Connection | None = None

    async def by_http(body: bytes) -> bytes:
        if not pool:
            _, fresh = await asyncio.get_running_loop().create_unix_connection(HttpConnection, http_address)
            pool.append(fresh)
        client = pool.pop()
        answered = await client.ask(body)
        pool.append(client)
        return answered

    async def app(scope: Any, receive: Any, send: Any) -> None:
        nonlocal link
        if (message := await receive())["type"] != "http.request":
            return
        body = message["body"]
        if scope["path"] == "/compiled":
            predicted = predictor.predict(body)
        elif scope["path"] == "/http":
            predicted = await by_http(body)
        else:
            if link is None:
                link = await connection.connect(f"unix:{frames_address}", lambda: None)
            predicted = (await link.ask(frames.Request(frames.INVOKE, body, "text/csv"))).body
        await answer(send, predicted)

    run_uvicorn(app, port=port)


# The load


class Client(asyncio.Protocol):
    """Sends the same request again as soon as its answer is there."""

    def __init__(self, request: bytes, latencies: list[float]) -> None:
        self._request, self._latencies, self._seen = request, latencies, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._sent = time.perf_counter()
        self._transport.write(self._request)

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.partition(b"content-length: ")[2].split(b"\r\n")[0]):
            assert head.startswith(b"HTTP/1.1 200"), head
            self._latencies.append(time.perf_counter() - self._sent)
            self._seen = b""
            self._ask()


@dataclass(frozen=True)
class Figures:
    rate: float
    """Requests per second."""
    median: float
    """Latency in milliseconds."""
    cost: float
    """Processor time of all server processes per request, in microseconds."""


def cpu_seconds(processes: list[int]) -> float:
    tasks = [task for process in processes for task in Path(f"/proc/{process}/task").glob("*/schedstat")]
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def load(servers: list[int], path: str, concurrency: int, seconds: float) -> Figures:
    request = b"POST /%s HTTP/1.1\r\nhost: x\r\ncontent-length: %d\r\n\r\n" % (path.encode(), len(ROW)) + ROW
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    clients = [
        await loop.create_connection(lambda: Client(request, latencies), "127.0.0.1", PORT)
        for _ in range(concurrency)
    ]
    await asyncio.sleep(0.3)
    latencies.clear()
    began, used = time.perf_counter(), cpu_seconds(servers)
    await asyncio.sleep(seconds)
    took, used = time.perf_counter() - began, cpu_seconds(servers) - used
    for transport, _ in clients:
        transport.abort()
    answered = len(latencies)
    return Figures(answered / took, float(np.median(latencies)) * 1e3, used / answered * 1e6)


def measure(servers: list[int], seconds: float, repeat: int) -> dict[str, dict[int, Figures]]:
    best: dict[str, dict[int, Figures]] = {way: {} for way in WAYS}
    for _ in range(repeat):
        for concurrency in CONCURRENCY:
            for way in WAYS:
                found = uvloop.run(load(servers, way, concurrency, seconds))
                before = best[way].get(concurrency, found)
                best[way][concurrency] = Figures(
                    max(found.rate, before.rate),
                    min(found.median, before.median),
                    min(found.cost, before.cost),
                )
    return best


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


PORT = free_port()


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=3.0)
    arguments.add_argument("--repeat", type=int, default=3)
    arguments.add_argument("--role", nargs="*", default=[], help=argparse.SUPPRESS)
    options = arguments.parse_args()
    if options.role:
        name, *rest = options.role
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        {
            "frames": lambda: serve_frames(*rest),
            "http": lambda: serve_http(*rest),
            "gateway": lambda: gateway(*rest[:3], int(rest[3])),
        }[name]()
        return
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder), options.seconds, options.repeat)


def run(folder: Path, seconds: float, repeat: int) -> None:
    model, by_frames, by_http = (str(folder / name) for name in ("model.onnx", "frames.sock", "http.sock"))
    train(Path(model))
    roles = (
        ["frames", model, by_frames],
        ["http", model, by_http],
        ["gateway", model, by_frames, by_http, str(PORT)],
    )
    servers = [subprocess.Popen([sys.executable, __file__, "--role", *role]) for role in roles]
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    try:
        wait_for(PORT, Path(by_frames), Path(by_http))
        report(measure([process.pid for process in servers], seconds, repeat))
    finally:
        for process in servers:
            process.terminate()
        for process in servers:
            process.wait(10)


def wait_for(port: int, *sockets: Path) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0 and all(path.exists() for path in sockets):
                return
        time.sleep(0.05)
    raise TimeoutError("the servers did not come up within 30 s")


def report(best: dict[str, dict[int, Figures]]) -> None:
    print(
        f"{'way':10}"
        + "".join(f"{f'c={c}: req/s':>14}{'p50 ms':>8}{'cpu us':>8}{'ratio':>7}" for c in CONCURRENCY)
    )
    for way in WAYS:
        cells = ""
        for concurrency in CONCURRENCY:
            found, base = best[way][concurrency], best["compiled"][concurrency]
            cells += f"{found.rate:14,.0f}{found.median:8.2f}{found.cost:8.0f}{found.cost / base.cost:7.2f}"
        print(f"{way:10}{cells}")
    print("ratio: processor time against compiled")


if __name__ == "__main__":
    main()
