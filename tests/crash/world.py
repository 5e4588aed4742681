"""What goes on while a server is killed, and a ledger of what it had acknowledged until then.

`World` has users who upload, train and ask endpoints, each in a thread of its own; `killing.py` ends processes; `truth.py` compares
what a restarted server says with the ledger.
"""

from __future__ import annotations

import hashlib
import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.client import Config
from botocore.exceptions import BotoCoreError, ClientError

from colonnade.testing.server import Server
from journeys.team import BUCKET, SCIKIT_LEARN, Team, wait_for
from journeys.test_crash import QUICK, STEADY, script, sources

LINES = 25
COUNTING = f"""
import os, time
print("begun in process", os.getpid(), flush=True)
for number in range({LINES}):
    print("line", number, flush=True)
    time.sleep(0.03)
open(os.path.join(os.environ["SM_MODEL_DIR"], "weights"), "w").write("trained")
print("ended", flush=True)
"""
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=60)
"""A request that is sent again by itself would blur what was acknowledged."""
LOST = (BotoCoreError, ClientError)


@dataclass
class Ledger:
    """SHA-256 by key; None stands for a key that is not there."""

    acknowledged: dict[str, str | None] = field(default_factory=dict)
    in_flight: dict[str, list[str | None]] = field(default_factory=dict)
    """What a key may be instead, since nobody heard how the request ended."""
    jobs: list[str] = field(default_factory=list)
    perhaps: list[str] = field(default_factory=list)
    """Jobs of which nobody heard whether they were accepted."""
    wrong: list[str] = field(default_factory=list)
    """Answers of endpoints that were no errors and not right either."""

    def may_be(self, key: str) -> list[str | None]:
        return [self.acknowledged.get(key), *self.in_flight.get(key, [])]

    @contextmanager
    def attempt(self, key: str, outcome: str | None) -> Iterator[None]:
        """Around a request that makes `key` be `outcome`."""
        self.in_flight.setdefault(key, []).append(outcome)
        try:
            yield
        except LOST:
            return
        self.acknowledged[key] = outcome
        self.in_flight.pop(key)


@dataclass
class World:
    team: Team
    random: random.Random
    ledger: Ledger = field(default_factory=Ledger)
    compiled: str = ""
    scripted: str = ""
    sources: str = ""
    _clients: dict[str, Any] = field(default_factory=dict)

    def settle(self) -> World:
        """A compiled endpoint, one with a replica, and the script that the rounds' jobs run."""
        job, quick = self.team.train(HyperParameters=_LIGHT), script(self.team, QUICK)
        assert self.team.ended(job)["TrainingJobStatus"] == "Completed"
        self.compiled = self.team.deploy(self.team.model(job))
        assert self.team.ended(quick)["TrainingJobStatus"] == "Completed"
        environment = {
            "SAGEMAKER_PROGRAM": "inference.py",
            "SAGEMAKER_SUBMIT_DIRECTORY": sources(self.team, inference=STEADY),
        }
        self.scripted = self.team.deploy(self.team.model(quick, SCIKIT_LEARN, environment))
        self.sources = sources(self.team, train=COUNTING)
        return self

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Everybody works, until the end of the block."""
        over = threading.Event()
        before = (len(self.ledger.jobs), dict(self.ledger.acknowledged))
        # Made before anything happens: a client takes longer to make than most things that it asks for.
        self._clients = {
            name: self.server.client(name, config=ONCE) for name in ("s3", "sagemaker", "sagemaker-runtime")
        }
        # Each with a seed of its own, drawn here: threads that shared one would draw in an order that no seed tells.
        seeds = [random.Random(self.random.random()) for _ in range(3)]
        tasks: list[Callable[[], None]] = [
            lambda: self._upload("small", seeds[0], over),
            lambda: self._upload("other", seeds[1], over),
            lambda: self._train(seeds[2], over),
            lambda: self._ask(over),
        ]
        threads = [threading.Thread(target=task) for task in tasks]
        for thread in threads:
            thread.start()
        try:
            wait_for(
                lambda: (len(self.ledger.jobs), dict(self.ledger.acknowledged)),
                lambda now: now[0] > before[0] and now[1] != before[1],
            )
            yield
        finally:
            over.set()
            for thread in threads:
                thread.join()

    def _upload(self, prefix: str, draw: random.Random, over: threading.Event) -> None:
        s3 = self._clients["s3"]
        while not over.is_set():
            key = f"{prefix}/{draw.randrange(40):02d}"
            action = draw.random()
            if action < 0.1:
                with self.ledger.attempt(key, None):
                    s3.delete_object(Bucket=BUCKET, Key=key)
            elif action < 0.2:
                self._upload_in_parts(s3, key, draw)
            else:
                body = draw.randbytes(draw.choice((0, 10, 1000, 70_000, 1_500_000)))
                with self.ledger.attempt(key, digest(body)):
                    s3.put_object(Bucket=BUCKET, Key=key, Body=body)

    def _upload_in_parts(self, s3: Any, key: str, draw: random.Random) -> None:
        bodies = [draw.randbytes(5 << 20), draw.randbytes(1000)]
        try:
            upload = s3.create_multipart_upload(Bucket=BUCKET, Key=key)["UploadId"]
            names = {"Bucket": BUCKET, "Key": key, "UploadId": upload}
            parts = [
                {"PartNumber": number, "ETag": s3.upload_part(PartNumber=number, Body=body, **names)["ETag"]}
                for number, body in enumerate(bodies, start=1)
            ]
        except LOST:
            return  # The parts stay: no object of theirs was ever asked for.
        with self.ledger.attempt(key, digest(b"".join(bodies))):
            s3.complete_multipart_upload(MultipartUpload={"Parts": parts}, **names)

    def _train(self, draw: random.Random, over: threading.Event) -> None:
        for _ in range(2):
            name = self.team.name("counting")
            try:
                self._start_job(name)
            except LOST:
                self.ledger.perhaps.append(name)
            else:
                self.ledger.jobs.append(name)
            over.wait(draw.random())

    def _start_job(self, name: str) -> None:
        self._clients["sagemaker"].create_training_job(
            TrainingJobName=name,
            RoleArn=self.team.role,
            AlgorithmSpecification={"TrainingImage": SCIKIT_LEARN, "TrainingInputMode": "File"},
            HyperParameters={
                "sagemaker_program": '"train.py"',
                "sagemaker_submit_directory": f'"{self.sources}"',
            },
            OutputDataConfig={"S3OutputPath": f"s3://{BUCKET}/output"},
            ResourceConfig={"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
            StoppingCondition={"MaxRuntimeInSeconds": 600},
        )

    def _ask(self, over: threading.Event) -> None:
        while not over.wait(0.05):
            for ask in (self.ask_compiled, self.ask_scripted):
                try:
                    right, told = ask()
                except LOST:
                    continue
                if not right:
                    self.ledger.wrong.append(told)

    def ask_compiled(self) -> tuple[bool, str]:
        told = self._invoke(self.compiled, "0.9,0.1")
        return float(told) > 0.5, told

    def ask_scripted(self) -> tuple[bool, str]:
        told = self._invoke(self.scripted, "1,2")
        return json.loads(told)[0] == "trained", told

    def _invoke(self, endpoint: str, body: str) -> str:
        answer = self._clients["sagemaker-runtime"].invoke_endpoint(
            EndpointName=endpoint, ContentType="text/csv", Body=body
        )
        return str(answer["Body"].read().decode())

    def meet(self, server: Server) -> None:
        """The users find the server at its new address."""
        self.team.server = server
        self._clients = {"sagemaker-runtime": server.client("sagemaker-runtime", config=ONCE)}

    @property
    def server(self) -> Server:
        return self.team.server


def digest(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


_LIGHT = {"objective": "binary:logistic", "num_round": "5", "nthread": "1"}
