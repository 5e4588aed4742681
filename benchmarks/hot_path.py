"""What one request costs a gateway worker, in processor time: small S3 objects, DescribeEndpoint, InvokeEndpoint.

    python benchmarks/hot_path.py [--seconds 1] [--repeat 5] [--source /path/to/another/checkout/src]

One worker on one core, the load on another. Each request was signed by itself, by a user whose policies are AWS's managed ones for
SageMaker and S3; the endpoint has two variants of a compiled model. Processor time barely minds a noisy neighbour where rates do.
`--source` measures another checkout's server by the same requests.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path
from typing import Any

TOP = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(TOP / "tests"), str(TOP / "benchmarks")]

import uvloop  # noqa: E402
from replay import Keys, signed  # noqa: E402

from colonnade.testing.server import Server, running  # noqa: E402
from journeys.team import Team  # noqa: E402

MANAGED = ("AmazonSageMakerFullAccess", "AmazonS3FullAccess")
CONCURRENCY = (1, 8, 32)


def prepare(server: Server) -> Keys:
    """An endpoint of two variants, a hundred small objects, and a user who may use them."""
    team = Team(server).prepare()
    job = team.train()
    assert team.ended(job)["TrainingJobStatus"] == "Completed"
    sagemaker, iam, s3 = server.client("sagemaker"), server.client("iam"), server.client("s3")
    variant = {"ModelName": team.model(job), "InitialInstanceCount": 1, "InstanceType": "ml.m5.large"}
    variants = [{**variant, "VariantName": name, "InitialVariantWeight": 1.0} for name in ("one", "other")]
    sagemaker.create_endpoint_config(EndpointConfigName="two", ProductionVariants=variants)
    sagemaker.create_endpoint(EndpointName="two", EndpointConfigName="two")
    team.in_service("two")
    iam.create_user(UserName="ann")
    for name in MANAGED:
        iam.attach_user_policy(UserName="ann", PolicyArn=f"arn:aws:iam::aws:policy/{name}")
    key = iam.create_access_key(UserName="ann")["AccessKey"]
    s3.create_bucket(Bucket="benchmark")
    for number in range(100):
        s3.put_object(Bucket="benchmark", Key=f"small-{number}", Body=os.urandom(1024))
    return Keys(server.url, server.region, key["AccessKeyId"], key["SecretAccessKey"])


def requests(keys: Keys, way: str, count: int = 200) -> list[bytes]:
    def headers(**more: str) -> dict[str, str]:
        return {
            "User-Agent": "Boto3/1.44.5 md/Botocore#1.44.5 ua/2.1 os/linux#6.18 md/arch#x86_64 lang/python#3.11.7",
            "amz-sdk-invocation-id": str(uuid.uuid4()),
            "amz-sdk-request": "attempt=1",
            "Accept-Encoding": "identity",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }

    target = {"X_Amz_Target": "SageMaker.DescribeEndpoint", "Content_Type": "application/x-amz-json-1.1"}
    make: dict[str, Any] = {
        "put": lambda n: signed(keys, "s3", "PUT", f"/benchmark/new-{n}", b"x" * 1024, headers()),
        "get": lambda n: signed(keys, "s3", "GET", f"/benchmark/small-{n % 100}", b"", headers()),
        "describe": lambda n: signed(
            keys, "sagemaker", "POST", "/", b'{"EndpointName": "two"}', headers(**target)
        ),
        "invoke": lambda n: signed(
            keys,
            "sagemaker",
            "POST",
            "/endpoints/two/invocations",
            b"0.5,0.%d" % (n + 10),
            headers(Content_Type="text/csv"),
        ),
    }
    return [make[way](number) for number in range(count)]


class Client(asyncio.Protocol):
    """Sends the next request as soon as the last one's answer is there."""

    def __init__(self, sent: list[bytes], first: int, latencies: list[float]) -> None:
        self._sent, self._number, self._latencies, self._seen = sent, first, latencies, b""

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        self._ask()

    def _ask(self) -> None:
        self._number += 1
        self._began = time.perf_counter()
        self._transport.write(self._sent[self._number % len(self._sent)])

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if found and len(body) >= int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]):
            if not head.startswith(b"HTTP/1.1 200"):
                raise RuntimeError(f"{head!r} {body[:500]!r}")
            self._latencies.append(time.perf_counter() - self._began)
            self._seen = b""
            self._ask()


def cpu_seconds(process: int) -> float:
    tasks = Path(f"/proc/{process}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


async def load(
    port: int, worker: int, sent: list[bytes], concurrency: int, seconds: float
) -> tuple[float, ...]:
    """Requests per second, microseconds of the worker's processor time for each, median milliseconds."""
    latencies: list[float] = []
    loop = asyncio.get_running_loop()
    clients = [
        await loop.create_connection(lambda n=n: Client(sent, n * 17, latencies), "127.0.0.1", port)  # type: ignore[misc]
        for n in range(concurrency)
    ]
    await asyncio.sleep(0.3)
    latencies.clear()
    began, used = time.perf_counter(), cpu_seconds(worker)
    await asyncio.sleep(seconds)
    took, used = time.perf_counter() - began, cpu_seconds(worker) - used
    for transport, _ in clients:
        transport.abort()
    return len(latencies) / took, used / len(latencies) * 1e6, statistics.median(latencies) * 1e3


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=1.0)
    arguments.add_argument("--repeat", type=int, default=5)
    arguments.add_argument("--source", help="src folder of another checkout whose server is measured")
    options = arguments.parse_args()
    if options.source:
        os.environ["PYTHONPATH"] = options.source
    cores = sorted(os.sched_getaffinity(0))
    with (
        tempfile.TemporaryDirectory(prefix="colonnade-hot-path-") as folder,
        running(Path(folder) / "data", "--workers", "1") as server,
    ):
        keys = prepare(server)
        worker, port = server.pids()["worker-1"], int(server.url.rpartition(":")[2])
        assert worker is not None
        for task in Path(f"/proc/{worker}/task").iterdir():
            os.sched_setaffinity(int(task.name), {cores[0]})
        os.sched_setaffinity(0, {cores[-1]})
        print(f"{'':10}{'connections':>12}{'per second':>12}{'CPU µs':>8}{'p50 ms':>8}")
        for way in ("put", "get", "describe", "invoke"):
            sent = requests(keys, way)
            for concurrency in CONCURRENCY:
                runs = [
                    uvloop.run(load(port, worker, sent, concurrency, options.seconds))
                    for _ in range(options.repeat)
                ]
                best = max(run[0] for run in runs), min(run[1] for run in runs), min(run[2] for run in runs)
                print(f"{way:10}{concurrency:12}{best[0]:12,.0f}{best[1]:8.0f}{best[2]:8.2f}", flush=True)


if __name__ == "__main__":
    main()
