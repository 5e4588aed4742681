"""A platform in which training jobs really run: memory store, driver and process executor; S3 and IAM as dictionaries."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import colonnade.lifecycle.train.training_job.operations
import colonnade.lifecycle.train.training_job.reconciler  # noqa: F401 - registers them
from colonnade.cloud.logs import frames
from colonnade.cloud.logs.streams import FileLogStreams
from colonnade.cloud.sts.work_credentials import StoredWorkCredentials
from colonnade.executors import Executor
from colonnade.executors.process import ProcessExecutor
from colonnade.kernel import operations
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.errors import ServiceError, validation
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.policy import Decision, Outcome
from colonnade.kernel.ports import (
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
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.executor import BytesContent, tar, wait_until

ACCOUNT, REGION = "123456789012", "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/Trainer"
ME = Principal(
    f"arn:aws:iam::{ACCOUNT}:user/ann", ACCOUNT, "AIDA", "user", f"arn:aws:iam::{ACCOUNT}:user/ann"
)
IMAGE = "683313688378.dkr.ecr.us-east-1.amazonaws.com/sagemaker-scikit-learn:1.2-1-cpu-py3"


@dataclass
class DictionaryStorage:
    """S3 as a dictionary of (bucket, key); every bucket exists but `nobody`, and nobody may read `forbidden`."""

    objects: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def list(self, principal: Principal, bucket: str, prefix: str) -> Iterator[ObjectInfo]:
        self._check(bucket)
        for found, key in sorted(self.objects):
            if found == bucket and key.startswith(prefix):
                yield ObjectInfo(bucket, key, len(self.objects[bucket, key]), "", 0.0)

    def read(self, principal: Principal, bucket: str, key: str) -> ObjectContent:
        self._check(bucket)
        if (bucket, key) not in self.objects:
            raise ServiceError("NoSuchKey", "The specified key does not exist.")
        return BytesContent(self.objects[bucket, key], key)

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
        self._check(bucket)
        self.objects[bucket, key] = source.read()
        return ObjectInfo(bucket, key, len(self.objects[bucket, key]), "", 0.0)

    def delete(self, principal: Principal, bucket: str, key: str) -> None:
        self.objects.pop((bucket, key), None)

    def _check(self, bucket: str) -> None:
        if bucket == "nobody":
            raise ServiceError("NoSuchBucket", "The specified bucket does not exist")
        if bucket == "forbidden":
            raise ServiceError("AccessDenied", "Access Denied")


class Trust:
    def credential(self, access_key_id: str) -> None:
        return None

    def allows(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> bool:
        return action != "iam:PassRole" or not resource.endswith("/Admin")

    def decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> Decision:
        allowed = self.allows(principal, action, resource, context)
        return Decision(Outcome.ALLOWED if allowed else Outcome.IMPLICIT_DENY)

    def assume_for_service(self, role_arn: str, service: str, session: str) -> Principal:
        if role_arn.endswith("/Missing"):
            raise validation(
                f"Could not assume role {role_arn}. Please ensure that the role exists and allows principal "
                f"'{service}' to assume the role."
            )
        return Principal(f"{role_arn}/{session}", ACCOUNT, "AROA", "role", role_arn)


@dataclass
class Stage:
    """What a test plays on."""

    platform: Platform
    executor: ProcessExecutor
    storage: DictionaryStorage

    def call(self, operation: str, **parameters: Any) -> Mapping[str, Any]:
        return operations.invoke(
            self.platform, "sagemaker", operation, parameters, principal=ME, region=REGION, owner=""
        )

    def train(self, name: str = "job-1", **changed: Any) -> str:
        """Create a job; its name."""
        request: dict[str, Any] = {
            "TrainingJobName": name,
            "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
            "RoleArn": ROLE,
            "OutputDataConfig": {"S3OutputPath": "s3://out/models"},
            "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 10},
            "StoppingCondition": {"MaxRuntimeInSeconds": 3600},
        }
        self.call("CreateTrainingJob", **(request | changed))
        return name

    def run_script(self, code: str, name: str = "job-1", requirements: str = "", **changed: Any) -> str:
        """Create a job in script mode; its name."""
        files = {"train.py": code.encode()} | (
            {"requirements.txt": requirements.encode()} if requirements else {}
        )
        self.storage.objects["code", f"{name}/sourcedir.tar.gz"] = tar(files)
        given = {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": f'"s3://code/{name}/sourcedir.tar.gz"',
        }
        return self.train(name, HyperParameters=given | changed.pop("HyperParameters", {}), **changed)

    def describe(self, name: str = "job-1") -> Mapping[str, Any]:
        return self.call("DescribeTrainingJob", TrainingJobName=name)

    def ended(self, name: str = "job-1") -> Mapping[str, Any]:
        """The description of the job when it has ended and nothing of it is left running."""
        wait_until(
            lambda: self.describe(name)["TrainingJobStatus"] in ("Completed", "Failed", "Stopped"),
            f"the end of {name}: {self.describe(name)}",
        )
        wait_until(lambda: not list(self.executor.known()), "the executor forgetting")
        return self.describe(name)

    def printed(self, name: str = "job-1") -> list[str]:
        streams = self.platform.the(LogStreams)
        assert isinstance(streams, FileLogStreams)
        found = [
            s
            for s in streams.streams(ACCOUNT, REGION, "/aws/sagemaker/TrainingJobs")
            if s.name.startswith(f"{name}/")
        ]
        path = streams.path(ACCOUNT, REGION, "/aws/sagemaker/TrainingJobs", found[0].name)
        return [event.message for event in frames.forward(path)]

    def archive(self, key: str = "models/job-1/output/model.tar.gz") -> dict[str, bytes]:
        with tarfile.open(fileobj=io.BytesIO(self.storage.objects["out", key])) as archive:
            return {
                member.name: file.read()
                for member in archive.getmembers()
                if (file := archive.extractfile(member)) is not None
            }


class running:  # noqa: N801 - reads as a verb where it is used
    """A platform with its driver, until the block ends."""

    def __init__(self, folder: Path, store: MemoryStore, storage: DictionaryStorage) -> None:
        clock = SystemClock()
        self._platform = Platform(store=store, clock=clock, ids=SeededIds(1), signals=LocalSignals())
        self._executor = ProcessExecutor(folder / "work")
        self._storage = storage
        for kind, part in (
            (Storage, storage), (Principals, Trust()), (Executor, self._executor),
            (LogStreams, FileLogStreams(folder / "logs", clock)),
        ):  # fmt: skip
            self._platform.provide(kind, part)
        # No gateway answers here, so the address leads nowhere; grants are kept all the same.
        nowhere = StoredWorkCredentials(self._platform, "secret", "http://127.0.0.1:1")
        self._platform.provide(WorkCredentials, nowhere)
        self._driver = Driver(self._platform)

    def __enter__(self) -> Stage:
        self._driver.start()
        return Stage(self._platform, self._executor, self._storage)

    def __exit__(self, *_: object) -> None:
        self._driver.stop()
        for work_id in list(self._executor.known()):
            self._executor.forget(work_id)
