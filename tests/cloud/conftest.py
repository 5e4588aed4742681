"""IAM, STS, KMS and Logs behind a gateway on a real socket, with real boto3 clients, over a store in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

import colonnade.cloud.cloudwatch
import colonnade.cloud.iam
import colonnade.cloud.kms
import colonnade.cloud.logs
import colonnade.cloud.sts
from colonnade.cloud.iam.principals import StoredPrincipals
from colonnade.cloud.kms.service_keys import StoredKeys
from colonnade.cloud.logs.streams import FileLogStreams
from colonnade.gateway import app
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Credential, Keys, LogStreams, Principal, Principals
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.gateway import served
from colonnade.timeseries.database import Timeseries

ACCOUNT = "123456789012"
REGION = "us-east-1"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
ROOT = Credential(
    "AKIAROOTROOTROOTROOT",
    "the-secret-of-root",
    None,
    None,
    Principal(ROOT_ARN, ACCOUNT, ACCOUNT, "root", ROOT_ARN),
)


@dataclass
class Cloud:
    url: str
    platform: Platform
    clock: ManualClock
    logs: FileLogStreams

    def client(self, service: str, keys: Mapping[str, Any] | None = None) -> Any:
        """As root, or with an AccessKey or Credentials as IAM and STS answer them."""
        keys = keys or {"AccessKeyId": ROOT.access_key_id, "SecretAccessKey": ROOT.secret_access_key}
        return _session().client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=keys["AccessKeyId"],
            aws_secret_access_key=keys["SecretAccessKey"],
            aws_session_token=keys.get("SessionToken"),
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )

    def user(self, name: str, *statements: Mapping[str, Any]) -> dict[str, Any]:
        """A user with one inline policy of these statements; answers its access key."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        if statements:
            iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=document(*statements))
        key: dict[str, Any] = iam.create_access_key(UserName=name)["AccessKey"]
        return key


@cache
def _session() -> Any:
    """One for all tests: it keeps the service models that it has read."""
    return boto3.session.Session()


def document(*statements: Mapping[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    _load_operations()
    clock, signals, store = ManualClock(), LocalSignals(), MemoryStore()
    platform = Platform(store=store, clock=clock, ids=SeededIds(1), signals=signals)
    platform.provide(Principals, StoredPrincipals(store, clock, ROOT, signals=signals))
    platform.provide(Keys, StoredKeys(platform, lambda: b"m" * 32))
    logs = FileLogStreams(tmp_path / "logs", clock)
    platform.provide(LogStreams, logs)
    metrics = Timeseries(tmp_path / "metrics.db")
    platform.provide(Timeseries, metrics)
    try:
        with served(app.build(platform)) as port:
            yield Cloud(f"http://127.0.0.1:{port}", platform, clock, logs)
    finally:
        store.close()
        metrics.close()


def _load_operations() -> None:
    import pkgutil
    from importlib import import_module

    for package in (
        colonnade.cloud.iam,
        colonnade.cloud.cloudwatch,
        colonnade.cloud.sts,
        colonnade.cloud.logs,
        colonnade.cloud.kms,
    ):
        for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
            import_module(module.name)
