"""Credentials for jobs and replicas, as SageMaker's containers have them: boto3 in a script just works, as the job's role.

The token that a work shows is derived from its id and a secret of the server, so nothing secret is kept for it, and a start that is
repeated after a crash gives the same variables. What is kept is the grant: which role the work acts as, for as long as it lasts.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from colonnade.cloud.sts.sessions import give
from colonnade.kernel.errors import ServiceError
from colonnade.kernel.operations import Call
from colonnade.kernel.platform import Platform
from colonnade.kernel.ports import Principal
from colonnade.kernel.store import Scope

GRANTS = Scope("", "", "", "sts", "work")
PATH = "/_colonnade/work-credentials/"
_SECONDS = 3600


class StoredWorkCredentials:
    def __init__(self, platform: Platform, secret: str, url: str) -> None:
        """`secret` is the server's own; `url` is where works on this machine reach it."""
        self._platform = platform
        self._secret = secret.encode()
        self._url = url

    def grant(self, work_id: str, role: Principal, region: str) -> Mapping[str, str]:
        grant = {
            "Principal": asdict(role) | {"session_policies": list(role.session_policies)},
            "Region": region,
        }
        with self._platform.store.write() as transaction:
            transaction.put(GRANTS.key(work_id), grant, at=self._platform.clock.now())
        return {
            "AWS_ENDPOINT_URL": self._url,
            "AWS_CONTAINER_CREDENTIALS_FULL_URI": f"{self._url}{PATH}{work_id}",
            "AWS_CONTAINER_AUTHORIZATION_TOKEN": self._token(work_id),
        }

    def revoke(self, work_id: str) -> None:
        with self._platform.store.read() as reader:
            known = reader.get(GRANTS.key(work_id)) is not None
        if known:
            with self._platform.store.write() as transaction:
                transaction.delete(GRANTS.key(work_id))

    def fetch(self, work_id: str, token: str) -> Mapping[str, Any]:
        with self._platform.store.read() as reader:
            stored = reader.get(GRANTS.key(work_id))
        if stored is None or not hmac.compare_digest(token.encode(), self._token(work_id).encode()):
            raise ServiceError(
                "AccessDenied", "This work has no grant here, or showed a wrong token.", status=403
            )
        who = stored.document["Principal"]
        principal = Principal(**{**who, "session_policies": tuple(who["session_policies"])})
        given = give(self._call(principal, stored.document["Region"], work_id), principal, _SECONDS)
        return {
            "AccessKeyId": given["AccessKeyId"],
            "SecretAccessKey": given["SecretAccessKey"],
            "Token": given["SessionToken"],
            "Expiration": datetime.fromtimestamp(given["Expiration"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "RoleArn": principal.identity_arn,
        }

    def _token(self, work_id: str) -> str:
        return hmac.new(self._secret, f"work-credentials:{work_id}".encode(), hashlib.sha256).hexdigest()

    def _call(self, principal: Principal, region: str, work_id: str) -> Call:
        """What the audit journal says of it."""
        return Call(
            service="sts",
            operation="AssumeRole",
            parameters={},
            principal=principal,
            platform=self._platform,
            account=principal.account,
            region=region,
            request_id=self._platform.ids.uuid(),
            now=self._platform.clock.now(),
            invoked_by=work_id,
        )
