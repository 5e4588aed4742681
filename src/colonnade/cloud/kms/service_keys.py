"""`kernel.ports.Keys`: KMS for other services, as the principal who called them."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable, Mapping
from typing import Any

from colonnade.cloud.kms.alias import entry
from colonnade.cloud.kms.key import new
from colonnade.cloud.kms.key_policies import service_policy
from colonnade.cloud.kms.keys import aliases, keys
from colonnade.kernel import operations
from colonnade.kernel.arns import partition_of
from colonnade.kernel.operations import Call, Result
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import DataKey, Principal


class StoredKeys:
    def __init__(self, platform: Platform, master: Callable[[], bytes]) -> None:
        """`master` reads the master key; it is called at the first use of any key."""
        self._platform = platform
        self._read_master = master
        self._master = b""
        self._lock = threading.Lock()

    def own(self, purpose: str) -> bytes:
        with self._lock:
            self._master = self._master or self._read_master()
        return hmac.new(self._master, f"colonnade key for {purpose}".encode(), hashlib.sha256).digest()

    def data_key(
        self, principal: Principal, region: str, key_id: str, context: Mapping[str, str], *, service: str
    ) -> DataKey:
        if key_id == f"alias/aws/{service}":
            self._have_service_key(principal.account, region, service)
        parameters = {"KeyId": key_id, "EncryptionContext": dict(context), "KeySpec": "AES_256"}
        made = self._perform("GenerateDataKey", parameters, principal, region, service)
        return DataKey(made["KeyId"], made["Plaintext"], made["CiphertextBlob"])

    def unwrap(
        self, principal: Principal, region: str, wrapped: bytes, context: Mapping[str, str], *, service: str
    ) -> bytes:
        parameters = {"CiphertextBlob": wrapped, "EncryptionContext": dict(context)}
        plaintext: bytes = self._perform("Decrypt", parameters, principal, region, service)["Plaintext"]
        return plaintext

    def _perform(
        self, operation: str, parameters: Mapping[str, Any], principal: Principal, region: str, service: str
    ) -> Result:
        call = Call(
            service="kms",
            operation=operation,
            parameters=parameters,
            principal=principal,
            platform=self._platform,
            account=principal.account,
            region=region,
            request_id=self._platform.ids.uuid(),
            now=self._platform.clock.now(),
            details={"via": f"{service}.{region}.amazonaws.com"},
        )
        return operations.perform(call)

    def _have_service_key(self, account: str, region: str, service: str) -> None:
        """The key that AWS manages for a service comes into being with its first use, in each region."""
        partition, at = partition_of(region), self._platform.clock.now()
        alias = aliases(partition, account, region).key(f"alias/aws/{service}")
        with self._platform.store.read() as reader:
            if reader.get(alias) is not None:
                return
        key = keys(partition, account, region).key(self._platform.ids.uuid())
        description = f"Default key that protects my {service} data when no other key is defined"
        document = new(
            self._platform,
            key,
            "SYMMETRIC_DEFAULT",
            "ENCRYPT_DECRYPT",
            at=at,
            description=description,
            manager="AWS",
        )
        document["_Policy"] = service_policy(partition, account, region, service)
        document["_Rotation"] = {"Days": 365, "Next": at + 365 * 86_400}
        with self._platform.store.write() as transaction:
            if transaction.get(alias) is None:
                transaction.put(key, document, expect=0, at=at, status="Enabled", active=True)
                transaction.put(alias, entry(alias, key.name, at), expect=0, at=at)
