"""A client of the public API for the commands: AWS's JSON and query protocols, signed with Signature Version 4.

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
        target = {"x-amz-target": f"{_TARGETS[service]}.{operation}"}
        status, text = self._post(
            service, operation, json.dumps(parameters).encode(), "application/x-amz-json-1.1", target
        )
        answer = json.loads(text or b"{}")
        if status >= 400:
            code = str(answer.get("__type", "")).rsplit("#", 1)[-1] or f"HTTP {status}"
            raise ApiError(operation, status, code, answer.get("message") or answer.get("Message") or "")
        return dict(answer)

    def query(self, service: str, operation: str, version: str, **parameters: str) -> dict[str, list[str]]:
        """The texts of the answer's leaves by element name, in order; namespaces left out."""
        from urllib.parse import urlencode
        from xml.etree import ElementTree

        form = urlencode({"Action": operation, "Version": version, **parameters}).encode()
        status, text = self._post(service, operation, form, "application/x-www-form-urlencoded", {})
        leaves: dict[str, list[str]] = {}
        for element in ElementTree.fromstring(text).iter():
            if not len(element):
                leaves.setdefault(element.tag.rpartition("}")[2], []).append(element.text or "")
        if status >= 400:
            raise ApiError(operation, status, leaves["Code"][0], leaves["Message"][0])
        return leaves

    def _post(
        self, service: str, operation: str, body: bytes, content_type: str, more: Mapping[str, str]
    ) -> tuple[int, bytes]:
        import http.client

        connection = http.client.HTTPConnection(self._host, timeout=60)
        try:
            connection.request("POST", "/", body, self._headers(service, body, content_type, more))
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise CommandError(
                f"the server at http://{self._host} gave no answer to {operation} ({type(error).__name__}: {error}); "
                "its log says more",
                NOT_RUNNING,
            ) from error
        finally:
            connection.close()

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

    def _headers(
        self, service: str, body: bytes, content_type: str, more: Mapping[str, str]
    ) -> dict[str, str]:
        """`more` in lower case, and after x-amz-date in the alphabet: signed headers are sorted."""
        moment = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        headers = {
            "content-type": content_type,
            "host": self._host,
            "x-amz-date": moment,
            **more,
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
