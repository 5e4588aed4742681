"""A gateway on a real socket, with operations and principals of the test's own, for real boto3 clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import pytest
from botocore.config import Config

from colonnade.gateway import app
from colonnade.kernel import operations
from colonnade.kernel.clock import SystemClock
from colonnade.kernel.ids import RandomIds
from colonnade.kernel.operations import Call, Effect
from colonnade.kernel.platform import Platform
from colonnade.kernel.policy import Decision, Outcome
from colonnade.kernel.ports import Credential, Principal, Principals
from colonnade.testing.gateway import served

ROOT = Principal("arn:aws:iam::123456789012:root", "123456789012", "123456789012", "root")
KEY, SECRET = "AKIAEXAMPLEEXAMPLE00", "the-secret-of-the-root-user"


class FewPrincipals:
    """Root and whomever a test adds; everybody may do what `denied` does not name."""

    def __init__(self) -> None:
        self.credentials = {KEY: Credential(KEY, SECRET, None, None, ROOT)}
        self.denied: set[str] = set()

    def credential(self, access_key_id: str) -> Credential | None:
        return self.credentials.get(access_key_id)

    def allows(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> bool:
        return action not in self.denied

    def decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> Decision:
        allowed = self.allows(principal, action, resource, context)
        return Decision(Outcome.ALLOWED if allowed else Outcome.IMPLICIT_DENY)

    def assume_for_service(self, role_arn: str, service: str, session: str) -> Principal:
        raise NotImplementedError


@cache
def _session() -> Any:
    """One for all tests: a session keeps the models that it has read."""
    return boto3.session.Session()


@dataclass
class Gateway:
    port: int
    principals: FewPrincipals
    registered: dict[tuple[str, str], operations.Operation]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def on(self, service: str, name: str, handler: Callable[[Call], Any]) -> None:
        """Give the operation this behaviour, for this test."""
        self.registered.pop((service, name), None)
        operations.add(service, name, handler, effect=Effect.REAL, line=1)

    def client(self, service: str, **config: Any) -> Any:
        keys = {"aws_access_key_id": KEY, "aws_secret_access_key": SECRET} | config.pop("keys", {})
        config = {"retries": {"total_max_attempts": 1}, "read_timeout": 60} | config
        return _session().client(
            service, endpoint_url=self.url, region_name="eu-west-1", config=Config(**config), **keys
        )


@pytest.fixture
def gateway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gateway]:
    registered: dict[tuple[str, str], operations.Operation] = {}
    monkeypatch.setattr(operations, "_registered", registered)
    # Whatever other tests have imported: the real finders look into stores, and there is none here.
    monkeypatch.setattr(operations, "_resource_finders", {})
    principals = FewPrincipals()
    platform = Platform(store=None, clock=SystemClock(), ids=RandomIds(), signals=None)  # type: ignore[arg-type]
    platform.provide(Principals, principals)
    with served(app.build(platform, default_region="us-east-1")) as port:
        yield Gateway(port, principals, registered)
