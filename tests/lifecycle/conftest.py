"""SageMaker's operations behind a gateway on a real socket, over a store in memory, for a real boto3 client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config

from colonnade import app as composition
from colonnade.cloud.iam.principals import StoredPrincipals
from colonnade.gateway import app
from colonnade.kernel.clock import ManualClock
from colonnade.kernel.ids import SeededIds
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Credential, Principal, Principals
from colonnade.kernel.signals import LocalSignals
from colonnade.kernel.store.memory import MemoryStore
from colonnade.testing.gateway import served

ACCOUNT, REGION = "123456789012", "us-east-1"
ROOT_ARN = f"arn:aws:iam::{ACCOUNT}:root"
ROOT = Credential(
    "AKIAROOTROOTROOTROOT",
    "the-secret-of-root",
    None,
    None,
    Principal(ROOT_ARN, ACCOUNT, ACCOUNT, "root", ROOT_ARN),
)


class Gateway:
    def __init__(self, url: str, platform: Platform, clock: ManualClock) -> None:
        self.url = url
        self.platform = platform
        self.clock = clock

    @cache  # noqa: B019 - there is one gateway, and a client takes longer to make than a test
    def client(
        self, service: str, access_key_id: str = ROOT.access_key_id, secret: str = ROOT.secret_access_key
    ) -> Any:
        return boto3.session.Session().client(
            service,
            endpoint_url=self.url,
            region_name=REGION,
            aws_access_key_id=access_key_id,
            aws_secret_access_key=secret,
            config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
        )


@pytest.fixture(scope="session")
def gateway() -> Iterator[Gateway]:
    composition.load_operations()
    clock, signals, store = ManualClock(), LocalSignals(), MemoryStore()
    platform = Platform(store=store, clock=clock, ids=SeededIds(1), signals=signals)
    platform.provide(Principals, StoredPrincipals(store, clock, ROOT, signals=signals))
    try:
        with served(app.build(platform)) as port:
            yield Gateway(f"http://127.0.0.1:{port}", platform, clock)
    finally:
        store.close()


@pytest.fixture
def fresh(gateway: Gateway) -> Iterator[Gateway]:
    """The gateway with nothing in its store. Principals keep theirs: root, and who else IAM knows."""
    before = gateway.platform.store
    gateway.platform.store = MemoryStore()
    yield gateway
    gateway.platform.store = before


@pytest.fixture
def sagemaker(fresh: Gateway) -> Any:
    return fresh.client("sagemaker")


@pytest.fixture
def tick(gateway: Gateway) -> Callable[[], float]:
    """Let a second pass, so that what is made next is younger."""
    return lambda: gateway.clock.advance(1)
