"""A client of the public API for the commands: AWS's JSON protocol, signed with Signature Version 4, and no more.

Of our own, since the commands are to answer at once and botocore takes half a second to import.
Format: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

from colonnade.cli.terminal import NOT_RUNNING, CommandError
from colonnade.credentials import RootCredentials

_TARGETS = {"sagemaker": "SageMaker", "logs": "Logs_20140328"}


class ApiError(CommandError):
    """The server refused the call."""

    def __init__(self, operation: str, status: int, code: str, message: str) -> None:
        super().__init__(f"{operation} was refused: {code}: {message}")
        self.error = code
        self.status = status


class Client:
    def __init__(self, url: str, credentials: RootCredentials, region: str) -> None:
        self._host = urlsplit(url).netloc
        self._credentials = credentials
        self._region = region

    def call(self, service: str, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """Raises ApiError when refused, CommandError when nobody answers."""
        import http.client

        body = json.dumps(parameters).encode()
        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request("POST", "/", body, self._headers(service, operation, body))
            response = connection.getresponse()
            answer = json.loads(response.read() or b"{}")
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise CommandError(
                f"the server at http://{self._host} gave no answer to {operation} ({type(error).__name__}: {error}); "
                "its log says more",
                NOT_RUNNING,
            ) from error
        finally:
            connection.close()
        if response.status >= 400:
            code = str(answer.get("__type", "")).rsplit("#", 1)[-1] or f"HTTP {response.status}"
            raise ApiError(
                operation, response.status, code, answer.get("message") or answer.get("Message") or ""
            )
        return dict(answer)

    def pages(
        self,
        service: str,
        operation: str,
        parameters: Mapping[str, Any],
        result: str,
        token: str = "NextToken",
    ) -> Iterator[dict[str, Any]]:
        """Every item of a listing whose request and answer name the token alike."""
        more: dict[str, Any] = {}
        while True:
            page = self.call(service, operation, {**parameters, **more})
            yield from page.get(result, ())
            if not page.get(token):
                return
            more = {token: page[token]}

    def _headers(self, service: str, operation: str, body: bytes) -> dict[str, str]:
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {
            "content-type": "application/x-amz-json-1.1",
            "host": self._host,
            "x-amz-date": moment,
            "x-amz-target": f"{_TARGETS[service]}.{operation}",
        }
        signed = ";".join(headers)
        lines = "".join(f"{name}:{value}\n" for name, value in headers.items())
        request = f"POST\n/\n\n{lines}\n{signed}\n{hashlib.sha256(body).hexdigest()}"
        scope = f"{moment[:8]}/{self._region}/{service}/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{moment}\n{scope}\n{hashlib.sha256(request.encode()).hexdigest()}"
        key = f"AWS4{self._credentials.secret_access_key}".encode()
        for part in scope.split("/"):
            key = hmac.digest(key, part.encode(), "sha256")
        signature = hmac.digest(key, to_sign.encode(), "sha256").hex()
        headers["authorization"] = (
            f"AWS4-HMAC-SHA256 Credential={self._credentials.access_key_id}/{scope}, "
            f"SignedHeaders={signed}, Signature={signature}"
        )
        return headers
