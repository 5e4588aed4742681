"""Stand-ins for the parts beside S3, and what the tests share."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from colonnade.kernel.platform import Platform
from colonnade.kernel.policy import Decision, Outcome
from colonnade.kernel.ports import Credential, Principal
from colonnade.kernel.store.memory import MemoryStore
from colonnade.objects import ObjectStore
from colonnade.objects.memory import MemoryObjects

S3 = Callable[..., dict[str, Any]]
"""`s3("PutObject", Bucket=..., ...)`"""
ACCOUNT = "123456789012"
ROOT = Principal(f"arn:aws:iam::{ACCOUNT}:root", ACCOUNT, ACCOUNT, "root", f"arn:aws:iam::{ACCOUNT}:root")
STRANGER = Principal("arn:aws:iam::210987654321:root", "210987654321", "210987654321", "root")


class ListedPrincipals:
    """Allows all, but for what a test puts into `denied`; remembers what was asked."""

    def __init__(self) -> None:
        self.denied: set[tuple[str, str]] = set()
        self.asked: list[tuple[str, str]] = []

    def credential(self, access_key_id: str) -> Credential | None:
        return None

    def allows(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> bool:
        self.asked.append((action, resource))
        return (action, resource) not in self.denied

    def decide(
        self, principal: Principal, action: str, resource: str, context: Mapping[str, Any] | None = None
    ) -> Decision:
        allowed = self.allows(principal, action, resource, context)
        return Decision(Outcome.ALLOWED if allowed else Outcome.IMPLICIT_DENY)

    def assume_for_service(self, role_arn: str, service: str, session: str) -> Principal:
        raise NotImplementedError


def blobs(platform: Platform) -> int:
    """How many blobs and contents there are: each must belong to somebody."""
    store = platform.the(ObjectStore)
    assert isinstance(store, MemoryObjects)
    assert isinstance(platform.store, MemoryStore)
    return len(store._blobs) + len(platform.store._contents)
