"""A whole small platform: memory store, driver, a real executor, and one gateway worker's router on a loop of its own."""

from __future__ import annotations

import asyncio
import fcntl
import gzip
import io
import json
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pytest

from colonnade.cloud.sts.work_credentials import StoredWorkCredentials
from colonnade.executors import Executor
from colonnade.executors.process import ProcessExecutor
from colonnade.kernel import operations
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.platform import Platform
from colonnade.kernel.policy import Decision, Outcome
from colonnade.kernel.ports import (
    LogEvent,
    LogStreams,
    ObjectContent,
    ObjectInfo,
    Principal,
    Principals,
    Storage,
    WorkCredentials,
)
from colonnade.kernel.reconcile.driver import Driver
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store import Key
from colonnade.kernel.store.memory import MemoryStore
from colonnade.serving.artifacts import Artifacts
from colonnade.serving.capture import Recorder, Spool
from colonnade.serving.router import Router
from colonnade.serving.snapshot import Snapshot
from colonnade.testing.executor import BytesContent

for _name in (
    "model.operations",
    "model.reconciler",
    "endpoint_config",
    "endpoint.operations",
    "endpoint.invoke",
    "endpoint.reconciler",
    "transform_job.operations",
    "transform_job.reconciler",
):
    import_module(f"colonnade.lifecycle.deploy.{_name}")

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/hosting"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, "root")
XGBOOST = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-xgboost:1.7-1"
SCIKIT_LEARN = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


class Objects:
    """S3 in a dictionary; what the role must not read is named in `denied`."""

    def __init__(self) -> None:
        self.held: dict[str, bytes] = {}
        self.denied: set[str] = set()

    def read(self, principal: Principal, bucket: str, key: str) -> ObjectContent:
        url = f"s3://{bucket}/{key}"
        if url in self.denied:
            raise ServiceError("AccessDenied", "Access Denied", status=403)
        if url not in self.held:
            raise ServiceError("NoSuchKey", "The specified key does not exist.", status=404)
        return BytesContent(self.held[url], key)

    def list(self, principal: Principal, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        begin = f"s3://{bucket}/"
        for url in sorted(url for url in self.held if url.startswith(begin + prefix)):
            yield ObjectInfo(bucket, url.removeprefix(begin), len(self.held[url]), "", 0.0)

    def write(
        self,
        principal: Principal,
        bucket: str,
        key: str,
        source: BinaryIO,
        *,
        content_type: str = "",
        kms_key_id: str = "",
    ) -> ObjectInfo:
        url = f"s3://{bucket}/{key}"
        if f"s3://{bucket}" in self.denied:
            raise ServiceError("AccessDenied", "Access Denied", status=403)
        self.held[url] = source.read()
        return ObjectInfo(bucket, key, len(self.held[url]), "", 0.0)

    def delete(self, principal: Principal, bucket: str, key: str) -> None:
        raise NotImplementedError


class Roles:
    def credential(self, access_key_id: str) -> None:
        return None

    def allows(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> bool:
        return True

    def decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> Decision:
        allowed = self.allows(principal, action, resource, context)
        return Decision(Outcome.ALLOWED if allowed else Outcome.IMPLICIT_DENY)

    def assume_for_service(self, role_arn: str, service: str, session: str) -> Principal:
        if role_arn != ROLE:
            raise ServiceError("ValidationException", f"Could not assume role {role_arn}.")
        return Principal(f"{role_arn}/{session}", ACCOUNT, "role", "role")


class Logs:
    def __init__(self) -> None:
        self.streams: dict[tuple[str, str], list[LogEvent]] = {}
        self.positions: dict[tuple[str, str], int] = {}

    def append(
        self,
        account: str,
        region: str,
        group: str,
        stream: str,
        events: Sequence[LogEvent],
        *,
        position: int | None = None,
    ) -> None:
        if position is not None:
            if position <= self.positions.get((group, stream), 0):
                return
            self.positions[group, stream] = position
        self.streams.setdefault((group, stream), []).extend(events)

    def position(self, account: str, region: str, group: str, stream: str) -> int:
        return self.positions.get((group, stream), 0)

    def text(self, group: str) -> str:
        return "\n".join(
            event.message for (held, _), events in self.streams.items() if held == group for event in events
        )


class Bench:
    def __init__(self, folder: Path, models: Path, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.models = models
        self.captures = folder / "capture"
        self.objects, self.logs = Objects(), Logs()
        self.alive = (folder / "alive").open("w")
        """Locked as a server does, or replicas that take their time to begin would end before."""
        fcntl.flock(self.alive, fcntl.LOCK_EX)
        self.executor = ProcessExecutor(folder / "work", isolation="auto", lifeline=folder / "alive")
        self.platform = self.platform_on(MemoryStore(), LocalSignals())
        self.router = self.platform.the(Router)
        self.driver = Driver(self.platform, threads=4)

    def platform_on(self, store: MemoryStore, signals: LocalSignals) -> Platform:
        platform = Platform(store=store, clock=SystemClock(), ids=SeededIds(), signals=signals)
        platform.provide(Storage, self.objects)
        platform.provide(Principals, Roles())
        platform.provide(LogStreams, self.logs)
        platform.provide(Executor, self.executor)
        platform.provide(Artifacts, Artifacts(self.models))
        platform.provide(Router, Router(seed=1))
        platform.provide(WorkCredentials, StoredWorkCredentials(platform, "secret", "http://127.0.0.1:1"))
        platform.provide(Spool, Spool(self.captures))
        recorder = Recorder(self.captures, platform.clock.now)
        self.on_loop(Snapshot(platform, platform.the(Router), recorder).start())
        return platform

    def on_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(90)

    # Calls

    def call(self, service: str, operation: str, **parameters: Any) -> Call:
        return Call(
            service=service,
            operation=operation,
            parameters=parameters,
            principal=ROOT,
            platform=self.platform,
            account=ACCOUNT,
            region=REGION,
            request_id="r",
            now=time.time(),
        )

    def do(self, operation: str, **parameters: Any) -> Result:
        call = self.call("sagemaker", operation, **parameters)
        return operations.find("sagemaker", operation).handler(call) or {}

    async def ask(self, name: str, body: bytes, **more: Any) -> Mapping[str, Any]:
        call = self.call(
            "sagemaker-runtime",
            "InvokeEndpoint",
            EndpointName=name,
            Body=body,
            **{"ContentType": "text/csv", **more},
        )
        handler: Any = operations.find("sagemaker-runtime", "InvokeEndpoint").handler
        answered: Mapping[str, Any] = await handler(call)
        return answered

    def invoke(self, name: str, body: bytes, **more: Any) -> Mapping[str, Any]:
        answered: Mapping[str, Any] = self.on_loop(self.ask(name, body, **more))
        return answered

    # Arrangements

    def upload(self, key: str, files: Mapping[str, bytes | str]) -> str:
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode="w") as archive:
            for name, content in files.items():
                data = content.encode() if isinstance(content, str) else content
                entry = tarfile.TarInfo(name)
                entry.size = len(data)
                archive.addfile(entry, io.BytesIO(data))
        url = f"s3://models/{key}"
        self.objects.held[url] = gzip.compress(stream.getvalue(), mtime=0)
        return url

    def model(self, name: str, url: str, image: str = XGBOOST, **environment: str) -> None:
        container = {"Image": image, "ModelDataUrl": url, "Environment": environment}
        self.do("CreateModel", ModelName=name, PrimaryContainer=container, ExecutionRoleArn=ROLE)

    def script_model(self, name: str, code: str, **files: str) -> None:
        held = {"code/inference.py": code, **files}
        self.model(name, self.upload(f"{name}.tar.gz", held), SCIKIT_LEARN)

    def config(self, name: str, *variants: Mapping[str, Any], **more: Any) -> None:
        complete = [
            {"InitialInstanceCount": 1, "InstanceType": "ml.m5.large", "VariantName": "AllTraffic", **variant}
            for variant in variants
        ]
        self.do("CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=complete, **more)

    def endpoint(self, name: str, config: str) -> None:
        self.do("CreateEndpoint", EndpointName=name, EndpointConfigName=config)

    def describe(self, name: str) -> Result:
        return self.do("DescribeEndpoint", EndpointName=name)

    def document(self, noun: str, name: str) -> Mapping[str, Any]:
        key = Key("aws", ACCOUNT, REGION, "sagemaker", noun, name.lower())
        with self.platform.store.read() as reader:
            stored = reader.get(key)
        assert stored is not None
        return stored.document

    def settled(self, name: str, status: str = "InService") -> Result:
        until(
            lambda: self.describe(name)["EndpointStatus"] not in ("Creating", "Updating"), f"{name} settles"
        )
        described = self.describe(name)
        said = self.logs.text(f"/aws/sagemaker/Endpoints/{described['EndpointName']}")
        assert described["EndpointStatus"] == status, f"{described.get('FailureReason')}\n{said}"
        return described

    def gone(self, name: str) -> None:
        def missing() -> bool:
            try:
                self.describe(name)
            except ServiceError:
                return True
            return False

        until(missing, f"{name} is gone")

    def replicas(self) -> list[str]:
        return [work for work in self.executor.known() if work.startswith("endpoint-")]


def until(condition: Callable[[], object], what: str, seconds: float = 120.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.02)


@pytest.fixture(scope="session")
def kept_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Kept by what they hold, so tests may share them: what one compiled need not be compiled again."""
    return tmp_path_factory.mktemp("models")


@pytest.fixture
def bench(tmp_path: Path, kept_models: Path) -> Iterator[Bench]:
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    made = Bench(tmp_path, kept_models, loop)
    made.driver.start()
    yield made
    made.driver.stop()
    for work in list(made.executor.known()):
        made.executor.forget(work)
    made.alive.close()
    asyncio.run_coroutine_threadsafe(cancel_all(), loop).result(60)
    loop.call_soon_threadsafe(loop.stop)
    thread.join(60)
    loop.close()


async def cancel_all() -> None:
    """What still waits for replicas that are gone: left pending, it would be told about at some later garbage collection."""
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


def trained(**parameters: str) -> bytes:
    """A model of three features, saved as the container saves it."""
    import xgboost

    features = np.random.default_rng(7).random((300, 3), dtype=np.float32)
    labels = features @ np.array([1.0, 2.0, -1.0], dtype=np.float32)
    data = xgboost.DMatrix(features, labels.round())
    data.set_group([100, 200])
    return bytes(xgboost.train({"max_depth": 3, "nthread": 1, **parameters}, data, 8).save_raw("json"))


@pytest.fixture(scope="session")
def xgboost_model() -> bytes:
    return trained(objective="reg:squarederror")


def predicted(model: bytes, row: Sequence[float]) -> float:
    """What xgboost itself says."""
    import xgboost

    booster = xgboost.Booster()
    booster.load_model(bytearray(model))
    return float(booster.predict(xgboost.DMatrix(np.array([row], dtype=np.float32)))[0])


def described_variants(described: Result) -> dict[str, Any]:
    return {variant["VariantName"]: variant for variant in described["ProductionVariants"]}


def as_json(answer: Mapping[str, Any]) -> Any:
    return json.loads(answer["Body"])
